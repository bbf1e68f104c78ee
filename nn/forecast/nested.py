"""Inner folds choose among the candidates of a profile; the outer period judges what they chose, and is never read.

From: `walk_forward`, for each of its folds. To: the config with which that fold's version is trained (TRN-12).

    candles of the outer training range .................................| embargo |  outer period
    inner fold 1: train, validation | embargo |   judged   |             ^ trained_until of the outer fold
    inner fold 2: train, validation .............| embargo |   judged    |

The inner folds end with the outer training range, so embargo and purge lie between all that chose and all that judges.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .config import ConfigProblem, TrainConfig
from .dataset import cut
from .fold import fold_task, train_on
from .schedule import Fold, schedule

Tasks = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Choice:
    """What the inner folds of one outer fold said."""

    config: TrainConfig  # without candidates
    chosen: dict[str, Any]  # the candidate, as the profile writes it; empty where there was none to choose
    scores: tuple[tuple[float, ...], ...] = ()  # log loss by candidate and inner fold; the smallest mean wins

    @property
    def n_tried(self) -> int:
        """How many settings were tried before these were taken: by a search and by inner folds (EVA-9)."""
        return self.config.search.trials + len(self.scores)

    def params(self) -> dict[str, str]:
        """Return the choice as parameters of the run."""
        return {"candidate": json.dumps(self.chosen)} if self.scores else {}

    def metrics(self) -> dict[str, float]:
        """Return the mean score of each candidate, counted from 1."""
        return {f"inner_log_loss_candidate_{k + 1}": float(np.mean(each)) for k, each in enumerate(self.scores)}


def choose(
    kind: str,
    config: TrainConfig,
    frames: Mapping[str, pd.DataFrame],
    timeframe: str,
    seed: int,
    folds: Sequence[Fold],
    n_inner: int,
    period: timedelta,
    run: Callable[[Tasks], list[dict[str, Any]]] | None = None,
    candles: tuple[Path, tuple[str, ...]] | None = None,
    checkpoints: Path | None = None,
) -> list[Choice]:
    """Return a choice for each outer fold.

    Parameters
    ----------
    n_inner : int
        Inner folds for each outer one; 0 takes the config as it is.
    run : callable, optional
        Does all tasks and returns their results in order, in other processes; None does them here, one by one, with
        candles cut off at the end of the outer training range.
    candles : pair of Path and tuple of str, optional
        Where other processes find the candles.
    """
    if not n_inner:
        return [Choice(config.with_layer({}), {})] * len(folds)
    if len(config.candidates) < 2:
        raise ConfigProblem(
            f"--inner-folds {n_inner} has {len(config.candidates)} candidates to choose from, expected 2"
        )
    configs = [config.with_layer(candidate) for candidate in config.candidates]
    tasks, results = [], []
    for fold in folds:
        mine = []
        for number, candidate in enumerate(configs):
            for inner in schedule(fold.trained_until, n_inner, period, timeframe):
                name = f"{fold.valid_from:%Y%m%dT%H%M}/candidate-{number}-{inner.valid_from:%Y%m%dT%H%M}"
                folder = None if checkpoints is None else checkpoints / name
                judged = (inner.valid_from, inner.end)
                mine.append(fold_task(kind, candidate, timeframe, seed, inner.trained_until, folder, judged, candles))
        tasks += mine
        if run is None:
            known = {pair: cut(frame, timeframe, fold.trained_until) for pair, frame in frames.items()}
            results += [train_on(known, task) for task in mine]
    results = results if run is None else run(tasks)
    scores = np.array([result["log_loss"] for result in results]).reshape(len(folds), len(configs), n_inner)
    best = scores.mean(axis=2).argmin(axis=1)  # the first of equals
    return [
        Choice(configs[index], dict(config.candidates[index]), tuple(map(tuple, each.tolist())))
        for index, each in zip(best, scores, strict=True)
    ]
