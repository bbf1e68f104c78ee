"""How good forecasts were, in numbers that a trader and a statistician both read (EVA-2, TRN-5).

From: forecast rows (N, 38) and labels (N, 24) with their mask. To: every epoch, the manifest, the out-of-sample table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.target_table import HOLD, LONG, ROUND_TRIP_COST
from ..models.losses import BEST_ACTION, DIRECTION, RETURNS

HORIZONS = ("15m", "1h", "4h", "12h")
DIRECTION_COLUMNS, ACTION_COLUMNS, CONFIDENCE_COLUMNS = slice(4, 16), slice(28, 31), slice(34, 38)  # of a forecast row
FOUR_HOURS = 2  # index among HORIZONS of the return that best_action trades
N_BINS = 10

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class ClassScores:
    """How well one horizon's three classes were told apart."""

    rows: int
    accuracy: float
    macro_f1: float
    confusion: NDArray[np.int64]  # (3, 3): true class down, answered class across
    ece: float = float("nan")  # expected calibration error of the answered class, 10 equal bins
    brier: float = float("nan")  # sum over classes, 0..2


def class_scores(probability: Floats, label: Floats, known: Bools) -> ClassScores:
    """Return the scores of probabilities (N, 3), or of class codes (N,) from a baseline that has none."""
    answer = probability[known].argmax(-1) if probability.ndim == 2 else probability[known].astype(np.int64)
    true = label[known].astype(np.int64)
    confusion = np.bincount(true * 3 + answer, minlength=9).reshape(3, 3)
    hits = confusion.diagonal()
    seen, said = confusion.sum(1), confusion.sum(0)
    f1 = 2 * hits / np.maximum(seen + said, 1)
    scores = {
        "rows": len(true),
        "accuracy": float(hits.sum() / max(len(true), 1)),
        "macro_f1": float(f1[seen + said > 0].mean()) if len(true) else 0.0,
        "confusion": confusion,
    }
    if probability.ndim == 2 and len(true):
        p = probability[known].astype(np.float64)
        scores["ece"] = calibration_error(p.max(-1), answer == true)
        scores["brier"] = float(((p - np.eye(3)[true]) ** 2).sum(-1).mean())
    return ClassScores(**scores)  # type: ignore[arg-type]


def reliability(probability: Floats, happened: Bools) -> tuple[NDArray, NDArray, NDArray]:
    """Return per bin of probability: its mean, how often it happened, how many rows it holds (empty bins left out)."""
    bins = np.minimum((probability * N_BINS).astype(np.int64), N_BINS - 1)
    count = np.bincount(bins, minlength=N_BINS)
    full = count > 0
    mean = np.bincount(bins, probability, minlength=N_BINS)[full] / count[full]
    share = np.bincount(bins, happened.astype(np.float64), minlength=N_BINS)[full] / count[full]
    return mean, share, count[full]


def calibration_error(probability: Floats, happened: Bools) -> float:
    """Return the expected calibration error: the mean distance of what was said from what happened."""
    mean, share, count = reliability(probability, happened)
    return float((np.abs(mean - share) * count).sum() / max(count.sum(), 1))


def information_coefficient(forecast: Floats, outcome: Floats, known: Bools) -> float:
    """Return Spearman's rank correlation; NaN when there is nothing to rank."""
    first, second = pd.Series(forecast[known]).rank(), pd.Series(outcome[known]).rank()
    if len(first) < 3 or first.nunique() < 2 or second.nunique() < 2:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def trades_after_costs(rows: Floats, labels: Floats, mask: Bools) -> dict[str, float]:
    """Return what trading every best_action for 4 hours would have given, a round trip of 0.22% each.

    Overlapping trades all count: this compares epochs and versions, it is no backtest.
    """
    known = mask[:, FOUR_HOURS] & mask[:, BEST_ACTION]
    action = rows[known, ACTION_COLUMNS].argmax(-1)
    side = np.where(action == LONG, 1.0, -1.0)[action != HOLD]
    profit = side * labels[known, FOUR_HOURS][action != HOLD] - ROUND_TRIP_COST
    if not len(profit):
        return {"trades": 0.0}
    lost = -profit[profit < 0].sum()
    return {
        "trades": float(len(profit)),
        "win_rate": float((profit > 0).mean()),
        "profit_factor": float(min(profit[profit > 0].sum() / lost, 100.0)) if lost > 0 else 100.0,
        "mean_profit": float(profit.mean()),
    }


def forecast_metrics(rows: Floats, labels: Floats, mask: Bools) -> dict[str, float]:
    """Return everything above for one set of forecasts, by name; what cannot be computed is left out."""
    found = trades_after_costs(rows, labels, mask)
    probability = rows[:, DIRECTION_COLUMNS].reshape(len(rows), 4, 3)
    accuracies = []
    for index, horizon in enumerate(HORIZONS):
        known = mask[:, DIRECTION][:, index]
        scores = class_scores(probability[:, index], labels[:, DIRECTION][:, index], known)
        right = probability[known, index].argmax(-1) == labels[known, DIRECTION][:, index]
        found |= {
            f"accuracy_{horizon}": scores.accuracy,
            f"macro_f1_{horizon}": scores.macro_f1,
            f"ece_{horizon}": scores.ece,
            f"brier_{horizon}": scores.brier,
            f"ic_{horizon}": information_coefficient(
                rows[:, index], labels[:, RETURNS][:, index], mask[:, RETURNS][:, index]
            ),
            f"confidence_ece_{horizon}": calibration_error(rows[known, CONFIDENCE_COLUMNS][:, index], right),
        }
        accuracies.append(scores.accuracy)
    found["accuracy"] = float(np.mean(accuracies))
    return {name: value for name, value in found.items() if np.isfinite(value)}
