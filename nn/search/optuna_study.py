"""Optuna's study over a database: TPE proposes, Hyperband gives up early, heartbeats find the dead (SEA-1).

The only file that knows Optuna. Bergstra et al. (2011), Algorithms for Hyper-Parameter Optimization; Li et al. (2018),
Hyperband. From: `study.open_study`. To: `trials`. SQLite is set to write ahead, so that readers and a writer do not
wait for each other, and a writer waits a minute for another.
"""

from __future__ import annotations

import json
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from .space import Parameter
from .study import (
    COMPLETE,
    FAILED,
    GRACE_HEARTBEATS,
    PRUNED,
    RUNNING,
    WAITING,
    Asked,
    Objective,
    Pruned,
    StudyOptions,
    StudyProblem,
    Trial,
    same_facts,
)

LOCK_TIMEOUT_S = 60
STATES = {
    TrialState.COMPLETE: COMPLETE,
    TrialState.PRUNED: PRUNED,
    TrialState.FAIL: FAILED,
    TrialState.RUNNING: RUNNING,
    TrialState.WAITING: WAITING,
}


class OptunaStudy:
    """See `study.Study`."""

    def __init__(self, options: StudyOptions) -> None:
        self.options = options
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        pruner = (
            optuna.pruners.NopPruner()
            if options.space.prune_by is None or options.steps < 2
            else optuna.pruners.HyperbandPruner(max_resource=options.steps)
        )
        try:
            self._study = optuna.create_study(
                storage=open_storage(options), study_name=options.name, direction="maximize",
                sampler=self._sampler(0), pruner=pruner, load_if_exists=True,
            )  # fmt: skip
        except Exception as error:  # whatever the driver of the database raises; its address may hold a password
            raise StudyProblem(
                f"study {options.name!r} cannot be opened: {type(error).__name__}; check --storage"
            ) from None
        same_facts(self._study.user_attrs, options)
        for name, value in options.facts.items():
            if name not in self._study.user_attrs:
                self._study.set_user_attr(name, value)

    def run(self, objective: Objective, n_trials: int, worker: str) -> int:
        done = sum(self._counts(each, worker) for each in self._study.get_trials(deepcopy=False))
        for _ in range(max(0, n_trials - done)):
            # A sampler of its own for each trial: what is proposed depends on the seed and the trials so far, not on
            # how often this process has asked.
            self._study.sampler = self._sampler(len(self._study.get_trials(deepcopy=False)))
            with quiet():  # heartbeats are called experimental
                self._study.optimize(lambda trial: self._try(trial, objective, worker), n_trials=1, catch=(Exception,))
        return max(0, n_trials - done)

    def trials(self) -> list[Trial]:
        return [_trial(each) for each in self._study.get_trials(deepcopy=False)]

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        seed = (self.options.seed * 1_000_003 + number) % 2**32
        return optuna.samplers.TPESampler(seed=seed)

    def _counts(self, trial: FrozenTrial, worker: str) -> bool:
        return trial.user_attrs.get("worker") == worker and _trial(trial).counts

    def _try(self, trial: optuna.Trial, objective: Objective, worker: str) -> float:
        trial.set_user_attr("worker", worker)
        seed = trial.user_attrs.get("seed", self.options.seed + trial.number)  # one tried again keeps its seed
        trial.set_user_attr("seed", seed)
        parameters = {name: suggest(trial, name, each) for name, each in self.options.space.parameters.items()}

        def report(step: int, value: float) -> None:
            trial.report(value, step)
            if trial.should_prune():
                raise Pruned

        try:
            answer = objective(Asked(trial.number, parameters, seed, report))
        except Pruned:
            raise optuna.TrialPruned from None
        except Exception as error:
            trial.set_user_attr("error", f"{type(error).__name__}: {error}")
            raise
        trial.set_user_attr("days", list(answer.days))
        trial.set_user_attr("returns", list(answer.returns))
        trial.set_user_attr("trades", answer.trades)
        return answer.value


def suggest(trial: optuna.Trial, name: str, parameter: Parameter) -> Any:
    """Return Optuna's proposal; choices go by their JSON, because it compares only plain values."""
    if parameter.choices:
        return json.loads(trial.suggest_categorical(name, [json.dumps(each) for each in parameter.choices]))
    low, high, step = parameter.low, parameter.high, parameter.step
    if parameter.integer:
        return trial.suggest_int(name, int(low), int(high), step=int(step or 1), log=parameter.log)  # type: ignore[arg-type]
    return trial.suggest_float(name, low, high, step=step, log=parameter.log)


def open_storage(options: StudyOptions) -> optuna.storages.RDBStorage:
    """Return the database, made if it is a file that is not there."""
    engine: dict[str, Any] = {}
    if options.storage.startswith("sqlite:///"):
        path = Path(options.storage.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=LOCK_TIMEOUT_S)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        engine = {"connect_args": {"timeout": LOCK_TIMEOUT_S}}
    with quiet():
        return optuna.storages.RDBStorage(
            options.storage, engine_kwargs=engine, heartbeat_interval=options.heartbeat_s,
            grace_period=GRACE_HEARTBEATS * options.heartbeat_s, heartbeat_stale_trial_callback=try_again,
        )  # fmt: skip


def try_again(study: optuna.Study, trial: FrozenTrial) -> None:
    """Put the trial of a dead worker back into the queue, once, with its parameters and its seed."""
    if "retry_of" in trial.user_attrs or not trial.params:
        return
    kept = {"seed": trial.user_attrs["seed"], "retry_of": trial.number}
    study.add_trial(
        optuna.create_trial(
            state=TrialState.WAITING, params=trial.params, distributions=trial.distributions, user_attrs=kept
        )
    )


def quiet() -> warnings.catch_warnings:
    """Return a block in which Optuna does not call its own features experimental."""
    return warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning)


def _trial(found: FrozenTrial) -> Trial:
    kept = found.user_attrs
    parameters = {name: json.loads(value) if isinstance(value, str) else value for name, value in found.params.items()}
    return Trial(
        found.number, STATES[found.state], parameters, kept.get("seed", -1),
        found.value if found.state == TrialState.COMPLETE else None,
        tuple(kept.get("days", ())), tuple(kept.get("returns", ())), kept.get("trades", 0),
        kept.get("error", ""), kept.get("retry_of"),
    )  # fmt: skip
