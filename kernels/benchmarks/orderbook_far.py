"""Time a book whose levels lie far apart: every case costs about a constant a row, whatever the distances (LOB-6).

    python kernels/benchmarks/orderbook_far.py [--rows 400000] [--rounds 3]

From: seeded rows. To: a Markdown table, with the nanoseconds of a row at the full length and at a quarter of it. Levels
that outgrow the caches may cost three times as much; work that is not in proportion to the rows, a thousandfold.
"""

import argparse

import numpy as np
from measure import interleaved, one_core, table

from tradekernels.orderbook._book import BookState
from tradekernels.orderbook.records import ROW, Kind

MOST_TICKS = 2**31 - 2
BOTH = np.array([1, -1])  # of a bid and an ask: which way the market lies


def rows(kind: np.ndarray | int, tick: np.ndarray, lots: np.ndarray | int) -> np.ndarray:
    """Return ROW records."""
    out = np.empty(len(tick), ROW)
    out["kind"], out["tick"], out["lots"] = kind, np.clip(tick, 1, MOST_TICKS), lots
    return out


def near(random: np.random.Generator, n: int) -> np.ndarray:
    """Return changes within 500 ticks of a market that stands still: what a window is for."""
    kind = random.integers(0, 2, n)
    return rows(kind, 10**6 - BOTH[kind] * random.integers(1, 500, n), random.integers(0, 3, n))


def everywhere(random: np.random.Generator, n: int) -> np.ndarray:
    """Return changes at any price, one in ten near the market."""
    kind = random.integers(0, 2, n)
    distance = np.where(random.random(n) < 0.1, random.integers(1, 50, n), random.integers(1, 9 * 10**8, n))
    return rows(kind, 10**9 - BOTH[kind] * distance, random.integers(0, 3, n))


def wandering(random: np.random.Generator, n: int) -> np.ndarray:
    """Return a dense book around a market that swings by a million ticks."""
    kind = random.integers(0, 2, n)
    middle = 2 * 10**6 + np.round(10**6 * np.sin(np.arange(n) / n * 20)).astype(np.int64)
    return rows(kind, middle - BOTH[kind] * random.integers(1, 1500, n), random.integers(0, 3, n))


def jumping(random: np.random.Generator, n: int) -> np.ndarray:
    """Return a market that jumps between a million and ten million ticks every thousand rows."""
    kind = random.integers(0, 2, n)
    middle = np.where((np.arange(n) // 1000) % 2, 10**6, 10**7)
    return rows(kind, middle - BOTH[kind] * random.integers(1, 3000, n), random.integers(0, 3, n))


def sparse(random: np.random.Generator, n: int) -> np.ndarray:
    """Return levels 100,000 ticks apart, each set and removed in turn."""
    tick = np.repeat(10**5 * random.integers(1, 2000, n // 2), 2)
    return rows(Kind.SET_BID, tick, (np.arange(len(tick)) + 1) % 2)


def flipping(random: np.random.Generator, n: int) -> np.ndarray:
    """Return 5,000 bids at a million ticks, and a best that comes and goes at a hundred million."""
    n_low = min(5000, n // 2)
    low, turn = 10**6 + random.permutation(n_low), np.arange(n - n_low)
    high = 10**8 + 7 * (turn // 2 % 5000)
    return rows(Kind.SET_BID, np.concatenate([low, high]), np.concatenate([np.ones(n_low, int), (turn + 1) % 2]))


def dropped(random: np.random.Generator, n: int) -> np.ndarray:
    """Return bids 5,000 ticks apart in any order, all dropped by the last row."""
    out = rows(Kind.SET_BID, 5000 * (1 + random.permutation(n)), 1)
    out[-1] = (0, 1, Kind.DROP_BID)
    return out


CASES = (near, everywhere, wandering, jumping, sparse, flipping, dropped)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    sizes = (options.rows // 4, options.rows)
    lines = []
    with one_core():
        for case in CASES:
            feeds = [case(np.random.default_rng(0), n) for n in sizes]
            times = interleaved(*(lambda feed=feed: BookState().apply(feed) for feed in feeds), rounds=options.rounds)
            cost = [f"{seconds / len(feed) * 1e9:.1f}" for seconds, feed in zip(times, feeds, strict=True)]
            lines.append((case.__name__, *cost, case.__doc__.split("Return ")[1].rstrip(".").replace("\n    ", " ")))
    table(("case", *(f"ns a row of {n:,}" for n in sizes), "what"), lines)


if __name__ == "__main__":
    main()
