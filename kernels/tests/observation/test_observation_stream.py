"""Bar by bar: the batch's bits, memory saved and restored (CAT-1, CAT-5), and what a live bot may hand in."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

SEEDS = st.integers(0, 2**32 - 1)
SOURCES = ("candles", "taker", "book")


@given(
    seed=SEEDS, n_rows=st.integers(1, 600), source=st.sampled_from(SOURCES), timeframe=st.sampled_from(["15m", "4h"])
)
@settings(max_examples=15, deadline=None)
def test_batch_and_stream_agree_to_the_last_bit(
    sets, observed_frame, accounts, bars_of, bits, seed, n_rows, source, timeframe
):
    """CAT-1, over a gap, accounts and unknown metadata included."""
    observations, frame = sets(source, timeframe), observed_frame(n_rows, seed, source, timeframe)
    frame = {name: np.delete(column, slice(n_rows // 2, n_rows // 2 + 5)) for name, column in frame.items()}
    agent = accounts(len(frame["date"]), seed)
    stream = observations.stream()
    live = [stream.update(bar, account) for bar, account in zip(bars_of(frame, observations), agent, strict=True)]
    assert_array_equal(bits(np.reshape(live, (-1, 56))), bits(observations.compute(frame, agent)))


@given(cut=st.integers(0, 250))
@settings(max_examples=10, deadline=None)
def test_a_restored_stream_continues_bit_for_bit(sets, observed_frame, bars_of, bits, cut):
    """CAT-5: wherever it was saved, and the original is not disturbed by the copy."""
    observations, frame = sets(), observed_frame(251, 21)
    bars, stream = bars_of(frame, observations), observations.stream()
    for bar in bars[:cut]:
        stream.update(bar)
    again = observations.stream(stream.state())
    assert again.bars == cut
    for bar in bars[cut:]:
        assert_array_equal(bits(stream.update(bar)), bits(again.update(bar)))


def test_a_bar_may_be_a_tuple_a_list_a_mapping_or_numpys_numbers(sets, observed_frame, accounts, bars_of, bits):
    """They mean the same, and so do the shapes of an account."""
    observations, frame = sets(), observed_frame(60, 22)
    names, agent = ("date", "open", "high", "low", "close", "volume", *observations.inputs), accounts(60)
    shapes = [
        (lambda bar: bar, tuple),
        (list, list),
        (lambda bar: dict(zip(names, bar, strict=True)), lambda account: account),
        (lambda bar: (np.int64(bar[0]), *map(np.float64, bar[1:])), tuple),
        (
            lambda bar: (np.datetime64(bar[0], "ms"), *bar[1:]),
            lambda account: account.astype(np.float64),
        ),
        (lambda bar: bar, lambda account: np.repeat(account, 2)[::2]),
    ]
    rows = []
    for of_bar, of_account in shapes:
        stream = observations.stream()
        bars = zip(bars_of(frame, observations), agent, strict=True)
        rows.append([stream.update(of_bar(bar), of_account(account)) for bar, account in bars])
    for other in rows[1:]:
        assert_array_equal(bits(rows[0]), bits(other))


def test_a_row_of_pandas_is_a_bar(sets, observed_frame, bars_of, bits):
    """As a callback has it: the last row of a DataFrame."""
    pd = pytest.importorskip("pandas")
    observations, frame = sets(), observed_frame(30, 23)
    table = pd.DataFrame(frame | {"date": pd.to_datetime(frame["date"], unit="ms", utc=True)})
    stream = observations.stream()
    live = [stream.update(table.iloc[t]) for t in range(30)]
    assert_array_equal(bits(live), bits(observations.compute(table)))


def test_six_values_will_do_where_the_candle_is_the_source(sets, observed_frame, bars_of, bits):
    """The rest is then not known; a stream that reads takers or books wants them said."""
    observations, frame = sets("candles"), observed_frame(40, 24, "candles")
    stream = observations.stream()
    live = [stream.update(bar[:6]) for bar in bars_of(frame, observations)]
    plain = {name: frame[name] for name in ("date", "open", "high", "low", "close", "volume")}
    assert_array_equal(bits(live), bits(observations.compute(plain)))
    with pytest.raises(ValueError, match="bar has 6 values, expected a candle's 6 and taker_buy_volume, quote_volume"):
        sets("taker").stream().update(bars_of(frame, sets("candles"))[0][:6])


def test_what_a_bar_brought_is_forgotten_with_the_next(sets, observed_frame, bars_of):
    """A bar of six after one with metadata: unknown means unknown."""
    observations, stream = sets("candles"), sets("candles").stream()
    first, second = bars_of(observed_frame(2, 25, "candles"), observations)
    assert stream.update((*first[:6], 1.0, 5.0, 10.0))[27:32].tolist() == pytest.approx([1, np.tanh(5 / 24), 1, 0.1, 1])
    assert stream.update(second[:6])[27:32].tolist() == [0, 0, 0, 0, 0]


@pytest.mark.parametrize("shape", [tuple, list])
def test_a_refused_bar_leaves_the_stream_as_it_was(sets, observed_frame, bars_of, shape):
    """OBS-56: an error is no bar."""
    observations = sets()
    bars, stream = bars_of(observed_frame(100, 26), observations), observations.stream()
    for bar in bars[:99]:
        stream.update(bar)
    before = stream.state()
    date, open_, high, low, close, volume, *rest = bars[99]
    flat = (1000.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    for bad, account, message in [
        ((bars[98][0], open_, high, low, close, volume, *rest), flat, "expected a time after"),
        ((date, open_, high, low, np.nan, volume, *rest), flat, "close in row 0 is nan"),
        ((date, open_, high, low, close, np.inf, *rest), flat, "volume in row 0 is inf"),
        ((date, open_, high, high * 2, close, volume, *rest), flat, "high below low"),
        ((date, open_, high, low, close), flat, "bar has 5 values"),
        ((float(date), open_, high, low, close, volume, *rest), flat, "date of the bar is"),
        ((date, open_, high, low, "x", volume, *rest), flat, "expected five numbers"),
        ((date, open_, high, low, close, volume, np.inf, *rest[1:]), flat, "taker_buy_volume of the bar is inf"),
        ((date, open_, high, low, close, volume, *rest[:-1], 101.0), flat, "fear_greed of the bar is 101.0"),
        ((date, open_, high, low, close, volume, *rest[:-1], "x"), flat, "expected numbers, or NaN"),
        (bars[99], (np.nan, *flat[1:]), "cash in row 0 is nan, expected a finite number"),
        (bars[99], (*flat[:1], np.inf, *flat[2:]), "units in row 0 is inf"),
        (bars[99], (*flat[:2], -1.0, *flat[3:]), "bought_20 in row 0 is -1.0, expected a finite number of at least 0"),
        (bars[99], flat[1:], r"agent has shape \(1, 8\)"),
        (bars[99], ("x", *flat[1:]), "agent has shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            stream.update(shape(bad), account)
        assert stream.state() == before
    assert_array_equal(stream.update(bars[99]), observations.compute(observed_frame(100, 26))[99])


def test_a_mapping_with_another_source_is_refused(sets, observed_frame):
    """OBS-59."""
    candle = {name: values[0] for name, values in observed_frame(1, 27, "candles").items()}
    with pytest.raises(ValueError, match="micro source is 'candles', expected 'taker' as in training"):
        sets("taker").stream().update(candle)


def test_two_streams_share_nothing_and_rows_belong_to_the_caller(sets, observed_frame, bars_of):
    """CAT-5."""
    observations = sets()
    bars = bars_of(observed_frame(80, 28), observations)
    one, other, fresh = (observations.stream() for _ in range(3))
    rows = [one.update(bar) for bar in bars]
    kept = np.array(rows)
    for bar in bars[:40]:
        assert_array_equal(other.update(bar), fresh.update(bar))
    assert_array_equal(kept, np.array(rows))


def test_a_damaged_or_foreign_state_is_refused(sets, observed_frame, bars_of):
    """Checksum, version, observation and size."""
    observations, stream = sets(), sets().stream()
    for bar in bars_of(observed_frame(50, 29), observations):
        stream.update(bar)
    state = stream.state()

    def resigned(position, value):
        body = bytearray(state[:-32])
        body[position] = value
        return bytes(body) + hashlib.sha256(bytes(body)).digest()

    for damaged in (b"", state[:-1], state[:50] + b"\x00" + state[51:] + b"x", state[:200] + b"\xff" + state[201:]):
        with pytest.raises(ValueError, match="damaged"):
            observations.stream(damaged)
    with pytest.raises(ValueError, match="version 9, expected 1"):
        observations.stream(resigned(20, 9))
    with pytest.raises(ValueError, match="of layout"):
        observations.stream(resigned(60, state[60] ^ 1))
    with pytest.raises(ValueError, match="is of observation"):
        sets("candles").stream(state)
