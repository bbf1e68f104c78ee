"""What holds for every feature and any candles. From: seeds, cuts and scales that hypothesis picks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tradekernels.features import (
    BASE_40,
    CATALOG,
    COLUMNS,
    OPTIONAL,
    References,
    _engine,
    compute_many,
    engine,
    feature_set,
    program,
)

ALL = feature_set(CATALOG)
BASE = feature_set(BASE_40)
ALONE = feature_set([name for name, feature in CATALOG.items() if not feature.needs])  # of candles and nothing else
SEEDS = st.integers(0, 2**32 - 1)
PRICES = ("open", "high", "low", "close", "mark_price", "best_bid", "best_ask")
SECTOR = ("ETH/USDT", ("SOL/USDT", "1h"))
BARS_OF = {"BTC/USDT": 900_000, "ETH/USDT": 900_000, ("SOL/USDT", "1h"): 3_600_000, "XRP/USDT": 900_000}

# Their value jumps where two nearly equal numbers are compared, so a rounding can move it by a whole step.
STEPS = {
    name
    for name, feature in CATALOG.items()
    if feature.unit in ("flag", "sign") or "agreement" in name or name in ("since_high_96", "since_low_96")
} | {
    "aroon_up",
    "aroon_down",
    "aroon_diff",
    "quality_score",
    "failed_breaks",
    "squeeze_length",
    "sector_rank",
    "breadth",
}
# The parabolic stop remembers the last reversal, wherever that was.
PATHS = {"psar_distance", "psar_side"}
# In prices, in base currency, or a return per quote volume; and a cyclic time that a change of price leaves alone.
SCALED = {name for name, feature in CATALOG.items() if feature.unit in ("quote", "base")} | {"amihud"}


def bits(rows):
    """Return floats as integers: equal only if every bit is, NaN included."""
    return np.ascontiguousarray(rows).view(np.int32)


def rows_of(frame, start, stop=None):
    return {name: column[start:stop] for name, column in frame.items()}


def bars_of(frame):
    return zip(*(frame[name].tolist() for name in ("date", *COLUMNS)), strict=True)


def live_rows(features, frame, references, stream=None):
    """Return the rows of a stream fed with every bar as it closes, other pairs' bars first."""
    keys = list(references)
    stream = stream or features.stream(references=keys, sector=SECTOR)
    waiting = {
        key: list(zip(other["date"].tolist(), other["close"].tolist(), strict=True))
        for key, other in references.items()
    }
    names = [*COLUMNS, *(name for name in OPTIONAL if name in frame)]
    rows = []
    for date, *values in zip(frame["date"].tolist(), *(frame[name].tolist() for name in names), strict=True):
        for key, bars in waiting.items():
            while bars and bars[0][0] + BARS_OF[key] <= date + 900_000:
                opened, close = bars.pop(0)
                stream.refer(key, (opened, close, close, close, close, 0.0))
        rows.append(stream.update({"date": date} | dict(zip(names, values, strict=True))))
    return np.array(rows)


@given(seed=SEEDS, n_rows=st.integers(1, 700))
@settings(max_examples=10, deadline=None)
def test_batch_and_stream_agree_to_the_last_bit(candles, seed, n_rows):
    """CAT-1."""
    frame = candles(n_rows, seed)
    stream = ALL.stream()
    assert_array_equal(bits([stream.update(bar) for bar in bars_of(frame)]), bits(ALL.compute(frame)))


@given(seed=SEEDS, gaps=st.lists(st.tuples(st.integers(1, 690), st.integers(1, 300)), max_size=5))
@settings(max_examples=10, deadline=None)
def test_batch_and_stream_agree_with_gaps_optional_data_and_other_pairs(full_frame, reference_frames, seed, gaps):
    """CAT-1, CAT-5: missing bars, unknown cells, an hourly peer, one that is listed later."""
    frame = full_frame(700, seed)
    references = reference_frames(frame, seed)
    for name in OPTIONAL[::2]:
        frame[name][np.random.default_rng(seed).random(700) < 0.1] = np.nan
    keep = np.ones(700, dtype=bool)
    for first, length in gaps:
        keep[first : first + length] = False
    frame = {name: column[keep] for name, column in frame.items()}
    rows = ALL.compute(frame, References(references, SECTOR))
    assert_array_equal(bits(live_rows(ALL, frame, references)), bits(rows))


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


