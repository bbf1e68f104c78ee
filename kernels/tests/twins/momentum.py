"""Twins of the momentum family: oscillators and rates of change. From: `market.Market`. To: `TWINS`."""

import numpy as np

from .market import add, back, bottom, divide, rolling, sma, top


def stochastic(m):
    return divide(m.C - bottom(m.L, 14), top(m.H, 14) - bottom(m.L, 14))


def cci(m):
    deviation = rolling(m.tp, 20, lambda w, axis: np.abs(w - w.mean(axis, keepdims=True)).mean(axis))
    return divide(m.tp - sma(m.tp, 20), 0.015 * deviation)


def williams(m):
    return -divide(top(m.H, 14) - m.C, top(m.H, 14) - bottom(m.L, 14))


def pressure(m, n):
    return divide(add(m.C - np.minimum(m.L, m.was), n), add(m.tr, n))


def place_of_rsi(m):
    rsi = m.rsi(14)
    return divide(rsi - bottom(rsi, 14), top(rsi, 14) - bottom(rsi, 14))


def momentum(m, span):
    return np.log(m.C / m.lag(m.C, span))


def acceleration(m):
    return momentum(m, "1h") - m.lag(momentum(m, "1h"), "1h")


TWINS = {
    **{f"rsi_{n}": lambda m, n=n: m.rsi(n) / 100 for n in (7, 14, 21)},
    "rsi_14_change": lambda m: (m.rsi(14) - back(m.rsi(14), 5)) / 100,
    "stoch_k": stochastic,
    "stoch_d": lambda m: sma(stochastic(m), 3),
    "stoch_kd": lambda m: stochastic(m) - sma(stochastic(m), 3),
    "stoch_rsi": place_of_rsi,
    "cci_20": lambda m: cci(m) / 100,
    "williams_14": williams,
    "ultimate": lambda m: (4 * pressure(m, 7) + 2 * pressure(m, 14) + pressure(m, 28)) / 7,
    **{f"roc_{n}": lambda m, n=n: m.C / back(m.C, n) - 1 for n in (5, 10, 20, 50)},
    **{f"momentum_{span}": lambda m, span=span: momentum(m, span) for span in ("1h", "4h", "24h")},
    "acceleration": acceleration,
}
