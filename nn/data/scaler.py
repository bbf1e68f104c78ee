"""Robust scaling of features: median to 0, interquartile range to 1 (WIN-4); measures of size first as logarithms.

From: the train rows of a feature matrix, and no others. To: the manifest of the model, and the service that applies it.

Volatility is close to lognormal (Andersen et al., 2003), and forecasts of its logarithm are close to linear in the
logarithms of its past (Corsi, 2009): on a log scale a step is a ratio, in a calm market as in a wild one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CLIP = 10.0  # interquartile ranges; what lies beyond tells a model no more than that it is extreme
BLOCK = 4096  # rows scaled at a time
LOG_FLOOR = 1e-4  # ratio (1 bp): what is below, as where a market stands still, has the logarithm of this


@dataclass(frozen=True, eq=False)
class RobustScaler:
    """Median and interquartile range of each feature; a feature that did not vary has range 1.

    `RobustScaler.fit(matrix[train_rows])` makes one. It has no way to learn from rows it is not shown.
    """

    median: NDArray[np.float64]  # (F,)
    iqr: NDArray[np.float64]  # (F,), above 0
    logs: tuple[int, ...] = ()  # columns, ascending, whose natural logarithm is scaled

    @classmethod
    def fit(cls, rows: NDArray[np.floating] | Sequence[NDArray[np.floating]], logs: Sequence[int] = ()) -> RobustScaler:
        """Return the scaler of these rows (N, F), given whole or in parts, such as one per pair.

        A value that is not finite, such as of the warm-up, is refused.
        """
        parts = [rows] if isinstance(rows, np.ndarray) else list(rows)
        if not parts or any(part.ndim != 2 for part in parts) or not sum(len(part) for part in parts):
            shapes = ", ".join(str(part.shape) for part in parts)
            raise ValueError(f"rows have shape {shapes}, expected (rows, features) with at least one row")
        n_features = parts[0].shape[1]
        median, iqr = np.empty(n_features), np.empty(n_features)
        for column in range(n_features):  # one float64 column at a time: a matrix may be large
            values = np.concatenate([part[:, column] for part in parts]).astype(np.float64)
            wrong = np.flatnonzero(~np.isfinite(values))
            if len(wrong):
                raise ValueError(
                    f"row {wrong[0]}, feature {column} is {values[wrong[0]]}, expected finite values:"
                    " leave out the warm-up"
                )
            if column in logs:
                values = _log(values)
            low, median[column], high = np.percentile(values, (25, 50, 75), overwrite_input=True)
            iqr[column] = high - low
        return cls(median, np.where(iqr > 0, iqr, 1.0), tuple(sorted(logs)))

    def transform(self, matrix: NDArray[np.floating], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return (x - median) / iqr as float32, clipped to +-10, of ln x in the columns of `logs`.

        NaN (warm-up) stays NaN, infinity is refused. Each value is computed in float64 and on its own, so a row's
        result never depends on the other rows. `out` may be the matrix itself; a few rows at a time are in float64.
        """
        if matrix.shape[-1] != len(self.median):
            raise ValueError(f"the matrix has {matrix.shape[-1]} features, the scaler {len(self.median)}")
        out = np.empty(matrix.shape, dtype=np.float32) if out is None else out
        for start in range(0, len(matrix), BLOCK):
            rows = matrix[start : start + BLOCK]
            if np.isinf(rows).any():
                raise ValueError(
                    f"{int(np.isinf(matrix[start:]).sum())} values are infinite, expected finite values or NaN"
                )
            scaled = rows.astype(np.float64)
            for column in self.logs:
                scaled[:, column] = _log(scaled[:, column])
            scaled -= self.median
            scaled /= self.iqr
            out[start : start + BLOCK] = np.clip(scaled, -CLIP, CLIP, out=scaled)
        return out

    def to_dict(self) -> dict[str, list[float]]:
        """Return plain lists; JSON writes floats so that they are read back to the last bit."""
        logs = {"logs": list(map(float, self.logs))} if self.logs else {}  # as manifests were before there were any
        return {"median": self.median.tolist(), "iqr": self.iqr.tolist(), **logs}

    @classmethod
    def from_dict(cls, content: Mapping[str, list[float]]) -> RobustScaler:
        """Return the scaler of `to_dict`; anything else is refused."""
        if set(content) - {"logs"} != {"median", "iqr"}:
            raise ValueError(f"a scaler has median and iqr, found {', '.join(sorted(content)) or 'nothing'}")
        try:
            median, iqr = (np.array(content[name], dtype=np.float64) for name in ("median", "iqr"))
        except (TypeError, ValueError) as fault:
            raise ValueError(f"median and iqr are lists of numbers ({fault})") from fault
        if median.ndim != 1 or median.shape != iqr.shape:
            raise ValueError(f"median has shape {median.shape}, iqr {iqr.shape}; expected two lists of equal length")
        if not (np.isfinite(median).all() and np.isfinite(iqr).all() and (iqr > 0).all()):
            raise ValueError("median and iqr must be finite and iqr above 0")
        logs = content.get("logs", [])
        if not isinstance(logs, list) or any(column not in range(len(median)) for column in logs):
            raise ValueError(f"logs are {logs}, expected columns of 0..{len(median) - 1}")
        columns = tuple(map(int, logs))
        if columns != tuple(sorted(set(columns))):
            raise ValueError(f"logs are {logs}, expected each column once, ascending")
        return cls(median, iqr, columns)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RobustScaler):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]


def _log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the natural logarithm (N,), floored; in one piece of memory, where NumPy has one way to compute it."""
    return np.log(np.maximum(np.ascontiguousarray(values), LOG_FLOOR))
