"""Twins of the statistical family: memory, shape and jumps of returns. From: `market.Market`. To: `TWINS`."""

import numpy as np

from .external import garch_vol
from .market import add, back, corr, divide, normal_distribution, rolling, sma, std, var


def slope(x, y):
    x, y = x - np.mean(x), y - np.mean(y)
    return np.sum(x * y) / np.sum(x**2)


def rescaled_range(chunks):
    """Return, of each row, the height of the walk of its deviations from the mean over their standard deviation."""
    walk = np.cumsum(chunks - chunks.mean(axis=1, keepdims=True), axis=1)
    height = np.maximum(walk.max(axis=1), 0) - np.minimum(walk.min(axis=1), 0)
    return divide(height, chunks.std(axis=1))


def hurst_of(returns):
    """Return the Hurst exponent of 128 returns by rescaled ranges of chunks of 8 to 128."""
    lengths = [8, 16, 32, 64, 128]
    mean = [np.mean(rescaled_range(returns.reshape(-1, n))) for n in lengths]
    return 0.5 if min(mean) == 0 else np.clip(slope(np.log(lengths), np.log(mean)), 0, 1)


def higuchi(x):
    """Return the fractal dimension of a curve by the lengths seen at strides 1..8; Higuchi (1988)."""
    n, strides, length = len(x), range(1, 9), []
    for k in strides:
        paths = []
        for m in range(1, k + 1):
            steps = (n - m) // k
            seen = x[m - 1 : m + steps * k : k]
            paths.append(np.sum(np.abs(np.diff(seen))) * (n - 1) / (steps * k) / k)
        length.append(np.mean(paths))
    return 1.0 if min(length) == 0 else np.clip(-slope(np.log(strides), np.log(length)), 1, 2)


def over_rows(function, x, n):
    """Give `function` the last n rows of x; NaN where one is unknown."""
    out = np.full(len(x), np.nan)
    for t in range(n - 1, len(x)):
        window = x[t - n + 1 : t + 1]
        out[t] = np.nan if np.isnan(window).any() else function(window)
    return out


def shannon(codes, n_codes):
    share = np.unique(codes, return_counts=True)[1] / len(codes)
    return -np.sum(share * np.log(share)) / np.log(n_codes)


def entropy(m):
    below = rolling(m.r, 64, lambda w, axis: np.sum(w < w[:, -1:], axis=axis).astype(float))
    below[:64] = np.nan  # their windows reach behind the first return
    return over_rows(lambda codes: shannon(codes, 8), np.floor(8 * below / 64), 64)


def permutation_entropy(m):
    oldest = back(m.C, 2)
    pattern = 4.0 * (oldest > m.was) + 2.0 * (m.was > m.C) + 1.0 * (oldest > m.C)
    pattern[:2] = np.nan
    return over_rows(lambda codes: shannon(codes, 6), pattern, 64)


def bipower(m):
    return np.abs(m.r) * np.abs(back(m.r, 1))


def jump(m):
    sigma = np.sqrt(np.pi / 2 * sma(bipower(m), 96))
    return np.where(np.isnan(sigma), np.nan, np.sign(m.r) * (np.abs(m.r) > 4 * sigma))


def jump_share(m):
    moved = add(m.r**2, 96)
    return np.where(moved == 0, 0.0, np.maximum(1 - divide(np.pi / 2 * add(bipower(m), 96), moved), 0))


def bought(m):
    """Return the volume bought: as reported, else by bulk classification of the return."""
    bulk = m.V * normal_distribution(divide(m.r, std(m.r, 96)))
    return np.where(np.isnan(m.taker_buy_volume), bulk, m.taker_buy_volume)


def imbalance_of_buckets(volume, buys, n_buckets=50):
    """Return the mean |bought - sold| / traded of equal-volume buckets; a bar trades evenly within itself."""
    total = np.sum(volume)
    if total == 0:
        return 0.0
    size = total / n_buckets
    bucket, left, filled = 0, size, np.zeros(n_buckets)
    for v, b in zip(volume, buys, strict=True):
        remaining = v
        while remaining > 0:
            part = min(remaining, left) if bucket < n_buckets - 1 else remaining
            filled[bucket] += b * part / v
            remaining, left = remaining - part, left - part
            if left <= 0 and bucket < n_buckets - 1:
                bucket, left = bucket + 1, size
    return np.mean(np.abs(2 * filled - size)) / size


def vpin(m):
    buys, out = bought(m), np.full(len(m.C), np.nan)
    for t in range(95, len(out)):
        rows = slice(t - 95, t + 1)
        out[t] = np.nan if np.isnan(buys[rows]).any() else imbalance_of_buckets(m.V[rows].tolist(), buys[rows].tolist())
    return out


def standard_moment(w, axis, power):
    gap = w - w.mean(axis, keepdims=True)
    return divide((gap**power).mean(axis), (gap**2).mean(axis) ** (power / 2))


def excess_kurtosis(w, axis):
    return np.where(w.var(axis) == 0, 0.0, standard_moment(w, axis, 4) - 3)


TWINS = {
    "hurst": lambda m: over_rows(hurst_of, m.r, 128),
    "fractal_dimension": lambda m: over_rows(higuchi, np.log(m.C), 128),
    "garch_vol": lambda m: garch_vol(m, "7d"),
    "entropy": entropy,
    "permutation_entropy": permutation_entropy,
    **{f"autocorr_{k}": lambda m, k=k: corr(m.r, back(m.r, k), 96) for k in (1, 5, 10)},
    "jump": jump,
    "jump_share": jump_share,
    "vpin": vpin,
    "cvar5": lambda m: rolling(m.r, 96, lambda w, axis: np.sort(w, axis=axis)[:, :5].mean(axis)),
    "skew": lambda m: rolling(m.r, 96, lambda w, axis: standard_moment(w, axis, 3)),
    "kurtosis": lambda m: rolling(m.r, 96, excess_kurtosis),
    "variance_ratio": lambda m: divide(var(np.log(m.C / back(m.C, 4)), 96), 4 * var(m.r, 96)),
}
