"""Twins of the price and candles families: the shape of a bar and its place. From: `market.Market`. To: `TWINS`."""

import numpy as np

from .market import age, back, bottom, divide, top


def run_length(m):
    """Return the signed run of bodies of one sign, at most 100, over 10."""
    out, run = np.zeros(len(m.C)), 0
    for t, sign in enumerate(m.s):
        run = 0 if sign == 0 else run + sign if run * sign > 0 else sign
        out[t] = np.clip(run, -100, 100) / 10
    return out


def spring(m):
    return (m.L < back(bottom(m.L, 20), 1)) & (m.C > back(bottom(m.L, 20), 1))


def upthrust(m):
    return (m.H > back(top(m.H, 20), 1)) & (m.C < back(top(m.H, 20), 1))


TWINS = {
    "log_return": lambda m: m.r,
    "volume_ratio": lambda m: m.volume_ratio(),
    "range_pct": lambda m: (m.H - m.L) / m.C,
    "body_ratio": lambda m: divide(m.C - m.O, m.H - m.L),
    "close_location": lambda m: divide(2 * m.C - m.H - m.L, m.H - m.L),
    **{f"high_{n}_distance": lambda m, n=n: m.C / top(m.H, n) - 1 for n in (20, 96)},
    **{f"low_{n}_distance": lambda m, n=n: m.C / bottom(m.L, n) - 1 for n in (20, 96)},
    "since_high_96": lambda m: age(m.H, 96, np.argmax) / 96,
    "since_low_96": lambda m: age(m.L, 96, np.argmin) / 96,
    "spring": spring,
    "upthrust": upthrust,
    "upper_wick": lambda m: divide(m.H - np.maximum(m.O, m.C), m.H - m.L),
    "lower_wick": lambda m: divide(np.minimum(m.O, m.C) - m.L, m.H - m.L),
    "run_length": run_length,
    "drawdown_96": lambda m: 1 - m.C / top(m.C, 96),
}
