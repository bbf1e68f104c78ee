"""Context windows over a feature matrix, as views: which bars they may end at, and how a batch is gathered.

From: matrices (T, F) of float32 features, oldest bar first, one per pair. To: training and scoring.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from .quality import OHLCV, is_filled, numbers, open_times
from .scaler import RobustScaler
from .split import Split, chronological_split
from .timeframe import timeframe_ms

__all__ = ["RobustScaler", "Split", "WindowSet", "Windows", "chronological_split", "usable_ends"]

MAX_HOLE = 3  # bars missing or filled in a row that a window may hold (DQ-4)


def usable_ends(frame: pd.DataFrame, timeframe: str, warmup: int, context_length: int) -> NDArray[np.int64]:
    """Return the rows at which a window may end.

    Left out are windows that reach into the warm-up of the features, and windows that hold more than 3 missing or
    filled bars in a row (DQ-4): neither trained on nor scored. What comes after the end plays no part.

    Parameters
    ----------
    frame : DataFrame
        Checked candles.
    timeframe : str
        Their timeframe.
    warmup : int
        Bars at the start for which some feature is not defined.
    context_length : int
        Bars in a window.
    """
    if warmup < 0 or context_length < 1:
        raise ValueError(f"warmup is {warmup}, context_length {context_length}; expected at least 0 and 1 bars")
    times = open_times(frame, "windows", timeframe)
    for name in OHLCV:
        numbers(frame, name, "windows")
    ends = np.arange(len(times))
    starts = ends - (context_length - 1)
    earliest = np.maximum(first_start_without_hole(times, is_filled(frame), timeframe_ms(timeframe)), warmup)
    return ends[starts >= earliest]


def first_start_without_hole(times: NDArray[np.int64], filled: NDArray[np.bool_], step: int) -> NDArray[np.int64]:
    """Return for each row the earliest start of a window ending there without a run of more than 3 absent bars."""
    if not len(times):
        return np.zeros(0, dtype=np.int64)
    rows = np.arange(len(times))
    last_real = np.maximum.accumulate(np.where(filled, -1, rows))
    before = np.where(filled, last_real, np.concatenate(([-1], last_real[:-1])))  # the real row before this run
    real_time = np.where(before >= 0, times[before], times[0] - step)
    run = (times - real_time) // step - ~filled  # absent bars in a row up to here; a filled row is one of them
    # A window that starts inside a run sees only the part of it that lies inside the window.
    reach = np.searchsorted(times, times - (MAX_HOLE + 1 - filled) * step, side="right") - 1
    return np.maximum.accumulate(np.where(run > MAX_HOLE, reach, -1)) + 1


class Windows:
    """All windows of one pair as views of its matrix.

    Parameters
    ----------
    matrix : ndarray of float32, shape (T, F)
        Features of one pair; it is not copied, so it must not change.
    context_length : int
        Bars in a window.
    ends : array_like of int
        Rows at which the windows end, inclusive; see `usable_ends`.
    """

    def __init__(self, matrix: NDArray[np.float32], context_length: int, ends: ArrayLike) -> None:
        check_matrix(matrix, context_length)
        self.matrix, self.context_length = matrix, context_length
        self.ends = check_ends(ends, matrix, context_length)
        every = sliding_window_view(matrix, context_length, axis=0) if len(matrix) >= context_length else None
        self._views = None if every is None else every.transpose(0, 2, 1)  # (T - L + 1, L, F)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        """Return one window (L, F), oldest bar first: a read-only view, no copy."""
        if self._views is None:
            raise IndexError(f"window {index} of 0")
        return self._views[self.ends[index] - self.context_length + 1]

    def batch(self, indices: ArrayLike) -> NDArray[np.float32]:
        """Return windows (B, L, F); only the batch itself is copied."""
        return gather(self.matrix, self.ends[np.asarray(indices)], self.context_length)


class WindowSet:
    """Windows over several pairs, asked for by pair and row; no window can cross a border between pairs (WIN-1).

    Parameters
    ----------
    matrices : sequence of ndarray of float32, shape (T_p, F)
        One matrix per pair, not copied.
    context_length : int
        Bars in a window.
    """

    def __init__(self, matrices: Sequence[NDArray[np.float32]], context_length: int) -> None:
        if not matrices:
            raise ValueError("there are no matrices, expected one per pair")
        widths = sorted({matrix.shape[-1] for matrix in matrices})
        if len(widths) > 1:
            raise ValueError(f"the matrices have {widths} features, expected the same number for every pair")
        for matrix in matrices:
            check_matrix(matrix, context_length)
        self.matrices, self.context_length, self.n_features = tuple(matrices), context_length, widths[0]

    def check(self, pair: int, ends: ArrayLike) -> NDArray[np.int64]:
        """Return the ends of one pair as rows; one whose window is cut off or not finite is refused."""
        return check_ends(ends, self.matrices[pair], self.context_length)

    def batch(self, pairs: ArrayLike, ends: ArrayLike) -> NDArray[np.float32]:
        """Return windows (B, L, F) ending at row ends[i] of matrix pairs[i]; only the batch itself is copied."""
        pairs, ends = np.asarray(pairs, dtype=np.int64), np.asarray(ends, dtype=np.int64)
        if pairs.shape != ends.shape or pairs.ndim != 1:
            raise ValueError(f"pairs has shape {pairs.shape}, ends {ends.shape}; expected two equal lists of indices")
        out = np.empty((len(ends), self.context_length, self.n_features), dtype=np.float32)
        for pair in np.unique(pairs):
            chosen = pairs == pair
            out[chosen] = gather(self.matrices[pair], ends[chosen], self.context_length)
        return out


def gather(matrix: NDArray[np.float32], ends: NDArray[np.int64], context_length: int) -> NDArray[np.float32]:
    """Return the windows (B, L, F) that end at these rows."""
    if len(ends) and (ends.min() < context_length - 1 or ends.max() >= len(matrix)):
        worst = ends[(ends < context_length - 1) | (ends >= len(matrix))][0]
        raise IndexError(f"a window of {context_length} bars cannot end at row {worst} of {len(matrix)}")
    return matrix[ends[:, None] + np.arange(1 - context_length, 1)]


def check_matrix(matrix: NDArray[np.float32], context_length: int) -> None:
    """Refuse what is not a contiguous (T, F) matrix of float32: any other would have to be copied."""
    if matrix.ndim != 2 or matrix.dtype != np.float32 or not matrix.flags.c_contiguous:
        raise ValueError(
            f"matrix is {matrix.dtype} of shape {matrix.shape}, expected contiguous float32 of shape (bars, features)"
        )
    if context_length < 1:
        raise ValueError(f"context_length is {context_length}, expected at least 1 bar")


def check_ends(ends: ArrayLike, matrix: NDArray[np.float32], context_length: int) -> NDArray[np.int64]:
    """Return the ends as an index array; a window that is cut off or holds a value that is not finite is refused."""
    rows = np.asarray(ends)
    if rows.ndim != 1 or (rows.size and not np.issubdtype(rows.dtype, np.integer)):
        raise ValueError(f"ends is {rows.dtype} of shape {rows.shape}, expected a list of row numbers")
    rows = rows.astype(np.int64)
    cut_off = rows[(rows < context_length - 1) | (rows >= len(matrix))]
    if len(cut_off):
        raise ValueError(f"a window of {context_length} bars cannot end at row {cut_off[0]} of {len(matrix)}")
    parts = (matrix[start : start + 4096] for start in range(0, len(matrix), 4096))  # no second matrix of truths
    holes = np.cumsum(np.concatenate([[False], *(~np.isfinite(part).all(axis=1) for part in parts)]))
    broken = rows[holes[rows + 1] > holes[rows + 1 - context_length]]
    if len(broken):
        raise ValueError(
            f"the window that ends at row {broken[0]} holds a value that is not finite ({len(broken)} windows do)"
        )
    return rows
