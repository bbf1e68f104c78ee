"""What holds for every feature and any candles. From: seeds, cuts and scales that hypothesis picks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tradekernels.features import BASE_40, CATALOG, _engine, engine, feature_set, program

ALL = feature_set(CATALOG)
BASE = feature_set(BASE_40)
SEEDS = st.integers(0, 2**32 - 1)
COLUMNS = ("open", "high", "low", "close", "volume")

# Their value jumps where two nearly equal numbers are compared, so a rounding can move it by a whole step.
STEPS = {
    name
    for name, feature in CATALOG.items()
    if feature.unit in ("flag", "sign") or "agreement" in name or name in ("since_high_96", "since_low_96")
} | {"aroon_up", "aroon_down", "aroon_diff"}


def bits(rows):
    """Return floats as integers: equal only if every bit is, NaN included."""
    return np.ascontiguousarray(rows).view(np.int32)


def rows_of(frame, start, stop=None):
    return {name: column[start:stop] for name, column in frame.items()}


def bars_of(frame):
    return zip(*(frame[name].tolist() for name in ("date", *COLUMNS)), strict=True)


@given(seed=SEEDS, n_rows=st.integers(1, 700))
@settings(max_examples=10, deadline=None)
def test_batch_and_stream_agree_to_the_last_bit(candles, seed, n_rows):
    """CAT-1."""
    frame = candles(n_rows, seed)
    stream = ALL.stream()
    assert_array_equal(bits([stream.update(bar) for bar in bars_of(frame)]), bits(ALL.compute(frame)))


@given(seed=SEEDS, cut=st.integers(0, 699), later=SEEDS)
@settings(max_examples=10, deadline=None)
def test_no_feature_looks_ahead(candles, seed, cut, later):
    """CAT-1, CAT-3: cutting or changing later rows changes no bit before them."""
    frame = candles(700, seed)
    rows = ALL.compute(frame)
    assert_array_equal(bits(ALL.compute(rows_of(frame, 0, cut))), bits(rows[:cut]))
    other = candles(700, later, price=3.0)
    changed = {name: np.concatenate([frame[name][:cut], other[name][cut:]]) for name in frame}
    assert_array_equal(bits(ALL.compute(changed)[:cut]), bits(rows[:cut]))


@given(seed=SEEDS, start=st.integers(1, 1000))
@settings(max_examples=10, deadline=None)
def test_a_value_does_not_depend_on_where_history_starts(candles, seed, start):
    """Once warm, to float32: seeds have died out, and no running sum remembers."""
    names = [name for name in CATALOG if name not in STEPS]
    features = feature_set(names)
    frame = candles(3600, seed)
    known = start + features.warmup
    late = features.compute(rows_of(frame, start))[features.warmup :]
    assert_allclose(late, features.compute(frame)[known:], rtol=1e-6, atol=1e-6)


@given(seed=SEEDS, price=st.floats(1e-12, 1e12), volume=st.floats(1e-12, 1e12))
@settings(max_examples=10, deadline=None)
def test_features_do_not_change_with_the_scale_of_price_and_volume(candles, seed, price, volume):
    """Every feature of today's catalogue is a ratio, a place, a count or a time."""
    frame = candles(700, seed)
    scaled = {name: values * price for name, values in frame.items() if name not in ("date", "volume")}
    scaled |= {"date": frame["date"], "volume": frame["volume"] * volume}
    wanted = [k for k, name in enumerate(BASE_40) if name not in STEPS]
    assert_allclose(BASE.compute(scaled)[:, wanted], BASE.compute(frame)[:, wanted], rtol=1e-5, atol=1e-6)


@given(seed=SEEDS, shift=st.integers(-8, 8))
@settings(max_examples=10, deadline=None)
def test_a_scale_of_a_power_of_two_changes_no_bit(candles, seed, shift):
    """Steps included: such a scale rounds nothing. ln C alone is not scale-free before differences are taken."""
    names = [name for name in CATALOG if not name.startswith("trix")]
    features = feature_set(names)
    frame = candles(2200, seed)
    scaled = {name: values if name in ("date", "volume") else values * 2.0**shift for name, values in frame.items()}
    assert_array_equal(bits(features.compute(scaled)), bits(features.compute(frame)))


@pytest.mark.parametrize("price", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("volume", [0.0, 5.0, 1e12])
def test_a_market_that_stands_still_gives_finite_values_in_range(price, volume):
    """DQ-5 and the rule that a bounded ratio with denominator 0 is 0."""
    flat = {name: np.full(2500, price) for name in ("open", "high", "low", "close")}
    rows = ALL.compute({"date": 900_000 * np.arange(2500), "volume": np.full(2500, volume)} | flat)
    warm = rows[ALL.warmup :]
    assert np.isfinite(warm).all()
    for name in ("bb_width", "bb_position", "cci_20", "rsi_14", "stoch_k", "adx_14", "keltner_position", "volume_z_20"):
        assert (warm[:, ALL.names.index(name)] == 0).all(), name


def test_a_market_that_freezes_after_it_moved_stays_finite(candles):
    """Wilder's means fade towards 0 but never reach it: ratios to them must not blow up (delisted pairs are filled)."""
    frame = candles(20_000, seed=5)
    for name in ("open", "high", "low", "close"):
        frame[name][3000:] = frame["close"][2999]
    frame["volume"][3000:] = 0.0
    rows = ALL.compute(frame)[ALL.warmup :]
    assert np.isfinite(rows).all()
    for column, (name, feature) in zip(rows.T, CATALOG.items(), strict=True):
        low, high = feature.range
        assert column.min() >= np.float32(low) - 1e-5, name
        assert column.max() <= np.float32(high) + 1e-5, name


@pytest.mark.parametrize("price", [1e-12, 1e12])
def test_extreme_prices_stay_finite(candles, price):
    """Prices of 1e-12 and 1e12 with moves of 5% a bar."""
    rows = ALL.compute(candles(2500, seed=6, price=price, volatility=0.05, volume=1e12))
    assert np.isfinite(rows[ALL.warmup :]).all()


@pytest.mark.parametrize("n_rows", [0, 1, 2])
def test_the_shortest_frames_have_their_rows(candles, n_rows):
    """No row, no past, one bar of past."""
    rows = ALL.compute(candles(3, seed=0) if n_rows == 3 else rows_of(candles(3, seed=0), 0, n_rows))
    assert rows.shape == (n_rows, len(CATALOG))
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous


def test_the_builds_for_narrow_and_wide_vectors_agree_to_the_last_bit(candles, monkeypatch):
    """What a model was trained on one machine with, another machine serves."""
    if not engine.WIDE:
        pytest.skip("this processor or compiler has the plain build only")
    frame = candles(3000, seed=10)
    wide = ALL.compute(frame, dtype=np.float64)
    monkeypatch.setattr(program, "Machine", _engine.Machine)
    assert_array_equal(wide.view(np.int64), ALL.compute(frame, dtype=np.float64).view(np.int64))


def test_threads_share_a_set(candles):
    """CAT-5: every run has its own memory, and the GIL is released inside."""
    from concurrent.futures import ThreadPoolExecutor

    frames = [candles(1500, seed) for seed in range(8)]
    alone = [bits(ALL.compute(frame)) for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(ALL.compute, frames))
    for one, other in zip(alone, together, strict=True):
        assert_array_equal(one, bits(other))
