"""Order-level feeds and their exact queue (LOB-1, LOB-13): by hand, against a slow twin, LOBSTER, bad input."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from tradekernels.orderbook import (
    ConstantLatency,
    Feed,
    Instrument,
    Queue,
    Replay,
    TradingModels,
    final_book,
    order_events,
    read_lobster,
    read_orders,
)  # fmt: skip
from tradekernels.orderbook.orders import ORDER_EVENT

UNIT = Instrument("X", "1", "1")
ADD, REDUCE, DELETE, EXECUTE, HIDDEN = range(5)
FIFO = TradingModels(queue=Queue("fifo"))
PARTIAL = TradingModels(queue=Queue("fifo"), fills="partial")


def feed_of(*events):
    """Return a feed of (time, id, lots, tick, kind, side) events that are known as they happen."""
    return read_orders(order_events([(time, time, *rest) for time, *rest in events]), UNIT)


BOOK = [(0, 1, 5, 100, ADD, 0), (0, 2, 5, 100, ADD, 0), (0, 3, 9, 102, ADD, 1)]


def fills_of(models, lots, *after):
    """Return (time, lots) of the fills of a buy at 100 that queues behind orders 1 and 2 at time 10."""
    replay = Replay(feed_of(*BOOK, *after), models)
    replay.elapse(10)
    order = replay.submit("buy", 100, lots)
    replay.elapse(0)
    assert replay.queue_ahead(order) == 10
    replay.elapse(1000)
    return [(int(f["exchange_time_ns"]), int(f["lots"])) for f in replay.fills]


def test_an_order_fills_when_one_behind_it_is_executed():
    """Executions ahead only move it forward, however many."""
    behind = (20, 4, 6, 100, ADD, 0)
    ahead = [(30, 1, 5, 100, EXECUTE, 0), (31, 2, 5, 100, EXECUTE, 0)]
    assert fills_of(FIFO, 3, behind, *ahead) == []
    assert fills_of(FIFO, 3, behind, *ahead, (32, 4, 1, 100, EXECUTE, 0)) == [(32, 3)]
    assert fills_of(PARTIAL, 3, behind, *ahead, (32, 4, 1, 100, EXECUTE, 0), (33, 4, 5, 100, EXECUTE, 0)) == [
        (32, 1), (33, 2),
    ]  # fmt: skip


def test_cancellations_ahead_move_it_and_those_behind_do_not():
    """What no L2 model can know."""
    replay = Replay(feed_of(*BOOK, (20, 4, 6, 100, ADD, 0), (30, 4, 6, 100, DELETE, 0), (40, 1, 2, 100, REDUCE, 0),
                            (50, 2, 5, 100, DELETE, 0)), FIFO)  # fmt: skip
    replay.elapse(10)
    order = replay.submit("buy", 100, 1)
    ahead = []
    for _ in range(5):
        replay.elapse(10)
        ahead.append(replay.queue_ahead(order))
    assert ahead == [10, 10, 8, 3, 3]


def test_hidden_executions_and_trades_through_fill_it():
    """A displayed order goes before a hidden one at its price, and before every worse price."""
    assert fills_of(FIFO, 3, (30, 9, 1, 100, HIDDEN, 0)) == [(30, 3)]
    assert fills_of(FIFO, 3, (20, 5, 4, 99, ADD, 0), (30, 5, 1, 99, EXECUTE, 0)) == [(30, 3)]
    assert fills_of(FIFO, 3, (30, 9, 1, 101, HIDDEN, 0)) == []


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_the_queue_equals_a_list_of_orders(seed):
    """A slow book of lists, with the own order as one of them."""
    random = np.random.default_rng(seed)
    events, queue, number, own, expected = list(BOOK), [[1, 5], [2, 5]], 10, None, []
    joins = int(random.integers(5, 60))
    for time in range(1, 150):
        if time == joins:
            own, queue = 3, [*queue, ["own", 3]]
        others = [order for order in queue if order[0] != "own"]
        what = random.choice([ADD, REDUCE, DELETE, EXECUTE])
        if what == ADD or not others:
            number += 1
            queue.append([number, int(random.integers(1, 9))])
            events.append((2 * time, number, queue[-1][1], 100, ADD, 0))
        elif what == EXECUTE:
            order = others[0]
            lots = int(random.integers(1, order[1] + 1))
            if own and queue[0][0] == "own":
                expected.append((2 * time, min(lots, own)))
                own -= expected[-1][1]
                queue = queue if own else queue[1:]
            events.append((2 * time, order[0], lots, 100, EXECUTE, 0))
            order[1] -= lots
        else:
            order = others[int(random.integers(0, len(others)))]
            lots = order[1] if what == DELETE else int(random.integers(1, order[1] + 1))
            events.append((2 * time, order[0], lots, 100, what, 0))
            order[1] -= lots
        queue = [order for order in queue if order[0] == "own" or order[1] > 0]
    replay = Replay(feed_of(*events), PARTIAL)
    replay.elapse(2 * joins - 1)
    replay.submit("buy", 100, 3)
    replay.elapse(1000)
    assert [(int(f["exchange_time_ns"]), int(f["lots"])) for f in replay.fills] == expected
    left = sum(order[1] for order in queue if order[0] != "own")
    assert final_book(replay.feed).lots_at("bid", 100) == left


def test_a_recording_is_read_from_npy_and_kept_by_save(tmp_path):
    """Plain records, nothing pickled."""
    events = order_events([(5, 9, 1, 5, 100, ADD, 0), (4, 6, 2, 3, 99, ADD, 0)])
    np.save(tmp_path / "orders.npy", events)
    feed = read_orders(tmp_path / "orders.npy", UNIT)
    assert feed.rows["tick"].tolist() == [99, 100]
    feed.save(tmp_path / "feed.npz")
    assert Feed.load(tmp_path / "feed.npz").born.tolist() == [-1, -1]
    (tmp_path / "x.npy").write_bytes(b"no numpy")
    with pytest.raises(ValueError, match=r"not a \.npy file"):
        read_orders(tmp_path / "x.npy", UNIT)


LOBSTER = """34200.004241176,1,16113575,18,5853300,1
34200.004260640,1,16113584,18,5853200,1
34200.004447484,1,16113594,18,5859400,-1
34200.025551909,4,16113575,8,5853300,1
34200.1,2,16113575,4,5853300,1
34200.2,3,16113584,18,5853200,1
34200.3,4,999,5,5859300,-1
34200.4,5,0,7,5856000,1
34200.5,7,0,0,-1,-1
34200.6,5,0,7,5856050,1
"""


def test_lobster_messages_become_rows_exactly(tmp_path):
    """Prices are ten-thousandths of a dollar, times nanoseconds after midnight; the opening book is not in the file."""
    path = tmp_path / "message.csv"
    path.write_text(LOBSTER)
    feed = read_lobster(path, Instrument("AAPL", "0.01", "1"), day="2012-06-21", latency_ns=50)
    assert feed.rows[["kind", "tick", "lots"]].tolist() == [
        (0, 58533, 18), (0, 58532, 18), (1, 58594, 18), (5, 58533, 8), (0, 58533, 10), (0, 58533, 6), (0, 58532, 0),
        (4, 58593, 5), (5, 58560, 7),
    ]  # fmt: skip
    assert feed.messages["exchange_time_ns"][0] == 1340236800 * 10**9 + 34200_004241176
    assert (feed.messages["local_time_ns"] - feed.messages["exchange_time_ns"]).tolist() == [50] * 8
    assert feed.counts == {"other_events": 2, "bad_lines": 0, "unknown_orders": 1}
    path.write_text(LOBSTER + "34201,1,5,18,5853301,1\n")
    with pytest.raises(ValueError, match="line 11"):
        read_lobster(path, Instrument("AAPL", "0.01", "1"), day="2012-06-21")


@pytest.mark.parametrize(("event", "reason"), [
    ((1, 1, 1, 5, 100, ADD, 0), "rests already"),
    ((1, 1, 7, 5, 100, DELETE, 0), "no order of this id"),
    ((1, 1, 1, 6, 100, EXECUTE, 0), "more lots"),
    ((1, 1, 2, 0, 100, ADD, 0), "out of range"),
    ((1, 1, 2, 5, -3, ADD, 0), "out of range"),
    ((1, 1, 2, 5, 100, 9, 0), "kind is none"),
    ((1, 1, 2, 5, 100, ADD, 3), "side is neither"),
])  # fmt: skip
def test_impossible_events_are_errors_or_counted(event, reason):
    """By index and reason."""
    events = order_events([(0, 0, 1, 5, 100, ADD, 0), event])
    with pytest.raises(ValueError, match=f"event 1: .*{reason}"):
        read_orders(events, UNIT)
    assert read_orders(events, UNIT, skip_bad=True).counts["bad_lines"] == 1


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=40, max_size=2000))
def test_random_records_never_crash(data):
    """Nor does a replay of what is left of them."""
    events = np.frombuffer(data[: len(data) // 40 * 40], ORDER_EVENT)
    try:
        feed = read_orders(events, UNIT, skip_bad=True)
    except ValueError:
        return
    replay = Replay(feed, TradingModels(ConstantLatency(1, 1), Queue("fifo")))
    replay.submit("buy", 100, 1)
    replay.elapse(1000)


def test_fifo_needs_orders():
    """An L2 feed does not have them."""
    with pytest.raises(ValueError, match="order-level"):
        Replay(Feed.from_rows(UNIT, [0], [5], [1], [0], [0]), FIFO)
