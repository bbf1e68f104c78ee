"""Times, differences and Markdown tables. From: callables and columns. To: the benchmark's scripts and stdout."""

import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

ALLOWED = 1e-6  # of a feature's root mean square; what lies beyond is named


@contextmanager
def one_core():
    """Hold this process, and what it starts, on one core where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def interleaved(*calls: Callable[[], Any], rounds: int) -> list[float]:
    """Return the best time of each call, in seconds, run in turns so that all see the same machine."""
    # Freed once, a block of 31 MB lets glibc keep smaller ones: columns then come without page faults, as in a process
    # that has worked for a while. TA-Lib's calls gain 40% from it, and the figures no longer depend on what ran before.
    np.ones(3_900_000)
    best = [math.inf] * len(calls)
    for _ in range(rounds):
        for k, call in enumerate(calls):
            start = time.perf_counter()
            call()
            best[k] = min(best[k], time.perf_counter() - start)
    return best


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a Markdown table; the columns after the first are aligned right."""
    print(f"\n| {' | '.join(head)} |\n| --- |{' ---: |' * (len(head) - 1)}")
    for row in rows:
        print(f"| {' | '.join(str(cell) for cell in row)} |", flush=True)


HEAD = ("ms", "ns per bar and feature", "tradekernels is faster")


def compared(rows: int, times: Mapping[str, tuple[float, int]]) -> list[tuple[str, ...]]:
    """Return table rows of (seconds, features), the first being ours; no ratio where a peer computes other features."""
    (ours, ours_count), *_ = times.values()
    return [
        (
            name,
            f"{seconds * 1e3:,.1f}",
            f"{seconds / rows / count * 1e9:,.1f}",
            "" if k == 0 else f"{seconds / ours:,.1f}x" if count == ours_count else f"(it computes {count})",
        )
        for k, (name, (seconds, count)) in enumerate(times.items())
    ]


def duel(title: str, market: Any, features: Any, name: str, peer: Callable[[], Any], rounds: int) -> float:
    """Print how far a peer's columns are from ours, and both times; return the ratio, NaN where the peer does more."""
    frame, columns = market.frame, peer()
    values = features.compute(frame, market.references, dtype=np.float64)
    table(("peer", "largest difference", "beyond 1e-6"), [agreement(name, features, values, columns)])
    ours, theirs = interleaved(lambda: features.compute(frame, market.references), peer, rounds=rounds)
    of_peer = len(getattr(columns, "columns", columns))  # a frame's columns, or a dict's
    count = len(features.names)
    times = {"tradekernels": (ours, count), name: (theirs, of_peer)}
    table((f"{title}, {count} features", *HEAD), compared(len(frame), times))
    return theirs / ours if count == of_peer else math.nan


def agreement(peer: str, features: Any, values: np.ndarray, columns: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return a table row: the largest difference between our columns and a peer's, in a feature's root mean square.

    Compared are the bars after twice the warm-up, when the peers' own seeds have died out. NaN on one side alone counts
    as beyond: a strategy's 0/0 on a bar without a range, say.
    """
    first, worst, beyond = 2 * features.warmup, (0.0, "none"), []
    for k, name in enumerate(features.names):
        ours, theirs = values[first:, k], np.asarray(columns[name], dtype=np.float64)[first:]
        unknown = np.isnan(ours) & np.isnan(theirs)
        with np.errstate(invalid="ignore"):
            difference = np.where(unknown, 0.0, np.abs(ours - theirs))
        if unknown.all() or np.isnan(ours).all():
            continue
        size = float(np.sqrt(np.nanmean(ours**2)))
        size = size if size > 1e-30 else 1.0
        bars = int((~(difference <= ALLOWED * size)).sum())
        if bars:
            beyond.append(f"{name} in {bars}")
        worst = max(worst, (float(np.nanmax(difference)) / size, name))
    return peer, f"{worst[0]:.1e} ({worst[1]})", ", ".join(beyond) or "none"
