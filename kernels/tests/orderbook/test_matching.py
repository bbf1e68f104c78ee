"""The matching engine by hand: every rule of LOB-20 and every reject of LOB-23 in a few messages."""

import numpy as np
import pytest

from tradekernels.orderbook._matching import LIMITS
from tradekernels.orderbook.matching import (
    MAX_LOTS,
    MAX_TICK,
    MESSAGE,
    EventKind,
    Kind,
    MatchingEngine,
    Policy,
    Reason,
    SelfTrade,
    Tape,
    digest,
    message,
)


class Desk:
    """An engine with a short way to say things: returns (trades as (maker, lots, tick), events as (id, kind, lots))."""

    def __init__(self, **options):
        self.engine = MatchingEngine(**({"capacity": 16, "window": 64} | options))

    def send(self, order_id, kind=Kind.LIMIT, side=0, lots=0, tick=0, **more):
        tape = Tape()
        row = message(id=order_id, kind=kind, side=side, lots=lots, tick=tick, **more)
        self.engine.process(row, tape, checked=True)
        self.reasons = [Reason(r).name for r in tape.events["reason"]]
        trades = tape.trades[["maker", "lots", "tick"]].tolist()
        return trades, [(e, EventKind(k).name, lots) for e, k, lots in tape.events[["id", "kind", "lots"]].tolist()]


@pytest.fixture
def desk():
    """Return a book with asks 2 @ 101 (id 1), 3 @ 101 (2), 5 @ 103 (3) and a bid 4 @ 99 (4)."""
    desk = Desk()
    for order_id, side, lots, tick in ((1, -1, 2, 101), (2, -1, 3, 101), (3, -1, 5, 103), (4, 1, 4, 99)):
        desk.send(order_id, side=side, lots=lots, tick=tick)
    return desk


def test_price_goes_before_time_and_the_rest_of_a_limit_order_rests(desk):
    trades, events = desk.send(9, side=1, lots=11, tick=103)
    assert trades == [(1, 2, 101), (2, 3, 101), (3, 5, 103)]
    assert events == [(1, "FILLED", 0), (2, "FILLED", 0), (3, "FILLED", 0), (9, "RESTING", 1)]
    assert desk.engine.levels(1).tolist() == [[103, 1, 1], [99, 4, 1]]


def test_a_market_order_takes_what_there_is_and_the_rest_is_cancelled(desk):
    trades, events = desk.send(9, Kind.MARKET, side=-1, lots=6)
    assert trades == [(4, 4, 99)]
    assert events == [(4, "FILLED", 0), (9, "CANCELLED", 2)]
    assert desk.reasons[-1] == "UNFILLED"


def test_ioc_trades_within_its_price_only(desk):
    trades, events = desk.send(9, side=1, lots=9, tick=102, policy=Policy.IOC)
    assert trades == [(1, 2, 101), (2, 3, 101)]
    assert events[-1] == (9, "CANCELLED", 4)


@pytest.mark.parametrize(("lots", "n_trades"), [(5, 2), (6, 0)])
def test_fok_trades_all_or_nothing(desk, lots, n_trades):
    trades, events = desk.send(9, side=1, lots=lots, tick=102, policy=Policy.FOK)
    assert len(trades) == n_trades
    assert events[-1][1] == ("FILLED" if n_trades else "CANCELLED")


def test_post_only_never_takes(desk):
    assert desk.send(9, side=1, lots=1, tick=101, policy=Policy.POST_ONLY) == ([], [(9, "REJECTED", 1)])
    assert desk.reasons == ["WOULD_CROSS"]
    assert desk.send(9, side=1, lots=1, tick=100, policy=Policy.POST_ONLY)[1] == [(9, "RESTING", 1)]


def test_an_iceberg_shows_its_peak_and_queues_anew_with_each_piece():
    desk = Desk()
    desk.send(1, side=-1, lots=7, tick=101, peak=3)
    desk.send(2, side=-1, lots=2, tick=101)
    assert desk.engine.levels(-1).tolist() == [[101, 5, 2]]
    trades, events = desk.send(9, Kind.MARKET, side=1, lots=8)
    assert trades == [(1, 3, 101), (2, 2, 101), (1, 3, 101)]
    assert events == [(1, "REFILLED", 3), (2, "FILLED", 0), (1, "REFILLED", 1), (9, "FILLED", 0)]


