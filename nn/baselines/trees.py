"""LightGBM on the newest row of the features: classes, returns and log realised volatility (Ke et al., 2017).

From: train rows, and validation rows to stop by. To: the evaluation of every version. One thread and a fixed seed: the
same data give the same trees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..forecast.dataset import TrainingData
from ..models.losses import DIRECTION, RETURNS
from .boosting import lightgbm
from .rows import Floats, Forecast, Rows, from_probability, from_returns, sample_log_volatility, training_rows

STRIDE = 4  # bars between the rows learned from
ROUNDS, PATIENCE = 300, 20
SETTINGS: dict[str, object] = {
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.7,
    "lambda_l2": 10.0,
    "max_bin": 63,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
CLASSES: dict[str, object] = {"objective": "multiclass", "num_class": 3}
NUMBER: dict[str, object] = {"objective": "regression"}


@dataclass(frozen=True, eq=False)
class Trees:
    """Boosters of the class at each horizon, and of the log volatility at 1h and 4h."""

    classes: tuple[lightgbm.Booster, ...]
    volatility: tuple[lightgbm.Booster, ...]
    name: str = "lightgbm"

    def forecast(self, rows: Rows) -> Forecast:
        probability = np.stack([answers(booster, rows) for booster in self.classes], axis=1)
        return from_probability(probability, np.stack([answers(booster, rows) for booster in self.volatility], axis=1))


@dataclass(frozen=True, eq=False)
class ReturnTrees:
    """A booster of the return at each horizon."""

    returns: tuple[lightgbm.Booster, ...]
    name: str = "lightgbm_returns"

    def forecast(self, rows: Rows) -> Forecast:
        return from_returns(np.stack([answers(booster, rows) for booster in self.returns], axis=1))


@dataclass(frozen=True, eq=False)
class Part:
    """Inputs and labels of the rows learned from, or of those that say when to stop."""

    features: NDArray[np.float32]
    returns: NDArray[np.float64]  # (N, 4), NaN where unknown, as below
    classes: NDArray[np.float64]  # (N, 4)
    volatility: NDArray[np.float64]  # (N, 2)


def fit_trees(data: TrainingData, seed: int) -> Trees:
    train, validation = parts_of(data)
    return Trees(
        tuple(boost(train, validation, train.classes[:, k], validation.classes[:, k], CLASSES, seed) for k in range(4)),
        tuple(
            boost(train, validation, train.volatility[:, k], validation.volatility[:, k], NUMBER, seed)
            for k in range(2)
        ),
    )


def fit_return_trees(data: TrainingData, seed: int) -> ReturnTrees:
    train, validation = parts_of(data)
    return ReturnTrees(
        tuple(boost(train, validation, train.returns[:, k], validation.returns[:, k], NUMBER, seed) for k in range(4))
    )


def parts_of(data: TrainingData) -> tuple[Part, Part]:
    """Return what to learn from and what to stop by."""
    found = []
    for samples in (data.train.every(STRIDE), data.validation.every(STRIDE)):
        values, masks = data.labels(samples)
        known = np.where(masks, values, np.nan).astype(np.float64)
        volatility = sample_log_volatility(data, samples)
        found.append(Part(training_rows(data, samples).features, known[:, RETURNS], known[:, DIRECTION], volatility))
    return found[0], found[1]


def boost(
    train: Part, validation: Part, outcome: Floats, checked: Floats, objective: dict[str, object], seed: int
) -> lightgbm.Booster:
    """Return the booster of one outcome, with as many trees as served the validation rows best."""
    learn, stop = np.isfinite(outcome), np.isfinite(checked)
    settings = {**SETTINGS, **objective, "seed": seed}
    # Returns are of the order of 1e-3, whose squares LightGBM would take for pure leaves: give it deviations of 1.
    scale = 1.0 if "num_class" in objective else float(np.std(outcome[learn])) or 1.0
    table = lightgbm.Dataset(train.features[learn], outcome[learn] / scale, params=settings)
    judge = lightgbm.Dataset(validation.features[stop], checked[stop] / scale, reference=table, params=settings)
    booster = lightgbm.train(
        settings, table, ROUNDS, valid_sets=[judge],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )  # fmt: skip
    booster.answer_scale = scale
    return booster


def answers(booster: lightgbm.Booster, rows: Rows) -> NDArray[np.float64]:
    """Return probabilities (N, 3) or numbers (N,), by the best number of trees."""
    return np.asarray(booster.predict(rows.features, num_threads=1)) * booster.answer_scale
