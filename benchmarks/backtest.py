"""What models cost a repeated backtest: NNPredictor and PPOAgent with cached answers against TrendFollower.

From: `freqtrade backtesting` as a process, three pairs of 15m futures (CANDLEWRIGHT_MARKET_DATA, else synthetic), the
simulated exchange, and a stand-in service: it is asked for its model list only, the answers come from the cache.
To: a table of processor and wall times; the target is a ratio of processor times of at most 1.3, since wall times tell
what else the machine does. TrendFollower gets the start-up of PPOAgent's range.

    python benchmarks/backtest.py [--rows 61344] [--rounds 3]
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "strategies"))
from freqtrade_process import Freqtrade, exchange, write_candles
from stub_service import StubService, running

TARGET = 1.3
SELECTIVE = "of the stand-in's forecasts: trades cost time, so their counts should be alike (default %(default)s)"
STRATEGIES = ("NNPredictor", "PPOAgent", "TrendFollower")
STARTUP = pd.Timedelta("15min") * 2880


def open_book(freqtrade: Freqtrade, rows: int) -> str:
    """Point Freqtrade at candles and return the time range that has its warm-up before it."""
    market = os.environ.get("CANDLEWRIGHT_MARKET_DATA")
    if market:
        freqtrade.datadir = Path(market) / "binance"
        dates = pd.read_feather(freqtrade.datadir / "futures" / "BTC_USDT_USDT-15m-futures.feather", columns=["date"])
        first, last = dates["date"].iloc[-rows:].agg(["min", "max"])
    else:
        write_candles(freqtrade.datadir, "futures", "15m", rows, "2024-01-01")
        first = pd.Timestamp("2024-01-01", tz="UTC")
        last = first + rows * pd.Timedelta("15min")
    return f"{int((first + STARTUP).timestamp())}-{int(last.timestamp())}"


def processor_time() -> float:
    """Return the seconds, user and system, of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(rows: int, rounds: int, strength: float) -> dict[str, list[tuple[float, float, int]]]:
    """Return seconds of the processor, seconds on the wall and trades of each round, the strategies taking turns."""
    long_ago = [{"version": "v1", "valid_from": "2017-01-01T00:00:00Z", "trained_until": "2016-12-31T00:00:00Z"}]
    found: dict[str, list[tuple[float, float, int]]] = {name: [] for name in STRATEGIES}
    answers = {"strength": strength, "policy_strength": strength / 2}
    with (
        tempfile.TemporaryDirectory() as folder,
        exchange() as port,
        running(StubService(versions=long_ago, policy_versions=long_ago, **answers)) as service,
    ):
        freqtrade = Freqtrade(folder, port, "futures", service.url)
        timerange = open_book(freqtrade, rows)
        for turn in range(rounds + 1):  # the first fills the cache and does not count
            for name in STRATEGIES:
                started, used = time.perf_counter(), processor_time()
                result, _ = freqtrade.backtest(name, "--timeframe", "15m", "--timerange", timerange)
                if turn:
                    wall = time.perf_counter() - started
                    found[name].append((processor_time() - used, wall, len(result["trades"])))
        asked = sum(method == "POST" for method, *_ in service.requests)
        if asked != 6:
            raise RuntimeError(f"the service was asked {asked} times, expected once per pair and model: no cache")
    return found


def main() -> None:
    command = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    command.add_argument("--rows", type=int, default=61_344, help="candles per pair (default %(default)s)")
    command.add_argument("--rounds", type=int, default=3, help="the best of these counts (default %(default)s)")
    command.add_argument("--strength", type=float, default=0.2, help=SELECTIVE)
    options = command.parse_args()
    found = measure(options.rows, options.rounds, options.strength)
    best, wall = ({name: min(run[which] for run in runs) for name, runs in found.items()} for which in (0, 1))
    print(f"freqtrade backtesting, 3 pairs x {options.rows} candles of 15m, best of {options.rounds}")
    print(f"{'strategy':<16}{'CPU, s':>9}{'wall, s':>9}{'trades':>8}{'CPU ratio':>11}")
    for name, runs in found.items():
        ratio = best[name] / best["TrendFollower"]
        print(f"{name:<16}{best[name]:>9.2f}{wall[name]:>9.2f}{runs[0][2]:>8}{ratio:>11.2f}")
    ratio = max(seconds for name, seconds in best.items() if name != "TrendFollower") / best["TrendFollower"]
    print(f"target: at most {TARGET}: {'met' if ratio <= TARGET else 'MISSED'}")


if __name__ == "__main__":
    main()
