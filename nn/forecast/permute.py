"""`--permutation-test N`: what a learner finds in labels that belong to other rows must be nothing (LEK-8).

From: a version's training data, and the candles after its `valid_from`. To: stdout, by `judge_line`. What learns is
logistic regression, in seconds; or, with training profiles, a network of the version's kind, N + 1 trainings long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import numpy as np
import pandas as pd

from ..baselines.linear import fit_logistic
from ..baselines.rows import Forecast
from ..evaluation.permutation import Learn, Permuted, permutation_test
from ..registry.manifest import LoadedVersion
from .config import TrainConfig
from .dataset import TrainingData, cut
from .evaluate import Reading, forecast_rows, rows_of_model, scored_period
from .recipe import recipe_of
from .version import train_version

Frames = Mapping[str, pd.DataFrame]


def permute(
    loaded: LoadedVersion,
    data: TrainingData,
    frames: Frames,
    begin: datetime,
    end: datetime,
    n: int,
    seed: int,
    config: TrainConfig | None,
    say: Callable[[str], None],
) -> Permuted:
    """Return what a learner finds in real labels and in `n` permutations of them, over candles in [begin, end).

    Parameters
    ----------
    config : TrainConfig or None
        Of the network that learns; None for logistic regression.

    Raises
    ------
    ValueError
        If the network of the config does not read as many bars as the version: the windows are the version's.
    """
    frames = {pair: cut(frame, data.timeframe, end) for pair, frame in frames.items()}
    period = scored_period(data, frames, lambda frame: forecast_rows(loaded, frame, begin, end))
    learn = (
        (lambda data, seed: fit_logistic(data, seed).forecast(period.rows))
        if config is None
        else network_learner(loaded, config, frames, begin, end)
    )
    return permutation_test(learn, data, period.outcomes, n, seed, lambda done: say(f"permutation {done}/{n}"))


def network_learner(
    loaded: LoadedVersion, config: TrainConfig, frames: Frames, begin: datetime, end: datetime
) -> Learn:
    """Return how a network of the version's kind learns from data and what it then says of [begin, end)."""
    manifest = loaded.manifest
    length, reads = recipe_of(manifest.kind, config).context_length, manifest.architecture["context_length"]
    if length != reads:
        raise ValueError(f"the training profile reads {length} bars, {manifest.version} reads {reads}")

    def learn(data: TrainingData, seed: int) -> Forecast:
        trained = train_version(manifest.kind, config, data, seed, _silent, _silent)
        rows = [rows_of_model(trained.model, manifest, frame, begin, end)[1] for frame in frames.values()]
        return Reading(trained.model.columns).forecast(np.concatenate(rows))

    return learn


def told(found: Permuted, n: int) -> str:
    """Return the result in sentences."""
    return (
        f"real labels:     IC {found.ic:+.4f}, right {found.accuracy:.4f} at 1h\n"
        f"permuted labels: IC {found.null_ic.mean():+.4f} +- {found.null_ic.std(ddof=1):.4f}, right"
        f" {found.null_accuracy.mean():.4f} +- {found.null_accuracy.std(ddof=1):.4f} over {n},"
        f" by chance {found.null_chance.mean():.4f}\n"
        f"p-value of the real IC: {found.p_value:.3f}; permuted labels are"
        f" {'at chance' if found.at_chance else 'NOT at chance: a leak'}"
    )


def _silent(*_: object) -> None:
    """Say nothing of epochs and steps: whoever permutes hears of permutations."""
