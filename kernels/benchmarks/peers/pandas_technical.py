"""Prices, averages, oscillators and channels with pandas. From: market.Market. To: pandas_catalogue.py."""

import math

import numpy as np
import pandas as pd

from peers.market import DAY, age_of_highest, age_of_lowest, ema, flag, mean, ratio, std, total, wilder


def basic(m):
    yield "log_return", m.r
    yield "volume_ratio", m.volume_ratio
    yield "range_pct", m.height / m.c
    yield "body_ratio", ratio(m.body, m.height)


def averages(m):
    for n in (5, 10, 20, 50, 100, 200):
        yield f"sma_{n}_ratio", m.c / m.sma(n) - 1
    for n in (9, 20, 50, 100, 200):
        yield f"ema_{n}_ratio", m.c / m.ema(n) - 1
    yield "ema_20_50", m.ema(20) / m.ema(50) - 1
    yield "sma_50_200", m.sma(50) / m.sma(200) - 1
    macd = m.ema(12) - m.ema(26)
    signal = ema(macd, 9)
    histogram = (macd - signal) / m.c
    yield "macd", macd / m.c
    yield "macd_signal", signal / m.c
    yield "macd_hist", histogram
    yield "macd_hist_change", histogram.diff()
    trix = ema(ema(ema(m.log_close, 15), 15), 15).diff()
    yield "trix_15", trix
    yield "trix_diff", trix - ema(trix, 9)
    yield "vwma_20_ratio", (m.c * ratio(m.volume_sum(20), total(m.c * m.v, 20)) - 1).where(m.volume_sum(20) != 0, 0.0)
    day = m.volume_sum(DAY)
    yield "vwap_24h_ratio", (m.c * ratio(day, total(m.quote_volume, DAY)) - 1).where(day != 0, 0.0)


def oscillators(m):
    for n in (7, 14, 21):
        yield f"rsi_{n}", m.rsi(n) / 100
    rsi = m.rsi(14)
    lowest = rsi.rolling(14).min()
    yield "rsi_14_change", rsi.diff(5) / 100
    yield "stoch_rsi", ratio(rsi - lowest, rsi.rolling(14).max() - lowest)
    smooth = mean(m.stochastic, 3)
    yield "stoch_k", m.stochastic
    yield "stoch_d", smooth
    yield "stoch_kd", m.stochastic - smooth
    yield "cci_20", m.cci / 100
    yield "williams_14", m.williams
    pressure = m.c - np.minimum(m.l, m.was)
    share = {n: ratio(total(pressure, n), total(m.true_range, n)) for n in (7, 14, 28)}
    yield "ultimate", (4 * share[7] + 2 * share[14] + share[28]) / 7
    for n in (5, 10, 20, 50):
        yield f"roc_{n}", m.c.pct_change(n)


def directions(m):
    rise, fall = m.h.diff(), -m.l.diff()
    plus = ratio(wilder(rise.where((rise > fall) & (rise > 0), 0.0).where(rise.notna()), 14), m.atr(14))
    minus = ratio(wilder(fall.where((fall > rise) & (fall > 0), 0.0).where(fall.notna()), 14), m.atr(14))
    yield "adx_14", wilder(ratio((plus - minus).abs(), plus + minus), 14)
    yield "plus_di", plus
    yield "minus_di", minus
    yield "di_diff", plus - minus
    up, down = (25 - age_of_highest(m.h, 26)) / 25, (25 - age_of_lowest(m.l, 26)) / 25
    yield "aroon_up", up
    yield "aroon_down", down
    yield "aroon_diff", up - down
    sar = pd.Series(parabolic_stop(m.h.tolist(), m.l.tolist()), index=m.c.index)
    yield "psar_distance", (m.c - sar) / m.c
    yield "psar_side", flag(m.c > sar, sar) * 2 - 1


