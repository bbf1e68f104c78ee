"""More bars and more cores. From: seeded candles of 10^4 to 10^7 bars, or a frame. To: table rows of features.py."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from data import random_market

try:
    from resource import RUSAGE_SELF, getrusage
except ImportError:  # Windows counts memory in another way
    getrusage = None

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
MOST_OF_FREE = 0.6  # of the memory at hand; a larger output is left out
ROUNDS = {10_000: 50, 100_000: 10, 1_000_000: 5, 10_000_000: 5}  # fresh memory comes at uneven speed


def growth_rows(named: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return table rows (bars, ns per bar and feature of each set, extra memory at the peak over the output)."""
    rows = []
    for size in SIZES:
        market = random_market(size)
        cells = [f"{size:,}"]
        for features in named.values():
            output = 4 * size * len(features.names)
            if output > MOST_OF_FREE * free_bytes():
                cells += ["", ""]
                continue
            before, best = resident_bytes(), np.inf
            for _ in range(ROUNDS[size]):
                start = time.perf_counter()
                features.compute(market.frame, market.references)
                best = min(best, time.perf_counter() - start)
            extra = peak_bytes() - before
            cells.append(f"{best / size / len(features.names) * 1e9:.2f}")
            cells.append(f"{extra / output:.2f}" if size >= 1_000_000 and extra > 0 else "")
        rows.append(tuple(cells))
        print(f"{size:,} bars done", file=sys.stderr)
    return rows


def free_bytes() -> float:
    """Return the memory at hand, without bound where the system does not tell."""
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else np.inf


def resident_bytes() -> int:
    """Return this process's memory, and begin its peak anew where the system can."""
    pages = Path("/proc/self/statm")
    if not pages.exists():
        return peak_bytes()
    Path("/proc/self/clear_refs").write_text("5")
    return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_bytes() -> int:
    """Return the most memory this process has had, since `resident_bytes` where the system counts that."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return getrusage(RUSAGE_SELF).ru_maxrss if getrusage else 0


def thread_rows(features: Any, frame: Any, references: Any, pairs: int = 8) -> list[tuple[str, ...]]:
    """Return table rows (threads, ms, speed-up) of `compute_many`; none where tradekernels has no such function."""
    try:
        from tradekernels.features import compute_many
    except ImportError:
        return []
    frames = {f"pair {k}": frame for k in range(pairs)}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = sorted({1, *(2**k for k in range(1, cores.bit_length())), cores})
    best = dict.fromkeys(counts, np.inf)
    for _ in range(5):
        for threads in counts:
            start = time.perf_counter()
            compute_many(features, frames, references=references, threads=threads)
            best[threads] = min(best[threads], time.perf_counter() - start)
    return [(str(n), f"{best[n] * 1e3:,.1f}", f"{best[1] / best[n]:.2f}x") for n in counts]
