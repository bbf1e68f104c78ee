"""A chain of versions, each trained on what was known when its period began (TRN-12, REG-5).

From: candles of all pairs. To: signed versions and the alias file in the registry, one MLflow run per version.

    candles ......................| embargo |   period 1   |   period 2   |   period 3   | end
    version 1: train, validation  |         ^ valid_from   judged here
    version 2: train, validation ............| embargo |   ^ valid_from   judged here
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import yaml

from ..data.targets import max_horizon_bars
from ..data.timeframe import timeframe_ms
from ..registry.keys import Keys
from ..registry.manifest import load_version, write_version
from ..registry.store import Run, Store
from .config import TrainConfig
from .dataset import TooLittleData, TrainingData, make_training_data
from .evaluate import out_of_sample, table
from .plots import figures
from .progress import TrainingProgress
from .provenance import git_commit, library_versions
from .version import TrainedVersion, draft_manifest, train_version


@dataclass(frozen=True)
class Fold:
    """One version's times: it learns up to `trained_until` and is judged on candles closing in [valid_from, end)."""

    trained_until: datetime
    valid_from: datetime
    end: datetime


@dataclass(frozen=True)
class Plan:
    """What a chain is called and made with."""

    line: str
    timeframe: str
    config: TrainConfig
    seed: int
    registry: Path
    keys: Keys


def schedule(data_end: datetime, n_versions: int, period: timedelta, timeframe: str) -> list[Fold]:
    """Return the folds over the last periods of the data; `data_end` is the close of the last candle."""
    bar = timedelta(milliseconds=timeframe_ms(timeframe))
    if n_versions < 1:
        raise ValueError(f"--walk-forward is {n_versions}, expected at least 1 version")
    if period < bar or period % bar:
        raise ValueError(f"--period is {period}, expected a whole number of {timeframe} candles")
    embargo = max_horizon_bars(timeframe) * bar
    starts = [data_end - (n_versions - k) * period for k in range(n_versions)]
    return [Fold(start - embargo, start, start + period) for start in starts]


def data_end(frames: Mapping[str, pd.DataFrame], timeframe: str, until: datetime | None) -> datetime:
    """Return the moment up to which every pair has candles, or `until` if that is earlier."""
    bar = pd.Timedelta(milliseconds=timeframe_ms(timeframe))
    last = {pair: frame["date"].iloc[-1] + bar for pair, frame in frames.items()}
    end = min(last.values()).to_pydatetime()
    if until is None or until >= end:
        return end
    first = max(frame["date"].iloc[0] for frame in frames.values()).to_pydatetime()
    if until <= first:
        raise TooLittleData(f"--until is {until:%Y-%m-%d %H:%M}, but the candles begin at {first:%Y-%m-%d %H:%M}")
    return pd.Timestamp(until).floor(bar).to_pydatetime()


def train_chain(
    plan: Plan, frames: Mapping[str, pd.DataFrame], folds: Sequence[Fold], store: Store, progress: TrainingProgress
) -> list[Path]:
    """Train, export, log and judge a version per fold; only when all are there does the chain change hands."""
    folders, results = [], {}
    for number, fold in enumerate(folds):
        progress.begin(number)
        data = make_data(plan, frames, fold)
        progress.say(
            f"version {number + 1}/{len(folds)}: {len(data.train)} windows to learn from, {len(data.validation)} to"
            f" judge by, up to {fold.trained_until:%Y-%m-%d %H:%M}; valid from {fold.valid_from:%Y-%m-%d %H:%M}"
        )
        folder, metrics = _train_fold(plan, frames, fold, data, store, progress)
        folders.append(folder)
        results[fold.valid_from] = metrics
    store.publish(plan.registry / plan.line, plan.keys, [folder.name for folder in folders])
    progress.console.print(table(results))
    return folders


def make_data(plan: Plan, frames: Mapping[str, pd.DataFrame], fold: Fold) -> TrainingData:
    """Return what the version of a fold may learn from."""
    context_length = plan.config.model.context_length
    return make_training_data(frames, plan.timeframe, fold.trained_until, plan.config.data, context_length)


def _train_fold(
    plan: Plan,
    frames: Mapping[str, pd.DataFrame],
    fold: Fold,
    data: TrainingData,
    store: Store,
    progress: TrainingProgress,
) -> tuple[Path, dict[str, float]]:
    name = f"{plan.line} {fold.valid_from:%Y-%m-%d %H:%M}"
    with store.run(name, run_params(plan, data, fold), run_tags(plan, data)) as run:
        trained = train_version(plan.config, data, plan.seed, progress.batch, both(run, progress))
        draft = draft_manifest(plan.line, plan.config, data, trained, fold.valid_from)
        folder = write_version(plan.registry / plan.line, draft, trained.model.state_dict(), plan.keys)
        loaded = load_version(folder, plan.keys)
        log_version(run, plan, data, trained, folder)
        run.register(folder, loaded.manifest)
        # From here on nothing can change the version: it is signed, and judged as it was loaded.
        metrics = out_of_sample(loaded, frames, fold.valid_from, fold.end, data.class_shares.argmax(1))
        run.log_metrics({f"oos_{key}": value for key, value in metrics.items()})
    return folder, metrics


def both(run: Run, progress: TrainingProgress) -> Callable[[int, dict[str, float]], None]:
    """Return what to do after an epoch: keep its metrics, and say how it went."""

    def epoch_done(epoch: int, metrics: dict[str, float]) -> None:
        run.log_metrics(metrics, step=epoch + 1)
        progress.epoch(epoch, metrics)

    return epoch_done


def run_params(plan: Plan, data: TrainingData, fold: Fold) -> dict[str, str]:
    """Return every setting of the run, and the times that its data gave it."""
    return {
        **plan.config.flat(),
        "pairs": " ".join(data.pairs),
        "timeframe": plan.timeframe,
        "seed": str(plan.seed),
        "n_features": str(len(data.features.names)),
        "train_windows": str(len(data.train)),
        "validation_windows": str(len(data.validation)),
        "trained_from": data.trained_from.isoformat(),
        "trained_until": fold.trained_until.isoformat(),
        "valid_from": fold.valid_from.isoformat(),
    }


def run_tags(plan: Plan, data: TrainingData) -> dict[str, str]:
    """Return what identifies the run's inputs (TRN-6)."""
    return {
        "data_fingerprint": data.fingerprint,
        "feature_digest": data.features.digest,
        "config_hash": plan.config.hash,
        "git_commit": git_commit(),
        "seed": str(plan.seed),
        **{f"library.{name}": number for name, number in library_versions().items()},
    }


def log_version(run: Run, plan: Plan, data: TrainingData, trained: TrainedVersion, folder: Path) -> None:
    """Put metrics, pictures and the small files of TRN-8 into the run; weights and manifest follow by `register`."""
    run.log_metrics(trained.metrics, step=len(trained.history.epochs) + 1)
    run.log_text(yaml.safe_dump(plan.config.model_dump(mode="json"), sort_keys=False), "config.yaml")
    run.log_text(json.dumps(data.scaler.to_dict(), indent=1), "norm_stats.json")
    run.log_text(json.dumps({"best": trained.metrics, "epochs": trained.history.epochs}, indent=1), "metrics.json")
    for name, figure in figures(trained):
        run.log_figure(figure, f"plots/{name}")
