"""Windows are views: what they show, where they may end, and that nothing but a batch is ever copied."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from nn.data.candles import BadCandles, read_candles
from nn.data.windows import Windows, WindowSet, usable_ends


def counting_matrix(n_rows, n_features=3, offset=0):
    return (offset + np.arange(n_rows * n_features, dtype=np.float32)).reshape(n_rows, n_features)


def test_a_window_holds_the_bars_up_to_and_with_its_end():
    """WIN-1"""
    matrix = counting_matrix(20)
    windows = Windows(matrix, 4, [3, 10, 19])
    assert len(windows) == 3
    assert_array_equal(windows[0], matrix[0:4])
    assert_array_equal(windows[1], matrix[7:11])
    assert_array_equal(windows[-1], matrix[16:20])
    assert_array_equal(windows.batch([2, 0]), np.stack([matrix[16:20], matrix[0:4]]))


def test_a_window_is_a_view_and_a_batch_is_not():
    matrix = counting_matrix(20)
    windows = Windows(matrix, 4, np.arange(3, 20))
    assert all(np.shares_memory(windows[index], matrix) for index in range(len(windows)))
    with pytest.raises(ValueError, match="read-only"):
        windows[0][0, 0] = 1.0
    batch = windows.batch([0, 1])
    assert not np.shares_memory(batch, matrix)
    assert batch.flags.c_contiguous
    assert batch.dtype == np.float32


def test_windows_over_a_large_matrix_cost_less_than_the_matrix():
    """96-bar windows as copies would be 96 times the matrix; a batch of 32 is 0.5 MB."""
    matrix = np.zeros((60_000, 40), dtype=np.float32)
    ends = np.arange(95, 60_000)
    tracemalloc.start()
    windows = Windows(matrix, 96, ends)
    _, peak_of_views = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    size_before, _ = tracemalloc.get_traced_memory()
    batch = WindowSet([matrix, matrix], 96).batch(np.arange(32) % 2, ends[:32])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(windows) == 59_905
    assert peak_of_views < matrix.nbytes / 2
    assert peak - size_before < 4 * batch.nbytes


def test_a_set_of_pairs_is_asked_by_pair_and_row():
    """WIN-1: two pairs of different length, and no window from one into the other"""
    matrices = [counting_matrix(20), counting_matrix(12, offset=1000)]
    windows = WindowSet(matrices, 4)
    batch = windows.batch([1, 0, 1, 0], [3, 19, 11, 3])
    expected = [matrices[1][0:4], matrices[0][16:20], matrices[1][8:12], matrices[0][0:4]]
    assert_array_equal(batch, np.stack(expected))
    assert windows.batch([], []).shape == (0, 4, 3)
    with pytest.raises(IndexError, match="cannot end at row 12 of 12"):
        windows.batch([1], [12])
    with pytest.raises(IndexError, match="cannot end at row 2 of 20"):
        windows.batch([0], [2])


@given(n_rows=st.integers(1, 40), context_length=st.integers(1, 10), data=st.data())
def test_view_and_batch_agree_with_a_slice(n_rows, context_length, data):
    matrix = counting_matrix(n_rows)
    possible = list(range(context_length - 1, n_rows))
    ends = data.draw(st.lists(st.sampled_from(possible), max_size=8)) if possible else []
    windows = Windows(matrix, context_length, ends)
    batch = WindowSet([matrix], context_length).batch([0] * len(ends), ends)
    assert_array_equal(windows.batch(np.arange(len(ends))), batch)
    for index, end in enumerate(ends):
        assert_array_equal(windows[index], matrix[end - context_length + 1 : end + 1])
        assert_array_equal(batch[index], windows[index])


def test_a_window_with_a_value_that_is_not_finite_is_refused():
    matrix = counting_matrix(20)
    matrix[5, 1] = np.nan
    assert len(Windows(matrix, 4, [4, 9, 19])) == 3
    with pytest.raises(ValueError, match=r"ends at row 8 holds a value that is not finite \(1 windows do\)"):
        Windows(matrix, 4, [4, 8, 9])
    assert_array_equal(WindowSet([matrix], 4).check(0, [4, 9]), [4, 9])
    with pytest.raises(ValueError, match="ends at row 5"):
        WindowSet([matrix], 4).check(0, [5])


@pytest.mark.parametrize("ends", [[2], [20], [-1]])
def test_a_window_that_is_cut_off_is_refused(ends):
    with pytest.raises(ValueError, match=f"cannot end at row {ends[0]} of 20"):
        Windows(counting_matrix(20), 4, ends)


def test_what_would_have_to_be_copied_is_refused():
    matrix = counting_matrix(20)
    for other in (matrix.astype(np.float64), matrix[:, ::2], matrix.T, matrix[0]):
        with pytest.raises(ValueError, match="expected contiguous float32"):
            Windows(other, 4, [])
    with pytest.raises(ValueError, match="context_length is 0"):
        Windows(matrix, 0, [])
    with pytest.raises(ValueError, match="expected a list of row numbers"):
        Windows(matrix, 4, [4.5])
    with pytest.raises(ValueError, match="the same number for every pair"):
        WindowSet([matrix, counting_matrix(20, 4)], 4)
    with pytest.raises(ValueError, match="there are no matrices"):
        WindowSet([], 4)
    with pytest.raises(ValueError, match="two equal lists"):
        WindowSet([matrix], 4).batch([0, 0], [4])
    with pytest.raises(IndexError, match="window 0 of 0"):
        Windows(matrix[:2], 4, [])[0]


def test_windows_may_end_after_warm_up_and_one_context(candles):
    assert_array_equal(usable_ends(candles, "15m", 30, 96), np.arange(125, 200))
    assert len(usable_ends(candles, "15m", 150, 96)) == 0
    assert len(usable_ends(candles.iloc[:0], "15m", 0, 4)) == 0


@pytest.mark.parametrize(("absent", "usable"), [(3, True), (4, False)])
def test_a_hole_of_more_than_three_bars_spoils_the_windows_that_hold_it(candles, absent, usable):
    """DQ-4"""
    holed = candles.drop(index=range(100, 100 + absent)).reset_index(drop=True)
    ends = usable_ends(holed, "15m", 0, 10)
    across = set(range(100, 109))  # windows of rows on both sides of the hole
    assert (across <= set(ends.tolist())) if usable else not (across & set(ends.tolist()))
    assert {99, 109} <= set(ends.tolist())


def fill(frame, rows):
    frame = frame.copy()
    frame.loc[rows, ["open", "high", "low", "close"]] = 100.0
    frame.loc[rows, "volume"] = 0.0
    return frame


def slow_ends(frame, warmup, context_length):
    """The slow twin: look at every bar of the clock inside every window."""
    step = 900_000
    times = frame["date"].astype("datetime64[ms, UTC]").astype("int64").tolist()
    flat = (frame["volume"] == 0) & (frame["high"] == frame["low"])
    real = {time for time, filled in zip(times, flat, strict=True) if not filled}
    ends = []
    for end in range(context_length - 1, len(times)):
        start, run, worst = end - context_length + 1, 0, 0
        for time in range(times[start], times[end] + 1, step):
            run = 0 if time in real else run + 1
            worst = max(worst, run)
        if start >= warmup and worst <= 3:
            ends.append(end)
    return ends


@given(
    absent=st.sets(st.integers(1, 59), max_size=25),
    filled=st.sets(st.integers(0, 59), max_size=25),
    warmup=st.integers(0, 30),
    context_length=st.integers(1, 12),
)
@settings(max_examples=100, deadline=None)
def test_a_slow_twin_agrees_on_every_mixture_of_missing_and_filled_bars(
    make_candles, absent, filled, warmup, context_length
):
    """DQ-4: missing and filled bars in a row count together, and only those inside the window."""
    frame = fill(make_candles(60), sorted(filled)).drop(index=sorted(absent)).reset_index(drop=True)
    assert usable_ends(frame, "15m", warmup, context_length).tolist() == slow_ends(frame, warmup, context_length)


@given(cut=st.integers(20, 199), filled=st.sets(st.integers(0, 199), max_size=60))
@settings(max_examples=50)
def test_what_comes_later_decides_nothing_about_a_window(make_candles, cut, filled):
    """LEK-1"""
    frame = fill(make_candles(200), sorted(filled))
    ends = usable_ends(frame, "15m", 5, 10)
    assert_array_equal(ends[ends < cut], usable_ends(frame.iloc[:cut], "15m", 5, 10))


def test_arguments_that_make_no_sense_are_refused(candles):
    with pytest.raises(ValueError, match="warmup is -1"):
        usable_ends(candles, "15m", -1, 96)
    with pytest.raises(ValueError, match="context_length 0"):
        usable_ends(candles, "15m", 0, 0)
    with pytest.raises(BadCandles, match="column volume is missing"):
        usable_ends(candles.drop(columns="volume"), "15m", 0, 4)


@pytest.mark.real_data
def test_recorded_outages_leave_out_the_windows_across_them(market_data):
    """DQ-4"""
    frame, report = read_candles(market_data, "LTC/USDT", "1h")
    ends = usable_ends(frame, "1h", 0, 96)
    long_outages = [gap for gap in report.gap_list if gap.missing > 3]
    assert 0 < len(long_outages) < 27
    lost = len(frame) - 95 - len(ends)
    assert 0 < lost <= 95 * len(long_outages)


@pytest.mark.real_data
def test_a_recorded_halt_of_four_bars_leaves_out_the_windows_that_hold_all_four(market_data):
    """DQ-4: the exchange halted for an hour and wrote four flat bars without volume; no bar is missing."""
    frame, report = read_candles(market_data, "BTC/USDT:USDT", "15m")
    assert (report.filled, report.gaps) == (4, 0)
    assert len(usable_ends(frame, "15m", 512, 96)) == 61_344 - 512 - 95 - (96 - 4 + 1)
