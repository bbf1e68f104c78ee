"""What one series has seen, in any interval: the stored candles, exact sums of them, and the candle in progress.

From: `synthetic/` or `datadir.py`. To: the klines, tickers and books of `wire/`.

A series is frozen at its end, the close of its last stored candle, as an exchange would look at that very moment.
So the last candle of every interval is in progress: either it holds what was traded so far, or, if the end is on its
boundary, it has just opened at the last price with no volume. Freqtrade drops that candle and keeps the stored ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .candles import Candles
from .intervals import SPOT_INTERVALS, builds, next_opens, opens


class TooFine(ValueError):
    """The interval is finer than, or no multiple of, anything that is stored."""


def aggregate(candles: Candles, interval: str, volume_decimals: int) -> Candles:
    """Return the candles of a coarser interval, exactly: first open, highest, lowest, last close, volume summed.

    Volumes are decimal numbers of `volume_decimals` places; rounding the sum to them removes the binary dust.
    """
    if not len(candles):
        return candles
    open_times = opens(interval, candles.open_time)
    starts = np.flatnonzero(np.diff(open_times, prepend=open_times[0] - 1))
    ends = np.append(starts[1:], len(candles)) - 1
    return Candles(
        open_times[starts],
        candles.open[starts],
        np.maximum.reduceat(candles.high, starts),
        np.minimum.reduceat(candles.low, starts),
        candles.close[ends],
        np.round(np.add.reduceat(candles.volume, starts), volume_decimals).astype(np.float64),
    )


class History:
    """One series of candles, read when first asked for and kept.

    Parameters
    ----------
    stored : mapping of interval to a function that returns its candles
        What the source has; every other interval is built from the coarsest of these that fits.
    volume_decimals : int
        Places after the point of a volume.
    """

    def __init__(self, stored: Mapping[str, Callable[[], Candles]], volume_decimals: int = 8) -> None:
        self.stored = dict(sorted(stored.items(), key=lambda item: SPOT_INTERVALS.index(item[0])))
        self.volume_decimals = volume_decimals
        self._loaded: dict[str, Candles] = {}
        self._served: dict[str, Candles] = {}

    @property
    def finest(self) -> str:
        return next(iter(self.stored))

    def load(self, interval: str) -> Candles:
        """Return the stored candles of a stored interval, as the source has them."""
        if interval not in self._loaded:
            self._loaded[interval] = self.stored[interval]()
        return self._loaded[interval]

    def candles(self, interval: str) -> Candles:
        """Return all candles of an interval, the last one in progress."""
        if interval not in self._served:
            self._served[interval] = self._build(interval)
        return self._served[interval]

    def _build(self, interval: str) -> Candles:
        fitting = [base for base in self.stored if builds(base, interval)]
        if not fitting:
            raise TooFine(f"{interval} candles cannot be built from the stored {', '.join(self.stored) or 'nothing'}")
        base = fitting[-1]
        stored = self.load(base)
        if not len(stored):
            return stored
        built = stored if base == interval else aggregate(stored, interval, self.volume_decimals)
        end = int(next_opens(base, stored.open_time[-1:])[0])
        following = int(next_opens(interval, built.open_time[-1:])[0])
        return built.append(following, float(built.close[-1])) if following == end else built
