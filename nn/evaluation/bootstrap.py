"""Intervals for figures of dependent rows: the stationary block bootstrap (EVA-2, PRM-2).

From: any statistic of rows in time order, such as an information coefficient. To: reports, MLflow, promotion.

Neighbouring rows share most of their window and of their future, so rows drawn one by one would give intervals that are
several times too narrow. Here whole blocks are drawn, of random length around a mean one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 4_000_000  # counts made float64 at a time: 32 MB


@dataclass(frozen=True)
class Interval:
    """A figure and the range that holds it with the stated confidence."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def block_indices(n_rows: int, block_rows: float, draw: np.random.Generator) -> NDArray[np.int64]:
    """Return row numbers of one resample: blocks of geometric length that wrap around (Politis and Romano, 1994).

    Parameters
    ----------
    n_rows : int
        Rows to draw from, and to draw.
    block_rows : float
        Mean length of a block, at least 1; several times as long as rows depend on each other.
    """
    if n_rows < 1 or not block_rows >= 1:
        raise ValueError(f"n_rows is {n_rows} and block_rows {block_rows}, expected at least 1 each")
    starts = draw.random(n_rows) < 1 / block_rows
    starts[0] = True
    begin = np.maximum.accumulate(np.where(starts, np.arange(n_rows), 0))  # where the block of each place begins
    origin = draw.integers(0, n_rows, n_rows)
    return (origin[begin] + np.arange(n_rows) - begin) % n_rows


def block_bootstrap(
    statistic: Callable[[NDArray[np.int64]], float],
    n_rows: int,
    block_rows: float,
    draw: np.random.Generator,
    n_resamples: int = 1000,
    confidence: float = 0.9,
) -> Interval:
    """Return a statistic of all rows with its percentile interval.

    Parameters
    ----------
    statistic : callable
        From row numbers (n_rows,) to a number; NaN where it has none, which counts as no resample.
    n_rows, block_rows, draw
        As in `block_indices`.
    n_resamples : int
        At least 20.
    confidence : float
        In (0, 1).

    Raises
    ------
    ValueError
        For arguments out of range, or when fewer than half of the resamples give a number.
    """
    if n_resamples < 20 or not 0 < confidence < 1:
        raise ValueError(f"n_resamples is {n_resamples} and confidence {confidence}, expected >= 20 and in (0, 1)")
    found = np.array([statistic(block_indices(n_rows, block_rows, draw)) for _ in range(n_resamples)])
    found = found[np.isfinite(found)]
    if len(found) < n_resamples / 2:
        raise ValueError(f"only {len(found)} of {n_resamples} resamples give a number")
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(statistic(np.arange(n_rows))), float(low), float(high))


def block_counts(
    n_rows: int, block_rows: float, draw: np.random.Generator, n_resamples: int = 1000
) -> NDArray[np.uint8]:
    """Return how often each row is in each resample (n_resamples, n_rows); see `block_indices`.

    A figure that follows from sums over rows needs no more than these counts: one matrix product gives the sums of all
    resamples. The same counts for two forecasters compare them on the same moments.
    """
    counts = np.empty((n_resamples, n_rows), dtype=np.uint8)
    for each in counts:
        drawn = np.bincount(block_indices(n_rows, block_rows, draw), minlength=n_rows)
        each[:] = np.minimum(drawn, 255)  # 255 times the same moment: does not happen
    return counts


def ready(counts: NDArray[np.uint8]) -> NDArray[np.uint8] | NDArray[np.float64]:
    """Return few counts as they are multiplied, lest every figure convert them; many stay the bytes they are."""
    return counts.astype(np.float64) if counts.size <= AT_ONCE else counts


def resampled_sums(counts: NDArray[np.uint8] | NDArray[np.float64], sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums (n_resamples, K) of every resample, given those of each moment (n_rows, K)."""
    step = max(1, AT_ONCE // max(counts.shape[1], 1))
    parts = [
        counts[start : start + step].astype(np.float64, copy=False) @ sums for start in range(0, len(counts), step)
    ]
    return np.concatenate(parts)


def percentiles(value: float, found: NDArray[np.float64], confidence: float = 0.95) -> Interval:
    """Return a value with the range of its resamples; NaN at both ends where fewer than half of them give a number."""
    finite = found[np.isfinite(found)]
    if len(finite) < max(len(found) / 2, 1):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(finite, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high))
