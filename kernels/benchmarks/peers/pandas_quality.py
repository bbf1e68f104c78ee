"""Microstructure, rallies, reversals and signal quality with pandas. From: market.Market. To: pandas_catalogue.py."""

import math

import numpy as np
import pandas as pd

from peers.market import DAY, HOUR, MONTH, age_of_highest, age_of_lowest, flag, mean, ratio, std, total


def microstructure(m):
    spread = corwin_schultz(m)
    yield "spread_corwin_schultz", spread
    yield "spread_cs_ratio", ratio(spread, mean(spread, 50))
    yield "spread_roll", 2 * np.sqrt((-m.r.rolling(20).cov(m.r.shift(1), ddof=0)).clip(lower=0))
    yield "directed_volume", ratio(m.signed_volume, m.volume_sum(20) / 20)
    yield "flow_imbalance", ratio(total(m.signed_volume, 20), m.volume_sum(20))
    yield "toxicity", ratio(total(m.signed_volume, 50), m.volume_sum(50)).abs()
    yield "price_impact", ratio(m.abs_r, m.volume_ratio)
    yield "amihud", np.log1p(1e9 * mean(ratio(m.abs_r, m.quote_volume), 20))
    flow = np.sign(m.body) * m.quote_volume
    slope = ratio(m.r.rolling(50).cov(flow), flow.where(m.r.notna()).rolling(50).var())
    yield "kyle_lambda", slope * mean(m.quote_volume, 50)
    yield "realised_vol_1h", m.realised_hour
    yield "realised_vol_1d", m.realised_day
    yield "realised_vol_year", np.sqrt(total(m.squares, MONTH) * (365 / 30))
    yield "close_location", ratio((m.c - m.l) - (m.h - m.c), m.height)
    yield "volume_variation", ratio(std(m.v, 20), m.volume_sum(20) / 20)


def corwin_schultz(m):
    """Return the spread that two bars' highs and lows imply, Corwin and Schultz (2012)."""
    single = np.log(m.h / m.l) ** 2
    beta = single + single.shift(1)
    gamma = np.log(m.h.rolling(2).max() / m.l.rolling(2).min()) ** 2
    k = 3 - 2 * math.sqrt(2)
    alpha = (math.sqrt(2) - 1) * np.sqrt(beta) / k - np.sqrt(gamma / k)
    return (2 * np.expm1(alpha) / (1 + np.exp(alpha))).clip(lower=0)


def rallies(m):
    for n in (20, 96):
        yield f"high_{n}_distance", m.c / m.top(n) - 1
        yield f"low_{n}_distance", m.c / m.bottom(n) - 1
    yield "since_high_96", age_of_highest(m.h, 96) / 96
    yield "since_low_96", age_of_lowest(m.l, 96) / 96
    (up, low), atr = m.bands, m.atr(20)
    squeezed = (up <= m.ema(20) + 1.5 * atr) & (low >= m.ema(20) - 1.5 * atr)
    run = squeezed.groupby((~squeezed).cumsum()).cumsum()
    yield "squeeze", flag(squeezed, up)
    yield "squeeze_length", (run.clip(upper=20) / 20).where(up.notna())
    middle = ((m.top(20) + m.bottom(20)) / 2 + m.sma(20)) / 2
    yield "squeeze_momentum", ratio(m.c - middle, atr)
    rsi = m.rsi(14)
    lowest, highest = rsi.rolling(20).min(), rsi.rolling(20).max()
    yield "rsi_bull_divergence", flag((m.c == m.c.rolling(20).min()) & (rsi > lowest + 3), lowest)
    yield "rsi_bear_divergence", flag((m.c == m.c.rolling(20).max()) & (rsi < highest - 3), highest)
    price = np.sign(m.c.diff(20))
    yield "obv_divergence", price.where(price != np.sign(m.obv_20), 0.0)


def moves(m):
    hour = m.momentum(HOUR)
    yield "momentum_1h", hour
    yield "momentum_4h", m.momentum(4 * HOUR)
    yield "momentum_24h", m.momentum(DAY)
    yield "acceleration", hour.diff(HOUR)
    top, bottom = m.top(20).shift(1), m.bottom(20).shift(1)
    yield "spring", flag((m.l < bottom) & (m.c > bottom), bottom)
    yield "upthrust", flag((m.h > top) & (m.c < top), top)
    yield "drawdown_96", 1 - m.c / m.c.rolling(96).max()
    yield "efficiency_ratio", ratio(m.c.diff(20).abs(), total(m.change.abs(), 20)).clip(0, 1)


def line_fit(m, n=20):
    """Return R squared and slope of ln C on the bar number over n bars."""
    steps = np.arange(n) - (n - 1) / 2
    spread = (steps**2).sum()
    slope = np.full(len(m.c), np.nan)
    slope[n - 1 :] = np.convolve(m.log_close, steps[::-1] / spread, "valid")
    slope = pd.Series(slope, index=m.c.index)
    return ratio(slope**2 * (spread / n), m.log_close.rolling(n).var(ddof=0)).clip(0, 1), slope


def agreement(m):
    signs = [m.c - m.ema(20), m.c - m.ema(50), m.c - m.ema(200), m.ema(20) - m.ema(50), m.ema(50) - m.ema(200)]
    trend = sum(np.sign(x) for x in signs) / 5
    momentum = sum(np.sign(m.momentum(n)) for n in (HOUR, 4 * HOUR, DAY)) / 3
    signs = [m.rsi(14) - 50, m.stochastic - 0.5, m.cci, m.williams + 0.5]
    yield "trend_agreement", trend
    yield "momentum_agreement", momentum
    yield "oscillator_agreement", sum(np.sign(x) for x in signs) / 4
    yield "volume_confirms", np.sign(m.c.diff(5)) * m.volume_ratio.clip(upper=3) / 3
    deviation = std(m.r, 20)
    yield "signal_to_noise", ratio(total(m.r, 20).abs(), deviation * math.sqrt(20))
    fit, slope = line_fit(m)
    yield "trend_r2", fit
    yield "trend_slope", ratio(slope * 20, deviation)
    volume = (m.volume_ratio / 2).clip(upper=1)
    yield "quality_score", 0.3 * trend.abs() + 0.3 * momentum.abs() + 0.2 * fit + 0.2 * volume


def breaks(m):
    top, bottom = m.top(20).shift(1), m.bottom(20).shift(1)
    yield "breakout_atr", ratio(m.c - top, m.atr(14)).clip(-3, 3)
    yield "pullback_atr", ratio(m.top(20) - m.c, m.atr(14))
    yield "compression", ratio(m.atr(5), m.atr(50))
    yield "upper_wick", ratio(m.h - np.maximum(m.o, m.c), m.height)
    yield "lower_wick", ratio(np.minimum(m.o, m.c) - m.l, m.height)
    sign = np.sign(m.body)
    run = sign.groupby((sign != sign.shift(1)).cumsum()).cumcount() + 1
    yield "run_length", sign * run.clip(upper=100) / 10
    up, down = (m.c > top).shift(5, fill_value=False), (m.c < bottom).shift(5, fill_value=False)
    back = (up & (m.c.rolling(5).min() <= top.shift(5))) | (down & (m.c.rolling(5).max() >= bottom.shift(5)))
    yield "failed_breaks", ratio(total(back, 50), total(up | down, 50))


PARTS = (microstructure, rallies, moves, agreement, breaks)
