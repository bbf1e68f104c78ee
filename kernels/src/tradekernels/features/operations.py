"""The compiled recurrences as graphs see them. From: the loops' state layouts. To: expression.py, program.py.

One row per recurrence: its kind (which decides the warm-up), its sign in a formula, its version and its memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

INF, NAN = math.inf, math.nan


@dataclass(frozen=True)
class Operation:
    """A recurrence: its name is the one in `_engine.CODES`."""

    name: str
    kind: str  # column, constant, parameter, group, pointwise, lag, window, recursive or path
    symbol: str = ""
    memory: Callable[[int], list[float]] | None = None  # of one node before its first bar, by its window in bars
    timed: bool = False  # the window is clock time: n is its length in cells of the timeframe's grid
    forgets: bool = False  # what lies two laps of the window back changes no bit any more
    version: int = 1  # part of every digest: raise it when the recurrence changes a value

    def initial_state(self, n: int) -> np.ndarray:
        """Return the float64 memory of one node before its first bar."""
        return np.array(self.memory(n) if self.memory else [], dtype=np.float64)


def _lag(n: int) -> list[float]:
    return [0.0] + [NAN] * n


def _sum(n: int) -> list[float]:
    return [0.0, 0.0] + [0.0] * (n + 1)


def _extreme(n: int) -> list[float]:
    return [0.0, -INF] + [-INF] * (n + 1)


def _since(n: int) -> list[float]:
    return [0.0, -INF, 0.0] + [-INF] * (n + 1) + [0.0] * (n + 1)


def _std(n: int) -> list[float]:
    return [0.0, 0.0, 0.0, 0.0] + [0.0] * (2 * n + 2)


def _lines(count: int) -> Callable[[int], list[float]]:
    """Return the memory of windows that lie in lines: `_lines.next_place`."""
    return lambda n: [n - 1.0] + [0.0] * (count * (n - 1 + ROOM))


def _hurst(n: int) -> list[float]:
    return _lines(1 + int(math.log2(n / 8)) + 1)(n)


def _entropy(n: int) -> list[float]:
    return [0.0, float(n)] + [0.0] * (7 + n + 1 + n)


def _heaps(n: int) -> list[float]:
    return [0.0] * (3 + 3 * n)


ROOM = 64  # as in _lines.pxd
_GARCH = [0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0]  # no rows: nothing decays


_POINTWISE = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "ratio": "/", "greater": ">", "greater_equal": ">=",
    "modulo": "mod", "maximum": "max", "minimum": "min", "select": "if", "absolute": "abs", "sign": "sign",
    "square_root": "sqrt", "logarithm": "ln", "exponential": "exp", "sine_of_turns": "sin_turns",
    "round_down": "floor", "normal_cdf": "PHI", "known": "known", "first_known": "first_known", "calendar": "CALENDAR",
}  # fmt: skip

OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("column", "column"),
        Operation("close_time", "column"),
        Operation("open_time", "column"),
        Operation("constant", "constant"),
        Operation("parameter", "parameter"),
        Operation("cells", "parameter", "CELLS"),  # bars that a window in clock time has room for
        Operation("mean_over", "group", "MEAN"),
        *(
            Operation(name, "pointwise", symbol, version=1 + (name == "logarithm"))
            for name, symbol in _POINTWISE.items()
        ),
        Operation("lag", "lag", memory=_lag, forgets=True),
        Operation("timed_lag", "lag", memory=lambda n: [NAN, *_lag(n)], timed=True),
        Operation("sum", "window", "SUM", _sum, forgets=True),
        Operation("timed_sum", "window", "SUM", _sum, timed=True),
        Operation("max", "window", "MAX", _extreme, forgets=True),
        Operation("min", "window", "MIN", _extreme, forgets=True),
        Operation("since_max", "window", "SINCE_MAX", _since, forgets=True),
        Operation("since_min", "window", "SINCE_MIN", _since, forgets=True),
        Operation("std", "window", "STD", _std, version=3, forgets=True),
        Operation("mean_deviation", "window", "MEANDEV", lambda n: [NAN] * (n - 1), forgets=True),
        Operation("covariance", "window", "COV", lambda n: [0.0] * (6 + 3 * (n + 1)), version=2, forgets=True),
        Operation("slope", "window", "SLOPE", _lines(1), forgets=True),
        Operation("skew", "window", "SKEW", _lines(1), forgets=True),
        Operation("kurtosis", "window", "KURTOSIS", _lines(1), forgets=True),
        Operation("hurst", "window", "HURST", _hurst, forgets=True),
        Operation("higuchi", "window", "HIGUCHI", _lines(9), forgets=True),
        Operation("rank_below", "window", "RANK", _lines(1), forgets=True),
        Operation("entropy", "window", "ENTROPY", _entropy, forgets=True),
        Operation("tail_mean", "window", "TAIL_MEAN", _heaps),
        Operation("bucket_imbalance", "window", "VPIN", _lines(3), forgets=True),
        Operation("run_length", "window", "RUN", lambda n: [0.0]),
        Operation("timed_std", "window", "STD", lambda n: [0.0] * (5 + 3 * (n + 1)), timed=True, version=2),
        Operation("timed_quantile", "window", "QUANTILE", _heaps, timed=True),
        Operation("timed_garch", "window", "GARCH", lambda n: [0.0, *_GARCH * (n + 2)], timed=True),
        Operation("psar", "path", "PSAR", lambda n: [0.0] * 7),
        Operation("previous_day", "path", "DAY_BEFORE", lambda n: [NAN, NAN, NAN]),
        Operation("recursive_mean", "recursive", "EMA", lambda n: [0.0, 0.0]),
        Operation("restarting_mean", "recursive", "EMA", lambda n: [0.0, 0.0]),
        Operation("timed_mean", "recursive", "EMA", lambda n: [0.0, 0.0, 0.0], timed=True),
    )
}
