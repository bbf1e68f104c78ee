"""What a target weight orders for a trade that is open (PPA-1)."""

from datetime import timedelta
from types import SimpleNamespace

import pandas as pd
import pytest

from strategies.engines.weights import Account
from strategies.shared.weighted_trades import WeightedTrades

PAIR, PRICE, CASH = "BTC/USDT:USDT", 100.0, 1000.0


@pytest.fixture
def frame(make_candles):
    return make_candles(30).assign(close=PRICE, target_weight=0.5)


def closed(frame):
    return (frame["date"].iloc[-1] + pd.Timedelta("15min")).to_pydatetime()


def adjusted(frame, placed, filled, units, late=3):
    """Return the adjustment `late` seconds after the close; the account has so many units and the trade one order."""
    provider = SimpleNamespace(get_analyzed_dataframe=lambda pair, timeframe: (frame, None))
    accounts = SimpleNamespace(at=lambda pair, when, price: Account(CASH - units * price, units, price))
    trades = WeightedTrades(provider, "15m", True, accounts, 0.0006, lambda: 0.05)
    after = timedelta(seconds=1)
    order = SimpleNamespace(order_date_utc=closed(frame) + placed * after, order_filled_utc=None)
    if filled is not None:
        order.order_filled_utc = closed(frame) + filled * after
    trade = SimpleNamespace(
        pair=PAIR, is_short=False, leverage=1.0, has_open_orders=False, stake_amount=500.0, orders=[order]
    )
    return trades.adjustment(trade, closed(frame) + late * after, PRICE, 5.0, 1e6)


@pytest.mark.parametrize(("units", "expected"), [(2.0, 300.0), (9.0, -4 / 9 * 500)])
def test_the_difference_at_the_close_is_ordered(frame, units, expected):
    assert adjusted(frame, placed=-60, filled=-50, units=units) == pytest.approx(expected)


@pytest.mark.parametrize("units", [0.0, 9.0])
@pytest.mark.parametrize(("placed", "filled"), [(-240, 1), (-240, 0), (1, 2), (1, None)])
def test_an_order_placed_or_filled_since_the_close_is_waited_for(frame, placed, filled, units):
    """An entry placed before the close and filled after it is not in the account at the close: it came twice."""
    assert adjusted(frame, placed, filled, units) is None


@pytest.mark.parametrize(
    ("late", "adds", "takes"),
    [
        (9, True, True),
        (11, False, True),  # a loop that hung, or a bot that restarted
        (903, False, True),  # a bar was missed: its candle has not come
        (1201, False, False),  # two bars and five minutes after it opened nobody knows what is wanted
    ],
)
def test_a_late_answer_adds_nothing_and_may_still_take_away(frame, late, adds, takes):
    """ASO-7, GUA-7, STR-4: risk is taken on a young signal alone."""
    assert (adjusted(frame, placed=-60, filled=-50, units=2.0, late=late) is not None) is adds
    assert (adjusted(frame, placed=-60, filled=-50, units=9.0, late=late) is not None) is takes
