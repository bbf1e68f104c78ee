"""Planners cut a parent order into children (ALG-1). From: whole lots. To: times and whole lots that add up.

>>> [int(child["lots"]) for child in twap(10, start_ms=0, duration_ms=60_000, parts=4)]
[2, 3, 2, 3]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from .decimals import as_numbers
from .quantiser import Quantiser

LARGEST = 10**15  # lots or ms: as far as doubles tell neighbours apart in every division below
CHILD = np.dtype([("time_ms", np.int64), ("lots", np.int64)])  # one child order; lots are negative for a sale


def twap(lots: int, start_ms: int, duration_ms: int, parts: int = 6, min_child_lots: int = 1) -> np.ndarray:
    """Return equal children at equal times, the first at once; fewer of them where they would be too small.

    Parameters
    ----------
    lots : int
        The parent, negative for a sale.
    start_ms, duration_ms : int
        The last child is sent `duration_ms/parts` before the end.
    parts : int
    min_child_lots : int
        What the venue accepts.

    Returns
    -------
    ndarray of CHILD
        Its lots add up to the parent.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """
    _check(lots, start_ms, min_child_lots, duration_ms=duration_ms, parts=parts)
    size = abs(lots)
    parts = max(1, min(parts, size // min_child_lots))
    due = [size * (k + 1) // parts for k in range(parts)]  # whole numbers: a float's floor may be one lot off
    return _plan(lots, start_ms, duration_ms, due, 1)


def vwap(lots: int, start_ms: int, duration_ms: int, profile: Any, min_child_lots: int = 1) -> np.ndarray:
    """Return children in proportion to the volume expected in equal parts of the time (Berkowitz et al., 1988).

    Parameters
    ----------
    profile : array_like of shape (n_parts,)
        Expected volume, any unit. A child below `min_child_lots` waits for the next; the last takes the rest, and an
        order that is below it altogether is one child.

    The others, the result and the errors are those of `twap`.
    """
    _check(lots, start_ms, min_child_lots, duration_ms=duration_ms)
    weights = as_numbers("profile", profile, 0.0)
    if weights.ndim != 1 or not weights.any():
        raise ValueError(f"profile is {profile!r}, expected volumes in one dimension, not all 0")
    share, size = np.cumsum(weights / weights.max()), abs(lots)
    share /= share[-1]
    due = np.append(np.floor(share[:-1] * size + 1e-9).astype(np.int64), size)  # 1e-9: 0.1 + 0.2 is 0.3 here
    return _plan(lots, start_ms, duration_ms, due.tolist(), min_child_lots)


def pov(
    lots: int, start_ms: int, volume_lots: Any, participation: float = 0.10, interval_ms: int = 60_000,
    min_child_lots: int = 1,
) -> tuple[np.ndarray, int]:  # fmt: skip
    """Return (children, lots left): a share of what the market has traded in each interval, after the interval.

    Parameters
    ----------
    volume_lots : array_like of int, shape (n_intervals,)
        Traded by others in each interval from `start_ms` on.
    participation : float
        Share in (0, 1]; what rounding or `min_child_lots` holds back is made up later, so that no child is smaller
        unless the parent is.
    interval_ms : int
    min_child_lots : int
        20 quote units are `ceil(20 / (price x lot_size))` lots.

    The others and the errors are those of `twap`.
    """
    _check(lots, start_ms, min_child_lots, interval_ms=interval_ms)
    volumes = as_numbers("volume_lots", volume_lots, 0.0)
    if volumes.ndim != 1:
        raise ValueError(f"volume_lots has {volumes.ndim} dimensions, expected 1")
    if not 0 < participation <= 1:
        raise ValueError(f"participation is {participation}, expected a share in (0, 1]")
    children, sent, size = [], 0, abs(lots)
    allowed = np.minimum(np.floor(np.cumsum(volumes) * participation + 1e-9), size).astype(np.int64)
    for k, until in enumerate(allowed.tolist()):
        if _may_send(sent, until, size, min_child_lots):
            children.append((start_ms + (k + 1) * interval_ms, until - sent))
            sent = until
    plan = np.array(children, dtype=CHILD)
    plan["lots"] *= -1 if lots < 0 else 1
    return plan, (size - sent) * (-1 if lots < 0 else 1)


def mid_offset(side: Literal["buy", "sell"], mid_price: Any, offset_bps: float, grid: Quantiser) -> np.ndarray:
    """Return the limit price `offset_bps` on the passive side of the mid, on the grid and never nearer than asked."""
    if side not in ("buy", "sell"):
        raise ValueError(f"side is {side!r}, expected 'buy' or 'sell'")
    mid, offset = as_numbers("mid_price", mid_price, 0.0), as_numbers("offset_bps", offset_bps, 0.0) * 1e-4
    return grid.price(mid * (1 - offset), "down") if side == "buy" else grid.price(mid * (1 + offset), "up")


def _plan(lots: int, start_ms: int, duration_ms: int, due: Sequence[int], least: int) -> np.ndarray:
    """Return children at equal times that bring what was sent to what is due, where they may."""
    children, sent, size = [], 0, abs(lots)
    for k, until in enumerate(due):
        if _may_send(sent, until, size, least):
            children.append((start_ms + k * duration_ms // len(due), until - sent))
            sent = until
    plan = np.array(children, dtype=CHILD)
    plan["lots"] *= -1 if lots < 0 else 1
    return plan


def _may_send(sent: int, until: int, size: int, least: int) -> bool:
    """Whether a child up to `until` is large enough, and leaves nothing or enough for another one."""
    return until - sent >= min(least, size) and not 0 < size - until < least


def _check(lots: int, start_ms: int, min_child_lots: int, **from_1: int) -> None:
    _whole("lots", lots, -LARGEST, LARGEST)
    if lots == 0:
        raise ValueError("lots is 0, expected a whole number not 0")
    _whole("start_ms", start_ms, -LARGEST, LARGEST)
    for name, value in ({"min_child_lots": min_child_lots} | from_1).items():
        _whole(name, value, 1, LARGEST)


def _whole(name: str, value: Any, least: int, most: int) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{name} is {value!r}, expected a whole number from {least} to {most}")
