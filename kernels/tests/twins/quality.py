"""Twins of the quality family: squeezes, divergences, breaks and agreement. From: `market.Market`. To: `TWINS`."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .market import add, back, bottom, divide, ema, sma, std, top
from .momentum import cci, momentum, stochastic, williams
from .volatility import donchian_break
from .volume import on_balance_change


def squeeze(m):
    up, low = m.bands()
    middle, width = ema(m.C, 20), 1.5 * m.atr(20)
    return (up <= middle + width) & (low >= middle - width)


def squeeze_length(m):
    out, run = np.zeros(len(m.C)), 0
    for t, inside in enumerate(squeeze(m)):
        run = run + 1 if inside else 0
        out[t] = min(run, 20) / 20
    return out


def obv_divergence(m):
    price, volume = np.sign(m.C - back(m.C, 20)), np.sign(on_balance_change(m))
    return np.where(price != volume, price, 0.0)


def trend_agreement(m):
    e20, e50, e200 = ema(m.C, 20), ema(m.C, 50), ema(m.C, 200)
    return np.mean(np.sign([m.C - e20, m.C - e50, m.C - e200, e20 - e50, e50 - e200]), axis=0)


def momentum_agreement(m):
    return np.mean(np.sign([momentum(m, span) for span in ("1h", "4h", "24h")]), axis=0)


def oscillator_agreement(m):
    return np.mean(np.sign([m.rsi(14) - 50, stochastic(m) - 0.5, cci(m), williams(m) + 0.5]), axis=0)


def line_through(m):
    """Return slope and R^2 of the least-squares line through ln C of 20 bars."""
    slope, r2 = np.full(len(m.C), np.nan), np.full(len(m.C), np.nan)
    x = np.arange(20) - 9.5
    for t, window in enumerate(sliding_window_view(np.log(m.C), 20), start=19):
        y = window - window.mean()
        slope[t] = np.sum(x * y) / np.sum(x**2)
        r2[t] = slope[t] ** 2 * np.sum(x**2) / np.sum(y**2) if np.sum(y**2) > 0 else 0.0
    return slope, r2


def failed_breaks(m):
    """Return the share of the 20-bar breaks 5..54 bars old that closed back at or behind their level within 5 bars."""
    broke, ceiling, floor = donchian_break(m), back(top(m.H, 20), 1), back(bottom(m.L, 20), 1)
    failed = np.zeros(len(m.C))
    for k in np.flatnonzero(broke):
        after = m.C[k + 1 : k + 6]
        failed[k] = np.any(after <= ceiling[k]) if broke[k] > 0 else np.any(after >= floor[k])
    out = np.full(len(m.C), np.nan)
    for t in range(74, len(m.C)):
        out[t] = divide(failed[t - 54 : t - 4].sum(), np.abs(broke[t - 54 : t - 4]).sum())
    return out


def quality_score(m):
    agreement = 0.3 * np.abs(trend_agreement(m)) + 0.3 * np.abs(momentum_agreement(m))
    return agreement + 0.2 * line_through(m)[1] + 0.2 * np.minimum(m.volume_ratio() / 2, 1)


TWINS = {
    "squeeze": squeeze,
    "squeeze_length": squeeze_length,
    "squeeze_momentum": lambda m: (m.C - (m.middle(20) + sma(m.C, 20)) / 2) / m.atr(20),
    "rsi_bull_divergence": lambda m: (m.C == bottom(m.C, 20)) & (m.rsi(14) > bottom(m.rsi(14), 20) + 3),
    "rsi_bear_divergence": lambda m: (m.C == top(m.C, 20)) & (m.rsi(14) < top(m.rsi(14), 20) - 3),
    "obv_divergence": obv_divergence,
    "trend_agreement": trend_agreement,
    "momentum_agreement": momentum_agreement,
    "oscillator_agreement": oscillator_agreement,
    "volume_confirms": lambda m: np.sign(m.C - back(m.C, 5)) * np.minimum(m.volume_ratio(), 3) / 3,
    "signal_to_noise": lambda m: divide(np.abs(add(m.r, 20)), std(m.r, 20) * np.sqrt(20)),
    "trend_r2": lambda m: line_through(m)[1],
    "trend_slope": lambda m: divide(line_through(m)[0] * 20, std(m.r, 20)),
    "breakout_atr": lambda m: np.clip((m.C - back(top(m.H, 20), 1)) / m.atr(14), -3, 3),
    "pullback_atr": lambda m: (top(m.H, 20) - m.C) / m.atr(14),
    "compression": lambda m: divide(m.atr(5), m.atr(50)),
    "failed_breaks": failed_breaks,
    "quality_score": quality_score,
}
