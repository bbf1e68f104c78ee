"""Thirteen features as one loop each, compiled by numba. From: candles and another pair's closes. To: float64 columns.

Each is the straightforward single pass that an experienced user writes: running sums where a window allows them.
"""

import math

import numpy as np
from numba import njit


@njit
def returns(c):
    r = np.full(len(c), np.nan)
    for t in range(1, len(c)):
        r[t] = math.log(c[t] / c[t - 1])
    return r


@njit
def ema_ratio(c, n):
    out = np.full(len(c), np.nan)
    level = c[:n].mean()
    for t in range(n, len(c)):
        level += 2.0 / (n + 1) * (c[t] - level)
        out[t] = c[t] / level - 1
    return out


@njit
def rsi(c, n):
    out = np.full(len(c), np.nan)
    gain = loss = 0.0
    for t in range(1, len(c)):
        change = c[t] - c[t - 1]
        weight = 1.0 / min(t, n)  # the mean of the first n moves, then Wilder's
        gain += weight * (max(change, 0.0) - gain)
        loss += weight * (max(-change, 0.0) - loss)
        if t >= n:
            out[t] = gain / (gain + loss) if gain + loss > 0 else 0.0
    return out


@njit
def atr_ratio(h, low, c, n):
    out = np.full(len(c), np.nan)
    level = 0.0
    for t in range(1, len(c)):
        level += 1.0 / min(t, n) * (max(h[t], c[t - 1]) - min(low[t], c[t - 1]) - level)
        if t >= n:
            out[t] = level / c[t]
    return out


@njit
def bollinger(c, n):
    """Return place between the bands and their width."""
    place, width = np.full(len(c), np.nan), np.full(len(c), np.nan)
    mean = squares = 0.0
    for t in range(len(c)):
        if t < n:  # Welford (1962): grow the window, then move it
            delta = c[t] - mean
            mean += delta / (t + 1)
            squares += delta * (c[t] - mean)
        else:
            was, delta = mean, c[t] - c[t - n]
            mean += delta / n
            squares += delta * (c[t] - mean + c[t - n] - was)
        if t >= n - 1:
            band = 4 * math.sqrt(max(squares, 0.0) / n)
            width[t] = band / c[t]
            place[t] = min(max((c[t] - mean + band / 2) / band, -1.0), 2.0) if band > 0 else 0.0
    return place, width


@njit
def extreme(x, n, side):
    """Return the highest of n (side 1) or the lowest (side -1), by a queue of candidates."""
    out, queue = np.full(len(x), np.nan), np.empty(len(x), np.int64)
    first = last = 0
    for t in range(len(x)):
        while last > first and side * x[queue[last - 1]] <= side * x[t]:
            last -= 1
        queue[last] = t
        last += 1
        if queue[first] <= t - n:
            first += 1
        if t >= n - 1:
            out[t] = x[queue[first]]
    return out


@njit
def hurst(r):
    sizes = (8, 16, 32, 64, 128)
    x = np.array([math.log(size) for size in sizes])
    x -= x.mean()
    out = np.full(len(r), np.nan)
    for t in range(128, len(r)):
        slope, moved = 0.0, True
        for k in range(5):
            size, total = sizes[k], 0.0
            for start in range(t + 1 - 128, t + 1, size):
                total += rescaled_range(r[start : start + size])
            moved = moved and total > 0
            slope += x[k] * math.log(total * size / 128) if total > 0 else 0.0
        out[t] = min(max(slope / (x * x).sum(), 0.0), 1.0) if moved else 0.5
    return out


@njit
def rescaled_range(r):
    mean = r.mean()
    walk = top = bottom = squares = 0.0
    for value in r:
        walk += value - mean
        squares += (value - mean) ** 2
        top, bottom = max(top, walk), min(bottom, walk)
    return (top - bottom) / math.sqrt(squares / len(r)) if squares > 0 else 0.0


@njit
def higuchi(x, n=128, longest=8):
    scale = -np.log(np.arange(1, longest + 1))
    scale -= scale.mean()
    out = np.full(len(x), np.nan)
    for t in range(n - 1, len(x)):
        w, slope, moved = x[t + 1 - n : t + 1], 0.0, True
        for k in range(1, longest + 1):
            length = 0.0
            for m in range(k):
                steps, total = (n - 1 - m) // k, 0.0
                for i in range(1, steps + 1):
                    total += abs(w[m + i * k] - w[m + (i - 1) * k])
                length += total / steps
            length *= (n - 1) / k**3
            moved = moved and length > 0
            slope += scale[k - 1] * math.log(length) if length > 0 else 0.0
        out[t] = min(max(slope / (scale * scale).sum(), 1.0), 2.0) if moved else 1.0
    return out


