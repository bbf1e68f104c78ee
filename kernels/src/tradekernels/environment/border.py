"""What a caller may hand to an environment. From: a caller's arrays and numbers. To: the loop, which trusts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .markets import Market
from .state import COPY, REASONS

RINGS = {"newest": 20, "order_at": 60, "peak_count": 513, "pause_reason": len(REASONS)}


def whole(name: str, value: Any, least: int) -> int:
    """Return a whole number from `least` to 2^64 - 1."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not least <= value < 2**64:
        raise ValueError(f"{name} is {value!r}, expected a whole number from {least} to 2^64 - 1")
    return int(value)


def check_action(action: Any, n_copies: int) -> None:
    """Refuse what the loop cannot read in place; whether the numbers are finite is the loop's to say."""
    shape = (n_copies,)
    if not (isinstance(action, np.ndarray) and action.shape == shape and action.flags.c_contiguous):
        raise ValueError(f"action is {words(action)}, expected a contiguous array of shape {shape}")
    if action.dtype != np.float32 and action.dtype != np.float64:
        raise ValueError(f"action is {words(action)}, expected float32 or float64")


def check_out(name: str, array: Any, shape: tuple[int, ...], dtype: Any) -> None:
    """Refuse an array that the loop cannot write in place."""
    if not (
        isinstance(array, np.ndarray)
        and array.shape == shape
        and array.dtype == dtype
        and array.flags.c_contiguous
        and array.flags.writeable
    ):
        expected = f"a writable, C-contiguous array of {np.dtype(dtype).name} and shape {shape}"
        raise ValueError(f"{name} is {words(array)}, expected {expected}")


def starts(markets: Sequence[Market], n_copies: int, pairs: Any, rows: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return market and first row of every copy, -1 where it is to be drawn."""
    drawn = np.full(n_copies, -1, dtype=np.int64)
    if rows is not None and pairs is None:
        if len(markets) > 1:
            raise ValueError(f"rows without pairs, expected both where there are {len(markets)} markets")
        pairs = 0
    if pairs is None:
        return drawn, drawn
    chosen = _one_each("pairs", pairs, n_copies)
    if not ((chosen >= 0) & (chosen < len(markets))).all():
        raise ValueError(f"pairs is {pairs}, expected 0 to {len(markets) - 1}")
    if rows is None:
        return chosen, drawn
    begun = _one_each("rows", rows, n_copies)
    for start, one in zip(begun, (markets[pair] for pair in chosen), strict=True):
        if not one.first <= start < one.last:
            raise ValueError(f"row is {start}, expected {one.first} to {one.last - 1} of {one.pair}")
    return chosen, begun


def read_state(state: Any, markets: Sequence[Market], n_copies: int) -> np.ndarray:
    """Return the copies of a state, with no index that would lead the loop out of its arrays."""
    if not isinstance(state, np.ndarray) or state.dtype != np.uint8 or state.shape != (n_copies * COPY.itemsize,):
        raise ValueError(f"state is {words(state)}, expected uint8 of shape {(n_copies * COPY.itemsize,)}")
    copies = np.ascontiguousarray(state).view(COPY)
    if not ((copies["pair"] >= 0) & (copies["pair"] < len(markets))).all():
        raise ValueError("state has a pair that is none of the markets")
    first, last = np.array([(one.first, one.last) for one in markets])[copies["pair"]].T
    row, end = copies["row"], copies["end"]
    # A copy that is at its end is done: else its next step would read the row after the last.
    if not ((first <= row) & (row <= end) & (end <= last) & ((row < end) | (copies["done"] != 0))).all():
        raise ValueError("state has a row that its market does not have")
    if any(((copies[name] < 0) | (copies[name] >= size)).any() for name, size in RINGS.items()):
        raise ValueError("state has an index beyond its ring: it is not one that `state` gave")
    if not all(np.isfinite(copies[name]).all() for name in ("cash", "lots", "worth", "start_worth", "bars")):
        raise ValueError("state has money or lots that are not finite: it is not one that `state` gave")
    return copies


def words(array: Any) -> str:
    """Return what something is, for a message."""
    return f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else repr(type(array))


def _one_each(name: str, values: Any, n_copies: int) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "iu" or array.shape not in ((), (n_copies,)):
        raise ValueError(f"{name} is {words(array)}, expected whole numbers of shape {(n_copies,)}, or one")
    return np.ascontiguousarray(np.broadcast_to(array, (n_copies,)), dtype=np.int64)
