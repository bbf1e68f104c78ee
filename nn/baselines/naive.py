"""Rules that learn next to nothing: the last direction, a moving average, the volatility of late (MOD-6).

From: `rows`. To: the evaluation of every version.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..forecast.dataset import TrainingData
from .rows import (
    PAST,
    QUARTER,
    VOLATILITY_FLOOR,
    Floats,
    Forecast,
    Rows,
    from_returns,
    sample_log_volatility,
    training_rows,
)  # fmt: skip

HORIZON_QUARTERS = (1, 4, 16, 48)
SPANS = (4, 16, 48, 96)  # quarter hours, of the moving average of each horizon
STRIDE = 4  # bars between the rows that the lines of volatility are fitted to
TRAILING = tuple(n // QUARTER for n in (60, 240, 1440))  # quarter hours of trailing volatility


@dataclass(frozen=True)
class LastValue:
    """The price stays: no return, always FLAT. Volatility is a line through that of the last 1h, 4h and day, in logs.

    That line is Corsi's HAR (2009) over an hour, four hours and a day.
    """

    weights: NDArray[np.float64]  # (1 + len(TRAILING), 2)
    name: str = "last_value"

    def forecast(self, rows: Rows) -> Forecast:
        return from_returns(np.zeros((len(rows), 4)), har_inputs(rows) @ self.weights)


@dataclass(frozen=True)
class LastDirection:
    """What a horizon's last move was, its next one will be. Volatility as in the horizon just past, unfitted."""

    weights: NDArray[np.float64]  # (2, 2): offset and slope of each horizon
    name: str = "last_direction"

    def forecast(self, rows: Rows) -> Forecast:
        returns = np.stack([np.expm1(rows.past[:, -n:].sum(1, dtype=np.float64)) for n in HORIZON_QUARTERS], axis=1)
        volatility = np.stack([trailing_log_volatility(rows, n) for n in (4, 16)], axis=1)
        return from_returns(returns, self.weights[0] + self.weights[1] * volatility)


@dataclass(frozen=True)
class MovingAverage:
    """The exponentially weighted mean return of quarter hours goes on for the horizon."""

    name: str = "ema"

    def forecast(self, rows: Rows) -> Forecast:
        age = np.arange(PAST - 1, -1, -1)
        returns = []
        for quarters, span in zip(HORIZON_QUARTERS, SPANS, strict=True):
            weight = (1 - 2 / (span + 1)) ** age
            returns.append(np.expm1(quarters * rows.past @ (weight / weight.sum())))
        return from_returns(np.stack(returns, axis=1))


def fit_last_value(data: TrainingData, seed: int) -> LastValue:
    samples = data.train.every(STRIDE)
    inputs, outcome = har_inputs(training_rows(data, samples)), sample_log_volatility(data, samples)
    return LastValue(np.stack([line(inputs, outcome[:, k]) for k in range(2)], axis=1))


def fit_last_direction(data: TrainingData, seed: int) -> LastDirection:
    samples = data.train.every(STRIDE)
    rows, outcome = training_rows(data, samples), sample_log_volatility(data, samples)
    ones = np.ones(len(rows))
    found = [line(np.stack([ones, trailing_log_volatility(rows, n)], 1), outcome[:, k]) for k, n in enumerate((4, 16))]
    return LastDirection(np.stack(found, axis=1))


def fit_moving_average(data: TrainingData, seed: int) -> MovingAverage:
    return MovingAverage()


def trailing_log_volatility(rows: Rows, quarters: int) -> NDArray[np.float64]:
    """Return the log realised volatility (N,) of the last quarter hours."""
    squares = np.square(rows.past[:, -quarters:], dtype=np.float64).sum(1)
    return np.log(np.maximum(np.sqrt(squares), VOLATILITY_FLOOR))


def har_inputs(rows: Rows) -> NDArray[np.float64]:
    """Return 1 and the trailing log volatilities (N, 1 + len(TRAILING))."""
    return np.stack([np.ones(len(rows)), *(trailing_log_volatility(rows, n) for n in TRAILING)], axis=1)


def line(inputs: Floats, outcome: Floats) -> NDArray[np.float64]:
    """Return the least-squares weights of the rows whose outcome is known."""
    known = np.isfinite(outcome)
    return np.asarray(np.linalg.lstsq(inputs[known], outcome[known], rcond=None)[0], dtype=np.float64)
