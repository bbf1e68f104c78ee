"""Speed of the features against TA-Lib with pandas. From: 61,344 candles of 15m. To: a table on stdout.

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

try:
    import pandas as pd
    import talib
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


def with_talib_and_pandas(frame):
    """Return BASE_40 as a strategy would write it: TA-Lib where it has the indicator, else pandas."""
    o, h, low, c, v = (frame[name] for name in ("open", "high", "low", "close", "volume"))
    height = h - low
    body_sign = np.sign(c - o)
    volume_sum = v.rolling(20).sum()
    volume_mean = talib.SMA(v, 20)
    ema_20, ema_50 = talib.EMA(c, 20), talib.EMA(c, 50)
    rsi_14 = talib.RSI(c, 14)
    atr_14, atr_10 = talib.ATR(h, low, c, 14), talib.ATR(h, low, c, 10)
    up, _, down = talib.BBANDS(c, 20, 2.0, 2.0)
    stoch_k = talib.STOCHF(h, low, c, 14, 3)[0] / 100
    top, bottom = talib.MAX(h, 20), talib.MIN(low, 20)
    closed = frame["date"] + pd.Timedelta(minutes=15)
    angle = (closed.dt.hour + closed.dt.minute / 60) * (2 * math.pi / 24)
    columns = {
        "log_return": np.log(c / c.shift(1)),
        "volume_ratio": v / volume_mean,
        "range_pct": height / c,
        "body_ratio": (c - o) / height,
        "sma_20_ratio": c / talib.SMA(c, 20) - 1,
        "ema_9_ratio": c / talib.EMA(c, 9) - 1,
        "ema_20_ratio": c / ema_20 - 1,
        "ema_50_ratio": c / ema_50 - 1,
        "ema_20_50": ema_20 / ema_50 - 1,
        "macd_hist": talib.MACD(c)[2] / c,
        "adx_14": talib.ADX(h, low, c, 14) / 100,
        "di_diff": (talib.PLUS_DI(h, low, c, 14) - talib.MINUS_DI(h, low, c, 14)) / 100,
        "aroon_diff": talib.AROONOSC(h, low, 25) / 100,
        "rsi_7": talib.RSI(c, 7) / 100,
        "rsi_14": rsi_14 / 100,
        "rsi_14_change": (rsi_14 - rsi_14.shift(5)) / 100,
        "stoch_k": stoch_k,
        "stoch_d": talib.SMA(stoch_k, 3),
        "roc_5": talib.ROC(c, 5) / 100,
        "roc_20": talib.ROC(c, 20) / 100,
        "williams_14": talib.WILLR(h, low, c, 14) / 100,
        "cci_20": talib.CCI(h, low, c, 20) / 100,
        "atr_14_pct": atr_14 / c,
        "atr_ratio": atr_14 / atr_14.rolling(50).mean(),
        "bb_width": (up - down) / c,
        "bb_position": ((c - down) / (up - down)).clip(-1, 2),
        "keltner_position": (c - ema_20) / (2 * atr_10),
        "donchian_position": (c - bottom) / (top - bottom),
        "donchian_width": (top - bottom) / c,
        "vwma_20_ratio": c / ((c * v).rolling(20).sum() / volume_sum) - 1,
        "mfi_14": talib.MFI(h, low, c, v, 14) / 100,
        "obv_change": talib.OBV(c, v).diff(20) / volume_sum,
        "cmf_20": (((c - low) - (h - c)) / height * v).rolling(20).sum() / volume_sum,
        "volume_z_20": (v - volume_mean) / v.rolling(20).std(ddof=0),
        "flow_imbalance": (body_sign * v).rolling(20).sum() / volume_sum,
        "close_location": (2 * c - h - low) / height,
        "upper_wick": (h - np.maximum(o, c)) / height,
        "lower_wick": (np.minimum(o, c) - low) / height,
        "hour_sin": np.sin(angle),
        "hour_cos": np.cos(angle),
    }
    return pd.DataFrame(columns)[list(BASE_40)].to_numpy(dtype=np.float32)


def with_pandas(frame):
    """Return BASE_40 with pandas alone, as notebooks write it (ewm for the recursive means; CCI and Aroon apply)."""
    o, h, low, c, v = (frame[name] for name in ("open", "high", "low", "close", "volume"))
    height, was = h - low, c.shift(1)

    def ema(x, n):
        return x.ewm(span=n, adjust=False).mean()

    def wilder(x, n):
        return x.ewm(alpha=1 / n, adjust=False).mean()

    def rsi(n):
        change = c.diff()
        gain, loss = wilder(change.clip(lower=0), n), wilder(-change.clip(upper=0), n)
        return gain / (gain + loss)

    true_range = np.maximum(h, was) - np.minimum(low, was)
    rise, fall = h.diff(), -low.diff()
    plus = wilder(rise.where((rise > fall) & (rise > 0), 0), 14) / wilder(true_range, 14)
    minus = wilder(fall.where((fall > rise) & (fall > 0), 0), 14) / wilder(true_range, 14)
    typical = (h + low + c) / 3
    ema_20, ema_50, middle, width = ema(c, 20), ema(c, 50), c.rolling(20).mean(), 2 * c.rolling(20).std(ddof=0)
    macd = ema(c, 12) - ema(c, 26)
    volume_sum, volume_mean = v.rolling(20).sum(), v.rolling(20).mean()
    top, bottom = h.rolling(20).max(), low.rolling(20).min()
    top_14, bottom_14 = h.rolling(14).max(), low.rolling(14).min()
    stoch_k = (c - bottom_14) / (top_14 - bottom_14)
    atr_14, money = wilder(true_range, 14), typical * v
    rising = money.where(typical.diff() > 0, 0).rolling(14).sum()
    falling = money.where(typical.diff() < 0, 0).rolling(14).sum()
    mean_deviation = typical.rolling(20).apply(lambda x: np.abs(x - x.mean()).mean(), raw=True)
    aroon = h.rolling(26).apply(np.argmax, raw=True) - low.rolling(26).apply(np.argmin, raw=True)
    closed = frame["date"] + pd.Timedelta(minutes=15)
    angle = (closed.dt.hour + closed.dt.minute / 60) * (2 * math.pi / 24)
    columns = [
        np.log(c / was), v / volume_mean, height / c, (c - o) / height,
        c / middle - 1, c / ema(c, 9) - 1, c / ema_20 - 1, c / ema_50 - 1, ema_20 / ema_50 - 1,
        (macd - ema(macd, 9)) / c, wilder((plus - minus).abs() / (plus + minus), 14), plus - minus, aroon / 25,
        rsi(7), rsi(14), rsi(14).diff(5), stoch_k, stoch_k.rolling(3).mean(), c.pct_change(5), c.pct_change(20),
        (c - top_14) / (top_14 - bottom_14), (typical - typical.rolling(20).mean()) / (1.5 * mean_deviation),
        atr_14 / c, atr_14 / atr_14.rolling(50).mean(), 2 * width / c,
        ((c - middle + width) / (2 * width)).clip(-1, 2), (c - ema_20) / (2 * wilder(true_range, 10)),
        (c - bottom) / (top - bottom), (top - bottom) / c, c / ((c * v).rolling(20).sum() / volume_sum) - 1,
        rising / (rising + falling), (np.sign(c.diff()) * v).rolling(20).sum() / volume_sum,
        ((2 * c - h - low) / height * v).rolling(20).sum() / volume_sum,
        (v - volume_mean) / v.rolling(20).std(ddof=0), (np.sign(c - o) * v).rolling(20).sum() / volume_sum,
        (2 * c - h - low) / height, (h - np.maximum(o, c)) / height, (np.minimum(o, c) - low) / height,
        np.sin(angle), np.cos(angle),
    ]  # fmt: skip
    return np.column_stack(columns).astype(np.float32)


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
    """Check that both sides compute the same, then measure."""
    frame, what = read_candles()
    base, everything = feature_set(BASE_40), feature_set(CATALOG)
    rows, warm = len(frame), 4 * base.warmup
    for name, peer in (("TA-Lib + pandas", with_talib_and_pandas), ("pandas", with_pandas)):
        apart = np.abs(base.compute(frame)[warm:] - peer(frame)[warm:])
        worst = np.nanmax(apart, axis=0)
        print(f"largest difference to {name}: {worst.max():.1e} ({BASE_40[int(worst.argmax())]})")
    own, peer, whole = interleaved(
        lambda: base.compute(frame), lambda: with_talib_and_pandas(frame), lambda: everything.compute(frame)
    )
    (pandas_alone,) = interleaved(lambda: with_pandas(frame), rounds=2)
    print(f"\n{rows:,} candles of 15m, {what}, one core, best of {ROUNDS}\n")
    print("| | ms | ns per bar and feature | against tradekernels |\n| --- | ---: | ---: | ---: |")
    for label, seconds, count in (
        ("tradekernels, 40 features", own, 40),
        ("TA-Lib + pandas, the same 40", peer, 40),
        ("pandas alone, the same 40", pandas_alone, 40),
        (f"tradekernels, all {len(CATALOG)} features", whole, len(CATALOG)),
    ):
        against = f"{seconds / own:.1f}x" if count == 40 and seconds is not own else ""
        print(f"| {label} | {seconds * 1e3:.1f} | {seconds / rows / count * 1e9:.1f} | {against} |")
    print("\n| one live bar, from Python | µs |\n| --- | ---: |")
    print(f"| 40 features | {latency(base, frame) * 1e6:.1f} |")
    print(f"| all {len(CATALOG)} features | {latency(everything, frame) * 1e6:.1f} |")


if __name__ == "__main__":
    main()
