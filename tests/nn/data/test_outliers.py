"""What counts as unlike the train windows: by hand, from train rows alone, the same bits in any company (SRV-11)."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nn.data.outliers import OutlierFilter

LENGTH, N_FEATURES = 8, 5
ALL = np.arange(LENGTH - 1, 500)


def drawn(n_rows=500, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, N_FEATURES)).astype(np.float32)


@pytest.fixture(scope="module")
def fitted():
    return OutlierFilter.fit([drawn()], [ALL], 0, LENGTH, 0.99)


def test_distances_by_hand():
    found = OutlierFilter(1.0, np.array([1.0, 4.0]), 2.0, 3.0)
    rows = np.array([[0, 0], [1, 2], [2, 4], [0, 2], [0, 0]], dtype=np.float32)  # distances 0, 1, 4, 0.5, 0
    of_window, of_row = found.distances(rows, np.array([1, 2, 3, 4]), 2)
    assert of_window.tolist() == [0.5, 2.5, 2.25, 0.25]
    assert of_row.tolist() == [1.0, 4.0, 0.5, 0.0]
    assert found.refuses(rows, np.array([1, 2, 3, 4]), 2).tolist() == [False, True, True, False]


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99, 1.0])
def test_the_quantile_is_the_share_of_train_windows_that_pass(quantile):
    found = OutlierFilter.fit([drawn(seed=1), drawn(seed=2)], [ALL, ALL], 0, LENGTH, quantile)
    distances = [found.distances(drawn(seed=seed), ALL, LENGTH) for seed in (1, 2)]
    for which, limit in enumerate((found.window_limit, found.row_limit)):
        passed = np.concatenate([each[which] for each in distances]) <= np.float32(limit)
        assert passed.mean() == pytest.approx(quantile, abs=2 / passed.size)


def test_one_absurd_newest_candle_is_refused_and_so_is_a_market_of_another_kind(fitted):
    calm = drawn(seed=3) * 0.5
    assert not fitted.refuses(calm, ALL, LENGTH).any()
    wick = calm.copy()
    wick[100] = 10
    assert fitted.refuses(wick, np.array([99, 100]), LENGTH).tolist() == [False, True]
    assert fitted.refuses(calm * 6, ALL, LENGTH).mean() > 0.9


def test_a_feature_that_stood_still_while_learning_does_not_decide_alone():
    train = drawn()
    train[:, 0] = 0
    found = OutlierFilter.fit([train], [ALL], 0, LENGTH, 1.0)
    later = train.copy()
    later[:, 0] = 0.3
    assert not found.refuses(later * 0.5, ALL, LENGTH).any()


def test_only_train_rows_are_read():
    """LEK-3: rows before the warm-up and after the last train window may hold anything."""
    ends = np.arange(40, 300)
    first = OutlierFilter.fit([drawn()], [ends], 20, LENGTH, 0.999)
    other = drawn()
    other[:20], other[300:] = np.nan, 1e6
    assert OutlierFilter.fit([other], [ends], 20, LENGTH, 0.999).to_dict() == first.to_dict()
    other[299] = 9
    assert OutlierFilter.fit([other], [ends], 20, LENGTH, 0.999).to_dict() != first.to_dict()


@settings(max_examples=40, deadline=None)
@given(
    start=st.integers(0, 400), n_rows=st.integers(LENGTH, 3000), n_features=st.integers(1, 180), seed=st.integers(0, 9)
)
def test_a_window_has_the_same_bits_alone_and_among_others(start, n_rows, n_features, seed):
    """ASO: what a window is answered may not depend on what else was asked."""
    rows = np.random.default_rng(seed).normal(size=(start + n_rows, n_features)).astype(np.float32)
    found = OutlierFilter(1.0, np.random.default_rng(seed).uniform(0.1, 3, n_features), 1.0, 1.0)
    ends = np.arange(LENGTH - 1, len(rows))
    whole = found.distances(rows, ends, LENGTH)
    for end in (start + LENGTH - 1, len(rows) - 1):
        alone = found.distances(rows[end - LENGTH + 1 : end + 1].copy(), np.array([LENGTH - 1]), LENGTH)
        for one, all_ in zip(alone, whole, strict=True):
            assert one[0].tobytes() == all_[end - LENGTH + 1].tobytes()


def test_nan_is_left_to_the_check_that_a_forecast_is_finite(fitted):
    rows = np.full((LENGTH, N_FEATURES), np.nan, dtype=np.float32)
    assert not fitted.refuses(rows, np.array([LENGTH - 1]), LENGTH).any()


def test_the_dictionary_is_read_back_to_the_last_bit(fitted):
    again = OutlierFilter.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert again.to_dict() == fitted.to_dict()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"more": 1}, "has mean_square, quantile"),
        ({"mean_square": [1.0, 0.0]}, "above 0"),
        ({"mean_square": [[1.0]]}, "list"),
        ({"mean_square": "x"}, "numbers"),
        ({"window_limit": float("nan")}, "finite"),
        ({"row_limit": -1.0}, "above 0"),
        ({"quantile": 0.0}, r"\(0, 1\]"),
    ],
)
def test_a_wrong_dictionary_is_refused(fitted, change, said):
    with pytest.raises(ValueError, match=said):
        OutlierFilter.from_dict(fitted.to_dict() | change)


def test_a_quantile_that_is_none_is_refused():
    with pytest.raises(ValueError, match="quantile is 0"):
        OutlierFilter.fit([drawn()], [ALL], 0, LENGTH, 0.0)