def test_fok_sees_what_icebergs_hide():
    desk = Desk()
    desk.send(1, side=-1, lots=7, tick=101, peak=3)
    assert desk.send(9, side=1, lots=7, tick=101, policy=Policy.FOK)[1][-1] == (9, "FILLED", 0)


def test_a_stop_waits_for_its_price_and_then_takes(desk):
    assert desk.send(5, Kind.STOP, side=1, lots=1, stop_tick=101)[1] == [(5, "WAITING", 1)]
    trades, events = desk.send(9, Kind.MARKET, side=1, lots=2)
    assert trades == [(1, 2, 101), (2, 1, 101)]
    assert events == [(1, "FILLED", 0), (9, "FILLED", 0), (5, "TRIGGERED", 1), (5, "FILLED", 0)]


def test_a_stop_limit_rests_at_its_price_once_triggered(desk):
    desk.send(5, Kind.STOP_LIMIT, side=-1, lots=3, tick=100, stop_tick=99)
    trades, events = desk.send(9, Kind.MARKET, side=-1, lots=1)
    assert trades == [(4, 1, 99)]
    assert events[-2:] == [(5, "TRIGGERED", 3), (5, "RESTING", 3)]
    assert desk.engine.best.ask == 100


def test_stops_trigger_each_other_in_the_order_of_their_prices(desk):
    for order_id, stop in ((5, 103), (6, 101), (7, 101)):
        desk.send(order_id, Kind.STOP, side=1, lots=2, stop_tick=stop)
    trades, events = desk.send(9, Kind.MARKET, side=1, lots=1)
    assert trades == [(1, 1, 101), (1, 1, 101), (2, 1, 101), (2, 2, 101)]
    assert [order_id for order_id, kind, _ in events if kind == "TRIGGERED"] == [6, 7]
    assert desk.engine.find(5).waiting  # the four lots of those two ended at 101
    trades, events = desk.send(10, Kind.MARKET, side=1, lots=1)
    assert trades == [(3, 1, 103), (3, 2, 103)]


def test_a_stop_beyond_the_last_trade_is_triggered_at_once(desk):
    desk.send(9, Kind.MARKET, side=1, lots=1)
    assert desk.send(5, Kind.STOP, side=1, lots=1, stop_tick=100)[1][0] == (5, "TRIGGERED", 1)


def test_a_smaller_order_keeps_its_place_and_a_larger_or_repriced_one_loses_it():
    desk = Desk()
    for order_id in (1, 2, 3):
        desk.send(order_id, side=1, lots=5, tick=99)
    desk.send(1, Kind.REDUCE, lots=2)
    desk.send(2, Kind.MODIFY, lots=9, tick=99)
    assert [(row[0], row[3]) for row in desk.engine.rows()] == [(1, 3), (3, 5), (2, 9)]
    desk.send(1, Kind.MODIFY, lots=1, tick=99)
    desk.send(3, Kind.MODIFY, lots=5, tick=100)
    desk.send(3, Kind.MODIFY, lots=5, tick=99)
    assert [(row[0], row[3]) for row in desk.engine.rows()] == [(1, 1), (2, 9), (3, 5)]
    assert desk.engine.find(3).lots_ahead == 10


def test_a_reduction_takes_from_an_icebergs_reserve_first():
    desk = Desk()
    desk.send(1, side=1, lots=10, tick=99, peak=4)
    desk.send(1, Kind.REDUCE, lots=5)
    assert (desk.engine.find(1).lots, desk.engine.find(1).hidden) == (4, 1)
    desk.send(1, Kind.REDUCE, lots=3)
    assert (desk.engine.find(1).lots, desk.engine.find(1).hidden) == (2, 0)


