"""Price paths of coins that move together: one common factor, one of their own, jumps in both, no drift.

From: `coins.py`, `clock.py`, `volatility.py`. To: `derivatives.py`, which trades them, and `turnover.py`.

Unless a trend is planted (`trend.py`), every coin's price is a martingale: its volatility can be forecast, its
direction cannot. In such a market an honest model finds nothing, and its report should say so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..candles import Values
from ..intervals import HOUR
from .clock import Clock
from .coins import Coin, stream
from .trend import drift, lean
from .volatility import log_volatility

MARKET = "market"
COMMON_JUMPS_PER_DAY, OWN_JUMPS_PER_DAY = 0.15, 0.25
JUMP_SIZE = 0.25  # scale of a Laplace jump, in the coin's daily volatilities


@dataclass(frozen=True, eq=False)
class Factor:
    """A source of returns: standardised, with its own volatility and jumps."""

    log_volatility: Values  # per bar
    shock: Values  # standard normal
    jump: Values  # in daily volatilities, mostly zero


@dataclass(frozen=True, eq=False)
class Path:
    """The index price of a coin: logarithms, one row a bar; it opens where the bar before closed."""

    start: float
    close: Values
    high: Values
    low: Values
    surprise: Values  # the bar's return over its expected size
    log_volatility: Values

    @property
    def open(self) -> Values:
        return np.concatenate(([self.start], self.close[:-1]))


def factor(clock: Clock, seed: int, name: str, jumps_per_day: float) -> Factor:
    """Return the factor that belongs to a name, always the same for the same seed and clock."""
    n = len(clock.open_time)
    draw = stream(seed, name, "jumps")
    jumps = draw.poisson(jumps_per_day / clock.bars_per_day, n)
    sizes = np.zeros(n)
    hit = np.flatnonzero(jumps)
    sizes[hit] = draw.laplace(0.0, JUMP_SIZE * np.sqrt(jumps[hit]))
    jumps_per_hour = np.zeros(clock.n_hours)
    np.add.at(jumps_per_hour, (clock.open_time[hit] - clock.start) // HOUR, jumps[hit])
    volatility = clock.from_hourly(log_volatility(stream(seed, name, "volatility"), jumps_per_hour))
    return Factor(volatility, stream(seed, name, "returns").standard_normal(n), sizes)


def path(clock: Clock, seed: int, coin: Coin, market: Factor, planted_trend: float = 0.0) -> Path:
    """Return a coin's path: its share of the market's factor and the rest of its own.

    Highs and lows follow the law of a Brownian bridge's extremes: for ends 0 and r, variance v and U uniform, the
    maximum is (r + sqrt(r^2 - 2 v ln U)) / 2 (Glasserman, "Monte Carlo Methods in Financial Engineering", 6.4);
    the minimum is drawn likewise and independently.
    """
    own = factor(clock, seed, coin.name, OWN_JUMPS_PER_DAY)
    common = np.sqrt(coin.market_share) * np.exp(market.log_volatility + clock.log_activity)
    alone = np.sqrt(1 - coin.market_share) * np.exp(own.log_volatility + clock.log_activity)
    scale = coin.daily_volatility / np.sqrt(clock.bars_per_day)
    expected = scale * np.sqrt(common**2 + alone**2)
    variance = expected**2
    diffusion = scale * (common * market.shock + alone * own.shock)
    jumps = coin.daily_volatility * (np.sqrt(coin.market_share) * market.jump + own.jump)
    returns = diffusion + jumps - variance / 2  # the last term makes the price, not its logarithm, a fair game
    if planted_trend:
        returns += coin.daily_volatility * drift(clock, lean(clock, seed, MARKET), planted_trend)
    close = np.log(coin.price) + np.cumsum(returns)
    opening = close - returns
    draw = stream(seed, coin.name, "extremes")
    reach = np.sqrt(returns**2 - 2 * variance * np.log(1 - draw.random((2, len(returns)))))
    return Path(
        start=float(np.log(coin.price)),
        close=close,
        high=opening + (returns + reach[0]) / 2,
        low=opening + (returns - reach[1]) / 2,
        surprise=returns / expected,
        log_volatility=np.log(expected / scale),
    )
