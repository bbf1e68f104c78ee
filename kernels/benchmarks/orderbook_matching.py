"""Speed of the matching engine and of the candle expansion, and a long agreement with the slow twin.

    python kernels/benchmarks/orderbook_matching.py            # speed, and two million messages against the deque book
    python kernels/benchmarks/orderbook_matching.py --fuzz 20  # twenty million: some minutes
    python kernels/benchmarks/orderbook_matching.py --peers    # beside the fastest matching engine of PyPI

From: seeded messages; candles of CANDLEWRIGHT_MARKET_DATA where there are some. To: Markdown tables on stdout.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "orderbook"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "execution"))

from measure import interleaved, one_core, table

from tradekernels.execution.expansion import Candles, expand
from tradekernels.orderbook.matching import MESSAGE, Kind, MatchingEngine, Tape, digest

MILLION = 1_000_000


def steady_messages(n: int, live: int, width: float, seed: int = 1) -> np.ndarray:
    """Return adds and cancels that keep about `live` orders at geometric distances, and a market order in twenty."""
    random = np.random.default_rng(seed)
    rows = np.zeros(n, MESSAGE)
    side = random.choice([-1, 1], n)
    rows["time"], rows["side"], rows["lots"] = np.arange(n), side, random.integers(1, 20, n)
    rows["tick"] = 100_000 - side * (1 + np.minimum(random.geometric(1 / width, n), 4000))
    rows["id"] = np.arange(1, n + 1)
    kind, ids, choice, which = rows["kind"], rows["id"], random.random(n), random.random(n)
    alive: list[int] = []
    for i in range(n):
        if len(alive) < live or choice[i] < 0.5:
            if choice[i] < 0.05 and len(alive) >= live:
                kind[i] = Kind.MARKET
                continue
            alive.append(i + 1)
        else:
            k = int(which[i] * len(alive))
            alive[k], alive[-1] = alive[-1], alive[k]
            kind[i], ids[i] = Kind.CANCEL, alive.pop()
    return rows


def matching(rounds: int) -> None:
    """Print messages a second with tape and events on."""
    rows = []
    for name, live, width, goal in (
        ("small book, 100 live orders", 100, 5, 40),
        ("100,000 live orders", 100_000, 500, 20),
    ):
        messages, tape = steady_messages(2 * MILLION, live, width), Tape(4 * MILLION)
        engine = MatchingEngine(capacity=1 << 17 if live > 1000 else 1 << 14)

        def call(engine=engine, tape=tape, messages=messages):
            engine.clear()
            tape.clear()
            engine.process(messages, tape)

        seconds = interleaved(call, rounds=rounds)[0]
        assert engine.check() == 0
        rows.append(
            (name, f"{len(messages) / seconds / MILLION:.1f}", f">= {goal}", len(tape.trades), len(tape.events))
        )
    table(("matching with tape", "M messages/s", "goal", "trades", "events"), rows)


def scattered_messages(n: int) -> np.ndarray:
    """Return n orders at prices all over 2^30 ticks, and the cancellation of each, in another order."""
    random, rows = np.random.default_rng(1), np.zeros(2 * n, MESSAGE)
    rows["lots"], rows["side"] = 1, np.tile([1, -1], n)
    rows["tick"] = np.where(rows["side"] == 1, 0, 2**29) + random.integers(1, 2**29, 2 * n)
    rows["id"][:n], rows["id"][n:] = np.arange(n), random.permutation(n)
    rows["kind"][n:] = Kind.CANCEL
    return rows


def scattered(rounds: int) -> None:
    """Print what a message costs where no price is near another: it may not grow with their number (LOB-20)."""
    rows = []
    for n in (2_000, 20_000, 100_000):
        messages, engine, tape = scattered_messages(n), MatchingEngine(1 << 17, 64), Tape(4 * n)

        def call(engine=engine, tape=tape, messages=messages):
            tape.clear()
            engine.process(messages, tape)

        seconds = interleaved(call, rounds=rounds)[0]
        assert engine.counts()["live"] == engine.check() == 0
        rows.append((f"{n:,}", f"{seconds / len(messages) * 1e9:.0f}"))
    table(("levels far from each other", "ns a message"), rows)


def fuzz(millions: int) -> None:
    """Compare the digest with the deque book's over many messages of every kind, good and bad."""
    from deque_book import DequeBook, random_messages

    shapes = (
        {"n_ids": 60, "spread": 4},
        {"n_ids": 60, "middle": 50, "far": 0.2},
        {"n_ids": 300, "spread": 60, "drift": 8.0, "middle": 100_000},
        {"n_ids": 300, "spread": 12, "drift": 0.3, "bad": 0.0},
    )
    start, ours, trades, size = time.perf_counter(), 0.0, 0, MILLION // 4
    for k in range(4 * millions):
        messages = random_messages(size, seed=1000 + k, **shapes[k % 4])
        capacity, window = (10, 64, 400)[k % 3], (64, 1024, 16384)[k % 3]
        engine, tape, twin = MatchingEngine(capacity, window), Tape(), DequeBook(capacity)
        begin = time.perf_counter()
        engine.process(messages, tape)
        ours += time.perf_counter() - begin
        for row in messages.tolist():
            twin.submit(row)
        if digest(tape) != digest(twin) or engine.rows() != twin.rows() or engine.check():
            sys.exit(f"seed {1000 + k}: the tapes differ")
        trades += len(tape.trades)
    total = f"{time.perf_counter() - start:.0f} s"
    rate = f"{size * 4 * millions / ours / MILLION:.1f} M messages/s"
    table(
        ("fuzz against the deque book", "trades", "engine alone", "all"),
        [(f"{millions} M messages equal", trades, rate, total)],
    )


