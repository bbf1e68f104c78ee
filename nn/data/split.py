"""Train, validation and test in the order of time, with room between them (WIN-2, LEK-2).

From: the number or the times of a pair's bars. To: training, as arrays of row numbers.

    ... train ......|  purge 48  | border |  embargo 48  |...... validation ......|  purge  | border | embargo |... test

The purge takes rows whose label would reach the next split; the embargo takes the next split's first rows, whose
features still remember the last ones of the split before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Row numbers of the three parts, ascending. The test part is empty where only two were asked for."""

    train: Rows
    validation: Rows
    test: Rows

    def only(self, rows: ArrayLike) -> Split:
        """Return the split restricted to some rows, such as those of `usable_ends` or those with a known label."""
        return Split(*(np.intersect1d(part, np.asarray(rows, dtype=np.int64)) for part in self.parts))

    @property
    def parts(self) -> tuple[Rows, Rows, Rows]:
        """The three parts in the order of time."""
        return self.train, self.validation, self.test

    def check(self, horizon: int) -> None:
        """Raise if a row's label, which reaches `horizon` bars ahead, touches the next part (LEK-2)."""
        parts = [part for part in self.parts if len(part)]
        for earlier, later in pairwise(parts):
            reach = int(earlier.max()) + horizon
            if reach >= later.min():
                raise ValueError(
                    f"the label of row {earlier.max()} reaches row {reach}, but the next part begins at row "
                    f"{later.min()}; expected a purge of at least {horizon} bars"
                )


def chronological_split(
    bars: int | ArrayLike | pd.Series | pd.DatetimeIndex,
    fractions: Sequence[float] = (0.7, 0.15, 0.15),
    boundaries: Sequence[int | datetime] | None = None,
    purge: int = 48,
    embargo: int = 48,
) -> Split:
    """Return rows for train, validation and test.

    Parameters
    ----------
    bars : int or array_like
        Number of bars, or their open times, ascending: UTC datetimes or int64 milliseconds.
    fractions : sequence of 2 or 3 floats
        Shares of the rows; they add up to 1. Two leave the test part empty.
    boundaries : sequence of 1 or 2 times, optional
        Instead of fractions: where validation and test begin, so that every pair is cut at the same moment.
    purge, embargo : int
        Bars left out before and after each border; 48, the longest horizon on 15m. See `max_horizon_bars`.

    Raises
    ------
    ValueError
        If a part would be empty, or the arguments contradict each other.
    """
    if purge < 0 or embargo < 0:
        raise ValueError(f"purge is {purge}, embargo {embargo}; expected at least 0 bars")
    n_bars, borders = _borders(bars, fractions, boundaries)
    starts = [0, *(border + embargo for border in borders)]
    stops = [*(border - purge for border in borders), n_bars]
    parts = [np.arange(start, max(start, stop), dtype=np.int64) for start, stop in zip(starts, stops, strict=True)]
    for name, part, start, stop in zip(("train", "validation", "test"), parts, starts, stops, strict=False):
        if not len(part):
            raise ValueError(
                f"{name} is empty: of {n_bars} bars it would begin at row {start} and end before row {stop}, "
                f"with a purge of {purge} and an embargo of {embargo} bars at each border"
            )
    return Split(*parts, *(np.empty(0, dtype=np.int64) for _ in range(3 - len(parts))))


def _borders(
    bars: int | ArrayLike, fractions: Sequence[float], boundaries: Sequence[int | datetime] | None
) -> tuple[int, list[int]]:
    times = None if isinstance(bars, int | np.integer) else _milliseconds(bars)
    n_bars = int(bars) if times is None else len(times)  # type: ignore[arg-type]
    if boundaries is None:
        if len(fractions) not in (2, 3) or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-9:
            raise ValueError(f"fractions are {tuple(fractions)}, expected 2 or 3 numbers above 0 that add up to 1")
        return n_bars, [round(n_bars * share) for share in np.cumsum(fractions)[:-1]]
    if times is None:
        raise ValueError(f"boundaries need the times of the {n_bars} bars, got only their number")
    moments = _milliseconds(boundaries)
    if len(moments) not in (1, 2) or (np.diff(moments) <= 0).any():
        raise ValueError(f"boundaries are {list(boundaries)}, expected 1 or 2 ascending times")
    return n_bars, [int(row) for row in np.searchsorted(times, moments)]


def _milliseconds(times: Any) -> Rows:
    index = pd.Index(times)
    if isinstance(index, pd.DatetimeIndex):
        index = index if index.tz is None else index.tz_convert("UTC").tz_localize(None)
        index = pd.Index(index.to_numpy().astype("datetime64[ms]").astype(np.int64))
    if index.dtype != np.int64 or not index.is_monotonic_increasing:
        raise ValueError(f"times have type {index.dtype}, expected ascending UTC datetimes or int64 milliseconds")
    return index.to_numpy()
