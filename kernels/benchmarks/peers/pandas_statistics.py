"""Statistics of returns, and the pair among others, with pandas. From: market.Market. To: pandas_catalogue.py."""

import math

import numpy as np
import pandas as pd
from scipy.special import ndtr

from peers.market import DAY, HOUR, WEEK, ema, mean, ratio, std
from peers.pandas_windows import garch

SIZES = (8, 16, 32, 64, 128)  # of the chunks of a rescaled range


def fractals(m):
    yield "hurst", hurst(m.r)
    yield "fractal_dimension", higuchi(m.log_close)
    yield "garch_vol", garch(m.squares, WEEK)
    place = (m.r.rolling(64).rank(method="min") - 1) * 8 // 64
    yield "entropy", shannon(place, range(8), 64) / math.log(8)
    a, b, c = m.c.shift(2), m.c.shift(1), m.c
    pattern = (4.0 * (a > b) + 2.0 * (b > c) + (a > c)).where(a.notna())
    yield "permutation_entropy", shannon(pattern, (0, 2, 3, 4, 5, 7), 64) / math.log(6)


def hurst(r):
    """Return the slope of ln(rescaled range) on ln(length) over the last 128 returns."""
    widths = []
    for size in SIZES:
        walk = r.rolling(size).apply(lambda x: np.ptp((x - x.mean()).cumsum()), raw=True)
        chunk = ratio(walk, std(r, size))
        widths.append(sum(chunk.shift(size * k) for k in range(128 // size)) / (128 // size))
    moved = np.minimum.reduce(widths) > 0
    x = np.log(SIZES) - np.log(SIZES).mean()
    weights = x / (x**2).sum()
    slope = sum(w * np.log(width.where(moved, 1.0)) for w, width in zip(weights, widths, strict=True))
    return slope.clip(0, 1).where(moved, 0.5).where(widths[-1].notna())


def higuchi(x, n=128, longest=8):
    """Return Higuchi's (1988) dimension: sums over every k-th step are windows of the k interleaved series."""
    row, lengths = np.arange(len(x)), []
    for k in range(1, longest + 1):
        lanes = x.diff(k).abs().groupby(row % k)
        steps = [(n - m) // k for m in range(1, k + 1)]
        sums = {count: lanes.rolling(count).sum().droplevel(0).sort_index() for count in set(steps)}
        last = [n - m - count * k for m, count in enumerate(steps, start=1)]  # bars since the last step taken
        curve = sum(sums[count].shift(ago) / count for count, ago in zip(steps, last, strict=True))
        lengths.append(curve * ((n - 1) / k**3))
    moved = np.minimum.reduce(lengths) > 0
    inverse = -np.log(np.arange(1, longest + 1))
    weights = (inverse - inverse.mean()) / ((inverse - inverse.mean()) ** 2).sum()
    slope = sum(w * np.log(length.where(moved, 1.0)) for w, length in zip(weights, lengths, strict=True))
    return slope.clip(1, 2).where(moved, 1.0).where(x.shift(n - 1).notna())


def shannon(codes, alphabet, n):
    """Return the entropy of the last n codes, in nats."""
    share = [mean((codes == code).astype(float).where(codes.notna()), n) for code in alphabet]
    return -sum(p * np.log(p.where(p > 1e-9, 1.0)) for p in share)


def moments(m):
    r, n = m.r, 96
    for k in (1, 5, 10):
        yield f"autocorr_{k}", r.rolling(n).corr(r.shift(k))
    bipower = (math.pi / 2) * mean(m.abs_r * m.abs_r.shift(1), n)
    yield "jump", np.sign(r).where(m.abs_r > 4 * np.sqrt(bipower), 0.0).where(bipower.notna())
    variance = mean(m.squares, n)
    yield "jump_share", (1 - bipower / variance).clip(lower=0).where(variance > 0, 0.0).where(bipower.notna())
    yield "cvar5", r.rolling(n).apply(lambda x: np.partition(x, 4)[:5].mean(), raw=True)
    yield "skew", r.rolling(n).skew() * ((n - 2) / math.sqrt(n * (n - 1)))  # pandas gives the unbiased estimate
    yield "kurtosis", (r.rolling(n).kurt() * ((n - 2) * (n - 3) / (n - 1)) - 6) / (n + 1)
    yield "variance_ratio", ratio(m.momentum(4).rolling(n).var(), 4 * r.rolling(n).var())
    yield "vol_of_vol", std(m.realised_hour, n)
    yield "vpin", vpin(m)


def vpin(m, n=96, buckets=50):
    """Return the imbalance of equal volumes, Easley et al. (2012): buys are read off a running sum at the edges."""
    bulk = m.v * ndtr(ratio(m.r, std(m.r, n)))
    buy = m.column("taker_buy_volume").fillna(bulk)
    start = int(buy.notna().to_numpy().argmax())
    volume = np.concatenate([[0.0], m.v.to_numpy()[start:].cumsum()])
    bought = np.concatenate([[0.0], buy.to_numpy()[start:].cumsum()])
    first, last = volume[:-n], volume[n:]
    size = (last - first) / buckets
    edges = first[:, None] + size[:, None] * np.arange(buckets + 1)
    gained = np.diff(np.interp(edges, volume, bought), axis=1)
    out = np.full(len(m.v), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        out[start + n - 1 :] = np.where(size > 0, np.abs(2 * gained / size[:, None] - 1).mean(axis=1), 0.0)
    return pd.Series(out, index=m.v.index)


def others(m, references):
    """Yield the pair against other pairs; `references` has `frames` and `sector`, as tradekernels reads them."""
    closes = pd.DataFrame({key: at_close(m, frame) for key, frame in references.frames.items()})
    returns, days = np.log(closes).diff(), closes.pct_change(DAY)
    own_day, r, n = m.c.pct_change(DAY), m.r, 96
    market = returns.mean(axis=1)
    covariance, spread = r.rolling(n).cov(market, ddof=0), market.rolling(n).var(ddof=0)
    yield "market_beta", ratio(covariance, spread)
    yield "idio_vol", np.sqrt((r.rolling(n).var(ddof=0) - ratio(covariance**2, spread)).clip(lower=0))
    btc = closes["BTC/USDT"] if "BTC/USDT" in closes else pd.Series(np.nan, index=r.index)
    r_btc = np.log(btc).diff()
    yield "btc_correlation", r.rolling(n).corr(r_btc)
    yield "btc_beta", ratio(r.rolling(n).cov(r_btc), r_btc.rolling(n).var())
    yield "btc_relative_strength", own_day - btc.pct_change(DAY)
    yield "btc_return_1h", btc.pct_change(HOUR)
    yield "btc_lead", r.rolling(n).corr(r_btc.shift(1))
    peers = days[list(references.sector)]
    sector, known = peers.mean(axis=1), peers.notna().sum(axis=1)
    below = peers.lt(own_day, axis=0).sum(axis=1) + 0.5 * peers.eq(own_day, axis=0).sum(axis=1)
    yield "sector_return_1d", sector
    yield "sector_rank", (below / known.where(known > 0)).where(own_day.notna())
    yield "sector_relative", own_day - sector
    above = (closes > ema(closes, 50)).where(closes.notna()).astype(float)
    yield "breadth", above.mean(axis=1)
    yield "market_return_1d", days.mean(axis=1)


def at_close(m, frame):
    """Return closes of another pair on the same timeframe, at the bars of this one."""
    return frame.set_index("date")["close"].reindex(m.frame["date"]).set_axis(m.c.index)


PARTS = (fractals, moments)
