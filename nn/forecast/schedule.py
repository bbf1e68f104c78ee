"""Which times each version of a walk-forward chain learns from, counts from, and is judged on (TRN-12, REG-5).

From: the end of the data, a number of versions and a period. To: `walk_forward`, and `nested` for its inner folds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from ..data.targets import max_horizon_bars
from ..data.timeframe import timeframe_ms
from .dataset import TooLittleData


@dataclass(frozen=True)
class Fold:
    """One version's times: it learns up to `trained_until` and is judged on candles closing in [valid_from, end)."""

    trained_until: datetime
    valid_from: datetime
    end: datetime


def schedule(data_end: datetime, n_versions: int, period: timedelta, timeframe: str) -> list[Fold]:
    """Return the folds over the last periods of the data; `data_end` is the close of the last candle."""
    bar = timedelta(milliseconds=timeframe_ms(timeframe))
    if n_versions < 1:
        raise ValueError(f"--walk-forward is {n_versions}, expected at least 1 version")
    if period < bar or period % bar:
        raise ValueError(f"--period is {period}, expected a whole number of {timeframe} candles")
    embargo = max_horizon_bars(timeframe) * bar
    starts = [data_end - (n_versions - k) * period for k in range(n_versions)]
    return [Fold(start - embargo, start, start + period) for start in starts]


def data_end(frames: Mapping[str, pd.DataFrame], timeframe: str, until: datetime | None) -> datetime:
    """Return the moment up to which every pair has candles, or `until` if that is earlier."""
    bar = pd.Timedelta(milliseconds=timeframe_ms(timeframe))
    last = {pair: frame["date"].iloc[-1] + bar for pair, frame in frames.items()}
    end = min(last.values()).to_pydatetime()
    if until is None or until >= end:
        return end
    first = max(frame["date"].iloc[0] for frame in frames.values()).to_pydatetime()
    if until <= first:
        raise TooLittleData(f"--until is {until:%Y-%m-%d %H:%M}, but the candles begin at {first:%Y-%m-%d %H:%M}")
    return pd.Timestamp(until).floor(bar).to_pydatetime()
