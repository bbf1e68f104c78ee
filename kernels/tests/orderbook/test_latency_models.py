"""Latency, fees and the clock of a replay, by hand (LOB-10, LOB-11, LOB-15)."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tradekernels.execution import CounterRandom, Latency, hour_of_week
from tradekernels.orderbook import (
    ConstantLatency,
    DrawnLatency,
    Feed,
    FeedLatency,
    Fees,
    Grid,
    Instrument,
    Queue,
    Replay,
    Status,
    TableLatency,
    TradingModels,
    run_grids,
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


def test_drawn_latency_is_that_of_execution_and_depends_on_seed_and_order_number_alone():
    """EXE-3, LOB-11: one formula; how often others draw, and how many answers came, moves nothing."""
    hours = tuple(1 + k / 168 for k in range(168))
    numbers = (1000.0, 900.0, 0.3, 4.0, 2500)
    model = DrawnLatency(*numbers, retries=1, hour_of_week=hours, seed=7)
    candle = Latency(*numbers, retries=1, hour_of_week=hours)
    start = 1_723_161_255_000_000_000
    feed = feed_of((1, 110, 5, start, start), (0, 1, 1, start + 10**7, start + 10**7))
    expected, arrived = candle.draw([start // 10**6] * 40, CounterRandom(7), np.arange(40))
    assert 0 in arrived
    for first in (0, 25):  # the others send their orders in one go, or have them answered one by one
        replay = Replay(feed, TradingModels(model))
        for k in range(40):
            replay.submit("buy", 110, 1, "IOC", order_id=k)
            if k < first:
                replay.elapse(0)
        replay.elapse(10**6)
        whole = np.maximum.accumulate(np.where(arrived > 0, expected.astype(np.int64), 0))  # nothing overtakes
        assert_array_equal(replay.fills["exchange_time_ns"] - start, whole[arrived > 0])
        assert_array_equal(replay.fills["order_id"], np.flatnonzero(arrived > 0))


def test_a_trader_in_a_crowd_draws_what_it_draws_alone():
    """LOB-16 under drawn latency: each set gives what it gives alone."""
    rows = [(k % 2, 100 + 2 * (k % 2), 5 + k % 3, 40 * k, 40 * k + 9) for k in range(400)]
    rows += [(5, 100, 9, 40 * k + 20, 40 * k + 21) for k in range(0, 400, 3)]
    feed = feed_of(*sorted(rows, key=lambda row: row[4]))
    models = TradingModels(DrawnLatency(100, 80, 0.1, 3.0, 300, seed=3))
    grids = [Grid(2, 1, 0, 1, 50), Grid(1, 2, 1, 2, 50)]
    together = run_grids(feed, grids, models, interval_ns=50, warm_up_ns=0, sample_ns=100)
    for grid, result in zip(grids, together, strict=True):
        (alone,) = run_grids(feed, grid, models, interval_ns=50, warm_up_ns=0, sample_ns=100)
        assert len(result.fills) > 5
        assert_array_equal(result.fills[["exchange_time_ns", "tick"]], alone.fills[["exchange_time_ns", "tick"]])


def test_makers_whose_requests_are_always_lost_come_to_an_end():
    """They would send again for ever: two levels at even seconds, the third, wanted since 3.5 s, at odd ones."""
    half = 500_000_000
    rows = [(0, 100, 5, 0), (1, 102, 5, 0), (1, 102, 0, 7), (0, 101, 5, 7), (1, 103, 5, 7), (0, 101, 6, 10)]
    feed = feed_of(*((kind, tick, lots, half * at, half * at) for kind, tick, lots, at in rows))
    lost = TradingModels(DrawnLatency(2e9, 0, 0.0, 1.0, timeout_ns=1.5e9, retries=0))
    (result,) = run_grids(feed, Grid(3, 1, 0, 1, 5), lost, interval_ns=10**9, warm_up_ns=0, sample_ns=10**9)
    assert not len(result.fills)
    assert 60 <= result.n_decisions <= 70


def test_hours_are_those_of_the_week_before_1970_as_well():
    """The clock may run there; hours are rounded down, not towards 1970."""
    hour = 3_600_000_000_000
    for time in (-1, -200 * hour, -hour - 1, 71 * hour):
        hours = tuple(float(k == hour_of_week([time // 10**6])[0]) for k in range(168))
        feed = feed_of((1, 110, 5, time, time), (0, 1, 1, time + 10**4, time + 10**4))
        replay = Replay(feed, TradingModels(DrawnLatency(1000, 0, 0.0, 1.0, hour_of_week=hours)))
        replay.submit("buy", 110, 1, "IOC")
        replay.elapse(999)
        assert not len(replay.fills)
        replay.elapse(5000)
        assert replay.fills["exchange_time_ns"].tolist() == [time + 1000]


def test_an_older_answer_does_not_end_a_newer_request():
    """A modification is answered twice when the order queues again; a cancellation sent in between stays pending."""
    feed = feed_of((0, 100, 5, 0, 0), (1, 110, 5, 0, 0), (0, 1, 1, 10**6, 10**6))
    for seed in range(20):
        replay = Replay(feed, TradingModels(DrawnLatency(10, 300, 0.0, 1.0, 10**6, seed=seed)))
        order = replay.submit("buy", 99, 4)
        replay.elapse_to_answer(10**5)
        replay.modify(order, 98, 4)
        replay.elapse_to_answer(10**5)
        assert (replay.order(order).tick, replay.order(order).pending) == (98, False)
        replay.cancel(order)
        replay.elapse_to_answer(10**5)
        assert replay.order(order).pending == (replay.order(order).status != Status.CANCELED)


def test_a_feed_whose_clocks_were_not_repaired_has_no_negative_latency():
    """A message that seems to come before it was sent took no time, in either direction."""
    feed = feed_of((1, 110, 5, 100, 0), (0, 1, 1, 10**6, 10**6))
    assert arrival_and_answer(FeedLatency(1.0, 1.0, 30, 5), feed, at=200) == (30, 35)


def test_money_that_does_not_fit_is_an_error_and_never_wraps():
    """LOB-15: a fill, a fee and a sum that are beyond 4e18; the last sum that is not stays."""
    feed = feed_of((1, 2**31 - 2, 5, 0, 0), (0, 1, 1, 100, 100))
    for lots, fees in ((2**40, Fees()), (2**30, Fees("0.000000001", "0.123456789")), (2**30, Fees())):
        replay = Replay(feed, TradingModels(fees=fees))
        if fees == Fees() and lots == 2**30:
            replay.submit("buy", 2**31 - 2, lots, "IOC")
            replay.elapse(1)
        before = replay.account
        assert before.cash in (0, -(2**31 - 2) * 2**30)
        replay.submit("buy", 2**31 - 2, lots, "IOC")
        with pytest.raises(OverflowError, match="money is beyond"):
            replay.elapse(10)
        assert (replay.account.cash, replay.account.fee_steps) == (before.cash, before.fee_steps)


def test_trades_are_told_with_the_time_at_which_they_were_known():
    """What was late counts as known at the time of the entry before it; asking often costs no more than asking once."""
    feed = feed_of((0, 100, 5, 0, 50), (4, 110, 2, 10, 60), (4, 110, 1, 20, 70))
    late = Feed(UNIT, feed.rows, feed.messages, feed.venue_stream, np.array([0, 2, 1], np.int32))
    replay = Replay(late)
    seen = []
    while replay.elapse(5):
        seen += replay.trades().tolist()
    assert [*seen, *replay.trades().tolist()] == [(70, 1, 110, 1), (70, 1, 110, 2)]


def test_numbers_that_are_not_whole_are_refused():
    """Rather than cut."""
    replay = Replay(wide_feed())
    order = replay.submit("buy", np.int64(90), np.int32(4))
    for call, message in (
        (lambda: replay.submit("buy", 90.5, 1), "tick is 90.5"), (lambda: replay.submit("buy", 90, 1.5), "lots is 1.5"),
        (lambda: replay.submit("buy", 90, 1, order_id=7.0), "order_id is 7.0"),
        (lambda: replay.elapse(0.5), "duration_ns is 0.5"), (lambda: replay.elapse(2**62), "an end before"),
        (lambda: replay.modify(order, 90, float("nan")), "lots is nan"),
        (lambda: ConstantLatency(1.5).parameters(), "entry_ns is 1.5"),
        (lambda: ConstantLatency(2**61).parameters(), "entry_ns is 2305843009213693952"),
        (lambda: FeedLatency(entry_ns=-(2**61)).parameters(), "entry_ns is -2305843009213693952"),
        (lambda: DrawnLatency(retries=10**6).parameters(), "retries is 1000000"),
        (lambda: DrawnLatency(spike_probability=1.5).parameters(), "spike_probability is 1.5"),
        (lambda: DrawnLatency(seed=-1).parameters(), "seed is -1"),
        (lambda: TableLatency([1.5], [2], [3]).parameters(), "request_time_ns has dtype float64"),
        (lambda: trade_once(Fees("a penny")), "maker is 'a penny'"),
        (lambda: trade_once(Fees("0", "inf")), "taker is 'inf'"),
        (lambda: run_grids(wide_feed(), Grid(1, 1, 0, 1, 1), TradingModels(), interval_ns=2**62, sample_ns=2**62),
         "interval_ns is 4611686018427387904"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            call()
