"""Linear models on the newest row of the features: ridge for returns and volatility, logistic for direction (MOD-6).

From: train rows alone. To: the evaluation of every version. Both are convex: the answer is the one there is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..forecast.dataset import TrainingData
from ..models.losses import DIRECTION, RETURNS
from .rows import Floats, Forecast, Rows, from_probability, from_returns, sample_log_volatility, training_rows

STRIDE = 2  # bars between the rows learned from: neighbours say nearly the same
RIDGE = 1e-2  # penalty per row on the squared weights of standardised features
N_CLASSES = 3
NEWTON_STEPS, CLOSE_ENOUGH = 20, 1e-4  # of standardised weights
LEAST = 0.1  # of a deviation, in interquartile ranges: what hardly moved while learning shall not decide alone later
LOOSE = 1e-6  # on offsets: one that all classes share means nothing and has to be held somewhere


@dataclass(frozen=True, eq=False)
class Standard:
    """Mean 0 and deviation 1 by train rows, less where it is below `least`, and a constant 1 as the last input."""

    mean: NDArray[np.float64]  # (F,)
    deviation: NDArray[np.float64]  # (F,)

    @classmethod
    def fit(cls, features: Floats, least: float = 0.0) -> Standard:
        deviation = np.maximum(features.std(0, dtype=np.float64), least)
        return cls(features.mean(0, dtype=np.float64), np.where(deviation > 0, deviation, 1.0))

    def inputs(self, features: Floats) -> NDArray[np.float64]:
        scaled = (features - self.mean) / self.deviation
        return np.concatenate([scaled, np.ones((len(features), 1))], axis=1)


@dataclass(frozen=True, eq=False)
class Ridge:
    standard: Standard
    returns: NDArray[np.float64]  # (F + 1, 4)
    volatility: NDArray[np.float64]  # (F + 1, 2)
    name: str = "ridge"

    def forecast(self, rows: Rows) -> Forecast:
        inputs = self.standard.inputs(rows.features)
        return from_returns(inputs @ self.returns, inputs @ self.volatility)


@dataclass(frozen=True, eq=False)
class Logistic:
    standard: Standard
    weights: NDArray[np.float64]  # (4, F + 1, 3)
    name: str = "logistic"

    def forecast(self, rows: Rows) -> Forecast:
        inputs = self.standard.inputs(rows.features)
        return from_probability(np.stack([softmax(inputs @ weights) for weights in self.weights], axis=1))


def fit_ridge(data: TrainingData, seed: int) -> Ridge:
    """Fit returns, cut at one deviation, and log volatility in closed form."""
    samples = data.train.every(STRIDE)
    features = training_rows(data, samples).features
    standard = Standard.fit(features, LEAST)
    inputs = standard.inputs(features)
    values, masks = data.labels(samples)
    outcomes = np.where(masks[:, RETURNS], values[:, RETURNS], np.nan).astype(np.float64)
    typical = np.nanstd(outcomes, axis=0)  # squares of what lies beyond it would drown the rest (nn/LOG.md)
    returns = [ridge(inputs, outcome) for outcome in np.clip(outcomes, -typical, typical).T]
    volatility = sample_log_volatility(data, samples)
    return Ridge(standard, np.stack(returns, 1), np.stack([ridge(inputs, column) for column in volatility.T], 1))


def fit_logistic(data: TrainingData, seed: int) -> Logistic:
    """Fit a softmax of three classes for each horizon."""
    samples = data.train.every(STRIDE)
    features = training_rows(data, samples).features
    standard = Standard.fit(features, LEAST)
    inputs = standard.inputs(features)
    values, masks = data.labels(samples)
    labels, known = values[:, DIRECTION], masks[:, DIRECTION]
    weights = [logistic(inputs[known[:, k]], labels[known[:, k], k].astype(np.int64)) for k in range(labels.shape[1])]
    return Logistic(standard, np.stack(weights))


def ridge(inputs: Floats, outcome: Floats, penalty: float = RIDGE) -> NDArray[np.float64]:
    """Return weights (F + 1,) of least mean squared error plus penalty x their squares; the constant pays none."""
    known = np.isfinite(outcome)
    x, y = inputs[known], outcome[known].astype(np.float64)
    paid = np.full(x.shape[1], penalty * len(x))
    paid[-1] = 0.0
    return np.asarray(np.linalg.solve(x.T @ x + np.diag(paid), x.T @ y), dtype=np.float64)


def logistic(inputs: Floats, label: NDArray[np.int64], penalty: float = RIDGE) -> NDArray[np.float64]:
    """Return weights (F + 1, 3) of least mean cross-entropy plus penalty / 2 x their squares; see `ridge`.

    By Newton's method: features of candles repeat each other, which costs a quasi-Newton method hundreds of steps.
    """
    n_inputs, size = inputs.shape[1], N_CLASSES * inputs.shape[1]
    x, one_hot = inputs.astype(np.float32), np.eye(N_CLASSES, dtype=np.float32)[label]
    paid = np.full((n_inputs, 1), penalty)
    paid[-1] = LOOSE

    def loss_of(weights: Floats) -> tuple[float, Floats]:
        p = softmax(x @ weights.astype(np.float32))
        entropy = -np.log(np.maximum(p[np.arange(len(label)), label], 1e-30)).mean(dtype=np.float64)
        return float(entropy + 0.5 * (paid * weights**2).sum()), p

    weights = np.zeros((n_inputs, N_CLASSES))
    loss, p = loss_of(weights)
    for _ in range(NEWTON_STEPS):
        gradient = x.T @ (p - one_hot) / len(label) + paid * weights
        curvature = np.empty((N_CLASSES, n_inputs, N_CLASSES, n_inputs))
        for a in range(N_CLASSES):
            for b in range(a, N_CLASSES):
                weighed = x * (p[:, a] * (np.float32(a == b) - p[:, b]))[:, None]
                curvature[a, :, b] = curvature[b, :, a] = x.T @ weighed / len(label)
        held = curvature.reshape(size, size) + np.diag(np.tile(paid[:, 0], N_CLASSES))
        step = np.linalg.solve(held, gradient.T.ravel()).reshape(N_CLASSES, n_inputs).T
        while (found := loss_of(weights - step))[0] > loss and np.abs(step).max() > CLOSE_ENOUGH:
            step = step / 2  # a step that goes too far
        weights, (loss, p) = weights - step, found
        if np.abs(step).max() <= CLOSE_ENOUGH:
            break
    return weights


def softmax(logits: Floats) -> NDArray[np.float64]:
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)
