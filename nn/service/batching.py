"""Live requests that wait are answered together: one block of candles, one run of each network.

From: `app`, one job per request. To: `scoring`, one call for all that wait, in the one thread that live requests have.

Nobody waits for company: a job alone runs at once. Those that arrive meanwhile line up, and are taken together when it
is done. So the size of a group follows the load by itself, without a timer; that a candle's answer does not depend on
what it is asked with is the promise of `scoring` and `backends.batches`. One thread is enough, since features have
threads of their own, and better than many, which would take the interpreter's lock from one another at each step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from .backends.batches import BATCH
from .scoring import Forecasts, Known, score
from .versions import Line, ServedVersion
from .wire import Question

Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False)
class Job(Generic[Answer]):
    """A checked request: what it asks of whom, and what becomes of the forecasts, one per line."""

    asked: Question
    lines: tuple[Line, ...]
    versions: tuple[tuple[ServedVersion, ...], ...]  # that may answer, of each line
    in_time: Callable[[], None]  # raises when the time is over
    finish: Callable[[tuple[Forecasts, ...]], Answer]


class Lane(Generic[Answer]):
    """The thread that live requests are answered in."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Job[Answer], Future[Answer]]] = deque()
        self._thread = ThreadPoolExecutor(1, "live")

    def ask(self, job: Job[Answer]) -> Future[Answer]:
        future: Future[Answer] = Future()
        self._waiting.append((job, future))
        self._thread.submit(self._run)  # finds nothing to do where an earlier run took the job along
        return future

    def _run(self) -> None:
        """Answer those that wait now, about as many as a run of the network has room for."""
        taken: list[tuple[Job[Answer], Future[Answer]]] = []
        places = BATCH
        while self._waiting and (not taken or len(self._waiting[0][0].asked.blocks) <= places):
            job, future = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                taken.append((job, future))
                places -= len(job.asked.blocks)
        groups: dict[object, list[tuple[Job[Answer], Future[Answer]]]] = {}
        for job, future in taken:
            groups.setdefault((job.asked.timeframe, job.lines, job.versions), []).append((job, future))
        for group in groups.values():
            settle(group)


def settle(group: Sequence[tuple[Job[Answer], Future[Answer]]]) -> None:
    """Answer a group; where that fails each job alone, so that what is wrong with one is the trouble of one."""
    try:
        answers = answer_together([job for job, _ in group])
    except BaseException as error:
        if len(group) == 1:
            group[0][1].set_exception(error)
            return
        for each in group:
            settle([each])
        return
    for (_, future), answer in zip(group, answers, strict=True):
        future.set_result(answer)


def answer_together(jobs: Sequence[Job[Answer]]) -> list[Answer]:
    """Return the answer of each job; all ask the same lines and versions, which share the features they read."""
    first = jobs[0]
    blocks = np.cumsum([0, *(len(job.asked.blocks) for job in jobs)])
    candles = [each for job in jobs for each in job.asked.candles]
    known: Known = {}

    def in_time() -> None:
        for job in jobs:
            job.in_time()

    found = [
        score(chosen, candles, first.asked.timeframe, line.columns, first.asked.live, in_time, known)
        for line, chosen in zip(first.lines, first.versions, strict=True)
    ]
    return [
        job.finish(tuple(of_blocks(each, int(blocks[k]), int(blocks[k + 1])) for each in found))
        for k, job in enumerate(jobs)
    ]


def of_blocks(found: Forecasts, start: int, stop: int) -> Forecasts:
    """Return the rows of some of the blocks, counted anew from 0."""
    rows = slice(*np.searchsorted(found.block, (start, stop)))
    return replace(
        found,
        block=found.block[rows] - np.int32(start),
        open_ms=found.open_ms[rows],
        values=found.values[rows],
        version=found.version[rows],
        reason_codes=found.reason_codes[rows],
    )
