"""Speed of the features against TA-Lib with pandas (peers.py). From: 61,344 candles of 15m. To: a table on stdout.

    python kernels/benchmarks/features.py            # a seeded random walk
    CANDLEWRIGHT_MARKET_DATA=DIR python kernels/benchmarks/features.py     # the last 61,344 real candles of BTC/USDT

Both sides run on one core, in turns within one process; the best of the rounds counts for each.
"""

import math
import os
import sys
import time
from pathlib import Path

import numpy as np

from tradekernels.features import BASE_40, CATALOG, feature_set
from tradekernels.features.engine import WIDE

try:
    import pandas as pd
    from peers import as_a_strategy, tuned_by_hand, with_pandas
except ImportError as missing:
    sys.exit(f"the benchmark compares with TA-Lib and pandas: {missing}")

ROWS = 61_344  # 639 days of 15m candles
ROUNDS = 15


def random_walk():
    """Return seeded candles and their description."""
    random = np.random.default_rng(7)
    close = 30_000 * np.exp(np.cumsum(random.normal(0, 0.003, ROWS)))
    open_ = np.concatenate([[30_000], close[:-1]])
    high = np.maximum(open_, close) * np.exp(np.abs(random.normal(0, 0.001, ROWS)))
    low = np.minimum(open_, close) * np.exp(-np.abs(random.normal(0, 0.001, ROWS)))
    date = 1_600_000_200_000 + 900_000 * np.arange(ROWS)
    columns = {"open": open_, "high": high, "low": low, "close": close, "volume": random.lognormal(4, 1, ROWS)}
    return pd.DataFrame({"date": pd.to_datetime(date, unit="ms", utc=True)} | columns), "seeded random walk"


def read_candles():
    """Return a Freqtrade frame and its description."""
    folder = os.environ.get("CANDLEWRIGHT_MARKET_DATA")
    if not folder:
        return random_walk()
    found = sorted(Path(folder).rglob("BTC_USDT-15m.feather"))
    if not found:
        sys.exit(f"CANDLEWRIGHT_MARKET_DATA is {folder}, expected a folder with BTC_USDT-15m.feather")
    return pd.read_feather(found[0]).tail(ROWS).reset_index(drop=True), "BTC/USDT"


def interleaved(*calls, rounds=ROUNDS):
    """Return the best time of each call, in seconds, run in turns so that both see the same machine."""
    best = [math.inf] * len(calls)
    for _ in range(rounds):
        for k, call in enumerate(calls):
            start = time.perf_counter()
            call()
            best[k] = min(best[k], time.perf_counter() - start)
    return best


def latency(features, frame):
    """Return the median time of one `update`, in seconds, called from Python."""
    names = ("open", "high", "low", "close", "volume")
    date = frame["date"].to_numpy(dtype="datetime64[ms]").astype(np.int64).tolist()
    bars = list(zip(date, *(frame[name].tolist() for name in names), strict=True))[:5000]
    stream, times = features.stream(), []
    for bar in bars:
        start = time.perf_counter()
        stream.update(bar)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def main():
    """Check that all sides compute the same, then measure."""
    frame, what = read_candles()
    base, everything = feature_set(BASE_40), feature_set(CATALOG)
    rows, warm = len(frame), 4 * base.warmup
    peers = {
        "TA-Lib + pandas, as a Freqtrade strategy": as_a_strategy,
        "TA-Lib + pandas, tuned by hand": tuned_by_hand,
        "pandas alone": with_pandas,
    }
    for name, peer in peers.items():
        worst = np.nanmax(np.abs(base.compute(frame)[warm:] - peer(frame)[warm:]), axis=0)
        print(f"largest difference to {name}: {worst.max():.1e} ({BASE_40[int(worst.argmax())]})")
    *times, whole = interleaved(
        lambda: base.compute(frame),
        lambda: as_a_strategy(frame),
        lambda: tuned_by_hand(frame),
        lambda: everything.compute(frame),
    )
    times += interleaved(lambda: with_pandas(frame), rounds=2)
    print(f"\n{rows:,} candles of 15m, {what}, one core, best of {ROUNDS}, wide vectors: {WIDE}\n")
    print("| 40 features | ms | ns per bar and feature | tradekernels is faster |\n| --- | ---: | ---: | ---: |")
    for name, seconds in zip(("tradekernels", *peers), times, strict=True):
        print(f"| {name} | {seconds * 1e3:.1f} | {seconds / rows / 40 * 1e9:.1f} | {seconds / times[0]:.1f}x |")
    count = len(CATALOG)
    print(f"\nall {count} features: {whole * 1e3:.1f} ms, {whole / rows / count * 1e9:.1f} ns per bar and feature")
    for name, features in (("40", base), (f"all {count}", everything)):
        print(f"one live bar of {name} features, called from Python: {latency(features, frame) * 1e6:.1f} µs")


if __name__ == "__main__":
    main()
