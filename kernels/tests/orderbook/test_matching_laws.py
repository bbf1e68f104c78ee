"""Matching by a second twin and by laws (LOB-20, LOB-22, LOB-23): prices at both ends, cascades, icebergs, threads."""

import copy
import pickle
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from sorted_book import SortedBook

from tradekernels.orderbook.matching import (
    EVENT,
    MAX_LOTS,
    MAX_TICK,
    MESSAGE,
    TRADE,
    EventKind,
    Kind,
    MatchingEngine,
    Policy,
    Reason,
    Tape,
    digest,
    message,
)

KINDS = [0.45, 0.08, 0.06, 0.06, 0.15, 0.1, 0.1]  # shares of LIMIT .. MODIFY
EDGES = [
    1,
    2,
    3,
    64,
    65,
    4095,
    4096,
    2**12,
    2**18,
    2**24,
    2**24 + 1,
    MAX_TICK // 2,
    MAX_TICK - 64,
    MAX_TICK - 63,
    MAX_TICK,
]
PRICES = {
    "tight": lambda r, n: 1000 + r.integers(-8, 9, n),
    "edges of words": lambda r, n: r.choice(EDGES, n) + r.integers(-1, 2, n),
    "everywhere": lambda r, n: r.integers(1, MAX_TICK + 1, n),
    "one price": lambda r, n: np.full(n, 777),
    "gaps": lambda r, n: 1 + (MAX_TICK // 40) * r.integers(0, 40, n),
    "at the top": lambda r, n: MAX_TICK - r.integers(-1, 12, n),
    "at the bottom": lambda r, n: r.integers(0, 12, n),
    "drifting": lambda r, n: np.maximum(1, 10**6 + np.cumsum(r.integers(-2000, 2001, n)) // 3 + r.integers(-5, 6, n)),
    "jumping": lambda r, n: 1000 + np.arange(n) // 50 % 3 * 100_000 + r.integers(-10, 11, n),
}
FLAVOURS = {
    "mixed": {},
    "icebergs": {"kinds": [0.6, 0.1, 0.02, 0.03, 0.05, 0.1, 0.1], "lots": 200, "icebergs": 0.95},
    "stops": {"kinds": [0.35, 0.1, 0.2, 0.2, 0.08, 0.03, 0.04]},
    "all or nothing": {"policies": [0.5, 0.05, 0.4, 0.05], "lots": 60, "icebergs": 0.9},
}


def wild_messages(n, seed, prices, *, kinds=KINDS, policies=(0.7, 0.1, 0.1, 0.1), lots=30, icebergs=0.3):
    """Return seeded messages whose time runs both ways, with ids, sizes and kinds that nobody should send."""
    random = np.random.default_rng(seed)
    rows = np.zeros(n, MESSAGE)
    rows["time"], rows["owner"] = random.integers(-1000, 1000, n), random.integers(0, 3, n)
    odd = random.choice([0, -1, 2**63 - 1, -(2**63)], n)
    rows["id"] = np.where(random.random(n) < 0.02, odd, random.integers(1, random.integers(5, 80) + 1, n))
    rows["side"], rows["lots"] = random.choice([-1, 1], n), random.integers(1, lots, n)
    rows["policy"], rows["self_trade"] = random.choice(4, n, p=policies), random.integers(0, 4, n)
    rows["kind"] = random.choice(7, n, p=kinds)
    may_hide = (rows["policy"] % 3 == 0) & np.isin(rows["kind"], [Kind.LIMIT, Kind.STOP_LIMIT])
    rows["peak"] = np.where(may_hide & (random.random(n) < icebergs), random.integers(1, 9, n), 0)
    rows["tick"], rows["stop_tick"] = PRICES[prices](random, n), PRICES[prices](random, n)
    for field, share, values in (
        ("lots", 0.02, [0, -1, 2**63 - 1, -(2**63), MAX_LOTS, MAX_LOTS + 1]), ("kind", 0.004, [7, 255]),
        ("side", 0.004, [0, 2, -128]), ("policy", 0.004, [4, 255]), ("self_trade", 0.004, [4, 255]),
        ("tick", 0.004, [0, -1, MAX_TICK + 1, 2**31 - 1, -(2**31)]), ("peak", 0.004, [-1, 2**63 - 1]),
    ):  # fmt: skip
        spoilt = random.random(n) < share
        rows[field][spoilt] = random.choice(values, spoilt.sum())
    return rows


def agree(rows, capacity, window, *, pieces=1, checked=True):
    """Take messages with the engine and with the sorted book; return the engine and its tape once they agree."""
    engine, tape, twin = MatchingEngine(capacity, window), Tape(room=1), SortedBook(capacity)
    for piece in np.array_split(rows, pieces):
        engine.process(piece, tape, checked=checked)
    for row in rows.tolist():
        twin.submit(row)
    np.testing.assert_array_equal(tape.events, np.array(twin.events, EVENT))
    np.testing.assert_array_equal(tape.trades, np.array(twin.trades, TRADE))
    assert engine.rows() == twin.rows()
    return engine, tape


@pytest.mark.parametrize(("capacity", "window", "pieces"), [(5, 64, 3), (60, 2048, 1), (200, 4096, 2)])
@pytest.mark.parametrize("prices", PRICES)
def test_the_sorted_book_agrees_at_all_prices(prices, capacity, window, pieces):
    agree(wild_messages(1500, capacity, prices), capacity, window, pieces=pieces)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("prices", ["tight", "edges of words", "one price"])
def test_the_sorted_book_agrees_on_all_kinds_of_orders(flavour, prices):
    agree(wild_messages(4000, 7, prices, **FLAVOURS[flavour]), 100, 64)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), prices=st.sampled_from(sorted(PRICES)), flavour=st.sampled_from(sorted(FLAVOURS)))
