"""Twins of the volatility family: bands, ranges, squared returns. From: `market.Market`. To: `TWINS`."""

import numpy as np

from .market import back, bottom, divide, ema, sma, smooth, std, top

LN_4_1 = 2 * np.log(2) - 1


def band_position(m):
    up, low = m.bands()
    return np.clip(divide(m.C - low, up - low), -1, 2)


def channel(m):
    return top(m.H, 20) - bottom(m.L, 20)


def donchian_break(m):
    return 1.0 * (m.C > back(top(m.H, 20), 1)) - (m.C < back(bottom(m.L, 20), 1))


def garman_klass(m, span):
    body, height = np.log(m.C / m.O), np.log(m.H / m.L)
    mean = m.over(span, np.mean, 0.5 * height**2 - LN_4_1 * body**2)
    return np.sqrt(np.maximum(mean, 0))


def rogers_satchell_terms(m):
    return np.log(m.H / m.C) * np.log(m.H / m.O) + np.log(m.L / m.C) * np.log(m.L / m.O)


TWINS = {
    "bb_width": lambda m: (m.bands()[0] - m.bands()[1]) / m.C,
    "bb_position": band_position,
    "bb_break_up": lambda m: m.C > m.bands()[0],
    "bb_break_down": lambda m: m.C < m.bands()[1],
    **{f"atr_{n}_pct": lambda m, n=n: m.atr(n) / m.C for n in (7, 14, 28)},
    "atr_ratio": lambda m: divide(m.atr(14), sma(m.atr(14), 50)),
    "keltner_position": lambda m: (m.C - ema(m.C, 20)) / (2 * m.atr(10)),
    "keltner_width": lambda m: 4 * m.atr(10) / ema(m.C, 20),
    "donchian_position": lambda m: divide(m.C - bottom(m.L, 20), channel(m)),
    "donchian_width": lambda m: channel(m) / m.C,
    "donchian_break": donchian_break,
    "realised_vol_1h": lambda m: m.realised_vol("1h"),
    "realised_vol_1d": lambda m: m.realised_vol("24h"),
    "realised_vol_year": lambda m: m.realised_vol("30d") * np.sqrt(365 / 30),
    "vol_of_vol": lambda m: std(m.realised_vol("1h"), 96),
    "garman_klass_24h": lambda m: garman_klass(m, "24h"),
    "rogers_satchell_24h": lambda m: np.sqrt(np.maximum(m.over("24h", np.mean, rogers_satchell_terms(m)), 0)),
    "ewma_vol": lambda m: np.sqrt(smooth(m.r**2, 16, 0.06)),
}
