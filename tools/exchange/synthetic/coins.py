"""What each coin is like: a few large ones by name, any other drawn from its own name and the seed.

From: the size of things on Binance in 2024-2025, rounded. To: `prices.py` and `turnover.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import numpy as np


@dataclass(frozen=True)
class Coin:
    """A coin's character."""

    name: str
    price: float  # quote currency, at the start
    daily_volatility: float  # standard deviation of a day's log return
    market_share: float  # share of its variance that it has in common with all coins
    daily_turnover: float  # quote currency, of the perpetual; spot trades a quarter of it


KNOWN = {
    coin.name: coin
    for coin in (
        Coin("BTC", 60_000.0, 0.026, 0.85, 12e9),
        Coin("ETH", 2_600.0, 0.034, 0.80, 10e9),
        Coin("SOL", 150.0, 0.042, 0.65, 3e9),
        Coin("BNB", 560.0, 0.026, 0.60, 0.6e9),
        Coin("XRP", 0.6, 0.042, 0.50, 1.5e9),
        Coin("DOGE", 0.12, 0.048, 0.55, 1.5e9),
        Coin("ADA", 0.4, 0.042, 0.60, 0.6e9),
        Coin("LINK", 13.0, 0.042, 0.60, 0.4e9),
        Coin("LTC", 70.0, 0.036, 0.55, 0.4e9),
    )
}


def stream(seed: int, coin: str, purpose: str) -> np.random.Generator:
    """Return the random stream of one thing of one coin, so that no draw elsewhere can move it."""
    return np.random.default_rng([seed, crc32(f"{coin}/{purpose}".encode())])


def coin_named(name: str, seed: int) -> Coin:
    """Return a coin's character."""
    if name in KNOWN:
        return KNOWN[name]
    draw = stream(seed, name, "character")
    return Coin(
        name,
        price=float(10 ** draw.uniform(-1, 2)),
        daily_volatility=float(draw.uniform(0.04, 0.06)),
        market_share=float(draw.uniform(0.35, 0.65)),
        daily_turnover=float(10 ** draw.uniform(7.7, 8.7)),
    )
