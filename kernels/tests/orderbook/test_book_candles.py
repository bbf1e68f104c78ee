"""Candle columns and the microprice, by hand and by law (LOB-7)."""

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

sys.path.insert(0, str(Path(__file__).parent))

from real_feed import needs_feed, real_feed

from tradekernels.features import OPTIONAL
from tradekernels.orderbook import Feed, Instrument, Microprice, candle_columns, quotes
from tradekernels.orderbook.book import QUOTES

S = 10**9  # ns


def test_candle_columns_by_hand():
    """Candles of one second: the book before the close, sums over whole candles only."""
    rows = [(0, 100, 5, 0), (1, 102, 4, 0), (0, 99, 9, S // 2), (0, 100, 8, S), (4, 102, 3, S), (1, 101, 3, 3 * S // 2),
            (5, 100, 2, 2 * S), (0, 100, 0, 5 * S // 2)]  # fmt: skip
    kind, tick, lots, time = np.array(rows).T
    feed = Feed.from_rows(Instrument("X", "0.5", "0.1"), kind, tick, lots, time, time)
    out = candle_columns(feed, "1s")
    assert set(out) - {"date"} <= set(OPTIONAL)
    assert out["date"].tolist() == [0, 1000, 2000]
    assert_array_equal(out["best_bid"], [50, 50, np.nan])
    assert_array_equal(out["best_ask"], [51, 50.5, np.nan])
    assert_allclose(out["best_ask_size"], [0.4, 0.3, np.nan])
    assert_allclose(out["bid_size_5"], [1.4, 1.7, np.nan])
    assert_allclose(out["ask_size_5"], [0.4, 0.7, np.nan])
    assert_allclose(out["taker_buy_volume"], [0, 0.3, np.nan])
    assert_allclose(out["order_flow_imbalance"], [0, 0.3 - 0.3, np.nan], atol=1e-12)
    assert_allclose(out["mean_top_depth"], [0.45, (0.6 + 0.55) / 2, np.nan])


@pytest.mark.parametrize("timeframe", ["", "m", "0m", "1w", "-1m", "1.5m"])
def test_a_timeframe_that_is_none_is_refused(timeframe):
    """By value."""
    feed = Feed.from_rows(Instrument("X", "1", "1"), [0], [5], [1], [0], [0])
    with pytest.raises(ValueError, match="timeframe is"):
        candle_columns(feed, timeframe)


def test_the_microprice_is_the_mid_of_a_market_that_is_symmetric():
    """And leans to the side that the mid has moved to after the same imbalance."""
    n = 4000
    random = np.random.default_rng(0)
    table = np.zeros(n, QUOTES)
    heavy = random.integers(0, 2, n)
    table["bid_lots"], table["ask_lots"] = np.where(heavy, 9, 1), np.where(heavy, 1, 9)
    table["bid_tick"] = 1000 + np.concatenate([[0], np.cumsum(np.where(heavy, 1, -1))[:-1]])
    table["ask_tick"] = table["bid_tick"] + 1
    fitted = Microprice.fit(table, n_buckets=2, n_spreads=1, steps=1)
    assert_allclose(fitted.adjustment, [[-1, 1]])
    assert_allclose(fitted.ticks(table) - table["bid_tick"] - 0.5, np.where(heavy, 1, -1))
    table["bid_tick"] = 1000 + random.integers(0, 2, n)
    table["ask_tick"] = table["bid_tick"] + 1
    assert_allclose(Microprice.fit(table, n_buckets=1, n_spreads=1).adjustment, [[0]], atol=1e-12)


@needs_feed
@pytest.mark.real_data
def test_the_microprice_of_the_real_feed_leans_to_the_heavier_side():
    """At one tick of spread the adjustment grows with the imbalance, and mirrors itself."""
    table = quotes(real_feed("venue"))
    fitted = Microprice.fit(table[table["bid_tick"] > 0])
    assert (np.diff(fitted.adjustment[0]) > 0).all()
    assert_allclose(fitted.adjustment, -fitted.adjustment[:, ::-1], atol=1e-6)