@given(seed=SEEDS, cut=st.integers(1, 699))
@settings(max_examples=10, deadline=None)
def test_nothing_looks_ahead_in_optional_data_or_other_pairs(full_frame, reference_frames, seed, cut):
    """CAT-5: what closes after a bar, in its own frame or another pair's, changes no bit of its row."""
    frame = full_frame(700, seed)
    references = reference_frames(frame, seed)
    rows = ALL.compute(frame, References(references, SECTOR))
    closed = int(frame["date"][cut - 1]) + 900_000
    noise = np.random.default_rng(seed).lognormal(0, 1, 2000)
    changed = {name: np.array(column, copy=True) for name, column in frame.items()}
    for name in OPTIONAL:
        changed[name][cut:] *= noise[: 700 - cut]
    others = {key: {name: np.array(x, copy=True) for name, x in other.items()} for key, other in references.items()}
    for key, other in others.items():
        after = other["date"] + BARS_OF[key] > closed
        other["close"][after] *= noise[: after.sum()]
    again = ALL.compute(changed, References(others, SECTOR))
    assert_array_equal(bits(again[:cut]), bits(rows[:cut]))
    if cut < 600:
        assert (bits(again[-1]) != bits(rows[-1])).any()  # the change was seen once it was there


@given(seed=SEEDS, start=st.integers(1, 1000))
@settings(max_examples=10, deadline=None)
def test_a_value_does_not_depend_on_where_history_starts(candles, seed, start):
    """Once warm, to float32: seeds have died out, and no running sum remembers."""
    names = [name for name in ALONE.names if name not in STEPS | PATHS]
    features = feature_set(names)
    frame = candles(4800, seed)
    known = start + features.warmup
    late = features.compute(rows_of(frame, start))[features.warmup :]
    assert_allclose(late, features.compute(frame)[known:], rtol=1e-6, atol=1e-6)


@given(seed=SEEDS, price=st.floats(1e-12, 1e12), volume=st.floats(1e-12, 1e12))
@settings(max_examples=10, deadline=None)
def test_features_do_not_change_with_the_scale_of_price_and_volume(candles, seed, price, volume):
    """Ratios, places, counts and times."""
    frame = candles(700, seed)
    scaled = {name: values * price for name, values in frame.items() if name not in ("date", "volume")}
    scaled |= {"date": frame["date"], "volume": frame["volume"] * volume}
    wanted = [k for k, name in enumerate(BASE_40) if name not in STEPS]
    assert_allclose(BASE.compute(scaled)[:, wanted], BASE.compute(frame)[:, wanted], rtol=1e-5, atol=1e-6)


@given(seed=SEEDS, shift=st.integers(-8, 8))
@settings(max_examples=10, deadline=None)
def test_a_scale_of_a_power_of_two_changes_no_bit(full_frame, reference_frames, seed, shift):
    """Steps included: such a scale rounds nothing. ln C alone is not scale-free before differences are taken."""
    logs = {"trix_15", "trix_diff", "trend_r2", "trend_slope", "quality_score", "fractal_dimension"}
    features = feature_set([name for name in CATALOG if name not in logs | SCALED])
    frame = full_frame(3300, seed)
    references = References(reference_frames(frame, seed), SECTOR)
    scaled = {name: x * 2.0**shift if name in (*PRICES, "quote_volume") else x for name, x in frame.items()}
    assert_array_equal(bits(features.compute(scaled, references)), bits(features.compute(frame, references)))