def test_an_iceberg_is_not_enlarged_beyond_a_thousand_pieces():
    desk = Desk()
    desk.send(1, side=1, lots=4, tick=99, peak=2)
    assert desk.send(1, Kind.MODIFY, lots=2001, tick=99)[1] == [(1, "REJECTED", 2001)]
    assert desk.reasons == ["BAD_PEAK"]
    assert desk.send(1, Kind.MODIFY, lots=2000, tick=98)[1] == [(1, "MODIFIED", 2000), (1, "RESTING", 2000)]
    assert (desk.engine.find(1).lots, desk.engine.find(1).hidden) == (2, 1998)


def test_reducing_by_everything_is_a_cancel(desk):
    assert desk.send(4, Kind.REDUCE, lots=4)[1] == [(4, "CANCELLED", 4)]
    assert desk.engine.best.bid == 0


def test_a_repriced_order_may_trade(desk):
    trades, events = desk.send(4, Kind.MODIFY, lots=4, tick=101)
    assert trades == [(1, 2, 101), (2, 2, 101)]
    assert events == [(4, "MODIFIED", 4), (1, "FILLED", 0), (4, "FILLED", 0)]


@pytest.mark.parametrize(
    ("wish", "trades", "last", "left"),
    [
        (SelfTrade.ALLOW, [(1, 2, 101), (2, 2, 101)], "FILLED", [2]),
        (SelfTrade.CANCEL_NEWEST, [(1, 2, 101)], "CANCELLED", [2]),
        (SelfTrade.CANCEL_OLDEST, [(1, 2, 101), (3, 2, 101)], "FILLED", [3]),
        (SelfTrade.CANCEL_BOTH, [(1, 2, 101)], "CANCELLED", [3]),
    ],
)
def test_self_trade_prevention(wish, trades, last, left):
    desk = Desk()
    for order_id, owner in ((1, 7), (2, 8), (3, 7)):
        desk.send(order_id, side=-1, lots=2 + (order_id == 2) + (order_id == 3), tick=101, owner=owner)
    got, events = desk.send(9, side=1, lots=4, tick=101, owner=8, self_trade=wish)
    assert got == trades
    assert events[-1][1] == last
    assert [row[0] for row in desk.engine.rows()][:1] == left


def test_nobody_is_never_the_same_owner(desk):
    trades, _ = desk.send(9, side=1, lots=2, tick=101, self_trade=SelfTrade.CANCEL_BOTH)
    assert trades == [(1, 2, 101)]


GOOD = {"order_id": 9, "kind": Kind.LIMIT, "side": 1, "lots": 5, "tick": 98}


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        ({"kind": 7}, "BAD_KIND"),
        ({"kind": 255}, "BAD_KIND"),
        ({"side": 0}, "BAD_SIDE"),
        ({"policy": 4}, "BAD_POLICY"),
        ({"kind": Kind.MARKET, "policy": Policy.POST_ONLY}, "BAD_POLICY"),
        ({"self_trade": 4}, "BAD_SELF_TRADE"),
        ({"tick": 0}, "BAD_PRICE"),
        ({"tick": -5}, "BAD_PRICE"),
        ({"tick": MAX_TICK + 1}, "BAD_PRICE"),
        ({"lots": 0}, "BAD_SIZE"),
        ({"lots": -(2**63)}, "BAD_SIZE"),
        ({"lots": MAX_LOTS + 1}, "BAD_SIZE"),
        ({"peak": -1}, "BAD_PEAK"),
        ({"peak": 1, "lots": 1001}, "BAD_PEAK"),
        ({"peak": 1, "policy": Policy.IOC}, "BAD_PEAK"),
        ({"kind": Kind.STOP, "stop_tick": 0}, "BAD_STOP"),
        ({"order_id": 4}, "DUPLICATE_ID"),
        ({"order_id": 9, "kind": Kind.CANCEL}, "UNKNOWN_ID"),
        ({"order_id": 9, "kind": Kind.REDUCE}, "UNKNOWN_ID"),
        ({"order_id": 4, "kind": Kind.MODIFY, "lots": 0}, "BAD_SIZE"),
        ({"order_id": 4, "kind": Kind.MODIFY, "tick": 0}, "BAD_PRICE"),
        ({"order_id": 4, "kind": Kind.MODIFY, "policy": Policy.FOK}, "BAD_POLICY"),
        ({"order_id": 4, "kind": Kind.MODIFY, "tick": 101, "policy": Policy.POST_ONLY}, "WOULD_CROSS"),
    ],
)
def test_bad_input_is_rejected_with_its_reason_and_changes_nothing(desk, spoilt, reason):
    before = desk.engine.rows(), desk.engine.counts()
    trades, events = desk.send(**(GOOD | spoilt))
    assert (trades, [kind for _, kind, _ in events], desk.reasons) == ([], ["REJECTED"], [reason])
    assert (desk.engine.rows(), desk.engine.counts()) == before


