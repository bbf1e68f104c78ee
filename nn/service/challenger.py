"""The challenger answers the same live requests in shadow, after the answer has gone out (SRV-10).

From: `app` and `policy.endpoints`, by way of a bounded queue that drops rather than waits. To: `shadow_store` and the
metrics; never a client. One thread works while no live request is in progress, and pauses between batches.

A policy answers in the champion's place: to its observation, with the account that it led. One that reads another
observation cannot, since the rows were made with statistics that are not its own; that is counted.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.timeframe import timeframe_ms
from ..models.build import POLICY_COLUMNS
from .metrics import Metrics
from .policy.action import Actions
from .policy.question import ActionParameters, Observations
from .reply import classes_of
from .scoring import NONE, Forecasts, score
from .shadow_store import Answers, ShadowStore
from .versions import Line
from .wire import Question

logger = logging.getLogger(__name__)

MAX_ROWS = 200_000  # candles that may wait, some 10 MB
BUSY_S = 10.0  # a job that finds no pause for so long is dropped
PAUSE_S = 0.005
REMEMBERED = 4096  # candles that need no second answer, when many bots ask about the same one
AGREEMENT_OVER = 500  # newest candles
WEIGHT = POLICY_COLUMNS.index("target_weight")
Name = tuple[str, int, str, str]  # pair, opening of the candle in ms, champion, challenger


class Job(NamedTuple):
    """One question to the challenger of a line."""

    line: Line
    n_rows: int
    answer: Callable[[], None]


class Busy(Exception):
    """Live requests left no pause."""


class Challenger:
    def __init__(self, store: ShadowStore, metrics: Metrics, idle: Callable[[], bool], queue_length: int) -> None:
        self.store, self.metrics, self.idle = store, metrics, idle
        self.jobs: queue.Queue[Job | None] = queue.Queue(queue_length)
        self.rows = 0  # that wait
        self.answered: OrderedDict[Name, None] = OrderedDict()
        self.agreed: dict[str, deque[bool]] = {}
        self.thread: threading.Thread | None = None
        self.lock = threading.Lock()
        self.store_fails = False

    def offer(self, asked: Question, lines: tuple[Line, ...], found: tuple[Forecasts, ...]) -> None:
        """Take a live request that has been answered; returns at once, whatever happens."""
        n_rows = sum(map(len, asked.blocks))
        for line, forecasts in zip(lines, found, strict=True):
            if waits(line) and forecasts.scored.any():
                self._put(Job(line, n_rows, partial(self._score, asked, line, forecasts)))

    def offer_action(self, asked: Observations, line: Line, found: Actions) -> None:
        """Take the first row of an action that has been answered: all are of one candle, and bots ask one."""
        if not waits(line) or asked.parameters.close_time is None or found.reason_codes[0] != NONE:
            return
        assert line.challenger is not None
        assert line.champion is not None
        if line.challenger.feature_digest != line.champion.feature_digest:
            self.metrics.shadow_dropped.labels("layout").inc()
            return
        first, said = asked.rows[:1].copy(), found.columns[0].copy()  # what waits holds no request of many rows
        self._put(Job(line, 1, partial(self._act, asked.parameters, first, line, said)))

    def _put(self, job: Job) -> None:
        with self.lock:
            if self.rows + job.n_rows > MAX_ROWS:
                self.metrics.shadow_dropped.labels("full").inc()
                return
            try:
                self.jobs.put_nowait(job)
            except queue.Full:
                self.metrics.shadow_dropped.labels("full").inc()
                return
            self.rows += job.n_rows
            if self.thread is None:
                self.thread = threading.Thread(target=self._work, name="challenger", daemon=True)
                self.thread.start()

    def close(self) -> None:
        """End the thread; what still waits is given up."""
        thread, self.thread = self.thread, None
        if thread is None:
            return
        while not self.jobs.empty():
            try:
                self.jobs.get_nowait()
            except queue.Empty:
                break
        self.jobs.put(None)
        thread.join(timeout=5)

    def _work(self) -> None:
        while (job := self.jobs.get()) is not None:
            with self.lock:
                self.rows -= job.n_rows
            try:
                job.answer()
            except Busy:
                self.metrics.shadow_dropped.labels("busy").inc()
            except (sqlite3.Error, OSError) as error:
                self.metrics.shadow_dropped.labels("store").inc()
                if not self.store_fails:
                    logger.error("shadow answers cannot be kept in %s: %s", self.store.path, error)
                self.store_fails = True
            except Exception:
                self.metrics.shadow_dropped.labels("failed").inc()
                logger.exception("the challenger of %s failed on a request", job.line.name)

    def _pause(self) -> Callable[[], None]:
        """Return what the work calls between batches: it waits while live requests are in progress, for a while."""
        end = time.monotonic() + BUSY_S

        def wait() -> None:
            while not self.idle():
                if time.monotonic() > end:
                    raise Busy
                time.sleep(PAUSE_S)

        return wait

    def _score(self, asked: Question, line: Line, champion: Forecasts) -> None:
        assert line.challenger is not None
        names = [
            (asked.blocks[block].pair, int(opened), champion.versions[by], line.challenger.version)
            for block, opened, by in zip(champion.block, champion.open_ms, champion.version, strict=True)
        ]
        fresh = champion.scored & np.array([name not in self.answered for name in names])
        if not fresh.any():
            return
        found = score((line.challenger,), asked.candles, asked.timeframe, line.columns, True, self._pause())
        both = np.flatnonzero(fresh & found.scored)
        if not len(both):
            return
        same = classes_of(champion, line.kind)[both].argmax(1) == classes_of(found, line.kind)[both].argmax(1)
        rows = ((names[row], champion.values[row], found.values[row]) for row in both)
        self._keep(line.kind, asked.timeframe, rows, same)

    def _act(
        self, parameters: ActionParameters, rows: NDArray[np.float32], line: Line, said: NDArray[np.float32]
    ) -> None:
        assert line.challenger is not None
        assert line.champion is not None
        close_ms = parameters.close_time
        assert close_ms is not None
        opened = close_ms - timeframe_ms(parameters.timeframe)
        name = (parameters.pair, opened, line.champion.version, line.challenger.version)
        if name in self.answered or line.challenger.valid_from_ms > close_ms:
            return
        self._pause()()
        with np.errstate(all="ignore"):  # weights are finite, but their products may be beyond float32
            found = line.challenger.policy.columns(rows)[0][0]
        if not np.isfinite(found).all():
            return
        apart = abs(float(found[WEIGHT]) - float(said[WEIGHT]))
        same = np.array([apart <= line.champion.manifest.environment.dead_band])
        self._keep(line.kind, parameters.timeframe, [(name, said, found)], same)

    def _keep(
        self,
        kind: str,
        timeframe: str,
        rows: Iterable[tuple[Name, NDArray[np.float32], NDArray[np.float32]]],
        same: NDArray[np.bool_],
    ) -> None:
        """Store what champion and challenger said, and measure on how many candles they agree."""
        kept = list(rows)
        self.store.add(Answers(kind, timeframe, *name, said, other) for name, said, other in kept)
        self.store_fails = False
        for name, _, _ in kept:
            self.answered[name] = None
        while len(self.answered) > REMEMBERED:
            self.answered.popitem(last=False)
        recent = self.agreed.setdefault(kind, deque(maxlen=AGREEMENT_OVER))
        recent.extend(same.tolist())
        self.metrics.shadow_scored.labels(kind).inc(len(kept))
        self.metrics.shadow_disagreements.labels(kind).inc(int((~same).sum()))
        self.metrics.shadow_agreement.labels(kind).set(sum(recent) / len(recent))


def waits(line: Line) -> bool:
    """Tell whether a line has a challenger besides its champion."""
    return line.challenger is not None and line.champion is not None and line.challenger is not line.champion
