"""A chain of versions, each trained on what was known when its period began (TRN-12, REG-5).

From: candles of all pairs. To: signed versions and the alias file in the registry, one MLflow run per version.

    candles ......................| embargo |   period 1   |   period 2   |   period 3   | end
    version 1: train, validation  |         ^ valid_from   judged here
    version 2: train, validation ............| embargo |   ^ valid_from   judged here
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pandas as pd
import yaml

from ..models.build import UNIFIED_PATCHTST
from ..registry.files import ModelRefused
from ..registry.keys import Keys
from ..registry.manifest import load_version, write_version
from ..registry.store import Run, Store
from ..search.workers import run_tasks
from .config import TrainConfig
from .dataset import TrainingData, make_training_data
from .evaluate import evaluate_version, table
from .fold import fold_task
from .nested import Choice, choose
from .plots import figures
from .progress import TrainingProgress
from .provenance import run_tags
from .recipe import recipe_of
from .record import record
from .schedule import Fold, data_end, schedule
from .version import TrainedVersion, draft_manifest, fingerprint, train_version

__all__ = ["Fold", "Plan", "Side", "data_end", "schedule", "train_chain"]
FINISHED = "finished.json"  # beside a version's checkpoints: it is signed, judged and in MLflow


@dataclass(frozen=True)
class Side:
    """Where folds are trained side by side: other processes read the candles themselves."""

    datadir: Path
    workers: int = 1
    address: str | None = None  # of a Ray cluster that sees the same folders


@dataclass(frozen=True)
class Plan:
    """What a chain is called and made with."""

    line: str
    timeframe: str
    config: TrainConfig
    seed: int
    registry: Path
    keys: Keys
    kind: str = UNIFIED_PATCHTST  # of nn.models.build
    checkpoints: Path | None = None  # folder of unfinished trainings; None keeps none
    inner_folds: int = 0  # that choose among config.candidates, for each version
    period: timedelta = timedelta(days=31)  # of an inner fold
    side: Side | None = None  # None: one fold after the other, here
    extend: bool = False  # the chain of the line by these versions, instead of beginning a new one

    def folder(self, fold: Fold) -> Path | None:
        """Return where the checkpoints of a fold lie."""
        return self.checkpoints and self.checkpoints / self.line / f"{fold.valid_from:%Y%m%dT%H%M}"


def train_chain(
    plan: Plan, frames: Mapping[str, pd.DataFrame], folds: Sequence[Fold], store: Store, progress: TrainingProgress
) -> list[Path]:
    """Train, export, log and judge a version per fold; only when all are there does the chain change hands.

    After a kill the same call goes on: versions that are finished are kept, the one that was in training is taken up
    after its last whole epoch.
    """
    choices = choose_configs(plan, frames, folds)
    if plan.side is not None and plan.checkpoints is not None:  # weights come back as checkpoints
        tasks = [
            fold_task(plan.kind, choice.config, plan.timeframe, plan.seed, fold.trained_until, plan.folder(fold),
                      candles=(plan.side.datadir, tuple(frames)))
            for fold, choice in zip(folds, choices, strict=True)
        ]  # fmt: skip
        side_by_side(plan.side, tasks)  # what follows finds every training finished and takes its weights
        for folder in filter(None, map(plan.folder, folds)):
            if not any(folder.glob("member-*.safetensors")):
                progress.say(
                    f"note: workers left no weights in {folder}; trained here: every node must see that folder"
                )
    folders, results = [], {}
    for number, (fold, choice) in enumerate(zip(folds, choices, strict=True)):
        progress.begin(number)
        own = replace(plan, config=choice.config)
        data = make_data(own, frames, fold)
        progress.say(
            f"{plan.line} {number + 1}/{len(folds)}: {len(data.train)} windows to learn from, {len(data.validation)} to"
            f" judge by, up to {fold.trained_until:%Y-%m-%d %H:%M}; valid from {fold.valid_from:%Y-%m-%d %H:%M}"
        )
        found = finished(own, fold, data)
        if found is not None:
            progress.say(f"  {found[0].name} is there already")
        folder, metrics = found or _train_fold(own, frames, fold, data, choice, store, progress)
        folders.append(folder)
        results[fold.valid_from] = metrics
    store.publish(plan.registry / plan.line, plan.keys, [folder.name for folder in folders], plan.extend)
    if plan.checkpoints is not None:
        shutil.rmtree(plan.checkpoints / plan.line, ignore_errors=True)
    progress.console.print(table(results))
    return folders


def choose_configs(plan: Plan, frames: Mapping[str, pd.DataFrame], folds: Sequence[Fold]) -> list[Choice]:
    """Return the config of each fold, chosen by inner folds where there are any."""
    side = plan.side
    return choose(
        plan.kind, plan.config, frames, plan.timeframe, plan.seed, folds, plan.inner_folds, plan.period,
        None if side is None else partial(side_by_side, side),
        None if side is None else (side.datadir, tuple(frames)),
        plan.checkpoints and plan.checkpoints / plan.line,
    )  # fmt: skip


def side_by_side(side: Side, tasks: Sequence[dict]) -> list[dict]:
    """Do the tasks in processes of this machine or of a cluster; the results are the same by either (SEA-4)."""
    return run_tasks("nn.forecast.fold:train_fold", tasks, side.workers, side.address)


def make_data(plan: Plan, frames: Mapping[str, pd.DataFrame], fold: Fold) -> TrainingData:
    """Return what the version of a fold may learn from."""
    context_length = recipe_of(plan.kind, plan.config).context_length
    return make_training_data(frames, plan.timeframe, fold.trained_until, plan.config.data, context_length)


def finished(plan: Plan, fold: Fold, data: TrainingData) -> tuple[Path, dict[str, float]] | None:
    """Return the version of a fold and its out-of-sample metrics if an earlier, killed run has finished it."""
    folder = plan.folder(fold)
    try:
        said = json.loads((folder / FINISHED).read_text()) if folder else None
        if said is None or said["fingerprint"] != fingerprint(plan.kind, plan.config, data, plan.seed):
            return None
        version = plan.registry / plan.line / said["version"]
        load_version(version, plan.keys)
        return version, said["metrics"]
    except (OSError, ValueError, KeyError, ModelRefused):  # no such file, cut off, or the version is gone: train it
        return None


def _train_fold(
    plan: Plan,
    frames: Mapping[str, pd.DataFrame],
    fold: Fold,
    data: TrainingData,
    choice: Choice,
    store: Store,
    progress: TrainingProgress,
) -> tuple[Path, dict[str, float]]:
    name = f"{plan.line} {fold.valid_from:%Y-%m-%d %H:%M}"
    checkpoints = plan.folder(fold)
    with store.run(
        name,
        run_params(plan, data, fold) | choice.params(),
        run_tags(data.fingerprint, data.features.digest, plan.config.hash, plan.seed),
    ) as run:
        run.log_metrics(choice.metrics())
        trained = train_version(
            plan.kind, plan.config, data, plan.seed, progress.batch, both(run, progress), checkpoints
        )
        draft = draft_manifest(plan.line, plan.config, data, trained, fold.valid_from)
        folder = write_version(plan.registry / plan.line, draft, trained.model.state_dict(), plan.keys)
        loaded = load_version(folder, plan.keys)
        log_version(run, plan, data, trained, folder)
        run.register(folder, loaded.manifest)
        # From here on nothing can change the version: it is signed, and judged as it was loaded.
        judged = evaluate_version(
            loaded, data, frames, fold.valid_from, fold.end, plan.seed, choice.n_tried, progress.say
        )
        metrics = record(run, judged, folder, plan.keys)
    if checkpoints is not None:
        mark = fingerprint(plan.kind, plan.config, data, plan.seed)
        checkpoints.mkdir(parents=True, exist_ok=True)
        (checkpoints / FINISHED).write_text(
            json.dumps({"fingerprint": mark, "version": folder.name, "metrics": metrics})
        )
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
        "kind": plan.kind,
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


def log_version(run: Run, plan: Plan, data: TrainingData, trained: TrainedVersion, folder: Path) -> None:
    """Put metrics, pictures and the small files of TRN-8 into the run; weights and manifest follow by `register`."""
    run.log_metrics(trained.metrics, step=plan.config.fit.seeds * plan.config.fit.epochs + 1)
    run.log_text(
        yaml.safe_dump(plan.config.model_dump(mode="json", exclude={"candidates"}), sort_keys=False), "config.yaml"
    )
    run.log_text(json.dumps(data.scaler.to_dict(), indent=1), "norm_stats.json")
    run.log_text(json.dumps({"best": trained.metrics, "epochs": trained.epochs}, indent=1), "metrics.json")
    for name, figure in figures(trained):
        run.log_figure(figure, f"plots/{name}")