def test_a_waiting_stop_can_only_be_cancelled(desk):
    desk.send(5, Kind.STOP, side=1, lots=1, stop_tick=105)
    desk.send(5, Kind.REDUCE, lots=1)
    assert desk.reasons == ["STILL_WAITING"]
    assert desk.send(5, Kind.CANCEL)[1] == [(5, "CANCELLED", 1)]
    assert desk.engine.counts()["waiting"] == 0


def test_a_full_book_rejects_what_would_rest_and_still_trades(desk):
    full = Desk(capacity=2)
    full.send(1, side=-1, lots=1, tick=101)
    full.send(2, side=-1, lots=1, tick=102)
    full.send(3, side=-1, lots=1, tick=103)
    assert full.reasons == ["BOOK_FULL"]
    assert full.send(4, Kind.MARKET, side=1, lots=1)[0] == [(1, 1, 101)]
    assert full.send(3, side=-1, lots=1, tick=103)[1] == [(3, "RESTING", 1)]


def test_prices_far_from_the_touch_are_levels_like_any_other():
    desk = Desk()
    ticks = [1, MAX_TICK, 5000, 70_000, 5001, 10]
    for k, tick in enumerate(ticks):
        desk.send(k + 1, side=-1, lots=1, tick=tick)
    assert [row[2] for row in desk.engine.rows()] == sorted(ticks)
    trades, _ = desk.send(99, Kind.MARKET, side=1, lots=6)
    assert [tick for _, _, tick in trades] == sorted(ticks)
    assert desk.engine.best.ask == 0


def test_ids_may_be_any_number_and_may_come_again():
    desk = Desk()
    for order_id in (0, -1, 2**63 - 1, -(2**63)):
        assert desk.send(order_id, side=1, lots=1, tick=9)[1] == [(order_id, "RESTING", 1)]
        desk.send(order_id, Kind.CANCEL)
        assert desk.send(order_id, side=1, lots=1, tick=9)[1] == [(order_id, "RESTING", 1)]


def test_a_cleared_book_is_a_new_book(desk):
    desk.engine.clear()
    assert desk.engine.best.ask == 0
    assert desk.engine.counts() == dict.fromkeys(("live", "waiting", "in", "resting", "traded", "cancelled"), 0)
    assert desk.engine.check() == 0


def test_a_tape_grows_and_what_was_handed_out_stays():
    engine, tape = MatchingEngine(capacity=16, window=64), Tape(room=1)
    rows = np.concatenate([message(id=k, side=-1, lots=1, tick=k) for k in (1, 2, 3)])
    engine.process(rows[:1], tape)
    early = tape.events
    engine.process(rows[1:], tape)
    assert early["id"].tolist() == [1]
    assert tape.events["id"].tolist() == [1, 2, 3]
    again, engine = Tape(), MatchingEngine(capacity=16, window=64)
    engine.process(rows, again)
    assert digest(tape) == digest(again)


@pytest.mark.parametrize("options", [{"capacity": 0}, {"capacity": 2**23}, {"window": 100}, {"window": 0}])
def test_an_impossible_book_is_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        MatchingEngine(**options)


def test_messages_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="expected a one-dimensional array"):
        MatchingEngine(capacity=1, window=64).process(np.zeros((2, 2), MESSAGE), Tape())
    with pytest.raises(ValueError, match="no field 'price'"):
        message(price=3)


def test_the_limits_are_those_of_the_loop():
    assert LIMITS["MAX_TICK"] == 2**30
    assert MAX_LOTS * LIMITS["MAX_CAPACITY"] < 2**63
