"""What the slow twins share: windows, lags, means. From: a frame as `compute` takes it. To: the families' twins.

Written from the specification with NumPy and loops alone: nothing here knows how the recurrences are compiled.
"""

import math
from datetime import UTC, datetime

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

UNITS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
PARAMETERS = {"leverage": 1.0, "max_leverage": 20.0, "maintenance_margin": 0.005,
              "garch_alpha": 0.05, "garch_beta": 0.93, "garch_omega": 0.0}  # fmt: skip
OPTIONAL = ("taker_buy_volume", "quote_volume", "funding_rate", "mark_price", "open_interest",
            "best_bid", "best_ask", "best_bid_size", "best_ask_size", "bid_size_5", "ask_size_5",
            "order_flow_imbalance", "mean_top_depth")  # fmt: skip


def milliseconds(span):
    return int(span[:-1]) * UNITS[span[-1]]


def rolling(x, n, function):
    """Give `function` the windows of n rows, as rows of a matrix; NaN before the first whole one."""
    x = np.asarray(x, dtype=np.float64)
    out = np.full(len(x), np.nan)
    if len(x) >= n:
        out[n - 1 :] = function(sliding_window_view(x, n), axis=1)
    return out


def sma(x, n):
    return rolling(x, n, np.mean)


def add(x, n):
    return rolling(x, n, np.sum)


def std(x, n):
    return rolling(x, n, np.std)


def var(x, n):
    return rolling(x, n, np.var)


def top(x, n):
    return rolling(x, n, np.max)


def bottom(x, n):
    return rolling(x, n, np.min)


def back(x, k):
    return np.concatenate([np.full(min(k, len(x)), np.nan), x[:-k]])


def cov(x, y, n):
    """Return the population covariance of the last n pairs."""
    out = np.full(len(x), np.nan)
    a, b = sliding_window_view(x, n), sliding_window_view(y, n)
    out[n - 1 :] = np.mean((a - a.mean(1, keepdims=True)) * (b - b.mean(1, keepdims=True)), axis=1)
    return out


def corr(x, y, n):
    return divide(cov(x, y, n), np.sqrt(var(x, n) * var(y, n)))


def smooth(x, n, alpha):
    """Return the recursive mean that begins with the mean of the first n known values."""
    out = np.full(len(x), np.nan)
    first = int(np.isfinite(x).argmax())
    level = out[first + n - 1] = np.mean(x[first : first + n])
    for t in range(first + n, len(x)):
        level = out[t] = (1 - alpha) * level + alpha * x[t]
    return out


def ema(x, n):
    return smooth(x, n, 2 / (n + 1))


def wilder(x, n):
    return smooth(x, n, 1 / n)


def divide(a, b):
    """Return a / b, and 0 where b is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((b == 0) & ~np.isnan(a), 0.0, a / b)


def age(x, n, extreme):
    """Bars since the extreme of n, the latest of equals."""
    return rolling(x, n, lambda w, axis: extreme(w[:, ::-1], axis=axis).astype(float))


def normal_distribution(x):
    return np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x])


class Market:
    """One pair's frame, the closes of others at its close times, and the series that several twins read."""

    def __init__(self, frame, timeframe="15m", references=None, sector=(), parameters=None):
        m = self
        m.O, m.H, m.L, m.C, m.V = (frame[name] for name in ("open", "high", "low", "close", "volume"))
        m.timeframe, m.bar_ms, m.date = timeframe, milliseconds(timeframe), frame["date"]
        m.cell = m.date // m.bar_ms
        m.close_ms = m.date + m.bar_ms
        m.opens = [datetime.fromtimestamp(t / 1000, UTC) for t in m.date.tolist()]
        m.closes = [datetime.fromtimestamp(t / 1000, UTC) for t in m.close_ms.tolist()]
        m.option = {**PARAMETERS, **(parameters or {})}
        unknown = np.full(len(m.C), np.nan)
        for name in OPTIONAL:
            setattr(m, name, frame.get(name, unknown))
        m.s = np.sign(m.C - m.O)
        m.tp = (m.H + m.L + m.C) / 3
        m.Q = np.where(np.isnan(m.quote_volume), m.V * m.tp, m.quote_volume)
        m.was = back(m.C, 1)
        m.r = np.log(m.C / m.was)
        m.tr = np.max([m.H - m.L, np.abs(m.H - m.was), np.abs(m.L - m.was)], axis=0)
        m.hour = np.array([t.hour + t.minute / 60 for t in m.closes])
        m.weekday = np.array([t.weekday() for t in m.closes])
        m.peers = {key: m.as_of(other, key) for key, other in (references or {}).items()}
        m.sector = [m.peers[key] for key in sector]
        m.btc = next((x for key, x in m.peers.items() if _pair(key).startswith("BTC/")), unknown)

    def bars(self, span):
        """Return the bars of a span such as 24h; a number is bars already."""
        return span if isinstance(span, int) else -(-milliseconds(span) // self.bar_ms)

    def lag(self, x, span):
        """Return the value of the newest bar that had closed a span ago."""
        row = np.searchsorted(self.cell, self.cell - self.bars(span), side="right") - 1
        return np.where(row >= 0, np.asarray(x, dtype=np.float64)[row], np.nan)

    def over(self, span, function, *columns):
        """Give `function` the rows whose cell is among the last of a span; NaN before as many rows as it has cells."""
        n = self.bars(span)
        first = np.searchsorted(self.cell, self.cell - n, side="right")
        out = np.full(len(self.C), np.nan)
        for t in range(n - 1, len(out)):
            out[t] = function(*(x[first[t] : t + 1] for x in columns))
        return out

    def as_of(self, other, key):
        """Return another pair's close as it stood at our close times; NaN before its first and 2 of its bars later."""
        bar_ms = milliseconds(self.timeframe if isinstance(key, str) else key[1])
        closed = other["date"] + bar_ms
        row = np.searchsorted(closed, self.close_ms, side="right") - 1
        fresh = (row >= 0) & (self.close_ms - closed[row] < 2 * bar_ms)
        return np.where(fresh, other["close"][row], np.nan)

    def atr(self, n):
        return wilder(self.tr, n)

    def rsi(self, n):
        change = self.C - self.was
        gain, loss = wilder(np.maximum(change, 0), n), wilder(np.maximum(-change, 0), n)
        return 100 * divide(gain, gain + loss)

    def middle(self, n):
        return (top(self.H, n) + bottom(self.L, n)) / 2

    def bands(self):
        """Return the upper and the lower Bollinger band."""
        return sma(self.C, 20) + 2 * std(self.C, 20), sma(self.C, 20) - 2 * std(self.C, 20)

    def volume_ratio(self):
        return divide(self.V, sma(self.V, 20))

    def realised_vol(self, span):
        return np.sqrt(self.over(span, lambda r: np.sum(r**2), self.r))


def _pair(key):
    return key if isinstance(key, str) else key[0]
