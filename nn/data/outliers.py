"""Windows unlike those learned from: a network asked about them only guesses, so it is not asked (SRV-11).

From: scaled train rows, and no others. To: the manifest of the version, and the service, which answers `outlier` there.

The distance of a row is the mean over features of x^2 / m, with x the scaled value and m its mean square over the train
rows: the squared Mahalanobis distance from the median with a diagonal covariance, 1 on average. A window is an outlier
when the mean distance of its rows, or that of its newest row, is above the quantile of the same figure over the train
windows. The first sees a market of another kind, the second one absurd candle, which 95 good ones would hide. Both cost
two multiplications per value, below 1 % of a forward pass; Freqtrade's FreqAI (its dissimilarity index) compares every
row with every train row instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 2048  # windows or rows at a time
FLOOR = 0.01  # of m: a feature that hardly moved while learning shall not decide alone
FIELDS = {"quantile", "mean_square", "window_limit", "row_limit"}


@dataclass(frozen=True, eq=False)
class OutlierFilter:
    """Limits of both distances, and what they are measured in."""

    quantile: float  # of the train windows, at which the limits lie
    mean_square: NDArray[np.float64]  # (F,), above 0
    window_limit: float
    row_limit: float

    @classmethod
    def fit(
        cls,
        matrices: Sequence[NDArray[np.float32]],
        ends: Sequence[NDArray[np.integer]],
        first: int,
        context_length: int,
        quantile: float,
    ) -> OutlierFilter:
        """Return the filter of train windows.

        Parameters
        ----------
        matrices : sequence of ndarray of float32, shape (T, F)
            Scaled features of each pair. Rows from `first` to the last train row are read, and no others.
        ends : sequence of ndarray
            Last rows of the train windows of each pair.
        first : int
            First row that is warmed up.
        quantile : float
            In (0, 1]; 1 refuses only what is farther than everything seen.
        """
        if not 0 < quantile <= 1:
            raise ValueError(f"quantile is {quantile}, expected above 0 and at most 1")
        parts = [matrix[first : int(mine.max()) + 1] for matrix, mine in zip(matrices, ends, strict=True)]
        total = np.zeros(parts[0].shape[1])
        for part in parts:
            for start in range(0, len(part), BLOCK):
                total += np.square(part[start : start + BLOCK], dtype=np.float64).sum(0)
        mean_square = np.maximum(total / sum(map(len, parts)), FLOOR)
        unlimited = cls(quantile, mean_square, np.inf, np.inf)
        found = [
            unlimited.distances(part, mine - first, context_length) for part, mine in zip(parts, ends, strict=True)
        ]
        limits = [float(np.quantile(np.concatenate(each), quantile)) for each in zip(*found, strict=True)]
        return cls(quantile, mean_square, *limits)

    def distances(
        self, rows: NDArray[np.float32], ends: NDArray[np.integer], context_length: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the distance of each window of scaled rows (T, F) that ends at `ends`, and that of its newest row.

        The same bits whatever other rows or windows are given: every sum runs over memory of one length in one order.
        """
        weight = (1 / (self.mean_square * len(self.mean_square))).astype(np.float32)
        of_row = np.empty(len(rows), dtype=np.float32)
        for start in range(0, len(rows), BLOCK):
            squares = np.square(rows[start : start + BLOCK])
            squares *= weight
            of_row[start : start + len(squares)] = squares.sum(1)
        back = np.arange(1 - context_length, 1)
        of_window = np.empty(len(ends), dtype=np.float32)
        for start in range(0, len(ends), BLOCK):
            part = ends[start : start + BLOCK]
            of_window[start : start + len(part)] = of_row[part[:, None] + back].mean(1)
        return of_window, of_row[ends]

    def refuses(self, rows: NDArray[np.float32], ends: NDArray[np.integer], context_length: int) -> NDArray[np.bool_]:
        """Tell which windows are outliers. NaN is not told here: a forecast from it is not finite."""
        of_window, of_row = self.distances(rows, ends, context_length)
        return (of_window > np.float32(self.window_limit)) | (of_row > np.float32(self.row_limit))

    def to_dict(self) -> dict[str, float | list[float]]:
        return {
            "quantile": self.quantile,
            "mean_square": self.mean_square.tolist(),
            "window_limit": self.window_limit,
            "row_limit": self.row_limit,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, float | list[float]]) -> OutlierFilter:
        """Return the filter of `to_dict`; anything else is refused."""
        if set(content) != FIELDS:
            raise ValueError(f"an outlier filter has {', '.join(sorted(FIELDS))}, found {', '.join(sorted(content))}")
        try:
            mean_square = np.array(content["mean_square"], dtype=np.float64)
            quantile, *limits = (float(content[name]) for name in ("quantile", "window_limit", "row_limit"))  # type: ignore[arg-type]
        except (TypeError, ValueError) as fault:
            raise ValueError(f"an outlier filter holds numbers ({fault})") from fault
        if mean_square.ndim != 1 or not (np.isfinite(mean_square).all() and (mean_square > 0).all()):
            raise ValueError("mean_square must be a list of finite numbers above 0")
        if not (0 < quantile <= 1 and all(np.isfinite(limit) and limit > 0 for limit in limits)):
            raise ValueError(f"quantile {quantile} must be in (0, 1] and the limits {limits} finite and above 0")
        return cls(quantile, mean_square, *limits)
