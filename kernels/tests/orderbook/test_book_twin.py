"""L2 books against their slow twin, and readers by hand (LOB-6, LOB-7)."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

sys.path.insert(0, str(Path(__file__).parent))

from replay_twin import BookTwin

from tradekernels.orderbook import Book, Feed, Instrument, depth, depth_imbalance, final_book, flows, quotes
from tradekernels.orderbook.records import ROW, Kind

UNIT = Instrument("X", "1", "1")
# ticks near each other, far from each other, and at the ends of the range: window, table and the moves between them
ANCHORS = (1, 40, 60_000, 65_600, 131_000, 5_000_000, 2**31 - 60)


def random_rows(seed, n, anchors, width):
    random = np.random.default_rng(seed)
    rows = np.empty(n, ROW)
    rows["kind"] = random.choice([0, 1, 2, 3, 4, 5, 6, 7], n, p=[0.44, 0.44, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02])
    rows["tick"] = random.choice(anchors, n) + random.integers(0, width, n)
    rows["lots"] = random.integers(0, 4, n) * random.integers(1, 2**40, n)
    return rows


def assert_same(book, twin):
    for side, name in enumerate(("bid", "ask")):
        assert book.best(name) == twin.quote(side)
        better = [t for t in twin.levels[side] if twin.best[side] is not None
                  and (t >= twin.best[side] if side else t <= twin.best[side])]  # fmt: skip
        expected = sorted(better, reverse=not side)
        levels = [[t, twin.levels[side][t]] for t in expected]
        assert book.depth(name, 10_000).tolist() == levels
        for tick, lots in twin.levels[side].items():
            assert book.lots_at(name, tick) == lots


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.sampled_from(ANCHORS), min_size=1, max_size=4), st.sampled_from((3, 50)))
def test_a_book_equals_its_twin_after_every_row(seed, anchors, width):
    """LOB-6, with levels everywhere in the range of ticks."""
    book, twin = Book(), BookTwin()
    for row in random_rows(seed, 120, anchors, width):
        book._state.apply(np.array([row]))
        twin.apply(int(row["kind"]), int(row["tick"]), int(row["lots"]))
        for side, name in enumerate(("bid", "ask")):
            assert book.best(name) == twin.quote(side)
    assert_same(book, twin)


@pytest.mark.parametrize("seed", range(4))
def test_a_book_equals_its_twin_after_thousands_of_far_levels(seed):
    """The table grows, shrinks and trades places with the window."""
    book, twin = Book(), BookTwin()
    random = np.random.default_rng(seed)
    rows = np.empty(6000, ROW)
    walk = 2**30 + np.cumsum(random.normal(0, 4000, len(rows))).astype(np.int64)
    rows["kind"] = random.integers(0, 2, len(rows))
    rows["tick"] = walk + np.where(rows["kind"], 1, -1) * random.integers(1, 200_000, len(rows))
    rows["lots"] = random.integers(0, 3, len(rows))
    for start in range(0, len(rows), 1500):
        part = rows[start : start + 1500]
        book._state.apply(part)
        for row in part:
            twin.apply(int(row["kind"]), int(row["tick"]), int(row["lots"]))
        assert_same(book, twin)


def test_a_best_that_is_reached_becomes_the_first_level_strictly_beyond():
    """LOB-6: the crossed level stays stored, and counts again when the other side has left."""
    book = Book()
    for tick in (103, 105):
        book.set("ask", tick, tick)
    book.set("bid", 103, 9)
    assert (book.best("bid"), book.best("ask"), book.lots_at("ask", 103)) == ((103, 9), (105, 105), 103)
    book.set("bid", 103, 0)
    assert (book.best("bid"), book.best("ask")) == (None, (105, 105))


def test_the_clear_of_the_arrival_discipline_steps_over_one_tick():
    """LOB-6: next best is the first level < p - 1 for bids, > p + 1 for asks; DROP has no such step."""
    for kind, first_left in ((Kind.CLEAR_BID, (98, 1)), (Kind.DROP_BID, (99, 1))):
        book = Book()
        for tick in (98, 99, 100, 101):
            book.set("bid", tick, 1)
        book._state.clear(kind, 100)
        assert book.best("bid") == first_left
        assert book.lots_at("bid", 99) == 1


def test_readers_by_hand():
    """LOB-7."""
    book = Book()
    for tick, lots in ((100, 6), (99, 2), (90, 1)):
        book.set("bid", tick, lots)
    for tick, lots in ((102, 2), (103, 5)):
        book.set("ask", tick, lots)
    assert book.depth("bid", 2).tolist() == [[100, 6], [99, 2]]
    assert (book.volume_to("bid", 99), book.volume_to("bid", 1), book.volume_to("ask", 101)) == (8, 9, 0)
    assert (book.mid_ticks, book.weighted_mid_ticks) == (101.0, (100 * 2 + 102 * 6) / 8)
    assert book.depth_imbalance(1) == (6 - 2) / 8
    assert np.isnan(Book().mid_ticks)


def feed_of(rows, times):
    rows = np.array(rows, np.int64)
    return Feed.from_rows(UNIT, rows[:, 0], rows[:, 1], rows[:, 2], times, times)


def test_order_flow_imbalance_and_mean_depth_by_hand():
    """LOB-7, Cont et al. (2014): a better price counts its queue as new, a worse one counts the old as gone."""
    rows = [(0, 100, 5), (1, 102, 4), (0, 100, 8), (1, 101, 3), (4, 101, 2), (0, 100, 0), (5, 99, 7)]
    feed = feed_of(rows, [0, 0, 10, 20, 30, 40, 50])
    out = flows(feed, [0, 25, 60])
    assert out[0, 0] == 3 - 3  # the bid grew by 3; then a better ask of 3
    assert out[1, 2:].tolist() == [2, 7]
    assert out[0, 1] == (10 * 4.5 + 10 * 6 + 5 * 5.5) / 25
    assert out[1, 1] == 5.5  # two-sided only until 40
    assert out[0, 2:].tolist() == [0, 0]


def test_quotes_and_depth_at_times_are_those_after_all_events_up_to_them():
    """LOB-10's `time <= now`."""
    feed = feed_of([(0, 100, 5), (1, 102, 4), (0, 101, 7)], [10, 20, 30])
    assert quotes(feed, [9, 10, 29, 30]).tolist() == [
        (9, 0, 0, 0, 0), (10, 100, 0, 5, 0), (29, 100, 102, 5, 4), (30, 101, 102, 7, 4),
    ]  # fmt: skip
    levels = depth(feed, [30], levels=3)
    assert levels[0].tolist() == [[[101, 7], [100, 5], [0, 0]], [[102, 4], [0, 0], [0, 0]]]
    assert_array_equal(depth_imbalance(levels), [(12 - 4) / 16])
    assert final_book(feed).best("bid") == (101, 7)


@pytest.mark.parametrize(("call", "message"), [
    (lambda book: book.set("buy", 1, 1), "expected 'bid' or 'ask'"),
    (lambda book: book.set("bid", 0, 1), "tick is 0"),
    (lambda book: book.set("bid", 2**31, 1), "expected 1"),
    (lambda book: book.set("bid", 1, -1), "lots is -1"),
])  # fmt: skip
def test_a_book_refuses_what_it_cannot_hold(call, message):
    """Errors name the value."""
    with pytest.raises(ValueError, match=message):
        call(Book())
