"""All baselines, fitted one after the other to the rows that the network learned from.

From: `TrainingData`. To: `nn.forecast.evaluate`, which judges them on the very candles that it judges the network on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..forecast.dataset import TrainingData
from .linear import fit_logistic, fit_ridge
from .naive import fit_last_direction, fit_last_value, fit_moving_average
from .nlinear import fit_nlinear
from .rows import Baseline, Fit, Forecast, Rows, balanced
from .trees import fit_return_trees, fit_trees

FITS: dict[str, Fit] = {
    "last_value": fit_last_value,
    "last_direction": fit_last_direction,
    "ema": fit_moving_average,
    "nlinear": fit_nlinear,
    "ridge": fit_ridge,
    "logistic": fit_logistic,
    "lightgbm": fit_trees,
    "lightgbm_returns": fit_return_trees,
}


@dataclass(frozen=True, eq=False)
class Baselines:
    fitted: tuple[Baseline, ...]
    class_shares: NDArray[np.float64]  # (4, 3) among the train labels

    def forecasts(self, rows: Rows) -> dict[str, Forecast]:
        """Return every baseline's forecast by name."""
        return {baseline.name: balanced(baseline.forecast(rows), self.class_shares) for baseline in self.fitted}


def fit_baselines(
    data: TrainingData, seed: int, say: Callable[[str], None] | None = None, names: tuple[str, ...] = tuple(FITS)
) -> Baselines:
    """Fit the named baselines; `say` hears of each before it begins."""
    fitted = []
    for number, name in enumerate(names, 1):
        if say is not None:
            say(f"  baseline {number}/{len(names)}: {name}")
        fitted.append(FITS[name](data, seed))
    return Baselines(tuple(fitted), data.class_shares)
