"""What a worker of a search over policies does: opens the study and runs its share of the trials (SEA-2, SEA-4).

From: `workers.run_tasks`, one plain dictionary. To: the study's database, where every trial and its returns stay.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ..data.candles import read_candles
from ..forecast.dataset import cut
from ..forecast.schedule import schedule
from ..policy.trading_config import TradingConfig
from .policy_objective import earn_policy, with_parameters
from .study import Answer, Asked, open_study
from .trials import options_of


def run_share(task: dict[str, Any]) -> dict[str, Any]:
    """Run `n_trials` trials; what an earlier, killed worker of this name has finished counts."""
    until, timeframe = datetime.fromisoformat(task["until"]), task["timeframe"]
    # Candles after the outer training range are dropped as they are read: nothing below can see them (SEA-3).
    frames = {
        pair: cut(read_candles(Path(task["datadir"]), pair, timeframe)[0], timeframe, until) for pair in task["pairs"]
    }
    folds = schedule(until, task["inner_folds"], timedelta(seconds=task["period_s"]), timeframe)
    base, options = TradingConfig(**task["config"]), options_of(task)

    def objective(asked: Asked) -> Answer:
        config = with_parameters(base, asked.parameters)
        assert options.space.spells is not None
        return earn_policy(config, frames, folds, asked.seed, options.space.spells, asked.report)

    return {"trials": open_study(options).run(objective, task["n_trials"], task["worker"])}
