"""Partial fills by hand (LOB-14): own orders never get more of a trade at their price than there was."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from test_replay_orders import ADD, BOOK, EXECUTE, feed_of
from test_replay_orders import PARTIAL as FIFO
from test_replay_twin import MODELS, synthetic

from tradekernels.orderbook import Feed, Grid, Instrument, Kind, Queue, Replay, TradingModels, run_grids

INSTRUMENT = Instrument("X", "0.1", "0.001")
BUY, SELL = int(Kind.BUY_TRADE), int(Kind.SELL_TRADE)


def replay_of(rows, queue, fills="partial"):
    return Replay(Feed.from_rows(INSTRUMENT, *np.array(rows).T), TradingModels(queue=queue, fills=fills))


def fills_by_order(replay):
    return [(int(fill["order_id"]), int(fill["lots"])) for fill in replay.fills]


def test_a_front_below_zero_fills_no_more_than_the_trade():
    """LOB-13's formula takes a front below zero; a whole fill knows no limit, a partial one has the trade's lots."""
    rows = [(0, 100, 2, 10, 10), (1, 105, 9, 10, 10), (0, 100, 10, 30, 30), (0, 100, 0, 40, 40), (5, 100, 1, 50, 50)]
    for fills, lots in (("partial", 1), ("whole", 10)):
        replay = replay_of(rows, Queue("power", 0.3), fills)
        replay.elapse(10)
        order = replay.submit("buy", 100, 10, "GTX")
        replay.elapse(25)
        assert replay.queue_ahead(order) == pytest.approx(-0.00198, abs=1e-5)
        replay.elapse(10)
        assert fills_by_order(replay) == [(order, lots)]


@pytest.mark.parametrize(("first", "second", "fills"), [
    (10, 10, [(1, 3)]),  # 2 lots ahead of both: the trade of 5 leaves 3
    (1, 10, [(1, 1), (2, 2)]),
    (3, 10, [(1, 3)]),
    (1, 1, [(1, 1), (2, 1)]),
])  # fmt: skip
@pytest.mark.parametrize("model", MODELS)
def test_orders_at_one_tick_share_what_a_trade_leaves(model, first, second, fills):
    """Oldest first; whole fills give each its own."""
    rows = [(0, 100, 2, 0, 0), (1, 105, 9, 0, 0), (SELL, 100, 5, 50, 50)]
    for kind in ("partial", "whole"):
        replay = replay_of(rows, Queue(model), kind)
        replay.submit("buy", 100, first)
        replay.submit("buy", 100, second)
        replay.elapse(60)
        assert fills_by_order(replay) == (fills if kind == "partial" else [(1, first), (2, second)])


def test_a_younger_order_waits_for_the_older_one_and_for_the_queue_between():
    """2 lots, own 1, 2 lots more, own 10: a trade of 5 ends before the second own order, the next begins with it."""
    rows = [(0, 100, 2, 0, 0), (1, 105, 9, 0, 0), (0, 100, 4, 20, 20), (SELL, 100, 5, 50, 50), (SELL, 100, 4, 70, 70)]
    replay = replay_of(rows, Queue("risk"))
    replay.submit("buy", 100, 1)
    replay.elapse(30)
    younger = replay.submit("buy", 100, 10)
    replay.elapse(30)
    assert fills_by_order(replay) == [(1, 1)]
    assert replay.queue_ahead(younger) == 0
    replay.elapse(30)
    assert fills_by_order(replay) == [(1, 1), (2, 4)]


def test_an_order_that_lost_its_place_is_the_younger_one():
    """`modify` to a larger size queues anew."""
    rows = [(0, 100, 2, 0, 0), (1, 105, 9, 0, 0), (SELL, 100, 5, 50, 50)]
    replay = replay_of(rows, Queue("risk"))
    for _ in range(2):
        replay.submit("buy", 100, 2)
    replay.elapse(10)
    replay.modify(1, 100, 9)
    replay.elapse(60)
    assert fills_by_order(replay) == [(2, 2), (1, 1)]


def test_own_orders_share_in_order_level_feeds():
    """An execution behind both of 4 lots: 3 and 1; the next of 2 is new."""
    replay = Replay(
        feed_of(*BOOK, (20, 4, 9, 100, ADD, 0), (30, 4, 4, 100, EXECUTE, 0), (40, 4, 2, 100, EXECUTE, 0)), FIFO
    )
    replay.elapse(10)
    for _ in range(2):
        replay.submit("buy", 100, 3)
    replay.elapse(60)
    assert fills_by_order(replay) == [(1, 3), (2, 1), (2, 2)]


def test_a_trade_is_shared_among_the_orders_of_one_trader_only():
    """LOB-16: two makers in one pass each get what they get alone."""
    rows = synthetic(3, 4000)
    feed = Feed.from_rows(INSTRUMENT, *np.array(rows).T)
    grids, models = [Grid(6, 1, 0, 9, 500)] * 2, TradingModels(queue=Queue("power", 2.0), fills="partial")
    clock = {"interval_ns": 100, "warm_up_ns": 0, "sample_ns": 100}
    (alone,), both = run_grids(feed, grids[0], models, **clock), run_grids(feed, grids, models, **clock)
    assert len(alone.fills) > 100
    assert [result.account for result in both] == [alone.account] * 2


@pytest.mark.parametrize("seed", range(24))
def test_a_traders_fills_at_the_price_of_trades_are_within_them(seed):
    """Whatever the queue model makes of the feed: at a time and a tick, no more lots than were traded there."""
    rows = synthetic(seed, 1500, most_wait=90)
    rows = [(*row[:3], 3 * k, 3 * k) for k, row in enumerate(rows)]  # one event at a time
    random, replay = np.random.default_rng(seed), replay_of(rows, Queue(MODELS[seed % 6], (0.3, 1.0, 3.0)[seed % 3]))
    while replay.elapse(10):
        for side, quote, away in (("buy", "bid", -1), ("sell", "ask", 1)):
            best = replay.book.best(quote)
            if best and best[0] > 2:
                replay.submit(side, best[0] + away * int(random.integers(0, 3)), int(random.integers(1, 30)), "GTX")
        for order in replay.orders[:-12]:
            if not order.pending:
                replay.cancel(order.id)
        replay.forget_finished()
    events = {row[3]: row for row in rows}
    got, n = {}, 0
    for fill in replay.fills:
        kind, tick, lots, time, _ = events[int(fill["exchange_time_ns"])]
        if kind in (BUY, SELL) and tick == fill["tick"]:
            got[time] = got.get(time, 0) + int(fill["lots"])
            n += 1
            assert got[time] <= lots
    assert n > 30
