"""The 24 labels of every bar, and a mask that says which of them are known.

From: checked candles. To: training and evaluation, never a feature (WIN-5). The future of bar t is t+1..t+h; where it
ends beyond the data or crosses a gap the label is NaN and its mask False (TGT-26).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .future import Future
from .quality import OHLCV, check_prices, numbers, open_times
from .target_table import (
    ACTIONS,
    DIRECTIONS,
    DOWN,
    FLAT,
    FORECAST_COLUMNS,
    HOLD,
    LONG,
    ROUND_TRIP_COST,
    SHORT,
    TARGET_NAMES,
    TARGETS,
    UP,
    Target,
    horizon_bars,
    max_horizon_bars,
)
from .timeframe import timeframe_ms

__all__ = [
    "ACTIONS",
    "DIRECTIONS",
    "DOWN",
    "FLAT",
    "FORECAST_COLUMNS",
    "HOLD",
    "LONG",
    "ROUND_TRIP_COST",
    "SHORT",
    "TARGETS",
    "TARGET_NAMES",
    "UP",
    "Labels",
    "Target",
    "Targets",
    "horizon_bars",
    "make_targets",
    "max_horizon_bars",
]

ALL = range(len(TARGETS))
BLOCK = 4096  # rows whose futures are laid out at a time


@dataclass(frozen=True)
class Targets:
    """Labels of T bars; a class label holds its code."""

    names: tuple[str, ...]
    values: NDArray[np.float32]  # (T, 24), NaN where not known
    horizons: tuple[int, ...]  # bars, per target

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Where the whole future is known, (T, 24)."""
        return ~np.isnan(self.values)


class Labels:
    """The labels of one pair, worked out for the rows that are asked for: prices are a tenth of the labels' size.

    Parameters
    ----------
    frame : DataFrame
        Candles: date (open time), open, high, low, close; times ascending on the grid, gaps allowed. Its prices are
        not copied.
    timeframe : str
        15m, or one of which 15 minutes is a whole number of bars.

    Raises
    ------
    BadCandles
        If a rule of data quality is broken.
    ValueError
        If a horizon is not a whole number of bars.
    """

    def __init__(self, frame: pd.DataFrame, timeframe: str) -> None:
        self.timeframe, self.horizons = timeframe, horizon_bars(timeframe)
        times = open_times(frame, "labels", timeframe)
        columns = {name: numbers(frame, name, "labels") for name in OHLCV[:4]}
        check_prices(columns, times, "labels")
        self.close, self.high, self.low = columns["close"], columns["high"], columns["low"]
        self.run = bars_until_gap(times, timeframe_ms(timeframe), max(self.horizons))

    def __len__(self) -> int:
        return len(self.close)

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the labels (N, 24) of rows, NaN where not known."""
        return self.columns(rows, ALL)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> NDArray:
        if copy is False:
            raise ValueError("labels are worked out when asked for, so an array of them is always a copy")
        values = self[np.arange(len(self))]
        return values if dtype is None else values.astype(dtype, copy=False)

    def columns(self, rows: NDArray[np.int64], wanted: range) -> NDArray[np.float32]:
        """Return some columns of the labels of rows, (N, len(wanted))."""
        values = np.full((len(rows), len(wanted)), np.nan, dtype=np.float32)
        for start in range(0, len(rows), BLOCK):
            part = rows[start : start + BLOCK].astype(np.int64)
            future = Future(self.close, self.high, self.low, self.timeframe, part)
            for place, column in enumerate(wanted):
                known = self.run[part] >= self.horizons[column]
                values[start : start + BLOCK, place][known] = future.label(TARGETS[column])[known]
        return values


def make_targets(frame: pd.DataFrame, timeframe: str) -> Targets:
    """Return all 24 targets of every bar; see `Labels`.

    Notes
    -----
    Drawdown and rally are the specification's ratios and not floored: a future wholly above the close has a drawdown
    below 0. Excursions (TGT-23) are ratios of the close; the drawdown of TGT-17 is the rise needed to come back.
    """
    labels = Labels(frame, timeframe)
    return Targets(TARGET_NAMES, np.asarray(labels), labels.horizons)


def bars_until_gap(times: NDArray[np.int64], step: int, most: int) -> NDArray[np.int16]:
    """Return for each bar how many follow it one step apart, at most `most`."""
    if not len(times):
        return np.zeros(0, dtype=np.int16)
    last = np.append(np.flatnonzero(np.diff(times) != step), len(times) - 1)  # rows before a gap, and the newest
    rows = np.arange(len(times))
    return np.minimum(last[np.searchsorted(last, rows)] - rows, most).astype(np.int16)