def parabolic_stop(high, low, step=0.02, cap=0.2):
    """Return Wilder's (1978) stop and reverse, begun as TA-Lib begins: a recursion that pandas has no word for."""
    stops = [math.nan]
    rise, fall = high[1] - high[0], low[0] - low[1]
    side = -1 if fall > 0 and fall > rise else 1
    stop, extreme, speed = (low[0], high[1], step) if side > 0 else (high[0], low[1], step)
    for t in range(1, len(high)):
        was = max(t - 1, 1)
        if low[t] <= stop if side > 0 else high[t] >= stop:
            stop = max(extreme, high[was], high[t]) if side > 0 else min(extreme, low[was], low[t])
            stops.append(stop)
            side, speed = -side, step
            extreme = high[t] if side > 0 else low[t]
        else:
            stops.append(stop)
            if high[t] > extreme if side > 0 else low[t] < extreme:
                extreme = high[t] if side > 0 else low[t]
                speed = min(speed + step, cap)
        stop += speed * (extreme - stop)
        stop = min(stop, low[was], low[t]) if side > 0 else max(stop, high[was], high[t])
    return stops


def channels(m):
    up, low = m.bands
    yield "bb_width", (up - low) / m.c
    yield "bb_position", ratio(m.c - low, up - low).clip(-1, 2)
    yield "bb_break_up", flag(m.c > up, up)
    yield "bb_break_down", flag(m.c < low, low)
    for n in (7, 14, 28):
        yield f"atr_{n}_pct", m.atr(n) / m.c
    yield "atr_ratio", ratio(m.atr(14), mean(m.atr(14), 50))
    yield "keltner_position", ratio(m.c - m.ema(20), 2 * m.atr(10))
    yield "keltner_width", 4 * m.atr(10) / m.ema(20)
    top, bottom = m.top(20), m.bottom(20)
    yield "donchian_position", ratio(m.c - bottom, top - bottom)
    yield "donchian_width", (top - bottom) / m.c
    broke = (m.c > top.shift(1)).astype(float) - (m.c < bottom.shift(1))
    yield "donchian_break", broke.where(top.shift(1).notna())


def clouds(m):
    tenkan, kijun, slow = ((m.top(n) + m.bottom(n)) / 2 for n in (9, 26, 52))
    a, b = ((tenkan + kijun) / 2).shift(26), slow.shift(26)
    upper, lower = np.maximum(a, b), np.minimum(a, b)
    edge = upper.where(m.c > upper, lower.where(m.c < lower, m.c))
    yield "tenkan_distance", m.c / tenkan - 1
    yield "kijun_distance", m.c / kijun - 1
    yield "tenkan_kijun", tenkan / kijun - 1
    yield "cloud_distance", (m.c / edge - 1).where(upper.notna())
    yield "cloud_thickness", (a - b) / m.c


def volumes(m):
    money = m.typical * m.v
    change, rounding = m.typical.diff(), 1e-14 * m.typical
    rising = total(money.where(change > rounding, 0.0).where(change.notna()), 14)
    falling = total(money.where(change < -rounding, 0.0).where(change.notna()), 14)
    yield "mfi_14", ratio(rising, rising + falling)
    flow = ratio((m.c - m.l) - (m.h - m.c), m.height) * m.v
    line = flow.cumsum()
    yield "chaikin", ratio(ema(line, 3) - ema(line, 10), m.volume_sum(20) / 20)
    yield "obv_change", ratio(m.obv_20, m.volume_sum(20))
    yield "cmf_20", ratio(total(flow, 20), m.volume_sum(20))
    for n in (20, 96):
        yield f"volume_z_{n}", ratio(m.v - m.volume_sum(n) / n, std(m.v, n))


def pivots(m):
    """Levels of the previous UTC day that had bars."""
    day = m.frame["date"].dt.floor("D")
    days = m.frame.groupby(day).agg({"high": "max", "low": "min", "close": "last"}).shift(1)
    pivot = days.sum(axis=1, min_count=3) / 3
    levels = {"pivot": pivot, "r1": 2 * pivot - days["low"], "s1": 2 * pivot - days["high"]}
    for name, level in levels.items():
        at = day.map(level)
        distance = m.c / at - 1
        yield f"{name}_distance", distance.where(at > 0, 0.0).where(at.notna()) if name == "s1" else distance


PARTS = (basic, averages, oscillators, directions, channels, clouds, volumes, pivots)
