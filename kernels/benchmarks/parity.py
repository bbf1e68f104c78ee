"""How far the features are from TA-Lib, `arch` and the slow twins. From: candles. To: a Markdown table on stdout.

    python kernels/benchmarks/parity.py
    CANDLEWRIGHT_MARKET_DATA=DIR python kernels/benchmarks/parity.py     # recorded candles, not a random walk

A difference is relative to the feature's root mean square and taken once every seed has died out, in float64.
"""

import sys
from pathlib import Path

import numpy as np
from arch import arch_model
from data import read_market
from measure import table
from peers.talib_set import talib_set

from tradekernels.features import CATALOG, feature_set

TESTS = Path(__file__).parents[1] / "tests"
ROWS, SETTLED = 8000, 4000
CANDLE = ("open", "high", "low", "close", "volume")


def relative(ours: np.ndarray, peer: np.ndarray) -> float:
    """Return the largest difference of the settled rows over the root mean square; NaN where the peer knows nothing."""
    ours, peer = ours[SETTLED:], np.asarray(peer, dtype=np.float64)[SETTLED:]
    known = np.isfinite(ours) & np.isfinite(peer)
    if not known.any():
        return float("nan")
    size = float(np.sqrt(np.mean(ours[known] ** 2)))
    return float(np.abs(ours[known] - peer[known]).max()) / (size or 1.0)


def twins(frame: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what the slow twins of the tests say of these candles."""
    sys.path.insert(0, str(TESTS))
    from twins import TWINS, Market

    with np.errstate(invalid="ignore", divide="ignore"):
        market = Market(frame, "15m", None, (), None)
        return {name: np.asarray(twin(market), dtype=np.float64) for name, twin in TWINS.items()}


def garch_of_arch(close: np.ndarray) -> np.ndarray:
    """Return the volatility forecast of `arch` with the default weights, variance targeted over the whole series."""
    returns = np.diff(np.log(close)) * 100
    fixed = arch_model(returns, mean="Zero", vol="GARCH", rescale=False).fix([0.02 * np.mean(returns**2), 0.05, 0.93])
    ahead = np.sqrt(0.02 * np.mean(returns**2) + 0.05 * returns**2 + 0.93 * fixed.conditional_volatility**2)
    return np.concatenate([[np.nan], ahead]) / 100


def main() -> None:
    """Compare, then print."""
    market = read_market()
    whole = market.frame.tail(ROWS).reset_index(drop=True)
    frame = {name: whole[name].to_numpy(dtype=np.float64) for name in CANDLE}
    frame["date"] = whole["date"].to_numpy(dtype="datetime64[ms]").astype(np.int64)
    alone = feature_set([name for name, feature in CATALOG.items() if not feature.needs])
    ours = dict(zip(alone.names, alone.compute(frame, dtype=np.float64).T, strict=True))
    by_talib, by_twin = talib_set(whole), twins(frame)
    omega = 0.02 * float(np.mean(np.diff(np.log(frame["close"])) ** 2))
    garch = feature_set(["garch_vol"], parameters={"garch_omega": omega}).compute(frame, dtype=np.float64)[:, 0]
    print(f"{ROWS:,} candles of 15m, {market.what}; the last {ROWS - SETTLED:,} are compared.")
    rows = [("garch_vol with fixed weights", "", "", f"{relative(garch, garch_of_arch(frame['close'])):.1e}")]
    for name, values in ours.items():
        talib = f"{relative(values, by_talib[name]):.1e}" if name in by_talib else ""
        rows.append((name, f"{relative(values, by_twin[name]):.1e}", talib, ""))
    table(("feature", "slow twin", "TA-Lib", "arch"), rows)


if __name__ == "__main__":
    main()
