"""What every baseline reads and answers, so that all of them and the network are judged alike.

From: scaled features and labels, of training (`TrainingData`) or of the period after it. To: each baseline; and their
answers to `nn.evaluation`.

Prices enter as log returns of quarter hours. They are read off the label `future_return_15m` of the bar a quarter of an
hour ago, which by now is the past: so a timeframe of any length gives the same series, and a gap gives 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..data.target_table import DOWN, FLAT, TARGETS, UP
from ..data.targets import Labels
from ..data.timeframe import bars_in
from ..forecast.dataset import Samples, TrainingData
from ..models.losses import DIRECTION

QUARTER = 15  # minutes
PAST = 96  # quarter hours read back: one day
VOLATILITY_MINUTES = (60, 240)  # horizons of realised volatility
VOLATILITY_FLOOR = 1e-5  # ratio: a tenth of a basis point, where prices stood still
BANDS = np.array([target.threshold for target in TARGETS[DIRECTION]])  # (4,) ratio that a move must exceed

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Rows:
    """N moments: what was known at each."""

    features: NDArray[np.float32]  # (N, F) scaled
    past: NDArray[np.float32]  # (N, PAST) log returns of the quarter hours before, the newest last

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True, eq=False)
class Forecast:
    """Answers for N moments at 15m, 1h, 4h, 12h; what a forecaster does not say is None."""

    score: Floats  # (N, 4) ranks moments: the greater, the more it rises
    classes: NDArray[np.int64]  # (N, 4) UP, DOWN or FLAT
    probability: Floats | None = None  # (N, 4, 3) of UP, DOWN, FLAT
    log_volatility: Floats | None = None  # (N, 2) natural log of the realised volatility of the next 1h and 4h
    balanced: NDArray[np.int64] | None = None  # (N, 4) the class as if all were equally frequent; see `balanced`
    returns: Floats | None = None  # (N, 4) ratios
    reaches: Floats | None = None  # (N, 8) probabilities that the long and the short levels are reached (TGT-9..16)
    risks: Floats | None = None  # (N, 4) ratios: fall within 1h and 4h, rise within 1h and 4h (TGT-17..20)

    def __getitem__(self, chosen: NDArray) -> Forecast:
        return Forecast(*(None if part is None else part[chosen] for part in self.parts))  # type: ignore[arg-type]

    @property
    def parts(self) -> tuple[Floats | NDArray[np.int64] | None, ...]:
        return tuple(getattr(self, field.name) for field in fields(self))


class Baseline(Protocol):
    """A fitted forecaster."""

    @property
    def name(self) -> str: ...
    def forecast(self, rows: Rows) -> Forecast: ...


Fit = Callable[[TrainingData, int], Baseline]  # data, seed


def join(forecasts: Sequence[Forecast]) -> Forecast:
    """Return forecasts of several parts as one; what one part does not say, the whole does not."""
    columns = zip(*(each.parts for each in forecasts), strict=True)
    joined = (None if any(p is None for p in parts) else np.concatenate(parts) for parts in columns)
    return Forecast(*joined)  # type: ignore[arg-type]


def from_probability(probability: Floats, log_volatility: Floats | None = None) -> Forecast:
    """Return the forecast of class probabilities (N, 4, 3), ranked by p(up) - p(down)."""
    score = probability[:, :, UP] - probability[:, :, DOWN]
    return Forecast(score, probability.argmax(-1).astype(np.int64), probability, log_volatility)


def balanced(forecast: Forecast, class_shares: Floats) -> Forecast:
    """Return a forecast with the class whose probability exceeds its share of the train labels (4, 3) the most.

    Macro-F1 is taken of this answer, for the network and the baselines alike. Of the most probable class it would tell
    little: where half of all rows are FLAT, a forecaster that is well calibrated hardly names another one.
    """
    if forecast.probability is None:
        return forecast
    answer = (forecast.probability / np.maximum(class_shares, 1e-3)).argmax(-1).astype(np.int64)
    return replace(forecast, balanced=answer)


def from_returns(returns: Floats, log_volatility: Floats | None = None) -> Forecast:
    """Return the forecast of returns (N, 4): its class is what the return would be labelled."""
    return Forecast(returns, direction_of(returns), None, log_volatility, returns=returns)


def direction_of(returns: Floats) -> NDArray[np.int64]:
    """Return the class (N, 4) of returns (N, 4) by the bands of the direction targets (TGT-5..8)."""
    return np.where(returns > BANDS, UP, np.where(returns < -BANDS, DOWN, FLAT)).astype(np.int64)


def rows_of(
    matrices: Sequence[NDArray[np.float32]],
    values: Sequence[Labels | NDArray[np.float32]],
    samples: Samples,
    timeframe: str,
) -> Rows:
    """Return the rows of samples, given scaled features (T, F) and labels (T, 24) of each pair."""
    bars = bars_in(QUARTER, timeframe)
    features = np.empty((len(samples), matrices[0].shape[1]), dtype=np.float32)
    past = np.empty((len(samples), PAST), dtype=np.float32)
    for pair, (matrix, labels) in enumerate(zip(matrices, values, strict=True)):
        chosen = samples.pairs == pair
        ends = samples.ends[chosen]
        features[chosen] = matrix[ends]
        back = ends[:, None] - bars * np.arange(PAST - 1, -1, -1)
        past[chosen] = np.where(back >= 0, past_quarters(labels, timeframe)[np.maximum(back, 0)], 0.0)
    return Rows(features, past)


def training_rows(data: TrainingData, samples: Samples) -> Rows:
    """Return rows of the training data."""
    return rows_of(data.windows.matrices, data.values, samples, data.timeframe)


def past_quarters(values: Labels | NDArray[np.float32], timeframe: str) -> NDArray[np.float64]:
    """Return the log return (T,) of the quarter hour that ended with each bar, from labels (T, 24); 0 if unknown."""
    bars = bars_in(QUARTER, timeframe)
    past = np.zeros(len(values))
    past[bars:] = np.log1p(np.nan_to_num(first_columns(values, 1)[:-bars, 0].astype(np.float64)))
    return past


def log_volatility(values: NDArray[np.float32], mask: NDArray[np.bool_], timeframe: str) -> NDArray[np.float64]:
    """Return the log realised volatility (T, 2) of the 1h and 4h after each bar, NaN where that future is not known.

    Of the labels (T, 24) and their mask only the returns of 15m, 1h and 4h are read, the first three columns.

    Realised volatility is the root of the sum of squared log returns of quarter hours (Andersen and Bollerslev, 1998);
    it is not annualised.
    """
    bars = bars_in(QUARTER, timeframe)
    squares = np.log1p(np.nan_to_num(values[:, 0].astype(np.float64))) ** 2
    found = np.full((len(values), len(VOLATILITY_MINUTES)), np.nan)
    for column, minutes in enumerate(VOLATILITY_MINUTES):
        total = np.zeros(len(values))
        for quarter in range(minutes // QUARTER):
            shift = quarter * bars
            total[: len(total) - shift] += squares[shift:]
        known = mask[:, 1 + column]  # of future_return_1h and _4h
        found[known, column] = np.log(np.maximum(np.sqrt(total[known]), VOLATILITY_FLOOR))
    return found


def sample_log_volatility(data: TrainingData, samples: Samples) -> NDArray[np.float64]:
    """Return `log_volatility` (N, 2) of samples of the training data."""
    found = np.empty((len(samples), len(VOLATILITY_MINUTES)))
    for pair, values in enumerate(data.values):
        chosen = samples.pairs == pair
        returns = first_columns(values, 3)
        found[chosen] = log_volatility(returns, ~np.isnan(returns), data.timeframe)[samples.ends[chosen]]
    return found


def first_columns(values: Labels | NDArray[np.float32], number: int) -> NDArray[np.float32]:
    """Return the first columns (T, number) of labels (T, 24), which begin with the returns; the rest is not made."""
    if isinstance(values, Labels):
        return values.columns(np.arange(len(values)), range(number))
    return values[:, :number]
