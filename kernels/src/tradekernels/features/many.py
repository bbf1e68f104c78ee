"""Many pairs at once. From: frames by pair. To: feature matrices by pair, one thread per core, the lock released."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from .feature_set import FeatureSet
from .references import References


def compute_many(
    features: FeatureSet,
    frames: Mapping[str, Any],
    references: References | Mapping[Any, Any] | Callable[[str], References] | None = None,
    threads: int | None = None,
    dtype: type[np.floating] = np.float32,
) -> dict[str, np.ndarray]:
    """Return `features.compute` of every frame, the same bits whatever the number of threads.

    Parameters
    ----------
    features : FeatureSet
        One set for all pairs.
    frames : Mapping of str to frame
        Candles by pair.
    references : References or Mapping, or a function of the pair that returns them
        A function where sectors differ from pair to pair.
    threads : int, optional
        At most that many at a time; by default one per core that this process may use.
    dtype : numpy.float32 or numpy.float64
        As in `FeatureSet.compute`.

    Raises
    ------
    ValueError
        As `FeatureSet.compute`, with the pair's name before the message.
    """

    def one(pair: str) -> np.ndarray:
        try:
            theirs = references(pair) if callable(references) else references
            return features.compute(frames[pair], theirs, dtype)
        except ValueError as error:
            raise ValueError(f"{pair}: {error}") from error

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if threads is not None and threads < 1:
        raise ValueError(f"threads is {threads}, expected 1 or more")
    with ThreadPoolExecutor(threads or cores) as pool:
        return dict(zip(frames, pool.map(one, frames), strict=True))
