"""Twins of the trend family: means, lines, directions. From: `market.Market`. To: `TWINS`."""

import numpy as np

from .market import add, age, back, divide, ema, sma, wilder


def macd(m):
    return ema(m.C, 12) - ema(m.C, 26)


def signal(m):
    return ema(macd(m), 9)


def histogram(m):
    return (macd(m) - signal(m)) / m.C


def directional(m):
    """Return plus, minus and average directional index, Wilder (1978)."""
    up, down = m.H - back(m.H, 1), back(m.L, 1) - m.L
    rise = np.where((up > down) & (up > 0), up, 0.0)
    fall = np.where((down > up) & (down > 0), down, 0.0)
    rise[0] = fall[0] = np.nan
    plus, minus = wilder(rise, 14) / m.atr(14), wilder(fall, 14) / m.atr(14)
    return plus, minus, wilder(divide(np.abs(plus - minus), plus + minus), 14)


def cloud(m):
    """Return the two spans of the cloud as drawn 26 bars ago."""
    return back((m.middle(9) + m.middle(26)) / 2, 26), back(m.middle(52), 26)


def cloud_distance(m):
    over, under = np.maximum(*cloud(m)), np.minimum(*cloud(m))
    return np.where(m.C > over, m.C / over - 1, np.where(m.C < under, m.C / under - 1, 0))


def trix(m):
    triple = ema(ema(ema(np.log(m.C), 15), 15), 15)
    return triple - back(triple, 1)


def parabolic(m):
    """Return stop and side of Wilder's parabolic system (1978), begun as TA-Lib begins it."""
    stop, side = np.full(len(m.C), np.nan), np.full(len(m.C), np.nan)
    fall, rise = m.L[0] - m.L[1], m.H[1] - m.H[0]
    long = not (fall > 0 and fall > rise)
    sar, extreme = (m.L[0], m.H[1]) if long else (m.H[0], m.L[1])
    speed = 0.02
    for t in range(1, len(m.C)):
        low, high = m.L[max(t - 1, 1) : t + 1], m.H[max(t - 1, 1) : t + 1]  # this bar and the one before, if any counts
        if (long and m.L[t] <= sar) or (not long and m.H[t] >= sar):
            long, speed = not long, 0.02
            stop[t] = min(extreme, *low) if long else max(extreme, *high)
            extreme = m.H[t] if long else m.L[t]
            sar = stop[t]
        else:
            stop[t] = sar
            if (m.H[t] > extreme) if long else (m.L[t] < extreme):
                extreme = m.H[t] if long else m.L[t]
                speed = min(speed + 0.02, 0.2)
        sar += speed * (extreme - sar)
        sar = min(sar, *low) if long else max(sar, *high)
        side[t] = 1 if long else -1
    return stop, side


def previous_day(m):
    """Return high, low and last close of the newest earlier UTC day that had bars, a day being that of a bar's open."""
    day = m.date // 86_400_000
    rows = {d: np.flatnonzero(day == d) for d in np.unique(day)}
    order = sorted(rows)
    table = {d: (m.H[rows[d]].max(), m.L[rows[d]].min(), m.C[rows[d][-1]]) for d in order}
    before = dict(zip(order[1:], order, strict=False))
    unknown = (np.nan, np.nan, np.nan)
    return np.array([table[before[d]] if d in before else unknown for d in day.tolist()]).T


def pivot_distance(m, level):
    high, low, close = previous_day(m)
    pivot = (high + low + close) / 3
    price = {"pivot": pivot, "r1": 2 * pivot - low, "s1": 2 * pivot - high}[level]
    return np.where(price <= 0, 0.0, m.C / price - 1)


TWINS = {
    **{f"sma_{n}_ratio": lambda m, n=n: m.C / sma(m.C, n) - 1 for n in (5, 10, 20, 50, 100, 200)},
    **{f"ema_{n}_ratio": lambda m, n=n: m.C / ema(m.C, n) - 1 for n in (9, 20, 50, 100, 200)},
    "ema_20_50": lambda m: ema(m.C, 20) / ema(m.C, 50) - 1,
    "macd": lambda m: macd(m) / m.C,
    "macd_signal": lambda m: signal(m) / m.C,
    "macd_hist": histogram,
    "macd_hist_change": lambda m: histogram(m) - back(histogram(m), 1),
    "adx_14": lambda m: directional(m)[2],
    "plus_di": lambda m: directional(m)[0],
    "minus_di": lambda m: directional(m)[1],
    "di_diff": lambda m: directional(m)[0] - directional(m)[1],
    "psar_distance": lambda m: (m.C - parabolic(m)[0]) / m.C,
    "psar_side": lambda m: parabolic(m)[1],
    "tenkan_distance": lambda m: m.C / m.middle(9) - 1,
    "kijun_distance": lambda m: m.C / m.middle(26) - 1,
    "tenkan_kijun": lambda m: m.middle(9) / m.middle(26) - 1,
    "cloud_distance": cloud_distance,
    "cloud_thickness": lambda m: (cloud(m)[0] - cloud(m)[1]) / m.C,
    "aroon_up": lambda m: (25 - age(m.H, 26, np.argmax)) / 25,
    "aroon_down": lambda m: (25 - age(m.L, 26, np.argmin)) / 25,
    "aroon_diff": lambda m: (age(m.L, 26, np.argmin) - age(m.H, 26, np.argmax)) / 25,
    **{f"{level}_distance": lambda m, level=level: pivot_distance(m, level) for level in ("pivot", "r1", "s1")},
    "trix_15": trix,
    "trix_diff": lambda m: trix(m) - ema(trix(m), 9),
    "sma_50_200": lambda m: sma(m.C, 50) / sma(m.C, 200) - 1,
    "efficiency_ratio": lambda m: divide(np.abs(m.C - back(m.C, 20)), add(np.abs(m.C - m.was), 20)),
}
