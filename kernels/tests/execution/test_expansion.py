"""Candle expansion (LOB-32, EXE-5): every candle comes back exactly, and nothing else is known of it."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from tradekernels.execution.expansion import MAX_VOLUME, Candles, as_messages, expand, to_steps
from tradekernels.orderbook.matching import MAX_TICK, Kind, MatchingEngine, Tape, message

MINUTE = 60_000_000_000


def candles_of(rows, duration=MINUTE):
    """Return candles from rows of open, high, low, close, volume."""
    columns = np.array(rows, np.int64).reshape(-1, 5).T
    return Candles(duration * np.arange(columns.shape[1]), *columns, duration)


def put_together(candles, prints, first):
    """Assert that the prints make the candles again, strictly inside their times."""
    traded = np.diff(first) > 0
    assert_array_equal(traded, candles.volume > 0)
    starts, ends = first[:-1][traded], first[1:][traded]
    assert_array_equal(prints["tick"][starts], candles.open[traded])
    assert_array_equal(prints["tick"][ends - 1], candles.close[traded])
    if len(starts):
        assert_array_equal(np.maximum.reduceat(prints["tick"], starts), candles.high[traded])
        assert_array_equal(np.minimum.reduceat(prints["tick"], starts), candles.low[traded])
        assert_array_equal(np.add.reduceat(prints["lots"], starts), candles.volume[traded])
        assert (prints["time"][starts] > candles.time[traded]).all()
        assert (prints["time"][ends - 1] < candles.time[traded] + candles.duration_ns).all()
    assert (np.diff(prints["time"]) > 0).all()
    assert (prints["lots"] > 0).all()
    assert set(prints["side"].tolist()) <= {1, -1}


@st.composite
def candle_rows(draw):
    """Rows of every shape: no range, one lot, prices at the ends of their range, volumes up to the largest."""
    low = draw(st.one_of(st.integers(1, 50), st.just(MAX_TICK - 1000), st.integers(1, MAX_TICK - 1000)))
    high = low + draw(st.sampled_from([0, 0, 1, 2, 3, 17, 1000]))
    open_, close = (draw(st.one_of(st.sampled_from([low, high]), st.integers(low, high))) for _ in range(2))
    volume = draw(st.one_of(st.integers(4, 40), st.integers(4, 10**7), st.just(MAX_VOLUME)))
    if low == high:
        volume = draw(st.sampled_from([0, 1, 2, volume]))
    return open_, high, low, close, volume


@settings(max_examples=300, deadline=None)
@given(
    rows=st.lists(candle_rows(), max_size=8), seed=st.integers(0, 2**64 - 1), mean=st.sampled_from([1, 2.5, 40, 300])
)
def test_every_candle_comes_back(rows, seed, mean):
    candles = candles_of(rows)
    put_together(candles, *expand(candles, seed, mean))


@settings(max_examples=50, deadline=None)
@given(rows=st.lists(candle_rows(), min_size=2, max_size=8), data=st.data())
def test_a_candle_depends_on_itself_and_the_one_before(rows, data):
    cut = data.draw(st.integers(1, len(rows) - 1))
    whole, part = candles_of(rows), candles_of(rows)
    prints, first = expand(whole, 3)
    names = ("time", "open", "high", "low", "close", "volume")
    tail = Candles(*(getattr(part, name)[cut - 1 :] for name in names), MINUTE)
    later, later_first = expand(tail, 3)
    assert_array_equal(prints[first[cut] :], later[later_first[1] :])
    head = Candles(*(getattr(part, name)[:cut] for name in names), MINUTE)
    assert_array_equal(prints[: first[cut]], expand(head, 3)[0])


@settings(max_examples=50, deadline=None)
@given(rows=st.lists(candle_rows().filter(lambda row: row[4] < 2**40), max_size=5))
def test_a_matching_engine_prints_the_same_trades(rows):
    prints, _ = expand(candles_of(rows), seed=1)
    engine, tape = MatchingEngine(capacity=4, window=64), Tape()
    engine.process(as_messages(prints), tape, checked=True)
    for name in ("time", "tick", "lots", "side"):
        assert_array_equal(tape.trades[name], prints[name])
    assert engine.counts()["live"] == 0


def test_an_order_of_ones_own_at_a_print_is_filled_first():
    prints, _ = expand(candles_of([(100, 103, 98, 101, 50)]), seed=1)
    engine, tape = MatchingEngine(capacity=4, window=64), Tape()
    engine.process(message(id=-1, kind=Kind.LIMIT, side=1, tick=98, lots=1), tape)
    engine.process(as_messages(prints), tape)
    assert (tape.trades["maker"] == -1).sum() == 1
    assert tape.trades["tick"][tape.trades["maker"] == -1][0] == 98


def test_seeds_differ_and_a_seed_does_not():
    candles = candles_of([(100, 130, 90, 110, 10_000)] * 3)
    assert_array_equal(expand(candles, 1)[0], expand(candles, 1)[0])
    assert not np.array_equal(expand(candles, 1)[0]["tick"], expand(candles, 2)[0]["tick"])


def test_the_way_inside_a_candle_is_plausible():
    """The noise fits the range, a rising candle rather visits its low first, sizes have a tail, sides go on."""
    candles = candles_of([(1000, 1100, 900, 1060, 10**6)] * 4000)
    prints, first = expand(candles, 5, 100)
    ways = np.split(prints["tick"], first[1:-1])
    low_first = [np.argmin(way) < np.argmax(way) for way in ways]
    assert 0.55 < np.mean(low_first) < 0.8
    steps = np.delete(np.diff(prints["tick"].astype(float)), first[1:-1] - 1)  # none from candle to candle
    walk = np.sqrt(100 * np.mean(steps**2))
    assert 0.6 < walk * 1.6 / 200 < 1.6  # E[range] = 1.6 sigma sqrt(n)
    assert np.quantile(prints["lots"], 0.9) > 3 * np.median(prints["lots"])
    assert 45 < np.mean(np.diff(first)) * 50 / 100 < 55
    quarter = np.histogram(prints["time"] % MINUTE, 4)[0] / len(prints)
    assert np.abs(quarter - 0.25).max() < 0.02


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ((100, 101, 99, 100, 3), "volume in row 0 is 3 lots"),
        ((100, 101, 99, 100, 0), "volume in row 0 is 0 lots"),
        ((100, 101, 99, 102, 9), "high in row 0 is 101"),
        ((100, 101, 101, 101, 9), "low in row 0 is 101"),
        ((0, 1, 0, 1, 9), "low in row 0 is 0"),
        ((1, 1, 1, 1, -1), "volume in row 0 is -1"),
        ((1, MAX_TICK + 1, 1, 1, 9), "high in row 0"),
    ],
)
def test_what_is_no_candle_is_refused_by_row_and_value(row, what):
    with pytest.raises(ValueError, match=what):
        expand(candles_of([row]), seed=1)


def test_prices_between_two_ticks_and_late_candles_are_refused():
    with pytest.raises(ValueError, match=r"close in row 1 is 1.25, expected a multiple of 0.1"):
        to_steps("close", [1.2, 1.25], 0.1)
    assert to_steps("close", [0.1 + 0.2, 61800.2], 0.1).tolist() == [3, 618002]
    with pytest.raises(ValueError, match="volume in row 0 is nan"):
        to_steps("volume", [np.nan], 1.0)
    with pytest.raises(ValueError, match="time in row 1"):
        Candles(np.array([0, 5]), *np.ones((5, 2), np.int64), MINUTE)
    with pytest.raises(ValueError, match="prints_per_candle"):
        expand(candles_of([]), 1, 0)
    with pytest.raises(ValueError, match="seed"):
        expand(candles_of([]), -1)


def test_decimals_are_whole_steps_as_long_as_a_float_can_tell():
    """Beyond 10**13 steps the float nearest to a decimal is no longer within OFF_GRID of it."""
    lots = np.random.default_rng(0).integers(10**12, 2**50, 2000)
    texts = [f"{n // 1000}.{n % 1000:03}" for n in lots.tolist()]
    assert_array_equal(to_steps("volume", [float(text) for text in texts], 0.001), lots)
    with pytest.raises(ValueError, match=r"volume in row 0 is 1e\+17, expected at most 9007199254740992 steps"):
        to_steps("volume", [1e17], 0.001)
    with pytest.raises(ValueError, match="volume in row 0 is inf"):
        to_steps("volume", [np.inf], 0.001)


@pytest.mark.parametrize(
    ("row", "fewest"),
    [
        ((5, 5, 5, 5), 1), ((5, 9, 5, 9), 2), ((9, 9, 5, 5), 2), ((6, 9, 5, 9), 3), ((9, 9, 5, 9), 3),
        ((6, 9, 5, 7), 4), ((6, 9, 5, 6), 4),
    ],
)  # fmt: skip
@pytest.mark.parametrize("seed", range(5))
def test_the_fewest_lots_are_those_documented_whatever_the_seed(row, fewest, seed):
    candles = candles_of([(*row, fewest)])
    put_together(candles, *expand(candles, seed))
    with pytest.raises(ValueError, match="volume in row 0"):
        expand(candles_of([(*row, fewest - 1)] if fewest > 1 else [(5, 6, 5, 5, 0)]), seed)


def test_a_candle_may_be_long_and_late_but_int64_holds_its_end():
    long = Candles(np.array([2**62]), *(np.array([x]) for x in (5, 9, 1, 7, 10**6)), 2**61)
    put_together(long, *expand(long, 1))
    with pytest.raises(ValueError, match="duration_ns is 0"):
        candles_of([(5, 5, 5, 5, 1)], duration=0)
    with pytest.raises(ValueError, match="time in row 0 is -1"):
        Candles(np.array([-1]), *np.ones((5, 1), np.int64), MINUTE)
    with pytest.raises(ValueError, match="time in row 1"):
        Candles(np.array([0, 2**63 - 1]), *np.ones((5, 2), np.int64), MINUTE)
    with pytest.raises(ValueError, match="no volume"):
        Candles.from_prices(dict.fromkeys(("date", "open", "high", "low", "close"), np.ones(1)), 1, 1, MINUTE)


def decimals(values):
    """Return the coarsest power of ten whose multiples the values are."""
    for power in range(10):
        if (np.abs(values * 10.0**power - np.rint(values * 10.0**power)) < 1e-3).all():
            return 10.0**-power
    raise AssertionError("more than nine decimals")


MINUTES = {"1m": 1, "5m": 5, "15m": 15, "1h": 60}
MONTH = 31 * 24 * 60


@pytest.mark.real_data
@pytest.mark.parametrize("timeframe", list(MINUTES))
def test_every_candle_of_a_real_month_comes_back(timeframe):
    """The last 31 days of every pair that is there; whole series in the benchmark."""
    folder = os.environ.get("CANDLEWRIGHT_MARKET_DATA")
    if not folder:
        pytest.skip("CANDLEWRIGHT_MARKET_DATA names no folder of recorded candles")
    pandas = pytest.importorskip("pandas")
    found = [*Path(folder).rglob(f"*-{timeframe}.feather"), *Path(folder).rglob(f"*-{timeframe}-futures.feather")]
    if not found:
        pytest.skip(f"no candles of {timeframe} in {folder}")
    for path in found:
        frame = pandas.read_feather(path).tail(MONTH // MINUTES[timeframe])
        tick = decimals(frame[["open", "high", "low", "close"]].to_numpy())
        candles = Candles.from_prices(frame, tick, decimals(frame["volume"].to_numpy()), MINUTES[timeframe] * MINUTE)
        put_together(candles, *expand(candles, seed=11))
