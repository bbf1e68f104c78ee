"""LightGBM without scikit-learn, of which it needs nothing for its own boosters. To: `trees`.

LightGBM loads scikit-learn and the statistics of SciPy where they are installed, for its classes in scikit-learn's
style: 60 MiB and half a second in every training. Told that there is none, it does without, as it does where none is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["lightgbm"]


@contextmanager
def without(name: str) -> Iterator[None]:
    """Let a module count as not installed, unless it is loaded already: then hiding it would save nothing."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # what `import` takes for "not there"
    try:
        yield
    finally:
        del sys.modules[name]


with without("sklearn"):
    import lightgbm