def test_every_lot_of_an_order_is_traded_cancelled_or_rests(seed, prices, flavour):
    """Summed from the tape alone, order by order: nothing appears or is lost, and no trade is beyond its limit."""
    rows = wild_messages(300, seed, prices, **FLAVOURS[flavour])
    rows = rows[rows["kind"] <= Kind.CANCEL]
    rows["id"][rows["kind"] < Kind.CANCEL] = 1000 + np.arange((rows["kind"] < Kind.CANCEL).sum())
    rows["id"][rows["kind"] == Kind.CANCEL] = 1000 + rows["id"][rows["kind"] == Kind.CANCEL] % len(rows)
    engine, tape = MatchingEngine(300, 64), Tape()
    engine.process(rows, tape)
    bad = set(tape.events["id"][(tape.events["kind"] == EventKind.REJECTED)].tolist())
    sent = {m["id"]: m for m in rows if m["kind"] < Kind.CANCEL}
    left = {order_id: int(m["lots"]) for order_id, m in sent.items()}
    for trade in tape.trades:
        for order_id, side in ((trade["taker"], trade["side"]), (trade["maker"], -trade["side"])):
            left[order_id] -= int(trade["lots"])
            order = sent[order_id]
            assert order["side"] == side
            assert order["kind"] in (Kind.MARKET, Kind.STOP) or side * trade["tick"] <= side * order["tick"]
    cancelled = tape.events[tape.events["kind"] == EventKind.CANCELLED]
    for event in cancelled:
        left[event["id"]] -= int(event["lots"])
    live = {row[0]: row[3] + row[4] for row in engine.rows()}
    for order_id in sent:
        waiting = engine.find(int(order_id))
        rests = live.get(order_id, waiting.lots if waiting else 0)
        assert left[order_id] == rests or order_id in bad
    count = engine.counts()
    assert count["traded"] == 2 * tape.trades["lots"].sum()
    assert count["cancelled"] == cancelled["lots"].sum()


def test_a_book_of_levels_far_from_each_other_is_sound_and_empties():
    """LOB-20: 100,000 prices all over 2^30 ticks, cancelled in another order; the benchmark has the speed."""
    n = 100_000
    random, rows = np.random.default_rng(1), np.zeros(2 * n, MESSAGE)
    rows["lots"], rows["side"] = 1, np.tile([1, -1], n)
    rows["tick"] = np.where(rows["side"] == 1, 0, 2**29) + random.integers(1, 2**29, 2 * n)
    rows["id"][:n], rows["id"][n:] = np.arange(n), random.permutation(n)
    rows["kind"][n:] = Kind.CANCEL
    engine, tape = MatchingEngine(1 << 17, 64), Tape(4 * n)
    engine.process(rows[:n], tape)
    bids, asks = (np.unique(rows["tick"][:n][rows["side"][:n] == side]) for side in (1, -1))
    assert engine.check() == 0
    assert (engine.best.bid, engine.best.ask) == (bids[-1], asks[0])
    engine.process(rows[n:], tape)
    assert engine.counts()["live"] == engine.check() == 0


@pytest.mark.parametrize("prices", ["tight", "everywhere"])
def test_a_cleared_book_starts_anew_wherever_its_levels_were(prices):
    rows = wild_messages(2000, 9, prices, **FLAVOURS["stops"])
    engine, tapes = MatchingEngine(100, 64), (Tape(), Tape())
    for tape in tapes:
        engine.process(rows, tape)
        assert engine.counts()["live"] > 10
        engine.clear()
        assert (engine.check(), engine.rows(), engine.counts()["waiting"]) == (0, [], 0)
    assert digest(tapes[0]) == digest(tapes[1])


