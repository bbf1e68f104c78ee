"""The order-book kernels' speed and memory in one table, and peers beside them, all in one run on one core.

    python kernels/benchmarks/orderbook.py [CAPTURE] [--instrument BTCUSDT 0.1 0.001] [--rounds 9] [--peers]

From: a capture, or the first under l2/ of CANDLEWRIGHT_MARKET_DATA; seeded messages, candles. To: Markdown tables.
Each row is measured by the functions of a benchmark of its own (orderbook_replay, orderbook_matching, orderbook_flow,
environment), which say more; `--peers` installs hftbacktest and gym-trading-env into virtual environments aside.
"""

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import environment
import orderbook_flow
import orderbook_matching
import orderbook_replay
from measure import interleaved, one_core, table

from tradekernels.environment import BookFlow, Costs, Settings, TradingEnvironment
from tradekernels.execution import Latency
from tradekernels.orderbook import Instrument, read_capture
from tradekernels.orderbook.calibrate import measured
from tradekernels.orderbook.facts import feed_rows, observe
from tradekernels.orderbook.matching import MatchingEngine, Tape

MILLION = 1_000_000
COPIES = 256
QUEUES = tuple(orderbook_replay.QUEUES)


def replay(capture: Path, instrument: Instrument, rounds: int, peers: bool) -> list[tuple[object, ...]]:
    """Return rows of parsing, replay and market making; behind the peer ours run again, and the better counts."""
    _, ours = orderbook_replay.ours(str(capture), instrument, rounds)
    theirs = orderbook_replay.peer(str(capture), instrument, max(2, rounds // 3)) if peers else {}
    if theirs:
        again = orderbook_replay.ours(str(capture), instrument, rounds)[1]
        better = {name: min if "time" in name or "bytes" in name else max for name in ours}
        ours = {name: better[name](ours[name], again[name]) for name in ours}
    rows = [
        row("L2 replay, two books, to the end", ours, theirs, "two books to the end", 60),
        *(row(f"market maker inside, {name}", ours, theirs, name, 20) for name in ours if name.endswith(QUEUES)),
        row("raw gz capture to events", ours, theirs, "raw capture to events (arrival)", 5),
        row("the same, venue discipline", ours, theirs, "raw capture to events (venue)", 5),
    ]  # fmt: skip
    sets = {name: ours[name] for name in ours if "16 sets" in name}
    rows.append(("16 parameter sets in one pass", f"{max(sets.values()):.1f}", "time of one", "< 4", "", ""))
    rows.append(("memory of the feed", f"{ours['bytes a row']:.1f}", "bytes a row", "<= 24", "", ""))
    return rows


def row(what: str, ours: dict[str, float], theirs: dict[str, float], name: str, goal: int) -> tuple[object, ...]:
    """Return one line of events a second, the peer's figure and the ratio where it has one."""
    value, peer = ours[name] / MILLION, theirs.get(name, 0.0) / MILLION
    beside = (f"hftbacktest {peer:.2f}", f"{value / peer:.1f}x") if peer else ("", "")
    return what, f"{value:.1f}", "M events/s", f">= {goal}", *beside


def matching(rounds: int) -> list[tuple[object, ...]]:
    """Return rows of the matching engine, tape and events on."""
    out = []
    for name, live, width, goal in (("small book", 100, 5, 40), ("100,000 live orders", 100_000, 500, 20)):
        messages = orderbook_matching.steady_messages(2 * MILLION, live, width)
        engine, tape = MatchingEngine(capacity=1 << 17 if live > 1000 else 1 << 14), Tape(4 * MILLION)

        def call(engine=engine, tape=tape, messages=messages):
            engine.clear()
            tape.clear()
            engine.process(messages, tape)

        rate = len(messages) / interleaved(call, rounds=rounds)[0] / MILLION
        out.append((f"matching with tape, {name}", f"{rate:.1f}", "M messages/s", f">= {goal}", "", ""))
    return out


def flow(capture: Path, instrument: Instrument, rounds: int) -> tuple[object, ...]:
    """Return the row of the flow generator, with what the capture shows directly (the gates have their own script)."""
    rows = feed_rows(read_capture(capture, instrument))
    parameters = measured(rows, observe(rows))
    rate = max(orderbook_flow.simulated(parameters, 1 + k, 300.0)[1] for k in range(rounds)) / MILLION
    return "order flow over the engine, rows included", f"{rate:.1f}", "M events/s", "", "", ""


def environments(one, rounds: int) -> list[tuple[object, ...]]:
    """Return rows of both fidelities, an order in every copy at every step."""
    late = Latency(base_ms=one.bar_ms, jitter_ms=0.0, spike_probability=0.0, timeout_ms=one.bar_ms)
    book = Settings(book=BookFlow(), costs=Costs(latency=late), episode_length=2000)
    kinds = {
        "environment, candle fidelity": (Settings(episode_length=2000), 5),
        "environment, book fidelity, 10 flow events a step": (book, 2),
    }
    actions = next(iter(environment.policies(COPIES).values()))
    walks = [environment.walk(TradingEnvironment(one, COPIES, s), actions) for s, _ in kinds.values()]
    times = interleaved(*walks, rounds=rounds)
    rates = [actions.size / took / MILLION for took in times]
    return [
        (f"{name}, N = {COPIES}", f"{rate:.1f}", "M steps/s", f">= {goal}", "", "")
        for (name, (_, goal)), rate in zip(kinds.items(), rates, strict=True)
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", nargs="?", type=Path)
    parser.add_argument("--instrument", nargs=3, default=["BTCUSDT", "0.1", "0.001"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peers", action="store_true", help="compare with public peers, installed aside")
    options = parser.parse_args()
    folder, instrument = os.environ.get("CANDLEWRIGHT_MARKET_DATA"), Instrument(*options.instrument)
    found = [options.capture] if options.capture else sorted(Path(folder).glob("l2/*.gz")) if folder else []
    if not found:
        sys.exit("no capture named, and CANDLEWRIGHT_MARKET_DATA has none under l2/")
    loads = [f"{load:.1f}" for load in os.getloadavg()] if hasattr(os, "getloadavg") else ["unknown"]
    print(f"{os.cpu_count()} cores, load before the run {' '.join(loads)}; best of {options.rounds} rounds on one core")
    with one_core():
        rows = replay(found[0], instrument, options.rounds, options.peers)
        rows += matching(options.rounds)
        rows.append(flow(found[0], instrument, 3))
        one = environment.make_market()
        rows += environments(one, 2 * options.rounds)
        table(("what", "tradekernels", "unit", "goal", "peer", "ratio"), rows)
        if options.peers:
            environment.peer(one, COPIES)
            if find_spec("lightmatchingengine"):
                orderbook_matching.peers(3)


if __name__ == "__main__":
    main()
