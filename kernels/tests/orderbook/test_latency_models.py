"""Latency, fees and the clock of a replay, by hand (LOB-10, LOB-11, LOB-15)."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tradekernels.orderbook import (
    ConstantLatency,
    DrawnLatency,
    Feed,
    FeedLatency,
    Fees,
    Instrument,
    Queue,
    Replay,
    Status,
    TableLatency,
    TradingModels,
)  # fmt: skip

UNIT = Instrument("X", "0.1", "0.001")


def feed_of(*rows):
    """Return a feed of (kind, tick, lots, exchange time, local time)."""
    return Feed.from_rows(UNIT, *np.array(rows).T)


def wide_feed(end=10**10):
    return feed_of((0, 100, 5, 0, 3), (1, 110, 5, 0, 3), (0, 100, 5, 1000, 1040), (0, 100, 5, end, end + 20))


def arrival_and_answer(latency, feed=None, at=2000):
    """Return when an order sent at a time arrives and when its taker fill is known, relative to `at`."""
    replay = Replay(feed or wide_feed(), TradingModels(latency))
    replay.elapse(at - replay.now)
    replay.submit("buy", 110, 1, "IOC")
    replay.elapse_to_answer(10**9)
    (fill,) = replay.fills
    assert fill["local_time_ns"] == replay.now
    return int(fill["exchange_time_ns"]) - at, int(fill["local_time_ns"]) - at


def test_constant_latency_is_added_both_ways():
    """To the nanosecond."""
    assert arrival_and_answer(ConstantLatency(70, 11)) == (70, 81)


def test_feed_latency_is_a_multiple_of_that_of_the_newest_message():
    """The trader's newest message took 40; the venue's newest message will take 40 as well."""
    assert arrival_and_answer(FeedLatency(2.0, 0.5, 1, 3)) == (81, 81 + 23)


def test_table_latency_is_interpolated_and_held_outside():
    """Entry over request times, response over exchange times."""
    table = TableLatency([1000, 3000], [1100, 3300], [1150, 3450])
    assert arrival_and_answer(table, at=2000) == (200, 200 + 50 + round(100 * 1100 / 2200))
    assert arrival_and_answer(table, at=9000) == (300, 450)
    with pytest.raises(ValueError, match="does not increase"):
        arrival_and_answer(TableLatency([2, 1], [3, 4], [5, 6]))


def test_drawn_latency_lies_in_its_range_and_repeats_with_its_seed():
    """Base, jitter, spikes, and the multiplier of the hour: 1970 began on a Thursday."""
    plain = DrawnLatency(1000, 100, 0.0, 5.0)
    seen = {arrival_and_answer(DrawnLatency(1000, 100, 0.0, 5.0, seed=k))[0] for k in range(50)}
    assert all(1000 <= x < 1100 for x in seen)
    assert len(seen) > 20
    assert arrival_and_answer(plain) == arrival_and_answer(plain)
    assert 5000 <= arrival_and_answer(DrawnLatency(1000, 100, 1.0, 5.0))[0] < 5500
    hours = tuple(3.0 if k == 72 else 1.0 for k in range(168))
    assert 3000 <= arrival_and_answer(DrawnLatency(1000, 100, 0.0, 5.0, hour_of_week=hours))[0] < 3300


def test_a_lost_request_is_rejected_after_its_retries():
    """And the venue never hears of it."""
    replay = Replay(wide_feed(), TradingModels(DrawnLatency(1000, 0, 0.0, 1.0, timeout_ns=400, retries=2)))
    replay.elapse(2000)
    order = replay.submit("buy", 110, 1)
    replay.elapse(1199)
    assert replay.order(order).status == Status.SENT
    replay.elapse(1)
    assert replay.order(order).status == Status.REJECTED
    assert not replay.orders
    assert not len(replay.fills)


def test_nothing_overtakes():
    """LOB-11: a request sent later, with a shorter way, arrives no earlier."""
    table = TableLatency([2000, 2001], [2900, 2902], [2901, 2903])
    replay = Replay(wide_feed(), TradingModels(table))
    replay.elapse(2000)
    replay.submit("buy", 110, 1, "IOC", order_id=1)
    replay.elapse(10)
    replay.submit("buy", 110, 1, "IOC", order_id=2)
    replay.elapse(5000)
    assert_array_equal(np.diff(replay.fills["exchange_time_ns"]) >= 0, [True])


def test_a_request_arrives_after_the_venues_rows_of_the_same_time():
    """LOB-10: row 3 of the tie, request 4."""
    feed = feed_of((0, 100, 5, 0, 0), (1, 110, 5, 0, 0), (1, 108, 5, 50, 90), (0, 1, 1, 10**6, 10**6))
    replay = Replay(feed, TradingModels(ConstantLatency(50, 0)))
    replay.submit("buy", 120, 1)
    replay.elapse(60)
    assert replay.fills[["exchange_time_ns", "tick"]].tolist() == [(50, 108)]
    assert replay.book.best("ask") == (110, 5)


def test_the_life_of_an_order_and_what_is_refused():
    """Statuses, pending requests, and every error by value."""
    replay = Replay(wide_feed(), TradingModels(ConstantLatency(10, 10)))
    replay.elapse(100)
    order = replay.submit("buy", 99, 4, "GTX")
    assert (replay.order(order).status, replay.order(order).pending) == (Status.SENT, True)
    with pytest.raises(ValueError, match="waiting for an answer"):
        replay.cancel(order)
    assert replay.elapse_to_answer(1000)
    assert (replay.now, replay.order(order).status, replay.queue_ahead(order)) == (120, Status.WORKING, 0.0)
    replay.modify(order, 98, 6)
    replay.elapse(20)
    assert (replay.order(order).tick, replay.order(order).lots, replay.order(order).leaves) == (98, 6, 6)
    replay.cancel(order)
    replay.elapse(20)
    assert replay.order(order).status == Status.CANCELED
    assert replay.orders == []
    crossing = replay.submit("sell", 100, 1, "GTX")
    replay.elapse(20)
    assert replay.order(crossing).status == Status.EXPIRED
    for call, message in (
        (lambda: replay.cancel(order), "CANCELED"), (lambda: replay.cancel(77), "order_id is 77"),
        (lambda: replay.submit("long", 1, 1), "side is 'long'"), (lambda: replay.submit("buy", 0, 1), "tick is 0"),
        (lambda: replay.submit("buy", 1, 0), "lots is 0"), (lambda: replay.submit("buy", 1, 1, "DAY"), "force is"),
        (lambda: replay.submit("buy", 1, 1, order_id=order), "that no order has"),
        (lambda: replay.submit("buy", None, 1), "without a tick"), (lambda: replay.elapse(-1), "duration_ns is -1"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            call()
    replay.forget_finished()
    with pytest.raises(KeyError):
        replay.order(order)


def test_a_market_order_walks_the_levels_and_the_rest_expires():
    """Partial fills; whole fills take everything at the best."""
    feed = feed_of((1, 110, 5, 0, 0), (1, 112, 5, 0, 0), (0, 1, 1, 0, 0), (0, 1, 1, 1000, 1000))
    for fills, expected in (("partial", [(110, 5), (112, 5)]), ("whole", [(110, 20)])):
        replay = Replay(feed, TradingModels(fills=fills))
        order = replay.submit("buy", None, 20, "IOC")
        replay.elapse(10)
        assert replay.fills[["tick", "lots"]].tolist() == expected
        assert replay.order(order).status == (Status.EXPIRED if fills == "partial" else Status.FILLED)


def trade_once(fees):
    replay = Replay(wide_feed(), TradingModels(fees=fees))
    replay.elapse(10)
    replay.submit("buy", 110, 3, "IOC")
    replay.elapse(10)
    return replay.account


def test_fees_are_exact_and_rounded_half_away_from_zero():
    """LOB-15: value 11.0 * 0.003 = 0.033."""
    assert trade_once(Fees("0", "0.0007")).fee == 0.0000231
    assert trade_once(Fees("0", "0.0007", rounding="0.00001")).fee == 0.00002
    assert trade_once(Fees("0", "-0.00075757", rounding="0.00001")).fee == -0.00002  # -2.5000 steps less a hair
    assert trade_once(Fees("0", "-0.0015", rounding="0.000033")).fee == pytest.approx(-0.000066)  # exactly -1.5 steps
    assert trade_once(Fees("0", "0.5", per="quantity")).fee == 0.0015
    assert trade_once(Fees("0", "0.25", per="fill")).fee == 0.25
    account = trade_once(Fees())
    assert (account.position_lots, account.cash, account.fee) == (3, -330, 0.0)
    assert account.equity_at(115) == pytest.approx(3 * 5 * 1e-4)
    with pytest.raises(ValueError, match="per is"):
        trade_once(Fees(per="trade"))


def test_trades_of_the_market_are_seen_once_each():
    """As they are received."""
    feed = feed_of((4, 110, 2, 0, 10), (5, 100, 3, 5, 20), (0, 100, 3, 30, 40))
    replay = Replay(feed)
    replay.elapse(15)
    assert replay.trades().tolist() == [(10, 1, 110, 2)]
    replay.elapse(100)
    assert replay.trades().tolist() == [(20, -1, 100, 3)]
    assert replay.trades().tolist() == []


def test_models_refuse_what_they_cannot_do():
    """By value."""
    for make, message in (
        (lambda: Queue("l4"), "queue model is 'l4'"), (lambda: Queue("power", 0), "exponent is 0"),
        (lambda: ConstantLatency(-1, 0).parameters(), "entry_ns is -1"),
        (lambda: DrawnLatency(hour_of_week=(1.0,)).parameters(), "has 1 multipliers"),
        (lambda: Replay(wide_feed(), TradingModels(fills="some")), "fills is 'some'"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            make()
