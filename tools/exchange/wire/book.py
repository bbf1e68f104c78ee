"""An order book around the last price, drawn from the series itself: the same series has the same book.

From: a `Listing`. To: `/depth`, `/ticker/bookTicker`. It is scenery for dry runs, not a matching engine.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np

from ..market import Listing

RECENT = 60  # bars whose mean volume sets the size of a level
LEVELS_PER_BAR = 20  # a mean bar's volume rests on this many levels near the touch
GAP_GROWTH = 0.02  # how the mean distance of neighbouring levels grows with depth, ticks per level

Levels = list[tuple[float, float]]  # price, size; the best first


def order_book(listing: Listing, n_levels: int) -> tuple[Levels, Levels]:
    """Return bids and asks on the instrument's grid; the last price lies at the bid or at the ask."""
    trades = listing.trades.load(listing.trades.finest)
    instrument = listing.instrument
    ticks, lots = 10.0**instrument.price_decimals, 10.0**instrument.lot_decimals
    draw = np.random.default_rng([crc32(instrument.pair.encode()), int(trades.open_time[-1])])
    usual_size = max(float(trades.volume[-RECENT:].mean()) / LEVELS_PER_BAR, 1 / lots)
    last = round(listing.last_price * ticks)
    best_bid = last - int(draw.integers(0, 2))
    sides: list[Levels] = []
    for best, direction in ((best_bid, -1), (best_bid + 1, 1)):
        gaps = 1 + draw.poisson(GAP_GROWTH * np.arange(n_levels - 1))
        prices = best + direction * np.concatenate(([0], np.cumsum(gaps)))
        sizes = np.maximum(np.rint(usual_size * draw.lognormal(0.0, 0.8, n_levels) * lots), 1.0) / lots
        levels = zip((prices / ticks).tolist(), sizes.tolist(), strict=True)
        sides.append([(price, size) for price, size in levels if price > 0])
    return sides[0], sides[1]
