"""A study: trials of one search in a database that many workers share and that outlives all of them (SEA-1).

From: `trials`, which runs in each worker. To: `optuna_study` where Optuna is installed, else `random_study`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from .space import Space

HEARTBEAT_S = 15  # a trial whose worker was silent for four of these is dead and is tried once more
GRACE_HEARTBEATS = 4
COMPLETE, PRUNED, FAILED, RUNNING, WAITING = "complete", "pruned", "failed", "running", "waiting"


class StudyProblem(ValueError):
    """The study cannot be opened, or was made with another space, data or sampler."""


class Pruned(Exception):
    """The trial is not worth going on with."""


@dataclass(frozen=True)
class Trial:
    """One configuration that was tried; `number` and `seed` make it repeatable."""

    number: int
    state: str
    parameters: dict[str, Any]
    seed: int
    value: float | None = None  # what the study makes large, such as the mean net return of a day
    days: tuple[str, ...] = ()
    returns: tuple[float, ...] = ()  # net, by day
    trades: int = 0
    error: str = ""
    retry_of: int | None = None  # the trial whose worker died

    @property
    def counts(self) -> bool:
        """Whether it is one of the trials that were asked for; one that died with its worker is tried again instead."""
        return self.state in (COMPLETE, PRUNED) or (self.state == FAILED and bool(self.error))


@dataclass(frozen=True)
class Asked:
    """What an objective is given: parameters, a seed, and whom to tell the figure of each step."""

    number: int
    parameters: dict[str, Any]
    seed: int
    report: Callable[[int, float], None]  # raises Pruned


@dataclass(frozen=True)
class Answer:
    """What an objective gives back."""

    value: float
    days: tuple[str, ...] = ()
    returns: tuple[float, ...] = ()
    trades: int = 0


Objective = Callable[[Asked], Answer]


@dataclass(frozen=True)
class StudyOptions:
    """Everything that makes two studies the same one."""

    name: str
    storage: str  # sqlite:///path or another SQLAlchemy URL
    space: Space
    seed: int
    steps: int  # epochs of all folds: the longest that a trial can take
    facts: dict[str, str] = field(default_factory=dict)  # config hash, data, folds: may not change when it goes on
    heartbeat_s: int = HEARTBEAT_S
    sampler: str = "auto"  # auto | optuna | random


class Study(Protocol):
    def run(self, objective: Objective, n_trials: int, worker: str) -> int:
        """Run so many trials, less those that this worker has finished before; return how many were run."""
        ...

    def trials(self) -> list[Trial]: ...


def open_study(options: StudyOptions) -> Study:
    """Open or make the study; every worker does, and whoever asks for the result."""
    has_optuna = importlib.util.find_spec("optuna") is not None
    if options.sampler == "optuna" and not has_optuna:
        raise StudyProblem('Optuna is not installed: pip install "candlewright[search]", or take --sampler random')
    if options.sampler == "random" or not has_optuna:
        from .random_study import RandomStudy

        return RandomStudy(options)
    from .optuna_study import OptunaStudy

    return OptunaStudy(options)


def same_facts(known: dict[str, str], options: StudyOptions) -> None:
    """Raise StudyProblem if a study is gone on with on other terms than it was begun."""
    for name, value in options.facts.items():
        if name in known and known[name] != value:
            raise StudyProblem(
                f"study {options.name!r} was begun with {name} {known[name]}, now it is {value}: take another --study"
            )
