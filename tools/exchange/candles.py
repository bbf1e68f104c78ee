"""Candles as columns, the one shape in which prices travel through the exchange.

From: a synthetic market or a data directory. To: `history.py`, which serves every interval from them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Candles:
    """Candles of one series, oldest first, no two with the same open time."""

    open_time: Times  # ms since 1970, UTC
    open: Values  # quote currency
    high: Values
    low: Values
    close: Values
    volume: Values  # base currency

    def __len__(self) -> int:
        return len(self.open_time)

    def __getitem__(self, rows: slice) -> Candles:
        return Candles(*(column[rows] for column in self.columns()))

    def columns(self) -> tuple[NDArray, ...]:
        return self.open_time, self.open, self.high, self.low, self.close, self.volume

    def append(self, open_time: int, price: float) -> Candles:
        """Return these candles and one more in which nothing has been traded yet."""
        new = (open_time, price, price, price, price, 0.0)
        return Candles(*(np.append(column, value) for column, value in zip(self.columns(), new, strict=True)))


def check_candles(candles: Candles, name: str) -> Candles:
    """Return the candles if they can be served by time; raise ValueError naming the row that spoils them."""
    steps = np.diff(candles.open_time)
    if len(steps) and steps.min() <= 0:
        row = int(np.argmin(steps > 0)) + 1
        raise ValueError(f"{name}: row {row} opens at {candles.open_time[row]}, not after the row before it")
    for column in ("open", "high", "low", "close", "volume"):
        finite = np.isfinite(getattr(candles, column))
        if not finite.all():
            raise ValueError(f"{name}: {column} of row {int(np.argmin(finite))} is not a finite number")
    return candles


def rows_between(times: Times, start: int | None, end: int | None, limit: int) -> slice:
    """Return the rows that Binance would answer with: from `start` onwards, or else the newest up to `end`.

    Both bounds are inclusive and compare open times; at most `limit` rows, the oldest first.
    """
    first = 0 if start is None else int(np.searchsorted(times, start, side="left"))
    last = len(times) if end is None else int(np.searchsorted(times, end, side="right"))
    if start is None:
        first = max(first, last - limit)
    return slice(first, max(first, min(last, first + limit)))
