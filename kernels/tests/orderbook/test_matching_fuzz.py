"""The matching engine against its slow twin on random messages (LOB-22), invariants looked at after each."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from deque_book import DequeBook, random_messages

from tradekernels.orderbook.matching import MESSAGE, EventKind, Kind, MatchingEngine, Reason, Tape, digest


def both(messages, capacity, window, checked=True):
    """Return the tapes of engine and twin, after comparing what rests in them."""
    engine, tape, twin = MatchingEngine(capacity, window), Tape(room=3), DequeBook(capacity)
    engine.process(messages, tape, checked=checked)
    for row in messages.tolist():
        twin.submit(row)
    assert engine.rows() == twin.rows()
    assert engine.counts()["waiting"] == len(twin.waiting)
    return tape, twin


@pytest.mark.parametrize("window", [64, 256, 4096])
@pytest.mark.parametrize(
    "flow",
    [
        {"n_ids": 20, "spread": 4},
        {"n_ids": 60, "middle": 50, "spread": 12, "far": 0.2},
        {"n_ids": 300, "spread": 60, "drift": 8.0, "middle": 100_000},
        {"n_ids": 300, "spread": 12, "drift": 0.3, "bad": 0.0},
    ],
    ids=["tight", "far", "drifting", "clean"],
)
def test_the_tape_is_that_of_the_deque_book(flow, window):
    messages = random_messages(20_000, seed=window, **flow)
    tape, twin = both(messages, capacity=64, window=window, checked=window < 4096)
    assert len(tape.trades) > 1000
    assert digest(tape) == digest(twin)


def test_the_messages_reach_every_event_and_every_reason():
    messages = random_messages(60_000, seed=5, n_ids=40, bad=0.2)
    tape, twin = both(messages, capacity=24, window=64)
    assert digest(tape) == digest(twin)
    assert set(tape.events["kind"].tolist()) == set(EventKind)
    assert set(tape.events["reason"].tolist()) == set(Reason)


def test_cutting_the_messages_into_chunks_changes_nothing():
    messages, engine, tape = random_messages(5_000, seed=1), MatchingEngine(64, 64), Tape()
    for chunk in np.array_split(messages, 37):
        engine.process(chunk, tape)
    whole = Tape()
    MatchingEngine(64, 64).process(messages, whole)
    assert digest(tape) == digest(whole)


ROWS = st.builds(
    lambda *values: (0, *values),
    st.integers(1, 8),  # id
    st.integers(-1, 12),  # lots
    st.sampled_from([0, 0, 0, 1, 3]),  # peak
    st.one_of(st.integers(95, 105), st.sampled_from([1, 200, 2**30])),  # tick
    st.integers(95, 105),  # stop_tick
    st.integers(0, 2),  # owner
    st.integers(0, 7),  # kind
    st.sampled_from([1, -1]),
    st.integers(0, 3),  # policy
    st.integers(0, 3),  # self_trade
)


@settings(max_examples=300, deadline=None)
@given(rows=st.lists(ROWS, max_size=60), capacity=st.integers(1, 8))
def test_no_short_story_tells_them_apart(rows, capacity):
    tape, twin = both(np.array(rows, MESSAGE), capacity, 64)
    assert digest(tape) == digest(twin)


@settings(max_examples=100, deadline=None)
@given(data=st.binary(min_size=0, max_size=48 * 40))
def test_no_bytes_break_the_book(data):
    messages = np.frombuffer(data[: len(data) // 48 * 48], MESSAGE)
    tape, twin = both(messages, 8, 64)
    assert digest(tape) == digest(twin)


def test_ids_that_share_their_hash_are_told_apart():
    """Ids a golden-ratio step apart fall on neighbouring places of the table: long runs, erased from the middle."""
    inverse = pow(0x9E3779B97F4A7C15, -1, 2**64)
    ids = (np.arange(400, dtype=np.uint64) * np.uint64(1 << 40) * np.uint64(inverse)).astype(np.int64)
    random = np.random.default_rng(3)
    messages = random_messages(20_000, seed=3, n_ids=400, bad=0.0, spread=40)
    messages["id"] = ids[random.integers(0, 400, len(messages))]
    tape, twin = both(messages, capacity=400, window=64)
    assert digest(tape) == digest(twin)


def test_reducing_and_modifying_conserve_volume():
    messages = random_messages(20_000, seed=11, n_ids=30)
    messages["kind"][::3] = Kind.MODIFY
    engine = MatchingEngine(64, 64)
    engine.process(messages, Tape(), checked=True)
    count = engine.counts()
    assert count["in"] == count["resting"] + count["traded"] + count["cancelled"]