@pytest.mark.parametrize("price", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("volume", [0.0, 5.0, 1e12])
def test_a_market_that_stands_still_gives_finite_values_in_range(price, volume):
    """DQ-5 and the rule that a bounded ratio with denominator 0 is 0."""
    flat = {name: np.full(3500, price) for name in ("open", "high", "low", "close")}
    rows = ALONE.compute({"date": 900_000 * np.arange(3500), "volume": np.full(3500, volume)} | flat)
    warm = rows[ALONE.warmup :]
    assert np.isfinite(warm).all()
    for name in ("bb_width", "bb_position", "cci_20", "rsi_14", "stoch_k", "adx_14", "keltner_position", "volume_z_20",
                 "bb_break_up", "bb_break_down", "skew", "kurtosis", "jump", "trend_r2", "spread_roll"):  # fmt: skip
        assert (warm[:, ALONE.names.index(name)] == 0).all(), name
    assert (warm[:, ALONE.names.index("squeeze")] == 1).all()


def test_a_market_that_freezes_after_it_moved_stays_finite(candles):
    """Wilder's means fade towards 0 but never reach it: ratios to them must not blow up (delisted pairs are filled)."""
    frame = candles(20_000, seed=5)
    for name in ("open", "high", "low", "close"):
        frame[name][3000:] = frame["close"][2999]
    frame["volume"][3000:] = 0.0
    rows = ALONE.compute(frame)[ALONE.warmup :]
    assert np.isfinite(rows).all()
    for column, feature in zip(rows.T, ALONE.features, strict=True):
        low, high = feature.range
        assert column.min() >= np.float32(low) - 1e-5, feature.name
        assert column.max() <= np.float32(high) + 1e-5, feature.name


@pytest.mark.parametrize("price", [1e-12, 1e12])
def test_extreme_prices_stay_finite(candles, price):
    """Prices of 1e-12 and 1e12 with moves of 5% a bar."""
    rows = ALONE.compute(candles(3500, seed=6, price=price, volatility=0.05, volume=1e12), dtype=np.float64)
    assert np.isfinite(rows[ALONE.warmup :]).all()


@pytest.mark.parametrize("n_rows", [0, 1, 2])
def test_the_shortest_frames_have_their_rows(candles, n_rows):
    """No row, no past, one bar of past."""
    rows = ALL.compute(candles(3, seed=0) if n_rows == 3 else rows_of(candles(3, seed=0), 0, n_rows))
    assert rows.shape == (n_rows, len(CATALOG))
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous


def test_the_builds_for_narrow_and_wide_vectors_agree_to_the_last_bit(full_frame, reference_frames, monkeypatch):
    """What a model was trained on one machine with, another machine serves."""
    if not engine.WIDE:
        pytest.skip("this processor or compiler has the plain build only")
    frame = full_frame(4000, seed=10)
    frame = {name: np.delete(column, slice(3100, 3120)) for name, column in frame.items()}
    references = References(reference_frames(frame, seed=10), SECTOR)
    wide = ALL.compute(frame, references, dtype=np.float64)
    monkeypatch.setattr(program, "Machine", _engine.Machine)
    assert_array_equal(wide.view(np.int64), ALL.compute(frame, references, dtype=np.float64).view(np.int64))


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_many_pairs_at_once_give_the_bits_of_one_by_one(candles, threads):
    """CAT-5: every run has its own memory, whatever the number of threads."""
    frames = {f"P{seed}/USDT": candles(1500 - 100 * seed, seed) for seed in range(8)}
    references = {"BTC/USDT": candles(1500, 99)}
    found = compute_many(ALL, frames, references, threads=threads)
    assert list(found) == list(frames)
    for pair, frame in frames.items():
        assert_array_equal(bits(found[pair]), bits(ALL.compute(frame, references)))


def test_what_is_wrong_with_one_of_many_pairs_is_said_with_its_name(candles):
    """A refusal names the pair."""
    bad = candles(50, 1)
    bad["close"][7] = np.nan
    with pytest.raises(ValueError, match="ETH/USDT: close in row 7 is nan"):
        compute_many(BASE, {"BTC/USDT": candles(50, 0), "ETH/USDT": bad})
    with pytest.raises(ValueError, match="threads is 0"):
        compute_many(BASE, {}, threads=0)
