"""Checks a saved memory before the loops trust it. From: the numbers of a stream's state. To: `Stream.restore`.

The loops index by numbers of their memory: places, counts, slots. A checksum finds damage, not malice or a mistake, so
each of them is looked at; the other numbers are values, and any value is harmless.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .engine import CODES
from .operations import ROOM

if TYPE_CHECKING:
    from .program import Program


def whole(numbers: np.ndarray, low: float, high: float) -> bool:
    """Return whether all numbers are whole and from low to high."""
    with np.errstate(invalid="ignore"):
        return bool(np.all((numbers >= low) & (numbers <= high) & (numbers == np.floor(numbers))))


def _lap(own: np.ndarray, n: int) -> bool:
    return whole(own[:1], 0, n - 1)


def _counted_lap(own: np.ndarray, n: int) -> bool:
    counts = own[5::3][: n + 1]
    return (
        _lap(own, n)
        and whole(own[1:2], 0, own[0])
        and whole(counts, 0, n)
        and bool((counts <= n - np.arange(n + 1)).all())
    )


def _line(own: np.ndarray, n: int) -> bool:
    return whole(own[:1], n - 1, n - 1 + ROOM)


def _codes(own: np.ndarray, n: int) -> bool:
    counts, codes = own[1:9], own[10 + n : 10 + 2 * n]
    if not (_lap(own, n) and whole(counts, 0, n) and whole(codes, 0, 7)):
        return False
    return bool((np.bincount(codes.astype(np.int64), minlength=8) == counts).all())


def _heaps(own: np.ndarray, n: int) -> bool:
    if not (_lap(own, n) and whole(own[1:3], 0, n) and own[1] + own[2] <= n):
        return False
    lower, upper = int(own[1]), int(own[2])
    slots, cells = own[3 : 3 + n], own[3 + 2 * n : 3 + 3 * n]
    used = np.concatenate([cells[:lower], cells[n - upper :][::-1] if upper else cells[:0]])
    if not (whole(slots, -n, n) and whole(used, 0, n - 1) and np.count_nonzero(slots) == lower + upper):
        return False
    numbers = np.concatenate([np.arange(1, lower + 1), -np.arange(1, upper + 1)])
    return bool((slots[used.astype(np.int64)] == numbers).all())


_CHECKS: dict[str, Callable[[np.ndarray, int], bool]] = {
    **dict.fromkeys(
        ("lag", "sum", "timed_sum", "max", "min", "since_max", "since_min", "std", "covariance", "timed_garch"), _lap
    ),
    "timed_lag": lambda own, n: _lap(own[1:], n),
    "timed_std": _counted_lap,
    **dict.fromkeys(("slope", "skew", "kurtosis", "rank_below", "hurst", "higuchi", "bucket_imbalance"), _line),
    "entropy": _codes,
    **dict.fromkeys(("timed_quantile", "tail_mean"), _heaps),
    **dict.fromkeys(("recursive_mean", "restarting_mean", "timed_mean"), lambda own, n: whole(own[:1], 0, 2**53)),
}
_BY_CODE = {CODES[name]: (name, check) for name, check in _CHECKS.items()}


def check_memory(program: Program, numbers: np.ndarray) -> None:
    """Refuse a memory in which some number could lead a loop out of its own.

    Raises
    ------
    ValueError
        Naming the recurrence whose memory is damaged.
    """
    if not (whole(numbers[:1], 0, 2**53) and whole(numbers[2:3], 0, 2**53)):
        raise ValueError(f"stream state is damaged: it has seen {numbers[0]} bars, {numbers[2]} were missing")
    for it in program.instructions:
        name, check = _BY_CODE.get(int(it["code"]), ("", None))
        if check is not None and not check(numbers[int(it["state"]) :], int(it["n"])):
            raise ValueError(f"stream state is damaged: the memory of a {name} over {int(it['n'])} bars leads nowhere")
