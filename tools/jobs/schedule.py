"""Trainings that come again and again: retraining and optimisation by the clock, off by default (TRN-10, SEA-6, JOB-4).

From: `schedule` in configs/fleet.yaml, or in the file that CONFIG_PATH names. To: the same queue as POST /train, so the
same limits hold, and a job makes a challenger and a report and never a champion.

An entry is due at `begin` and each `every` after it. What was due while nobody was there is made up once; an entry that
is new waits for its next moment. A full queue is asked again until the next moment. What was done is kept in
`user_data/jobs/schedule.json`, so that a restart neither repeats nor forgets; what a clock that was
far ahead wrote there is forgotten, and the entry is new.
"""

from __future__ import annotations

import difflib
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from nn.service.errors import Refused
from tools.errors import UserError
from tools.home import Home
from tools.jobs.datasets import datasets
from tools.jobs.queue import Job, Queue
from tools.jobs.requests import Optimisation, Training, hours_of
from tools.services import write_json

logger = logging.getLogger(__name__)

VARIABLE = "CONFIG_PATH"
LOOK_S = 30.0
STATE = "schedule.json"


class Entry(BaseModel):
    """One training that comes again and again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: Literal["retrain", "optimise"]
    enabled: bool = False
    every: str = "1w"
    begin: datetime
    dataset: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")  # folder of user_data/data
    config: str = "base"
    model: Literal["unified", "direction", "mtst"] = "unified"
    timeframe: str = "15m"
    walk_forward: int = 1
    period: str = "1w"
    seed: int = 7
    trials: int = Field(default=20, ge=1, le=1000)  # of an optimisation
    inner_folds: int = Field(default=2, ge=1, le=12)

    @field_validator("every")
    @classmethod
    def _is_period(cls, value: str) -> str:
        hours_of(value)
        return value

    @field_validator("begin")
    @classmethod
    def _has_a_zone(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("expected a time with a zone, such as 2026-01-04T03:00:00Z")
        return value.astimezone(UTC)

    def due(self, now: datetime) -> datetime | None:
        """Return the newest moment at or before `now` at which this is due, None before the first."""
        step = timedelta(hours=hours_of(self.every))
        return None if now < self.begin else self.begin + (now - self.begin) // step * step

    def request(self, dataset: str) -> Training | Optimisation:
        """Return what the queue is asked; ValueError if it does not know it."""
        asked: dict[str, Any] = {"dataset": dataset, "extend": True}
        asked |= self.model_dump(include={"config", "model", "timeframe", "walk_forward", "period", "seed"})
        if self.task == "retrain":
            return Training.model_validate(asked)
        return Optimisation.model_validate(asked | {"trials": self.trials, "inner_folds": self.inner_folds})


class Fleet(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schedule: dict[str, Entry] = {}


def read_fleet(home: Home) -> Fleet:
    """Return the fleet file; UserError names key, value and expectation."""
    path = Path(os.environ.get(VARIABLE) or home.configs / "fleet.yaml")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"cannot read the fleet file {path}: {' '.join(str(error).split())}") from error
    try:
        fleet = Fleet.model_validate(content)
        for entry in fleet.schedule.values():
            entry.request("0" * 64)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"])) or "file"
        if first["type"] == "extra_forbidden":
            known = Fleet.model_fields if len(first["loc"]) == 1 else Entry.model_fields
            near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0.0)[0]
            raise UserError(f"{path}: unknown key {key}; did you mean {near}?") from None
        raise UserError(f"{path}: {key} is {first['input']!r}: {first['msg']}") from None
    return fleet


class Scheduler:
    """Looks at the clock now and then and puts what is due into the queue; tests bring a clock of their own."""

    def __init__(
        self, home: Home, queue: Queue, entries: dict[str, Entry], now: Callable[[], float] = time.time
    ) -> None:
        self.home, self.queue, self.now = home, queue, now
        self.entries = {name: entry for name, entry in entries.items() if entry.enabled}
        self.path = queue.folder / STATE
        self.state: dict[str, dict[str, str]] = self._read()
        self.complaints: dict[str, str] = {}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._work, name="schedule", daemon=True)

    def begin(self) -> None:
        if self.entries:
            self.thread.start()

    def close(self) -> None:
        self.ended.set()
        if self.thread.is_alive():
            self.thread.join(timeout=5)

    def tick(self) -> list[Job]:
        """Put what is due into the queue; return the new jobs."""
        now = datetime.fromtimestamp(self.now(), UTC)
        return [job for name, entry in self.entries.items() if (job := self._take(name, entry, now)) is not None]

    def shown(self) -> list[dict[str, Any]]:
        """Return each entry with what became of its newest moment, and its next, for GET /schedule."""
        now = datetime.fromtimestamp(self.now(), UTC)
        found = []
        for name, entry in self.entries.items():
            due = entry.due(now)
            following = entry.begin if due is None else due + timedelta(hours=hours_of(entry.every))
            told: dict[str, Any] = {
                "name": name,
                "task": entry.task,
                "every": entry.every,
                "next": following.isoformat(),
            }
            found.append(told | {"last": self.state.get(name), "complaint": self.complaints.get(name)})
        return found

    def _take(self, name: str, entry: Entry, now: datetime) -> Job | None:
        due = entry.due(now)
        before = self.state.get(name)
        step = timedelta(hours=hours_of(entry.every))
        if before is not None and datetime.fromisoformat(before["due"]) > now + step:
            before = None  # a clock that was far ahead wrote it: nothing would be due until then
        if due is None or (before is not None and datetime.fromisoformat(before["due"]) >= due):
            return None
        if before is None:  # first seen: what was due before it was wanted is not made up
            self._keep(name, {"due": due.isoformat(), "outcome": "new: waits for its next moment"})
            return None
        try:
            fingerprint = self._fingerprint(entry.dataset)
            if fingerprint == before.get("dataset"):
                self._keep(name, before | {"due": due.isoformat(), "outcome": "skipped: the candles are the same"})
                return None
            job = self.queue.add(entry.request(fingerprint))
        except Refused as refusal:
            if self.complaints.get(name) != refusal.reason:
                logger.warning("%s, due %s, must wait: %s", name, due.isoformat(), refusal.reason)
            self.complaints[name] = refusal.reason
            return None
        self.complaints.pop(name, None)
        self._keep(name, {"due": due.isoformat(), "outcome": "queued", "job": job.id, "dataset": fingerprint})
        return job

    def _fingerprint(self, dataset: str) -> str:
        for fingerprint, folder in datasets(self.home).items():
            if folder.name == dataset:
                return fingerprint
        raise Refused(404, "no_dataset", f"user_data/data has no folder {dataset!r} with candles")

    def _keep(self, name: str, what: dict[str, str]) -> None:
        self.state[name] = what
        logger.info("%s, due %s: %s", name, what["due"], what["outcome"])
        try:
            write_json(self.path, self.state)
        except OSError as error:
            logger.error("%s cannot be written (%s): a restart would not know what was done", self.path, error)

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            found = json.loads(self.path.read_text())
            for each in found.values():
                if datetime.fromisoformat(each["due"]).tzinfo is None:
                    raise ValueError(f"due {each['due']} has no zone")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            logger.error("%s cannot be read (%s): every entry waits for its next moment", self.path, error)
            return {}
        return found

    def _work(self) -> None:
        while not self.ended.is_set():
            try:
                self.tick()
            except Exception:
                logger.exception("looking at the schedule failed; it is looked at again")
            self.ended.wait(LOOK_S)