def expansion(rounds: int) -> None:
    """Print candles and prints a second; check every recorded candle where there are some."""
    random, n = np.random.default_rng(3), 60_000
    close = 50_000 + np.cumsum(random.integers(-20, 21, n))
    open_ = np.concatenate([[50_000], close[:-1]])
    high, low = (
        np.maximum(open_, close) + random.integers(0, 15, n),
        np.minimum(open_, close) - random.integers(0, 15, n),
    )
    minute = 60_000_000_000
    candles = Candles(minute * np.arange(n), open_, high, low, close, random.integers(1000, 100_000, n), minute)
    rows = []
    for mean in (10.0, 50.0, 200.0):
        seconds = interleaved(lambda mean=mean: expand(candles, 1, mean), rounds=rounds)[0]
        prints = len(expand(candles, 1, mean)[0])
        rows.append((f"{mean:.0f} prints a candle", f"{n / seconds / 1e3:,.0f}", f"{prints / seconds / MILLION:.1f}"))
    table(("candle expansion", "thousand candles/s", "M prints/s"), rows)
    folder = os.environ.get("CANDLEWRIGHT_MARKET_DATA")
    if folder:
        recorded(Path(folder))


def recorded(folder: Path) -> None:
    """Expand every recorded candle and put it together again."""
    import pandas as pd
    from test_expansion import MINUTE, MINUTES, decimals, put_together

    rows = []
    for path in sorted(folder.rglob("*.feather")):
        timeframe = path.stem.split("-")[1]
        if path.stem.endswith(("-mark", "-funding_rate")) or timeframe not in MINUTES:
            continue
        frame = pd.read_feather(path)
        tick = decimals(frame[["open", "high", "low", "close"]].to_numpy())
        candles = Candles.from_prices(frame, tick, decimals(frame["volume"].to_numpy()), MINUTES[timeframe] * MINUTE)
        prints, first = expand(candles, seed=11)
        put_together(candles, prints, first)
        rows.append((path.stem, len(candles), int((candles.volume == 0).sum()), len(prints)))
    table(("recorded candles, each exact", "candles", "without volume", "prints"), rows)


def peers(rounds: int) -> None:
    """Print messages a second beside the fastest engine of PyPI, which must give the same trades."""
    from orderbook_matching_peer import PACKAGE, OrderlyChaos, library

    path = library()
    if path is None:
        return
    rows = []
    for name, live, width in (("100 live orders", 100, 5), ("100,000 live orders", 100_000, 500)):
        messages, tape = steady_messages(2 * MILLION, live, width), Tape(4 * MILLION)
        engine, peer = MatchingEngine(capacity=1 << 17 if live > 1000 else 1 << 14), OrderlyChaos(path, 4 * MILLION)

        def ours(engine=engine, tape=tape, messages=messages):
            engine.clear()
            tape.clear()
            engine.process(messages, tape)

        def theirs(peer=peer, messages=messages):
            return peer(messages)

        ours()
        assert np.array_equal(theirs(), tape.trades), f"{name}: the trades differ"
        mine, others = interleaved(ours, theirs, rounds=rounds)
        rates = [f"{len(messages) / seconds / MILLION:.1f}" for seconds in (mine, others)]
        rows.append((name, *rates, f"{others / mine:.1f}x", len(tape.trades)))
    table(("M messages/s", "trades and events", f"{PACKAGE}, trades", "faster", "equal trades"), rows)


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fuzz", type=int, default=2, help="million messages against the deque book")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peers", action="store_true")
    arguments = parser.parse_args()
    with one_core():
        matching(arguments.rounds)
        scattered(arguments.rounds)
        expansion(arguments.rounds)
        if arguments.peers:
            peers(3)
        fuzz(arguments.fuzz)


if __name__ == "__main__":
    main()
