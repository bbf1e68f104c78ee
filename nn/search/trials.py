"""What a worker of a search does: opens the study and runs its share of the trials (SEA-4).

From: `workers.run_tasks`, one plain dictionary. To: the study's database, where every trial and its returns stay.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ..data.candles import read_candles
from ..forecast.config import TrainConfig
from ..forecast.dataset import cut
from ..forecast.schedule import schedule
from .objective import earn
from .space import Space, layer_of
from .study import Answer, Asked, StudyOptions, open_study


def options_of(task: dict[str, Any]) -> StudyOptions:
    """Return the study that a task speaks of."""
    return StudyOptions(**{**task["study"], "space": Space(**task["study"]["space"])})


def run_share(task: dict[str, Any]) -> dict[str, Any]:
    """Run `n_trials` trials; what an earlier, killed worker of this name has finished counts."""
    until = datetime.fromisoformat(task["until"])
    # Candles after the outer training range are dropped as they are read: nothing below can see them (SEA-3).
    frames = {
        pair: cut(read_candles(Path(task["datadir"]), pair, task["timeframe"])[0], task["timeframe"], until)
        for pair in task["pairs"]
    }
    folds = schedule(until, task["inner_folds"], timedelta(seconds=task["period_s"]), task["timeframe"])
    base = TrainConfig(**task["config"])
    options = options_of(task)

    def objective(asked: Asked) -> Answer:
        config = base.with_layer(layer_of(asked.parameters))
        found = earn(
            task["kind"], config, frames, task["timeframe"], folds, asked.seed, options.space.prune_by, asked.report
        )
        return Answer(found.value, found.days, found.returns, found.trades)

    return {"trials": open_study(options).run(objective, task["n_trials"], task["worker"])}
