"""The last rows alone are the end of all rows, bit for bit: what is left out has no say in what is read."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from tradekernels.features import BASE_40, CATALOG, References, feature_set, program, reader
from tradekernels.features.operations import OPERATIONS

ALL = feature_set(CATALOG)
SECTOR = ("ETH/USDT", ("SOL/USDT", "1h"))


def bits(rows):
    return rows.view(np.int32 if rows.dtype == np.float32 else np.int64)


def holed(frame, holes):
    """Return the frame without the bars of these (start, length) holes."""
    kept = np.ones(len(frame["date"]), dtype=bool)
    for start, length in holes:
        kept[start : start + length] = False
    return {name: column[kept] for name, column in frame.items()}


HOLES = st.lists(st.tuples(st.integers(0, 1300), st.integers(1, 200)), max_size=4)


@given(seed=st.integers(0, 99), last=st.integers(0, 1500), holes=HOLES, block=st.sampled_from([1, 7, 64, 100, 512]))
@settings(max_examples=40, deadline=None)
def test_the_last_rows_are_the_end_of_all_rows(full_frame, reference_frames, seed, last, holes, block):
    """Every feature of the catalogue, with optional columns, other pairs and missing bars, in blocks of any size."""
    frame = holed(full_frame(1400, seed), holes)
    references = References(reference_frames(frame, seed), SECTOR)
    whole = ALL.compute(frame, references, dtype=np.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "BLOCK", block)
        found = ALL.compute(frame, references, dtype=np.float64, last=last)
    assert_array_equal(bits(found), bits(whole[len(whole) - min(last, len(whole)) :]))


@pytest.mark.parametrize("last", [1, 96, 3000])
def test_long_histories_end_alike(full_frame, reference_frames, last):
    """Warm in every column, over many laps of the longest windows; float32 as models read it."""
    frame = holed(full_frame(4000, seed=3), [(2000, 5), (3890, 30)])
    references = References(reference_frames(frame, seed=3), SECTOR)
    whole = ALL.compute(frame, references)
    assert np.isfinite(whole[-96:]).any(0).all()
    assert_array_equal(bits(ALL.compute(frame, references, last=last)), bits(whole[-last:]))


@pytest.mark.parametrize("name", list(CATALOG))
def test_each_feature_alone_ends_alike(full_frame, reference_frames, name):
    """Alone, a graph leaves out the most."""
    features = feature_set([name])
    frame = holed(full_frame(900, seed=4), [(700, 7)])
    references = References(reference_frames(frame, seed=4), SECTOR)
    whole = features.compute(frame, references, dtype=np.float64)
    for last in (1, 50):
        assert_array_equal(bits(features.compute(frame, references, np.float64, last)), bits(whole[-last:]))


def test_references_are_aligned_in_chunks_and_only_the_end_is_kept(full_frame, reference_frames, monkeypatch):
    """Chunks that end before the first row that is asked for, hold it, or begin after it."""
    monkeypatch.setattr(reader, "CHUNK", 100)
    frame = full_frame(450, seed=5)
    references = References(reference_frames(frame, seed=5), SECTOR)
    whole = ALL.compute(frame, references)
    for last in (0, 1, 49, 50, 51, 149, 150, 449, 450):
        assert_array_equal(bits(ALL.compute(frame, references, last=last)), bits(whole[450 - last :]))


@pytest.mark.parametrize("n_rows", [0, 1, 2])
def test_more_rows_than_there_are_means_all(candles, n_rows):
    """As a slice does."""
    frame = {name: column[:n_rows] for name, column in candles(3, seed=0).items()}
    assert feature_set(BASE_40).compute(frame, last=10).shape == (n_rows, 40)
    assert feature_set(BASE_40).compute(frame, last=0).shape == (0, 40)


def test_a_number_of_rows_below_zero_is_refused(candles):
    """Not taken for a count from the end."""
    with pytest.raises(ValueError, match="last is -1, expected a number of rows from 0 on"):
        feature_set(BASE_40).compute(candles(30, seed=0), last=-1)


def test_what_remembers_without_end_is_never_cut_short():
    """Only laps and lines forget: a mean of all past rows, or cells of the clock, must see every bar."""
    remembering = {"recursive_mean", "restarting_mean", "timed_mean", "psar", "previous_day", "run_length", "tail_mean"}
    for operation in OPERATIONS.values():
        if operation.timed or operation.name in remembering:
            assert not operation.forgets, operation.name


@given(
    seed=st.integers(0, 99),
    cuts=st.lists(st.integers(0, 1000), max_size=8).map(sorted),
    passed_over=st.integers(0, 255),
    holes=HOLES,
)
@settings(max_examples=40, deadline=None)
def test_parts_are_rows_of_the_whole(full_frame, reference_frames, seed, cuts, passed_over, holes):
    """Whatever is read before a part, or passed over, the part is the same bits."""
    frame = holed(full_frame(1200, seed), holes)
    references = References(reference_frames(frame, seed), SECTOR)
    whole, parts = ALL.compute(frame, references, np.float64), ALL.reader(frame, references, np.float64)
    ends = [min(cut, parts.n_bars) for cut in cuts] + [parts.n_bars]
    for k, (start, stop) in enumerate(zip([0, *ends], ends, strict=False)):
        if not passed_over >> k & 1:
            assert_array_equal(bits(parts.read(start, stop)), bits(whole[start:stop]))


@pytest.mark.parametrize("name", ["sma_60", "volume_z_20", "autocorr_5", "stoch_d", "vol_of_vol"])
def test_a_part_after_bars_that_were_passed_over_is_the_same_bits(full_frame, name):
    """The part before ends within laps of sums, deviations, covariances; the next begins laps at bars of their own."""
    frame, features = full_frame(1300, seed=6), feature_set([name])
    whole = features.compute(frame, dtype=np.float64)
    for first, second in ((1, 198), (700, 1250)):
        parts = features.reader(frame, dtype=np.float64)
        parts.read(first - 1, first)
        assert_array_equal(bits(parts.read(second, second + 40)), bits(whole[second : second + 40]))


def test_a_reader_does_not_go_back_or_past_the_end(candles):
    """A machine has forgotten what it went over."""
    parts = feature_set(BASE_40).reader(candles(100, seed=0))
    parts.read(10, 60)
    assert parts.position == 60
    for start, stop in ((59, 70), (60, 101), (80, 70)):
        with pytest.raises(ValueError, match=f"rows {start} to {stop} are asked for, expected a part of 60 to 100"):
            parts.read(start, stop)