@njit
def permutation_entropy(c, n=64):
    codes, counts = np.zeros(len(c), np.int64), np.zeros(8)
    out = np.full(len(c), np.nan)
    for t in range(2, len(c)):
        codes[t] = 4 * (c[t - 2] > c[t - 1]) + 2 * (c[t - 1] > c[t]) + (c[t - 2] > c[t])
        counts[codes[t]] += 1
        if t >= n + 2:
            counts[codes[t - n]] -= 1
        if t >= n + 1:
            total = 0.0
            for count in counts:
                total -= count / n * math.log(count / n) if count > 0 else 0.0
            out[t] = total / math.log(6.0)
    return out


@njit
def yang_zhang(o, h, low, c, n):
    out = np.full(len(c), np.nan)
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    night = night2 = day = day2 = inside = 0.0
    terms = np.zeros((len(c), 3))
    for t in range(1, len(c)):
        gap, body = math.log(o[t] / c[t - 1]), math.log(c[t] / o[t])
        up, down = math.log(h[t] / o[t]), math.log(low[t] / o[t])
        terms[t, 0], terms[t, 1], terms[t, 2] = gap, body, up * (up - body) + down * (down - body)
        old = terms[t - n] if t > n else np.zeros(3)
        night, night2 = night + gap - old[0], night2 + gap**2 - old[0] ** 2
        day, day2 = day + body - old[1], day2 + body**2 - old[1] ** 2
        inside += terms[t, 2] - old[2]
        if t >= n:
            overnight, open_close = (night2 - night**2 / n) / (n - 1), (day2 - day**2 / n) / (n - 1)
            out[t] = math.sqrt(max(overnight + k * open_close + (1 - k) * inside / n, 0.0))
    return out


@njit
def garch(r, n, alpha=0.05, beta=0.93):
    out = np.full(len(r), np.nan)
    for t in range(n, len(r)):
        mean = 0.0
        for i in range(t + 1 - n, t + 1):
            mean += r[i] ** 2
        mean /= n
        forecast, floor = mean, (1 - alpha - beta) * mean
        for i in range(t + 1 - n, t + 1):
            forecast = floor + alpha * r[i] ** 2 + beta * forecast
        out[t] = math.sqrt(forecast)
    return out


@njit
def vpin(v, buy, n=96, buckets=50):
    out = np.full(len(v), np.nan)
    for t in range(2 * n - 1, len(v)):
        size = 0.0
        for i in range(t + 1 - n, t + 1):
            size += v[i] / buckets
        filled = delta = total = 0.0
        for i in range(t + 1 - n, t + 1):
            left, share = v[i], buy[i] / v[i] if v[i] > 0 else 0.5
            while left > 0 and filled + left >= size:
                total += abs(delta + (size - filled) * (2 * share - 1))
                left -= size - filled
                filled = delta = 0.0
            filled += left
            delta += left * (2 * share - 1)
        if filled > 0.5 * size:  # the last bucket, short of a rounding
            total += abs(delta)
        out[t] = total / size / buckets if size > 0 else 0.0
    return out


@njit
def beta(r, other, n):
    out = np.full(len(r), np.nan)
    x = y = xy = yy = 0.0
    for t in range(1, len(r)):
        x, y, xy, yy = x + r[t], y + other[t], xy + r[t] * other[t], yy + other[t] ** 2
        if t > n:
            x, y = x - r[t - n], y - other[t - n]
            xy, yy = xy - r[t - n] * other[t - n], yy - other[t - n] ** 2
        if t >= n:
            spread = yy / n - (y / n) ** 2
            out[t] = (xy / n - x / n * (y / n)) / spread if spread > 0 else 0.0
    return out


def numba_twins(frame, references):
    """Return a dict of columns; its keys are the features to compare with."""
    o, h, low, c, v = (frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume"))
    r = returns(c)
    columns = {"ema_20_ratio": ema_ratio(c, 20), "rsi_14": rsi(c, 14), "atr_14_pct": atr_ratio(h, low, c, 14)}
    columns["bb_position"], columns["bb_width"] = bollinger(c, 20)
    columns |= {"high_96_distance": c / extreme(h, 96, 1) - 1, "low_96_distance": c / extreme(low, 96, -1) - 1}
    columns |= {"hurst": hurst(r), "fractal_dimension": higuchi(np.log(c))}
    columns["permutation_entropy"] = permutation_entropy(c)
    columns |= {"yang_zhang_168h": yang_zhang(o, h, low, c, 672), "garch_24h": garch(r, 96)}
    if "taker_buy_volume" in frame:
        columns["vpin"] = vpin(v, frame["taker_buy_volume"].to_numpy())
    if "BTC/USDT" in references.frames:
        columns["btc_beta"] = beta(r, returns(references.frames["BTC/USDT"]["close"].to_numpy()), 96)
    return columns
