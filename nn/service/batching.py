"""Requests that come while another one is being scored are scored together, in one run of the network.

From: `versions`, one call per live request and thread. To: a backend, one call for all that wait.

Nobody waits for company: a request alone runs at once. Those that arrive meanwhile line up, and when the run ends the
first of them takes all that wait along. So the size of a batch follows the load by itself, without a timer; that a
window's answer does not depend on what else is in its batch is the promise of `backends.batches`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .backends.batches import BATCH, Backend


@dataclass(eq=False)
class Job:
    rows: NDArray[np.float32]  # (T, C)
    ends: NDArray[np.int64]
    woken: threading.Event = field(default_factory=threading.Event)
    leads: bool = False  # woken to run for all that wait, not because its answer is there
    answer: NDArray[np.float32] | None = None
    error: BaseException | None = None


class Grouped:
    """A backend that many threads ask at once; longer work goes straight through."""

    def __init__(self, backend: Backend) -> None:
        self.backend, self.name = backend, backend.name
        self._lock = threading.Lock()
        self._waiting: list[Job] = []
        self._running = False

    def forecast(self, rows: NDArray[np.float32], ends: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return (len(ends), n_columns) of the windows of scaled rows (T, C) that end at these rows, inclusive."""
        if len(ends) > BATCH:
            return self.backend.forecast(rows, ends)
        job = Job(rows, ends)
        with self._lock:
            self._waiting.append(job)
            if not self._running:
                self._running = job.leads = True
        if not job.leads:
            job.woken.wait()
        if job.leads:
            self._lead()
        if job.error is not None:
            raise RuntimeError("scoring in a group failed") from job.error
        assert job.answer is not None
        return job.answer

    def _lead(self) -> None:
        """Run for all that wait now, then hand over to the first who came meanwhile."""
        with self._lock:
            jobs, self._waiting = self._waiting, []
        try:
            self._run(jobs)
        except BaseException as error:
            for job in jobs:
                job.error = error
        finally:
            for job in jobs:
                job.leads = False
                job.woken.set()
            with self._lock:
                self._running = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].leads = True
                    self._waiting[0].woken.set()

    def _run(self, jobs: list[Job]) -> None:
        heights = np.cumsum([0, *(len(job.rows) for job in jobs)])
        rows = jobs[0].rows if len(jobs) == 1 else np.concatenate([job.rows for job in jobs])
        ends = np.concatenate([job.ends + height for job, height in zip(jobs, heights, strict=False)])
        answers = self.backend.forecast(rows, ends)
        start = 0
        for job in jobs:
            job.answer = answers[start : start + len(job.ends)]
            start += len(job.ends)
