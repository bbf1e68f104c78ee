"""Twins of the volume family: flows by candle, and what trading costs by candle. From: `market.Market`. To: `TWINS`."""

import numpy as np

from .market import add, back, cov, divide, ema, sma, std, var


def money_flow_volume(m):
    return divide((m.C - m.L) - (m.H - m.C), m.H - m.L) * m.V


def money(m, rising):
    change = m.tp - back(m.tp, 1)
    return add(np.where(np.isnan(change), np.nan, np.where(rising * change > 0, m.tp * m.V, 0)), 14)


def accumulation_oscillator(m):
    line = np.cumsum(money_flow_volume(m))
    return divide(ema(line, 3) - ema(line, 10), sma(m.V, 20))


def on_balance_change(m):
    """Return OBV - OBV[20]."""
    return add(np.sign(m.C - m.was) * m.V, 20)


def vwma_distance(m):
    traded = add(m.V, 20)
    return np.where(traded == 0, 0.0, m.C / divide(add(m.C * m.V, 20), traded) - 1)


def vwap_distance(m):
    quote, base = m.over("24h", np.sum, m.Q), m.over("24h", np.sum, m.V)
    return np.where(base == 0, 0.0, m.C / divide(quote, base) - 1)


def spread_corwin_schultz(m):
    """Return the spread that two bars' heights, apart and together, imply; Corwin and Schultz (2012), floored at 0."""
    height = np.log(m.H / m.L) ** 2
    beta = height + back(height, 1)
    gamma = np.log(np.maximum(m.H, back(m.H, 1)) / np.minimum(m.L, back(m.L, 1))) ** 2
    root = 3 - 2 * np.sqrt(2)
    alpha = (np.sqrt(2 * beta) - np.sqrt(beta)) / root - np.sqrt(gamma / root)
    return np.maximum(2 * (np.exp(alpha) - 1) / (1 + np.exp(alpha)), 0)


def spread_roll(m):
    return 2 * np.sqrt(np.maximum(-cov(m.r, back(m.r, 1), 20), 0))


def kyle_lambda(m):
    signed = m.s * m.Q
    return divide(cov(m.r, signed, 50), var(signed, 50)) * sma(m.Q, 50)


TWINS = {
    "vwma_20_ratio": vwma_distance,
    "vwap_24h_ratio": vwap_distance,
    "mfi_14": lambda m: divide(money(m, 1), money(m, 1) + money(m, -1)),
    "chaikin": accumulation_oscillator,
    "obv_change": lambda m: divide(on_balance_change(m), add(m.V, 20)),
    "cmf_20": lambda m: divide(add(money_flow_volume(m), 20), add(m.V, 20)),
    "spread_corwin_schultz": spread_corwin_schultz,
    "spread_cs_ratio": lambda m: divide(spread_corwin_schultz(m), sma(spread_corwin_schultz(m), 50)),
    "spread_roll": spread_roll,
    "directed_volume": lambda m: divide(m.s * m.V, sma(m.V, 20)),
    "flow_imbalance": lambda m: divide(add(m.s * m.V, 20), add(m.V, 20)),
    "toxicity": lambda m: divide(np.abs(add(m.s * m.V, 50)), add(m.V, 50)),
    "price_impact": lambda m: divide(np.abs(m.r), m.volume_ratio()),
    "amihud": lambda m: np.log(1 + 1e9 * sma(divide(np.abs(m.r), m.Q), 20)),
    "kyle_lambda": kyle_lambda,
    "volume_variation": lambda m: divide(std(m.V, 20), sma(m.V, 20)),
    **{f"volume_z_{n}": lambda m, n=n: divide(m.V - sma(m.V, n), std(m.V, n)) for n in (20, 96)},
}
