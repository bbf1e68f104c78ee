"""What a stage costs: wall time, processor time and peak memory of every process it starts.

From: the children of this process, whoever started them. To: run.py. Memory is the sum of proportional set sizes: a
page that two processes share counts once. Sampled every 50 ms, so a shorter peak may be missed, on every side alike.
"""

from __future__ import annotations

import contextlib
import resource
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import psutil

INTERVAL_S = 0.05
MIB = 2**20


@dataclass
class Cost:
    """Of one stage; stages that follow each other are added, and the highest peak stands."""

    wall: float = 0.0  # seconds
    cpu: float = 0.0  # seconds, user and system, of processes that have ended
    peak: float = 0.0  # MiB

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall + other.wall, self.cpu + other.cpu, max(self.peak, other.peak))


@contextlib.contextmanager
def metered(ignore: Collection[int] = ()) -> Iterator[Cost]:
    """Measure what is started inside the block; end it there too, or its processor time is not counted.

    Parameters
    ----------
    ignore : collection of int
        Processes that serve every side alike, such as the simulated exchange.
    """
    cost, done = Cost(), threading.Event()
    watcher = threading.Thread(target=_watch, args=(cost, frozenset(ignore), done), daemon=True)
    cpu, began = _cpu(), time.perf_counter()
    watcher.start()
    try:
        yield cost
    finally:
        cost.wall, cost.cpu = time.perf_counter() - began, _cpu() - cpu
        done.set()
        watcher.join()


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _watch(cost: Cost, ignore: frozenset[int], done: threading.Event) -> None:
    me = psutil.Process()
    while not done.wait(INTERVAL_S):
        total = sum(_pss(child) for child in me.children(recursive=True) if child.pid not in ignore)
        cost.peak = max(cost.peak, total / MIB)


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:  # it ended meanwhile
        return 0
