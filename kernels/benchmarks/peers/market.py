"""What several features share, written with pandas and computed once. From: candles of 15m. To: the pandas_* families.

The candles have no gaps, so a window in clock time is a window of bars, and pandas needs no offsets.
"""

from functools import cached_property

import numpy as np
import pandas as pd

BAR_MINUTES = 15
HOUR, DAY, WEEK, MONTH = 4, 96, 672, 2880  # in bars


def ratio(a, b):
    """a / b, and 0 where b is 0."""
    return (a / b).where(b != 0, 0.0)


def ema(x, n):
    return x.ewm(span=n, adjust=False).mean()


def wilder(x, n):
    return x.ewm(alpha=1 / n, adjust=False).mean()


def total(x, n):
    return x.rolling(n).sum()


def mean(x, n):
    return x.rolling(n).mean()


def std(x, n):
    return x.rolling(n).std(ddof=0)


def age_of_highest(x, n):
    """Bars since the highest of n, the latest of equals."""
    return x.rolling(n).apply(lambda window: window[::-1].argmax(), raw=True)


def age_of_lowest(x, n):
    return x.rolling(n).apply(lambda window: window[::-1].argmin(), raw=True)


def flag(test, known):
    """1 and 0, NaN where what is tested is not known yet."""
    return test.astype(float).where(known.notna())


class Market:
    """Candles and the series that more than one family reads."""

    def __init__(self, frame):
        self.frame = frame
        self.o, self.h, self.l, self.c, self.v = (frame[name] for name in ("open", "high", "low", "close", "volume"))
        self.was = self.c.shift(1)
        self.log_close = np.log(self.c)
        self.r = self.log_close.diff()
        self.abs_r = self.r.abs()
        self.squares = self.r**2
        self.height = self.h - self.l
        self.body = self.c - self.o
        self.typical = (self.h + self.l + self.c) / 3
        self.signed_volume = np.sign(self.body) * self.v
        self.closed = frame["date"] + pd.Timedelta(minutes=BAR_MINUTES)
        self._kept = {}

    def column(self, name):
        """An optional column; NaN where the frame lacks it."""
        return self.frame[name] if name in self.frame else pd.Series(np.nan, index=self.frame.index)

    def _keep(self, key, make):
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def ema(self, n):
        return self._keep(("ema", n), lambda: ema(self.c, n))

    def sma(self, n):
        return self._keep(("sma", n), lambda: mean(self.c, n))

    def atr(self, n):
        return self._keep(("atr", n), lambda: wilder(self.true_range, n))

    def top(self, n):
        return self._keep(("top", n), lambda: self.h.rolling(n).max())

    def bottom(self, n):
        return self._keep(("bottom", n), lambda: self.l.rolling(n).min())

    def volume_sum(self, n):
        return self._keep(("volume", n), lambda: total(self.v, n))

    def rsi(self, n):
        def make():
            gain, loss = wilder(self.change.clip(lower=0), n), wilder(-self.change.clip(upper=0), n)
            return 100 * ratio(gain, gain + loss)

        return self._keep(("rsi", n), make)

    @cached_property
    def change(self):
        return self.c.diff()

    @cached_property
    def true_range(self):
        return np.maximum(self.h, self.was) - np.minimum(self.l, self.was)

    @cached_property
    def bands(self):
        width = 2 * std(self.c, 20)
        return self.sma(20) + width, self.sma(20) - width

    @cached_property
    def stochastic(self):
        return ratio(self.c - self.bottom(14), self.top(14) - self.bottom(14))

    @cached_property
    def williams(self):
        return -ratio(self.top(14) - self.c, self.top(14) - self.bottom(14))

    @cached_property
    def cci(self):
        deviation = self.typical.rolling(20).apply(lambda x: np.abs(x - x.mean()).mean(), raw=True)
        return ratio(self.typical - mean(self.typical, 20), 0.015 * deviation)

    @cached_property
    def volume_ratio(self):
        return ratio(self.v, self.volume_sum(20) / 20)

    @cached_property
    def obv_20(self):
        """Change of on-balance volume over 20 bars."""
        return total(np.sign(self.change) * self.v, 20)

    @cached_property
    def quote_volume(self):
        estimate = self.v * self.typical
        return self.frame["quote_volume"].fillna(estimate) if "quote_volume" in self.frame else estimate

    @cached_property
    def buy_share(self):
        return ratio(self.column("taker_buy_volume"), self.v)

    @cached_property
    def realised_hour(self):
        return np.sqrt(total(self.squares, HOUR))

    @cached_property
    def realised_day(self):
        return np.sqrt(total(self.squares, DAY))

    def momentum(self, n):
        """Log return over n bars."""
        return self._keep(("momentum", n), lambda: self.log_close.diff(n))