def test_a_level_holds_as_many_lots_as_an_arena_can():
    n = 1 << 16
    rows = np.zeros(n, MESSAGE)
    rows["id"], rows["side"], rows["tick"], rows["lots"] = np.arange(n), 1, 5, MAX_LOTS
    engine, tape = MatchingEngine(n, 64), Tape(n)
    engine.process(rows, tape)
    assert engine.levels(1).tolist() == [[5, n * MAX_LOTS, n]]
    assert engine.find(n - 1).lots_ahead == (n - 1) * MAX_LOTS
    engine.submit(id=-1, kind=Kind.MARKET, side=-1, lots=MAX_LOTS)
    assert engine.check() == 0
    assert engine.best.bid_lots == (n - 1) * MAX_LOTS


@pytest.mark.parametrize(
    "laid_out",
    [
        lambda rows: np.repeat(rows, 2)[::2],  # a stride
        lambda rows: rows[::-1].copy()[::-1],  # backwards
        lambda rows: np.frombuffer(b"x" + rows.tobytes(), np.uint8)[1:].view(MESSAGE),  # on odd addresses, read-only
    ],
    ids=["strided", "backwards", "misaligned"],
)
def test_messages_may_lie_anyhow_in_memory(laid_out):
    rows, tapes = wild_messages(500, 3, "tight"), (Tape(), Tape())
    for tape, batch in zip(tapes, (rows, laid_out(rows)), strict=True):
        MatchingEngine(64, 64).process(batch, tape)
    assert digest(tapes[0]) == digest(tapes[1])


def test_nothing_in_is_nothing_out():
    engine, tape = MatchingEngine(1, 64), Tape()
    engine.process(np.zeros(0, MESSAGE), tape, checked=True)
    assert (len(tape.trades), len(tape.events)) == (0, 0)


def test_a_message_takes_integers_only():
    with pytest.raises(TypeError, match=r"lots is 2\.5"):
        message(lots=2.5)
    with pytest.raises(OverflowError, match="side is 300"):
        message(side=300)
    with pytest.raises(TypeError, match="messages are a list"):
        MatchingEngine(1, 64).process([1, 2], Tape())


@pytest.mark.parametrize("thing", [MatchingEngine(1, 64), Tape()])
@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
def test_c_memory_is_not_pickled(thing, way):
    with pytest.raises(TypeError, match="__reduce__"):
        way(thing)


def test_a_book_at_work_lets_no_other_thread_in():
    """A batch runs without the GIL: whoever looks meanwhile is told so, instead of reading a book in change."""
    rows = np.tile(wild_messages(20_000, 5, "tight"), 100)
    engine, tape, refused = MatchingEngine(64, 64), Tape(1 << 23), set()
    calls = {
        "process": lambda: engine.process(rows[:9], Tape()), "rows": engine.rows, "clear": engine.clear,
        "levels": lambda: engine.levels(1), "find": lambda: engine.find(3), "best": lambda: engine.best,
        "counts": engine.counts, "check": engine.check, "tape": tape.clear,
        "shared tape": lambda: MatchingEngine(1, 64).process(rows[:1], tape),
    }  # fmt: skip
    for name, call in calls.items():
        for _ in range(20):
            tape.clear()
            worker = threading.Thread(target=engine.process, args=(rows, tape))
            worker.start()
            while worker.is_alive() and name not in refused:
                try:
                    call()
                except RuntimeError:
                    refused.add(name)
            worker.join()
            if name in refused:
                break
    assert refused == set(calls)
    assert engine.check() == 0


def test_a_fok_that_meets_its_owners_order_counts_only_what_stands_before_it():
    """Its iceberg's reserve stands behind the whole queue, so behind the order that ends the taker."""
    for own_first, status in ((True, EventKind.CANCELLED), (False, EventKind.CANCELLED)):
        engine = MatchingEngine(8, 64)
        orders = [{"id": 1, "lots": 10, "peak": 2, "owner": 2}, {"id": 2, "lots": 3, "owner": 7}]
        for order in orders[::-1] if own_first else orders:
            engine.submit(kind=Kind.LIMIT, side=-1, tick=100, **order)
        taker = {"id": 9, "kind": Kind.LIMIT, "side": 1, "tick": 100, "policy": Policy.FOK, "owner": 7, "self_trade": 1}
        trades, events = engine.submit(lots=3, **taker)
        assert (len(trades), EventKind(events["kind"][-1]), Reason(events["reason"][-1])) == (
            0,
            status,
            Reason.UNFILLED,
        )
    trades, _ = engine.submit(lots=2, **taker)
    assert trades["lots"].tolist() == [2]
