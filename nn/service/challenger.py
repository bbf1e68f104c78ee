"""The challenger answers the same live requests in shadow, after the answer has gone out (SRV-10).

From: `app`, by way of a bounded queue that drops rather than waits. To: `shadow_store` and the metrics; never a client.
One thread works while no live request is in progress, and pauses between batches when one comes.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

import numpy as np

from .metrics import Metrics
from .reply import classes_of
from .scoring import Forecasts, score
from .shadow_store import Answers, ShadowStore
from .versions import Line
from .wire import Question

logger = logging.getLogger(__name__)

MAX_ROWS = 200_000  # candles that may wait, some 10 MB
BUSY_S = 10.0  # a job that finds no pause for so long is dropped
PAUSE_S = 0.005
REMEMBERED = 4096  # candles that need no second answer, when many bots ask about the same one
AGREEMENT_OVER = 500  # newest candles
Job = tuple[Question, Line, Forecasts]


class Busy(Exception):
    """Live requests left no pause."""


class Challenger:
    def __init__(self, store: ShadowStore, metrics: Metrics, idle: Callable[[], bool], queue_length: int) -> None:
        self.store, self.metrics, self.idle = store, metrics, idle
        self.jobs: queue.Queue[Job | None] = queue.Queue(queue_length)
        self.rows = 0  # that wait
        self.answered: OrderedDict[tuple[str, int, str, str], None] = OrderedDict()
        self.agreed: dict[str, deque[bool]] = {}
        self.thread: threading.Thread | None = None
        self.lock = threading.Lock()
        self.store_fails = False

    def offer(self, asked: Question, lines: tuple[Line, ...], found: tuple[Forecasts, ...]) -> None:
        """Take a live request that has been answered; returns at once, whatever happens."""
        n_rows = sum(map(len, asked.blocks))
        for line, forecasts in zip(lines, found, strict=True):
            if line.challenger is None or line.challenger is line.champion or not forecasts.scored.any():
                continue
            with self.lock:
                if self.rows + n_rows > MAX_ROWS:
                    self.metrics.shadow_dropped.labels("full").inc()
                    continue
                try:
                    self.jobs.put_nowait((asked, line, forecasts))
                except queue.Full:
                    self.metrics.shadow_dropped.labels("full").inc()
                    continue
                self.rows += n_rows
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
                self.rows -= sum(map(len, job[0].blocks))
            try:
                self._answer(*job)
            except Busy:
                self.metrics.shadow_dropped.labels("busy").inc()
            except (sqlite3.Error, OSError) as error:
                self.metrics.shadow_dropped.labels("store").inc()
                if not self.store_fails:
                    logger.error("shadow answers cannot be kept in %s: %s", self.store.path, error)
                self.store_fails = True
            except Exception:
                self.metrics.shadow_dropped.labels("failed").inc()
                logger.exception("the challenger of %s failed on a request", job[1].name)

    def _answer(self, asked: Question, line: Line, champion: Forecasts) -> None:
        assert line.challenger is not None
        kind, timeframe = line.kind, asked.timeframe
        names = [
            (asked.blocks[block].pair, int(opened), champion.versions[by], line.challenger.version)
            for block, opened, by in zip(champion.block, champion.open_ms, champion.version, strict=True)
        ]
        fresh = champion.scored & np.array([name not in self.answered for name in names])
        if not fresh.any():
            return
        end = time.monotonic() + BUSY_S

        def wait() -> None:
            while not self.idle():
                if time.monotonic() > end:
                    raise Busy
                time.sleep(PAUSE_S)

        found = score((line.challenger,), asked.candles, asked.timeframe, line.columns, True, wait)
        both = np.flatnonzero(fresh & found.scored)
        if not len(both):
            return
        self.store.add(
            Answers(kind, timeframe, *names[row], champion.values[row], found.values[row])  # pair, open, who said it
            for row in both
        )
        self.store_fails = False
        for row in both:
            self.answered[names[row]] = None
        while len(self.answered) > REMEMBERED:
            self.answered.popitem(last=False)
        same = classes_of(champion, kind)[both].argmax(1) == classes_of(found, kind)[both].argmax(1)
        recent = self.agreed.setdefault(kind, deque(maxlen=AGREEMENT_OVER))
        recent.extend(same.tolist())
        self.metrics.shadow_scored.labels(kind).inc(len(both))
        self.metrics.shadow_disagreements.labels(kind).inc(int((~same).sum()))
        self.metrics.shadow_agreement.labels(kind).set(sum(recent) / len(recent))
