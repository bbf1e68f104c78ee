"""A slow twin of every feature, by family. From: `market.Market`. To: the tests that hold features to them."""

from . import book, candles, cross, external, futures, momentum, quality, statistical, time, trend, volatility, volume
from .market import Market

FAMILIES = (trend, momentum, volatility, volume, candles, quality, time, futures, statistical, cross, external, book)
TWINS = {name: twin for family in FAMILIES for name, twin in family.TWINS.items()}
assert len(TWINS) == sum(len(family.TWINS) for family in FAMILIES), "a twin is listed twice"

__all__ = ["TWINS", "Market"]
