"""From an index price to what is traded: spot and perpetual candles on their tick grids, mark price, funding.

From: `prices.py`, `turnover.py`. To: `market.py`.
"""

from __future__ import annotations

import numpy as np

from ..candles import Candles, Times, Values
from ..intervals import HOUR
from ..market import Funding, Instrument
from .clock import Clock
from .coins import Coin, stream
from .prices import Path

PREMIUM_DEVIATION = 4e-4  # of the perpetual over the index
PREMIUM_HALF_LIFE = 12.0  # hours
FUNDING_HOURS = 8
INTEREST = 1e-4  # per funding interval: Binance's formula
DAMPER = 5e-4  # a premium this close to the interest leaves the rate at the interest: the same formula
FUNDING_CAP = 3e-3
MARK_DECIMALS = 8


def hourly_premium(clock: Clock, seed: int, coin: Coin) -> Values:
    """Return the log premium of the perpetual over the index, hourly: an AR(1) around a small positive mean."""
    decay = 0.5 ** (1 / PREMIUM_HALF_LIFE)
    draw = stream(seed, coin.name, "premium")
    shocks = draw.standard_normal(clock.n_hours) * PREMIUM_DEVIATION * np.sqrt(1 - decay**2)
    premium = np.empty(clock.n_hours)
    state = float(draw.standard_normal()) * PREMIUM_DEVIATION
    for hour, shock in enumerate(shocks):
        premium[hour] = state = state * decay + shock
    return premium + INTEREST


def traded(clock: Clock, path: Path, premium: Values, size: Values, instrument: Instrument) -> Candles:
    """Return candles on the instrument's tick and lot grid; every bar opens where the one before closed.

    Parameters
    ----------
    premium : ndarray of shape (n_bars,)
        Logarithm of what the instrument costs over the index at each bar's close.
    size : ndarray of shape (n_bars,)
        Quote currency traded in each bar.
    """
    ticks = 10.0**instrument.price_decimals
    lots = 10.0**instrument.lot_decimals

    def to_ticks(log_price: Values) -> Values:
        return np.maximum(np.rint(np.exp(log_price + premium) * ticks), 1.0)

    close = to_ticks(path.close)
    first = np.maximum(np.rint(np.exp(path.start + premium[0]) * ticks), 1.0)
    opening = np.concatenate(([first], close[:-1]))
    high = np.maximum.reduce([to_ticks(path.high), opening, close])
    low = np.minimum.reduce([to_ticks(path.low), opening, close])
    volume = np.maximum(np.rint(size / (close / ticks) * lots), 1.0)
    # a whole number over a power of ten is the float nearest to the decimal, so text and back changes nothing
    return Candles(clock.open_time, opening / ticks, high / ticks, low / ticks, close / ticks, volume / lots)


def mark(clock: Clock, path: Path, premium: Values) -> Candles:
    """Return mark price candles: the index at the mean premium of the hour before, off the tick grid, no volume."""
    window = max(1, HOUR // clock.length)
    padded = np.concatenate((np.full(window, premium[0]), premium))
    total = np.cumsum(padded)
    average = (total[window:] - total[:-window]) / window

    def price(log_price: Values) -> Values:
        return np.round(np.exp(log_price + average), MARK_DECIMALS)

    close = price(path.close)
    first = round(float(np.exp(path.start + average[0])), MARK_DECIMALS)
    opening = np.concatenate(([first], close[:-1]))
    high = np.maximum.reduce([price(path.high), opening, close])
    low = np.minimum.reduce([price(path.low), opening, close])
    return Candles(clock.open_time, opening, high, low, close, np.zeros(len(close)))


def funding(clock: Clock, premium: Values) -> Funding:
    """Return the rates by Binance's formula: P + clamp(I - P), P the interval's mean premium, later hours heavier."""
    length = FUNDING_HOURS * HOUR
    first = -(-clock.start // length) * length
    times: Times = np.arange(first, clock.end, length, dtype=np.int64)
    weights = np.arange(1, FUNDING_HOURS + 1) / np.arange(1, FUNDING_HOURS + 1).sum()
    hours = (times - clock.start)[:, None] // HOUR + np.arange(1 - FUNDING_HOURS, 1)
    average = premium[np.maximum(hours, 0)] @ weights
    rate = average + np.clip(INTEREST - average, -DAMPER, DAMPER)
    return Funding(times, np.round(np.clip(rate, -FUNDING_CAP, FUNDING_CAP), 8))
