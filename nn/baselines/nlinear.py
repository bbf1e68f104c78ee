"""NLinear on the close: one linear layer over the past day, the last value taken off before and put back after.

Zeng, Chen, Zhang and Xu (2023), Are Transformers Effective for Time Series Forecasting? From: past quarter hours. To:
the evaluation of every version.

On log closes the input less its last value is minus the return from each moment to now, and what comes out is the
return from now on: the layer is fitted by ridge regression, where the authors use gradient steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..forecast.dataset import TrainingData
from ..models.losses import RETURNS
from .linear import Standard, ridge
from .rows import Forecast, Rows, from_returns, training_rows

STRIDE = 4  # bars between the rows learned from


@dataclass(frozen=True, eq=False)
class NLinear:
    standard: Standard
    weights: NDArray[np.float64]  # (PAST + 1, 4)
    name: str = "nlinear"

    def forecast(self, rows: Rows) -> Forecast:
        return from_returns(np.expm1(self.standard.inputs(closes_less_last(rows)) @ self.weights))


def fit_nlinear(data: TrainingData, seed: int) -> NLinear:
    samples = data.train.every(STRIDE)
    closes = closes_less_last(training_rows(data, samples))
    standard = Standard.fit(closes)
    inputs = standard.inputs(closes)
    values, masks = data.labels(samples)
    outcomes = np.where(masks[:, RETURNS], np.log1p(values[:, RETURNS].astype(np.float64)), np.nan)
    return NLinear(standard, np.stack([ridge(inputs, outcome) for outcome in outcomes.T], axis=1))


def closes_less_last(rows: Rows) -> NDArray[np.float64]:
    """Return log close (N, PAST) at the end of each quarter hour but the last, and before the first, less the last."""
    return -np.cumsum(rows.past[:, ::-1], axis=1, dtype=np.float64)[:, ::-1]
