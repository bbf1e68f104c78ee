"""Runs many independent tasks, on this machine or on a Ray cluster, with the same results by either (SEA-4).

From: `nn.forecast` (walk-forward folds) and `nn.search.run` (trials), as plain dictionaries. To: `processes` or
`cluster`, which call the named function once for each. A task and its result travel as JSON: no closure, no pickle, and
nothing that a file on disk could not hold.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .call import Outcome

ATTEMPTS = 2  # a task that fails is tried once more, in a fresh process, then reported


class Backend(Protocol):
    """Where tasks run. `submit` never waits; `outcome` waits for whichever task ends first."""

    def submit(self, index: int, task: str) -> None: ...

    def outcome(self) -> tuple[int, Outcome]: ...

    def close(self) -> None:
        """End everything that was started, tasks that still run included."""


@dataclass(frozen=True)
class Done:
    """One task has ended well."""

    index: int  # of the task in the list
    task: dict[str, Any]
    result: dict[str, Any]
    n_done: int
    n_tasks: int
    elapsed_s: float

    @property
    def eta_s(self) -> float:
        """Seconds until all are done, if the rest goes as the first did."""
        return self.elapsed_s / self.n_done * (self.n_tasks - self.n_done)


@dataclass(frozen=True)
class Failure:
    """One task has failed as often as it may."""

    index: int
    task: dict[str, Any]
    error: str  # one sentence
    traceback: str  # of the last attempt; empty when the process died

    def __str__(self) -> str:
        return f"task {self.index + 1} failed {ATTEMPTS} times: {self.error}; its parameters: {json.dumps(self.task)}"


class TasksFailed(RuntimeError):
    """Some tasks failed for good; all others were finished first.

    Attributes
    ----------
    failures : list of Failure
    results : list of dict or None
        In the order of the tasks; None where one failed.
    """

    def __init__(self, failures: Sequence[Failure], results: Sequence[dict[str, Any] | None]) -> None:
        super().__init__("; ".join(str(failure) for failure in failures))
        self.failures, self.results = list(failures), list(results)


def say(done: Done) -> None:
    """Tell on stderr how far it is and how long it may take."""
    left = "" if done.n_done == done.n_tasks else f", about {round(done.eta_s)} s left"
    print(f"{done.n_done} of {done.n_tasks} tasks done after {round(done.elapsed_s)} s{left}", file=sys.stderr)


def run_tasks(
    function: str,
    tasks: Sequence[Mapping[str, Any]],
    workers: int = 1,
    address: str | None = None,
    on_done: Callable[[Done], None] = say,
) -> list[dict[str, Any]]:
    """Call a function once for each task and return the results in the order of the tasks.

    Each call runs in a process of its own kind with one thread for linear algebra, so that a result does not depend on
    how many run side by side or where. A task that raises, or whose process is killed, is tried once more. Ctrl-C ends
    the processes before it goes on.

    Parameters
    ----------
    function : str
        `package.module:name` of a function that takes one dictionary and returns one; both must survive JSON.
    tasks : sequence of dict
    workers : int
        Processes on this machine, at least 1. A cluster places tasks by its own processors instead.
    address : str, optional
        Of a Ray cluster: `host:port`, `auto`, or `local` for a Ray of its own that listens on 127.0.0.1.
    on_done : callable
        Called in this thread after each task that ended well; it may raise to stop the rest.

    Raises
    ------
    TasksFailed
        If a task failed twice, after all the others were finished.
    ClusterProblem
        If Ray is not installed or the cluster cannot be reached.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}, expected at least 1")
    texts = [json.dumps(task) for task in tasks]
    results: list[dict[str, Any] | None] = [None] * len(texts)
    failures: list[Failure] = []
    if not texts:
        return []
    backend = open_backend(function, min(workers, len(texts)), address)
    try:
        started, left, attempts = time.monotonic(), len(texts), [1] * len(texts)
        for index, text in enumerate(texts):
            backend.submit(index, text)
        while left:
            index, outcome = backend.outcome()
            if outcome.result is None and attempts[index] < ATTEMPTS:
                attempts[index] += 1
                print(f"task {index + 1} is tried again: {outcome.error}", file=sys.stderr)
                backend.submit(index, texts[index])
                continue
            left -= 1
            if outcome.result is None:
                failures.append(Failure(index, dict(tasks[index]), outcome.error, outcome.traceback))
                continue
            result = results[index] = json.loads(outcome.result)
            n_done = sum(each is not None for each in results)
            on_done(Done(index, dict(tasks[index]), result, n_done, len(texts), time.monotonic() - started))
    finally:
        backend.close()
    if failures:
        raise TasksFailed(sorted(failures, key=lambda failure: failure.index), results)
    return [result for result in results if result is not None]


def open_backend(function: str, workers: int, address: str | None) -> Backend:
    """Return the place where tasks run."""
    if address is None:
        from .processes import Processes

        return Processes(function, workers)
    from .cluster import Cluster

    return Cluster(function, address)
