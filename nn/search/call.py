"""One call of a named function with one JSON text: what every worker does, wherever it runs. To: `workers`."""

from __future__ import annotations

import importlib
import json
import traceback
from typing import Any, NamedTuple

# Libraries read these when they are first imported, so they are part of a worker's environment from its beginning.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Outcome(NamedTuple):
    """How a call ended: a result as JSON, or None and why."""

    result: str | None
    error: str = ""
    traceback: str = ""


def call(function: str, task: str) -> Outcome:
    """Call `module:name` with the task; whatever it raises is part of the outcome."""
    try:
        module, _, name = function.partition(":")
        result: Any = getattr(importlib.import_module(module), name)(json.loads(task))
        if not isinstance(result, dict):
            raise TypeError(f"{function} returned {type(result).__name__}, expected a dict")
        return Outcome(json.dumps(result))
    except Exception as error:
        return Outcome(None, f"{type(error).__name__}: {error}", traceback.format_exc())
