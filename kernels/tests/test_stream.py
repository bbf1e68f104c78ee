"""Streams: bars in, rows out, memory saved and restored (CAT-5)."""

import copy
import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from tradekernels.features import BASE_40, CATALOG, feature_set

ALL = feature_set(CATALOG)
COLUMNS = ("date", "open", "high", "low", "close", "volume")


@pytest.fixture
def bars(candles):
    frame = candles(300, seed=8)
    return list(zip(*(frame[name].tolist() for name in COLUMNS), strict=True))


@given(cut=st.integers(0, 299))
@settings(max_examples=10, deadline=None)
def test_a_restored_stream_continues_bit_for_bit(candles, cut):
    """CAT-5: wherever it was saved, and the original is not disturbed by the copy."""
    frame = candles(300, seed=8)
    bars = list(zip(*(frame[name].tolist() for name in COLUMNS), strict=True))
    stream = ALL.stream()
    for bar in bars[:cut]:
        stream.update(bar)
    again = ALL.stream(stream.state())
    assert again.bars == cut
    for bar in bars[cut:]:
        assert_array_equal(stream.update(bar).view(np.int32), again.update(bar).view(np.int32))


def test_a_bar_may_be_a_tuple_a_mapping_or_an_array(bars):
    """They mean the same."""
    rows = []
    for shape in (lambda bar: bar, lambda bar: dict(zip(COLUMNS, bar, strict=True)), list):
        stream = ALL.stream()
        rows.append(np.array([stream.update(shape(bar)) for bar in bars[:50]]))
    assert_array_equal(rows[0], rows[1])
    assert_array_equal(rows[0], rows[2])


def test_a_refused_bar_leaves_the_stream_as_it_was(bars):
    """An error is no bar."""
    stream = ALL.stream()
    for bar in bars[:100]:
        stream.update(bar)
    before = stream.state()
    date, open_, high, low, close, volume = bars[100]
    for bad, message in [
        ((bars[99][0], open_, high, low, close, volume), "expected a time after"),
        ((date, open_, high, low, np.nan, volume), "close in row 0 is nan"),
        ((date, open_, high, high * 2, close, volume), "high below low"),
        ((date, open_, high, low, close), "bar has 5 values"),
        ((float(date), open_, high, low, close, volume), "date of the bar is"),
        ((date, open_, high, low, "x", volume), "expected five numbers"),
        ({"date": date}, "bar has no 'open'"),
    ]:
        with pytest.raises(ValueError, match=message):
            stream.update(bad)
    assert stream.state() == before


def test_two_streams_share_nothing(bars):
    """CAT-5: no state between pairs."""
    one, other = ALL.stream(), ALL.stream()
    for bar in bars[:200]:
        one.update(bar)
    fresh = ALL.stream()
    for bar in bars[:50]:
        assert_array_equal(other.update(bar), fresh.update(bar))


def test_a_row_belongs_to_the_caller(bars):
    """A later bar does not write into an earlier row."""
    stream = ALL.stream()
    row = stream.update(bars[0])
    kept = row.copy()
    stream.update(bars[1])
    assert_array_equal(row, kept)


def _resigned(state, position, value):
    body = bytearray(state[:-32])
    body[position] = value
    return bytes(body) + hashlib.sha256(bytes(body)).digest()


def test_a_damaged_or_foreign_state_is_refused(bars):
    """Checksum, version, feature set and size."""
    stream = ALL.stream()
    for bar in bars:
        stream.update(bar)
    state = stream.state()
    for damaged in (b"", state[:-1], state[:50] + b"\x00" + state[51:] + b"x", state[:200] + b"\xff" + state[201:]):
        with pytest.raises(ValueError, match="damaged"):
            ALL.stream(damaged)
    with pytest.raises(ValueError, match="version 3, expected 2"):
        ALL.stream(_resigned(state, 20, 3))
    with pytest.raises(ValueError, match="has layout"):
        ALL.stream(_resigned(state, 60, state[60] ^ 1))
    with pytest.raises(ValueError, match="is of feature set"):
        feature_set(BASE_40).stream(state)


def _crafted(state, place, number):
    """Return the state with one number of its memory replaced, and a checksum that fits."""
    body = bytearray(state[:-32])
    at = 20 + 4 + 32 + 32 + 8 + 8 * place
    body[at : at + 8] = struct.pack("<d", number)
    return bytes(body) + hashlib.sha256(bytes(body)).digest()


@given(
    place=st.integers(0, 10**6), number=st.sampled_from([1e12, -1e12, -1.0, 0.5, np.nan, np.inf, 3.0, 70.0, 2.0**63])
)
@settings(max_examples=150, deadline=None)
def test_no_number_of_a_crafted_state_leads_the_loops_astray(candles, place, number):
    """A checksum is no key: what the loops index by is looked at, all else is a value and harmless."""
    frame = candles(300, seed=8)
    bars = list(zip(*(frame[name].tolist() for name in COLUMNS), strict=True))
    stream = ALL.stream()
    for bar in bars[:250]:
        stream.update(bar)
    state = stream.state()
    count = (len(state) - 32 - 96) // 8
    try:
        crafted = ALL.stream(_crafted(state, place % count, number))
    except ValueError as error:
        assert "damaged" in str(error)  # noqa: PT017
        return
    for bar in bars[250:]:
        try:
            crafted.update(bar)
        except ValueError as error:  # the time of the last bar was what was crafted
            assert "expected a time after" in str(error)  # noqa: PT017
            return


def test_a_state_of_impossible_places_is_refused_everywhere(bars):
    """Every number behind the header at once."""
    stream = ALL.stream()
    for bar in bars[:100]:
        stream.update(bar)
    state = stream.state()
    for number in (1e12, -3.0, np.nan):
        body = state[: 96 + 24] + struct.pack("<d", number) * ((len(state) - 32 - 96 - 24) // 8)
        with pytest.raises(ValueError, match="the memory of a"):
            ALL.stream(body + hashlib.sha256(body).digest())


def test_a_copied_stream_has_its_own_memory(bars):
    """copy.copy and deepcopy continue on their own; a set is copied by what it is made of."""
    stream = ALL.stream()
    for bar in bars[:60]:
        stream.update(bar)
    for other in (copy.copy(stream), copy.deepcopy(stream)):
        before = stream.state()
        row = other.update(bars[60])
        assert stream.state() == before
        assert_array_equal(row, copy.copy(stream).update(bars[60]))
    assert copy.deepcopy(ALL).digest == ALL.digest
