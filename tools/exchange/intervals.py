"""Binance's candle intervals: their names, where a candle opens and which interval can be built from which.

From: Binance's API documentation (a week opens on Monday, a month on its first day, all in UTC).
To: `history.py` and the parameter checks of `wire/`.
"""

from __future__ import annotations

import numpy as np

from .candles import Times

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000  # ms
WEEK = 7 * DAY
FIRST_MONDAY = 4 * DAY  # 1970-01-01 was a Thursday

FIXED = {
    "1s": SECOND,
    **{f"{n}m": n * MINUTE for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": n * HOUR for n in (1, 2, 4, 6, 8, 12)},
    "1d": DAY,
    "3d": 3 * DAY,
    "1w": WEEK,
}
SPOT_INTERVALS = (*FIXED, "1M")
FUTURES_INTERVALS = SPOT_INTERVALS[1:]


def opens(interval: str, times: Times) -> Times:
    """Return the open times (ms) of the candles in which these instants fall."""
    if interval == "1M":
        months = times.astype("datetime64[ms]").astype("datetime64[M]")
        return months.astype("datetime64[ms]").astype(np.int64)
    length = FIXED[interval]
    offset = FIRST_MONDAY if interval == "1w" else 0
    return (times - offset) // length * length + offset


def next_opens(interval: str, open_times: Times) -> Times:
    """Return the open times of the candles that follow the ones that open here."""
    if interval == "1M":
        following = open_times.astype("datetime64[ms]").astype("datetime64[M]") + 1
        return following.astype("datetime64[ms]").astype(np.int64)
    return open_times + FIXED[interval]


def builds(base: str, interval: str) -> bool:
    """Tell whether whole candles of `base` make up a candle of `interval`."""
    if base == interval:
        return True
    if base == "1M":
        return False
    if interval in ("1w", "1M"):  # they open at midnight of any weekday, so only what divides a day fits
        return DAY % FIXED[base] == 0
    return FIXED[interval] % FIXED[base] == 0
