"""Speed of the features against pandas, TA-Lib, numba and polars. From: 61,344 candles of 15m. To: Markdown on stdout.

    python kernels/benchmarks/features.py             # seeded candles
    python kernels/benchmarks/features.py --peers     # installs numba and polars aside once, and compares with them too
    python kernels/benchmarks/features.py --long      # also 10^4 to 10^7 bars
    CANDLEWRIGHT_MARKET_DATA=DIR python kernels/benchmarks/features.py     # recorded candles of BTC/USDT

All sides run on one core, in turns within one process; the best of the rounds counts for each. Every peer is first
compared value by value.
"""

import argparse
import math
import platform
import sys
from pathlib import Path

import numpy as np

from tradekernels.features import BASE_40, CATALOG, feature_set
from tradekernels.features.engine import WIDE

try:
    import pandas as pd
    import talib
    from peers.forty import as_a_strategy, pandas_alone, tuned_by_hand
    from peers.pandas_catalogue import with_pandas
    from peers.talib_set import talib_set
except ImportError as missing:
    sys.exit(f"the benchmark compares with TA-Lib and pandas, and they with SciPy's normal distribution: {missing}")

from data import Market, read_market
from live import live_rows, strategy_seconds
from measure import HEAD, agreement, compared, duel, interleaved, one_core, table
from observation import HEAD as OBSERVATION_HEAD
from observation import observation_rows
from peer_virtualenv import install, run_twins
from scaling import growth_rows, thread_rows

ROUNDS, SLOW_ROUNDS = 15, 3
TALIB_TARGET = 1.5


def catalogue(market: Market) -> None:
    """Print the whole catalogue against pandas."""

    def peer():
        return with_pandas(market.frame, market.references)

    duel("Whole catalogue", market, feature_set(CATALOG), f"pandas {pd.__version__}", peer, SLOW_ROUNDS)


def indicators(market: Market) -> None:
    """Print the indicators that TA-Lib has against its C functions on raw arrays."""
    features = feature_set([name for name in talib_set(market.frame) if name in CATALOG])
    name = f"TA-Lib {talib.__version__}, raw arrays"
    ratio = duel("TA-Lib's indicators", market, features, name, lambda: talib_set(market.frame), ROUNDS)
    if not math.isnan(ratio):
        print(f"\nTarget: at least {TALIB_TARGET}x, {'met' if ratio >= TALIB_TARGET else 'MISSED'}.")


def forty(market: Market) -> None:
    """Print the features of BASE_40 against three ways to write them."""
    frame, features = market.frame, feature_set(BASE_40)
    values = features.compute(frame, dtype=np.float64)
    peers = {
        "TA-Lib + pandas, as a Freqtrade strategy": as_a_strategy,
        "TA-Lib + pandas, tuned by hand": tuned_by_hand,
        "pandas alone": pandas_alone,
    }
    columns = {name: dict(zip(BASE_40, peer(frame).T, strict=True)) for name, peer in peers.items()}
    differences = [agreement(name, features, values, peer) for name, peer in columns.items()]
    table(("peer, float32", "largest difference", "beyond 1e-6"), differences)
    times = interleaved(
        lambda: features.compute(frame), lambda: as_a_strategy(frame), lambda: tuned_by_hand(frame), rounds=ROUNDS
    )
    times += interleaved(lambda: pandas_alone(frame), rounds=SLOW_ROUNDS)
    named = {name: (seconds, 40) for name, seconds in zip(("tradekernels", *peers), times, strict=True)}
    table(("40 features", *HEAD), compared(len(frame), named))


def live(market: Market) -> None:
    """Print what one bar costs live, and a strategy that reads every feature."""
    rows = [live_rows(feature_set(names), market.frame) for names in (BASE_40, CATALOG)]
    table(("one live bar, called from Python", "update, µs", "save, µs", "restore, µs", "state, KiB"), rows)
    seconds = strategy_seconds(market.frame)
    if seconds is not None:
        table(("Freqtrade", "ms"), [(f"populate_indicators with {len(CATALOG)} features", f"{seconds * 1e3:,.1f}")])
    table(OBSERVATION_HEAD, observation_rows())


def main() -> None:
    """Read the options, measure, print."""
    command = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    command.add_argument("--peers", action="store_true", help="install numba and polars aside, and compare with them")
    command.add_argument("--long", action="store_true", help="measure 10^4 to 10^7 bars too")
    options = command.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # strategies/, where this is the whole repository
    if options.peers:
        install()
    market = read_market()
    wide = "AVX-512 build" if WIDE else "plain build"
    print(f"{len(market.frame):,} candles of 15m, {market.what}")
    print(f"One core, best of {ROUNDS} rounds ({SLOW_ROUNDS} with pandas), {wide}, Python {platform.python_version()}.")
    with one_core():
        for part in (catalogue, indicators, forty, live):
            part(market)
        run_twins()
        if options.long:
            named = {"40": feature_set(BASE_40), f"all {len(CATALOG)}": feature_set(CATALOG)}
            unit = "ns per bar and feature"
            heads = (head for name in named for head in (f"{name}: {unit}", f"{name}: peak / output"))
            table(("bars", *heads), growth_rows(named))
    if rows := thread_rows(feature_set(CATALOG), market.frame, market.references):
        table((f"8 pairs, {len(CATALOG)} features, threads", "ms", "speed-up"), rows)


if __name__ == "__main__":
    main()
