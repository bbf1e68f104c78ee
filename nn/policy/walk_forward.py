"""A chain of trading policies, each trained on what was known when its period began (TRN-12, REG-5, PPO-1).

From: candles of all pairs, a `TradingConfig`. To: signed versions and the alias file in the registry, one MLflow run
per version, its signed evaluation on the period after it. The times are those of the forecasters' chains:

    candles: train rows ..| validation |embargo|   period 1   |   period 2   | end
    version 1: learns     | shown      |       ^ valid_from, judged here
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import yaml
from rich.console import Console

from ..forecast.provenance import run_tags
from ..forecast.schedule import Fold
from ..registry.evaluations import write_evaluation
from ..registry.keys import Keys
from ..registry.manifest import load_version
from ..registry.store import Run, Store
from .judge import Judged, Judgement, chained, judge_policy, judgement, table
from .learn import Learned, learn
from .plots import figures
from .progress import PolicyProgress
from .trading import TradingData, make_trading_data
from .trading_config import TradingConfig
from .validation import validation_run
from .version import Policy

LOGGED = 200  # rounds of a training that MLflow keeps figures of: a run of 500 rounds loses nothing that is seen


@dataclass(frozen=True)
class Plan:
    """What a chain is called and made with."""

    line: str
    config: TradingConfig
    seed: int  # of the version that is signed
    n_seeds: int  # learned in all: the others only say how much was luck
    registry: Path
    keys: Keys
    checkpoints: Path  # folder of unfinished trainings

    def resume(self, fold: Fold, seed: int) -> Path:
        """Return the file in which the learner of a fold and a seed is kept."""
        return self.checkpoints / self.line / f"{fold.valid_from:%Y%m%dT%H%M}-seed-{seed}.safetensors"


def train_policies(
    plan: Plan, frames: Mapping[str, pd.DataFrame], folds: Sequence[Fold], store: Store, progress: PolicyProgress
) -> list[Path]:
    """Learn, sign, log and judge a version per fold; only when all are there does the chain change hands.

    After a kill the same call goes on where it was: what has been learned is read back, and equal versions are not
    written twice.
    """
    folders, judged = [], []
    for number, fold in enumerate(folds):
        data = make_trading_data(frames, fold.trained_until, plan.config)
        for note in data.notes:
            progress.say(f"note: {note}")
        progress.say(
            f"{plan.line} {number + 1}/{len(folds)}: {data.n_train:,} candles to learn from, up to"
            f" {data.border:%Y-%m-%d %H:%M}, shown up to {fold.trained_until:%Y-%m-%d %H:%M}; valid from"
            f" {fold.valid_from:%Y-%m-%d %H:%M}"
        )
        folder, found = _train_fold(plan, frames, fold, data, store, progress)
        folders.append(folder)
        judged.append(found)
    store.publish(plan.registry / plan.line, plan.keys, [folder.name for folder in folders])
    shutil.rmtree(plan.checkpoints / plan.line, ignore_errors=True)
    console = Console(stderr=True, highlight=False, width=None if progress.console.is_terminal else 160)
    whole = judgement(chained(judged), plan.seed, plan.config.search)
    title = f"{plan.line}: each version on the period after it, {whole.begin:%Y-%m-%d} to {whole.end:%Y-%m-%d}"
    console.print(table(whole, title))
    return folders


def _train_fold(
    plan: Plan,
    frames: Mapping[str, pd.DataFrame],
    fold: Fold,
    data: TradingData,
    store: Store,
    progress: PolicyProgress,
) -> tuple[Path, Judged]:
    name = f"{plan.line} {fold.valid_from:%Y-%m-%d %H:%M}"
    with store.run(
        name,
        run_params(plan, data, fold),
        run_tags(data.fingerprint, data.observations.digest, plan.config.hash, plan.seed),
    ) as run:
        learned = [
            learn(data, plan.config, seed, plan.line, fold, progress.of(seed), plan.resume(fold, seed))
            for seed in range(plan.seed, plan.seed + plan.n_seeds)
        ]
        first = learned[0]
        folder = first.write(plan.registry / plan.line, plan.keys)
        loaded = load_version(folder, plan.keys)
        signed = Policy.from_loaded(loaded)
        log_version(run, plan, data, first, signed)
        run.register(folder, loaded.manifest)
        # From here on nothing can change the version: it is signed, and judged as it was loaded.
        others = [replace(each.policy, manifest=loaded.manifest) for each in learned[1:]]
        judged = judge_policy([signed, *others], data, frames, fold.valid_from, fold.end, plan.seed)
        record(run, judgement(judged, plan.seed, plan.config.search), folder, plan.keys)
    progress.say(f"  {folder.name} is signed and judged")
    return folder, judged


def record(run: Run, found: Judgement, folder: Path, keys: Keys) -> None:
    """Sign the judgement of the version in `folder`, and show it in the run."""
    payload = found.payload(folder.parent.name, folder.name)
    write_evaluation(folder.parent, folder.name, payload, keys)
    run.log_metrics({f"oos_{name}": value for name, value in payload["metrics"].items()})
    run.log_metrics({f"oos_{who}_{name}": value for who, each in found.rivals.items() for name, value in each.items()})
    run.log_text(json.dumps(payload, indent=1, default=str, allow_nan=False), "evaluation/evaluation.json")


def log_version(run: Run, plan: Plan, data: TradingData, learned: Learned, signed: Policy) -> None:
    """Put the story of a training into its run: figures of its rounds, pictures, config, statistics (TRN-6, TRN-8)."""
    rounds = learned.rounds
    for each in rounds[:: max(1, len(rounds) // LOGGED)]:
        run.log_metrics({name: value for name, value in each.items() if name != "steps"}, step=int(each["steps"]))
    metrics = learned.fields["metrics"]
    assert isinstance(metrics, dict)
    run.log_metrics(metrics, step=learned.learner.steps)
    run.log_text(yaml.safe_dump(plan.config.model_dump(mode="json"), sort_keys=False), "config.yaml")
    run.log_text(data.observations.statistics.to_json(), "norm_stats.json")
    run.log_text(json.dumps({"last": metrics, "rounds": rounds}, indent=1), "metrics.json")
    validation = validation_run(signed, data.frames, data.border, data.trained_until)
    for name, figure in figures(rounds, validation).items():
        run.log_figure(figure, f"plots/{name}")


def run_params(plan: Plan, data: TradingData, fold: Fold) -> dict[str, str]:
    """Return every setting of the run, and the times that its data gave it."""
    return {
        "kind": "actor_critic",
        **plan.config.flat(),
        "pairs": " ".join(data.pairs),
        "seed": str(plan.seed),
        "n_seeds": str(plan.n_seeds),
        "n_observations": str(len(data.observations.names)),
        "train_candles": str(data.n_train),
        "trained_from": data.trained_from.isoformat(),
        "border": data.border.isoformat(),
        "trained_until": fold.trained_until.isoformat(),
        "valid_from": fold.valid_from.isoformat(),
    }
