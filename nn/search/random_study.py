"""Random search over the same spaces where Optuna is not installed, in one SQLite table (SEA-1).

Bergstra and Bengio (2012), Random Search for Hyper-Parameter Optimization. Trial number n is drawn from (seed, n), so
the trials are the same whoever runs them and in whatever order. None is given up early. From: `study.open_study`. To:
`trials`.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from .study import (
    COMPLETE,
    FAILED,
    GRACE_HEARTBEATS,
    RUNNING,
    WAITING,
    Answer,
    Asked,
    Objective,
    StudyOptions,
    StudyProblem,
    Trial,
    same_facts,
)

LOCK_TIMEOUT_S = 60
TABLES = """
CREATE TABLE IF NOT EXISTS studies (study TEXT PRIMARY KEY, facts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS random_trials (
  study TEXT NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL, worker TEXT NOT NULL, heartbeat REAL NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 1, answer TEXT, error TEXT NOT NULL DEFAULT '', PRIMARY KEY (study, number));
"""


class RandomStudy:
    """See `study.Study`."""

    def __init__(self, options: StudyOptions) -> None:
        self.options = options
        if not options.storage.startswith("sqlite:///"):
            raise StudyProblem(
                "--storage without Optuna is sqlite:///FILE: the built-in random search knows no other database"
            )
        self._path = Path(options.storage.removeprefix("sqlite:///"))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._writing() as connection:
            for statement in filter(str.strip, TABLES.split(";")):
                connection.execute(statement)
            row = connection.execute("SELECT facts FROM studies WHERE study = ?", (options.name,)).fetchone()
            same_facts(json.loads(row[0]) if row else {}, options)
            connection.execute("INSERT OR IGNORE INTO studies VALUES (?, ?)", (options.name, json.dumps(options.facts)))

    def run(self, objective: Objective, n_trials: int, worker: str) -> int:
        with self._writing() as connection:
            (done,) = connection.execute(
                "SELECT count(*) FROM random_trials WHERE study = ? AND worker = ? AND state IN (?, ?)",
                (self.options.name, worker, COMPLETE, FAILED),
            ).fetchone()
        for _ in range(max(0, n_trials - done)):
            self._try(self._claim(worker), objective)
        return max(0, n_trials - done)

    def trials(self) -> list[Trial]:
        with self._writing() as connection:
            rows = connection.execute(
                "SELECT number, state, answer, error FROM random_trials WHERE study = ? ORDER BY number",
                (self.options.name,),
            ).fetchall()
        return [self._trial(*row) for row in rows]

    def _trial(self, number: int, state: str, text: str | None, error: str) -> Trial:
        answer = Answer(**json.loads(text)) if text else Answer(float("nan"))
        return Trial(
            number, state, self._parameters(number), self.options.seed + number, answer.value if text else None,
            tuple(answer.days), tuple(answer.returns), answer.trades, error,
        )  # fmt: skip

    def _parameters(self, number: int) -> dict:
        return json.loads(json.dumps(self.options.space.draw(self.options.seed, number)))

    def _claim(self, worker: str) -> int:
        """Return the number of a trial that is this worker's from now on: one left by the dead, else a new one."""
        name, now = self.options.name, time.time()
        silent = now - GRACE_HEARTBEATS * self.options.heartbeat_s
        with self._writing() as connection:
            connection.execute(
                "UPDATE random_trials SET state = CASE WHEN attempts < 2 THEN ? ELSE ? END, attempts = attempts + 1, "
                "error = CASE WHEN attempts < 2 THEN '' ELSE 'its worker died twice' END "
                "WHERE study = ? AND state = ? AND heartbeat < ?",
                (WAITING, FAILED, name, RUNNING, silent),
            )
            waiting, next_one = connection.execute(
                "SELECT min(CASE WHEN state = ? THEN number END), coalesce(max(number) + 1, 0) FROM random_trials "
                "WHERE study = ?",
                (WAITING, name),
            ).fetchone()
            number = next_one if waiting is None else waiting
            connection.execute(
                "INSERT INTO random_trials (study, number, state, worker, heartbeat) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET state = excluded.state, worker = excluded.worker, "
                "heartbeat = excluded.heartbeat",
                (name, number, RUNNING, worker, now),
            )
        return number

    def _try(self, number: int, objective: Objective) -> None:
        over = threading.Event()
        beat = threading.Thread(target=self._beat, args=(number, over), daemon=True)
        beat.start()
        try:
            answer = objective(Asked(number, self._parameters(number), self.options.seed + number, _ignore))
            self._set(number, state=COMPLETE, answer=json.dumps(vars(answer)))
        except Exception as error:
            self._set(number, state=FAILED, error=f"{type(error).__name__}: {error}")
        finally:
            over.set()
            beat.join()

    def _beat(self, number: int, over: threading.Event) -> None:
        while not over.wait(self.options.heartbeat_s):
            self._set(number, heartbeat=time.time())

    def _set(self, number: int, **values: str | float) -> None:
        columns = ", ".join(f"{name} = ?" for name in values)  # our own names, never a user's
        with self._writing() as connection:
            connection.execute(
                f"UPDATE random_trials SET {columns} WHERE study = ? AND number = ?",  # noqa: S608
                (*values.values(), self.options.name, number),
            )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Open the database for one transaction that nobody else writes into."""
        with closing(sqlite3.connect(self._path, timeout=LOCK_TIMEOUT_S, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")


def _ignore(step: int, value: float) -> None:
    """No trial of a random search is given up early."""
