"""What holds for any candles. From: seeds, cuts and holes that hypothesis picks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tradekernels.observation import SLOTS, fit, observation_set, saturation

SEEDS = st.integers(0, 2**32 - 1)
SOURCES = ("candles", "taker", "book")
TIMEFRAMES = ("5m", "15m", "1h", "4h")


@given(seed=SEEDS, cut=st.integers(0, 499), later=SEEDS, source=st.sampled_from(SOURCES))
@settings(max_examples=15, deadline=None)
def test_nothing_looks_ahead(sets, observed_frame, bits, seed, cut, later, source):
    """LEK-1: cutting or changing later rows changes no bit before them."""
    frame, other = observed_frame(500, seed, source), observed_frame(500, later, source)
    observations = sets(source)
    rows = observations.compute(frame)
    assert_array_equal(bits(observations.compute({k: v[:cut] for k, v in frame.items()})), bits(rows[:cut]))
    changed = {name: np.concatenate([frame[name][:cut], other[name][cut:]]) for name in frame}
    changed["date"] = frame["date"]
    assert_array_equal(bits(observations.compute(changed)[:cut]), bits(rows[:cut]))


@given(
    seed=SEEDS,
    n_rows=st.integers(1, 400),
    source=st.sampled_from(SOURCES),
    timeframe=st.sampled_from(TIMEFRAMES),
    scale=st.sampled_from([1e-200, 1e-12, 1.0, 1e12, 1e200]),
    quiet=st.floats(0, 1),
    dtype=st.sampled_from([np.float32, np.float64]),
)
@settings(max_examples=60, deadline=None)
def test_the_vector_is_always_finite_and_in_range(
    sets, observed_frame, accounts, seed, n_rows, source, timeframe, scale, quiet, dtype
):
    """OBS-56: whatever the prices, with zero volume, holes in the optional data and bars missing."""
    random, frame = np.random.default_rng(seed), observed_frame(n_rows, seed, source, timeframe)
    for name in ("open", "high", "low", "close"):
        frame[name] = frame[name] * scale
    frame["volume"] = np.where(random.random(n_rows) < quiet, 0.0, frame["volume"] / scale)
    for name in set(frame) - {"date", "open", "high", "low", "close", "volume"}:
        frame[name] = np.where(random.random(n_rows) < quiet / 2, np.nan, frame[name])
    kept = np.flatnonzero(random.random(n_rows) > 0.1)
    frame = {name: values[kept] for name, values in frame.items()}
    rows = sets(source, timeframe).compute(frame, accounts(len(kept), seed), dtype=dtype)
    assert np.isfinite(rows).all()
    for slot in SLOTS:
        low, high = slot.range
        assert (rows[:, slot.index] >= np.float32(low)).all(), slot.name
        assert (rows[:, slot.index] <= np.float32(high)).all(), slot.name


@given(seed=SEEDS, start=st.integers(1, 300))
@settings(max_examples=5, deadline=None)
def test_after_the_warmup_it_does_not_matter_where_history_begins(sets, observed_frame, seed, start):
    """Not even to float32's last digits: seeds have died out, and no running sum remembers."""
    observations = sets("taker", "4h")
    frame = observed_frame(observations.warmup + 500, seed, "taker", "4h")
    late = observations.compute({name: values[start:] for name, values in frame.items()})[observations.warmup :]
    assert_allclose(late, observations.compute(frame)[start + observations.warmup :], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("timeframe", "warmup"), [("5m", 8640), ("15m", 2880), ("1h", 720), ("4h", 348)])
def test_the_warmup_is_that_of_the_slowest_slot(sets, timeframe, warmup):
    """Yang-Zhang over 720 hours; on slow bars what remains of a seed in the signal line, 1e-8 of it."""
    assert sets("candles", timeframe).warmup == warmup


@pytest.mark.parametrize("n_rows", [0, 1, 2])
def test_the_shortest_frames_have_their_rows(sets, observed_frame, n_rows):
    """No row, no past, one bar of past."""
    rows = sets().compute({name: values[:n_rows] for name, values in observed_frame(3).items()})
    assert rows.shape == (n_rows, 56)
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous


def test_inputs_may_be_read_only_strided_or_float32(sets, observed_frame, accounts):
    """The same numbers give the same rows, however they are stored, and none of them is written to."""
    frame, agent = observed_frame(300, 31), accounts(300)
    frame = {name: values if name == "date" else np.float64(np.float32(values)) for name, values in frame.items()}
    frame["high"] = np.max([frame[name] for name in ("open", "high", "close")], axis=0)
    frame["low"] = np.min([frame[name] for name in ("open", "low", "close")], axis=0)
    before = {name: values.copy() for name, values in frame.items()}
    for values in (*frame.values(), agent):
        values.flags.writeable = False
    expected = sets().compute(frame, agent)
    strided = {name: np.repeat(values, 2)[::2] for name, values in frame.items()}
    single = {name: values if name == "date" else values.astype(np.float32) for name, values in frame.items()}
    for other in (strided, single):
        assert_array_equal(sets().compute(other, np.asfortranarray(agent)), expected)
    for name, values in before.items():
        assert_array_equal(frame[name], values)


def test_threads_share_a_set(sets, observed_frame, bits):
    """CAT-5: every run has its own memory."""
    from concurrent.futures import ThreadPoolExecutor

    frames = [observed_frame(800, seed) for seed in range(6)]
    alone = [bits(sets().compute(frame)) for frame in frames]
    with ThreadPoolExecutor(3) as pool:
        for one, other in zip(alone, pool.map(sets().compute, frames), strict=True):
            assert_array_equal(one, bits(other))


def test_the_compiled_tanh_is_tanh():
    """To the last bits, over all that it can meet: through a slot that is nothing but tanh."""
    from tradekernels.observation import _observation

    x = np.concatenate([[0.0, 1e-300, 5e-324, 19.0, 25.0, 1e308], np.logspace(-12, 2, 20_001), np.arange(1, 60) / 3])
    x = np.concatenate([x, -x])
    table = np.array([[0.0] * 47, [1.0] * 47, [1.0] * 47, [0.0] * 47, [-1.0] * 47, [1.0] * 47])
    assembler = _observation.Assembler(table, np.zeros((1, 3)))
    rows = np.empty((len(x), 56))
    assembler.market(np.repeat(x[:, None], 48, axis=1), 0, rows)
    assert_allclose(rows[:, 0], np.tanh(x), rtol=5e-16, atol=0)


def test_saturation_counts_what_is_beyond_099():
    """OBS-60: per slot, on either side."""
    rows = np.zeros((4, 57))
    rows[:, 0] = [0.991, -0.995, 0.99, 0.5]
    shares = saturation(rows)
    assert shares["price"] == 0.5
    assert shares["token_onehot[1]"] == 0
    assert len(shares) == 57
    assert np.isnan(saturation(np.zeros((0, 56)))["price"])
    with pytest.raises(ValueError, match=r"rows have shape \(4, 55\)"):
        saturation(np.zeros((4, 55)))


def test_standardised_prices_do_not_saturate(observed_frame):
    """OBS-60: on the training range itself a raw tanh would be 1 everywhere."""
    frame = observed_frame(3200, 32)
    shares = saturation(observation_set(fit(frame, "15m")).compute(frame))
    for name in ("price", "ma5", "ma20", "macd", "momentum", "atr", "obv", "cvd_24h", "sma_60"):
        assert shares[name] < 0.05, name
