"""What a timeframe such as "15m" means in minutes and milliseconds. From: configs. To: all of nn/data."""

from __future__ import annotations

import re

MINUTE_MS = 60_000
_MINUTES = {"m": 1, "h": 60, "d": 1440}


def timeframe_minutes(timeframe: str) -> int:
    """Return the length of a bar in minutes; weeks and months are refused, because their grids do not start at 1970."""
    match = re.fullmatch(r"([1-9]\d{0,3})([mhd])", timeframe)
    if match is None:
        raise ValueError(f"timeframe is {timeframe!r}, expected whole minutes, hours or days such as 15m, 4h or 1d")
    return int(match[1]) * _MINUTES[match[2]]


def timeframe_ms(timeframe: str) -> int:
    """Return the length of a bar in milliseconds, the unit of every time inside nn/data."""
    return timeframe_minutes(timeframe) * MINUTE_MS


def bars_in(minutes: int, timeframe: str) -> int:
    """Return how many bars a horizon spans; one that is not a whole number of bars is refused (DAT-10)."""
    bar = timeframe_minutes(timeframe)
    if minutes <= 0 or minutes % bar:
        raise ValueError(f"a horizon of {minutes} minutes is not a whole number of {timeframe} bars")
    return minutes // bar
