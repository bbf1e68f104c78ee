"""The block bootstrap: blocks as drawn, and intervals that hold the truth as often as they say, for dependent rows."""

import numpy as np
import pytest

from nn.evaluation.bootstrap import block_bootstrap, block_indices


def test_a_resample_is_made_of_runs_of_the_wanted_mean_length():
    """Politis and Romano (1994): lengths are geometric, blocks wrap around."""
    rows = block_indices(100_000, 25, np.random.default_rng(0))
    assert rows.min() >= 0
    assert rows.max() < 100_000
    breaks = np.count_nonzero((np.diff(rows) % 100_000) != 1)
    assert 100_000 / (breaks + 1) == pytest.approx(25, rel=0.05)
    assert np.bincount(rows, minlength=100_000).mean() == 1


def test_blocks_of_one_row_are_the_plain_bootstrap():
    rows = block_indices(50_000, 1, np.random.default_rng(1))
    assert len(np.unique(rows)) == pytest.approx(50_000 * (1 - np.exp(-1)), rel=0.02)


def autoregressive(random, n, memory=0.9):
    noise, x = random.normal(0, 1, n), np.empty(n)
    x[0] = noise[0] / np.sqrt(1 - memory**2)
    for t in range(1, n):
        x[t] = memory * x[t - 1] + noise[t]
    return x


def test_intervals_hold_the_truth_where_single_rows_would_not():
    """The mean of an AR(1) of 0.9: 90 % intervals, blocks of 60 rows against blocks of one."""
    random = np.random.default_rng(2)

    def coverage(block_rows):
        held = 0
        for _ in range(80):
            x = autoregressive(random, 1500)
            found = block_bootstrap(lambda rows, x=x: x[rows].mean(), 1500, block_rows, random, 100)
            held += found.low <= 0 <= found.high
        return held / 80

    assert coverage(60) > 0.75
    assert coverage(1) < 0.5


def test_the_same_generator_gives_the_same_interval_and_the_value_is_of_all_rows():
    x = np.random.default_rng(3).normal(size=200)
    found = [block_bootstrap(lambda r: x[r].mean(), 200, 5, np.random.default_rng(4), 50) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0].value == pytest.approx(x.mean())
    assert found[0].low < found[0].value < found[0].high


def test_a_statistic_that_has_no_number_is_no_interval():
    with pytest.raises(ValueError, match="only 0 of 50 resamples give a number"):
        block_bootstrap(lambda rows: np.nan, 10, 2, np.random.default_rng(5), 50)
    with pytest.raises(ValueError, match=r"n_rows is 0 and block_rows 2, expected at least 1"):
        block_indices(0, 2, np.random.default_rng(6))
