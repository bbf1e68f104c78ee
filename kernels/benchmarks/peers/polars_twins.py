"""Features that polars has words for, as one lazy query on one thread. From: a polars frame. To: its columns."""

import math

import polars as pl

O, H, L, C, V = (pl.col(name) for name in ("open", "high", "low", "close", "volume"))  # noqa: E741


def ratio(a, b):
    return pl.when(b != 0).then(a / b).otherwise(0.0)


def ema(x, n):
    return x.ewm_mean(span=n, adjust=False)


def wilder(x, n):
    return x.ewm_mean(alpha=1 / n, adjust=False)


def rsi(n):
    gain, loss = wilder(C.diff().clip(lower_bound=0), n), wilder(-C.diff().clip(upper_bound=0), n)
    return ratio(gain, gain + loss)


def expressions():
    """Return the features by name; polars shares equal parts of them itself."""
    r, signed = (C / C.shift(1)).log(), (C - O).sign() * V
    true_range = pl.max_horizontal(H, C.shift(1)) - pl.min_horizontal(L, C.shift(1))
    mean, deviation = C.rolling_mean(20), C.rolling_std(20, ddof=0)
    top, bottom = H.rolling_max(20), L.rolling_min(20)
    stochastic = ratio(C - L.rolling_min(14), H.rolling_max(14) - L.rolling_min(14))
    volume = V.rolling_sum(20)
    return {
        "log_return": r,
        "volume_ratio": ratio(V, volume / 20),
        "range_pct": (H - L) / C,
        "body_ratio": ratio(C - O, H - L),
        **{f"sma_{n}_ratio": C / C.rolling_mean(n) - 1 for n in (20, 200)},
        **{f"ema_{n}_ratio": C / ema(C, n) - 1 for n in (20, 50)},
        "ema_20_50": ema(C, 20) / ema(C, 50) - 1,
        "macd": (ema(C, 12) - ema(C, 26)) / C,
        "rsi_14": rsi(14),
        "atr_14_pct": wilder(true_range, 14) / C,
        "bb_width": 4 * deviation / C,
        "bb_position": ratio(C - mean + 2 * deviation, 4 * deviation).clip(-1, 2),
        "stoch_k": stochastic,
        "stoch_d": stochastic.rolling_mean(3),
        "roc_5": C.pct_change(5),
        "roc_20": C.pct_change(20),
        "donchian_position": ratio(C - bottom, top - bottom),
        "donchian_width": (top - bottom) / C,
        "volume_z_20": ratio(V - volume / 20, V.rolling_std(20, ddof=0)),
        "flow_imbalance": ratio(signed.rolling_sum(20), volume),
        "close_location": ratio((C - L) - (H - C), H - L),
        "high_96_distance": C / H.rolling_max(96) - 1,
        "drawdown_96": 1 - C / C.rolling_max(96),
        "realised_vol_1d": (r**2).rolling_sum(96).sqrt(),
        "parkinson_24h": ((H / L).log() ** 2).rolling_mean(96).sqrt() / math.sqrt(4 * math.log(2)),
        "var95": -r.rolling_quantile(0.05, interpolation="linear", window_size=2880),
    }


def polars_twins(frame, names):
    """Return the named features of a polars frame of candles."""
    known = expressions()
    return frame.lazy().select(known[name].alias(name) for name in names).collect()
