"""The robust scaler: what it learns and refuses, volatility as logarithms, and that JSON keeps it to the last bit."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.testing import assert_array_equal

from nn.data.windows import RobustScaler

ROWS = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=20), elements=st.floats(-1e6, 1e6, width=32))


def test_median_goes_to_zero_and_the_interquartile_range_to_one():
    """WIN-4"""
    rows = np.array([[0.0], [1.0], [2.0], [3.0], [4.0]], dtype=np.float32)
    scaler = RobustScaler.fit(rows)
    assert (scaler.median.tolist(), scaler.iqr.tolist()) == ([2.0], [2.0])
    assert scaler.transform(rows)[:, 0].tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]


def test_a_feature_that_does_not_vary_is_scaled_by_one():
    """WIN-4"""
    scaler = RobustScaler.fit(np.full((10, 1), 7.0, dtype=np.float32))
    assert scaler.iqr.tolist() == [1.0]
    assert scaler.transform(np.array([[7.0], [9.0]], dtype=np.float32))[:, 0].tolist() == [0.0, 2.0]


def test_an_extreme_is_clipped_and_the_warm_up_stays_nan():
    scaler = RobustScaler.fit(np.arange(5, dtype=np.float32)[:, None])
    scaled = scaler.transform(np.array([[1e6], [-1e6], [np.nan]], dtype=np.float32))
    assert scaled.dtype == np.float32
    assert scaled[:2, 0].tolist() == [10.0, -10.0]
    assert np.isnan(scaled[2, 0])


def test_volatility_that_doubles_is_one_step_in_a_calm_market_and_in_a_wild_one():
    """WIN-4 with `data.logs`: the logarithm is what is scaled; the column beside it stays on its own scale."""
    rows = np.stack([np.exp(np.linspace(-7, -5, 101)), np.linspace(0, 1, 101)], axis=1).astype(np.float32)
    scaler = RobustScaler.fit(rows, logs=[0])
    assert scaler.median == pytest.approx([-6.0, 0.5])
    assert scaler.iqr == pytest.approx([1.0, 0.5])
    found = scaler.transform(np.array([[0.001, 0.5], [0.002, 1.0], [0.01, 0.5], [0.02, 0.0]], dtype=np.float32))
    np.testing.assert_allclose(np.diff(found[:, 0])[[0, 2]], np.log(2), rtol=1e-5)
    np.testing.assert_allclose(found[:, 1], [0.0, 1.0, 0.0, -1.0], atol=1e-5)


def test_a_market_that_stands_still_has_the_logarithm_of_a_basis_point():
    scaler = RobustScaler(np.array([0.0]), np.array([1.0]), (0,))
    found = scaler.transform(np.array([[0.0], [-1.0], [1e-9], [1e-4], [np.nan]], dtype=np.float32))
    assert found[:4, 0] == pytest.approx([np.log(1e-4)] * 4)
    assert np.isnan(found[4, 0])


@given(rows=ROWS, data=st.data())
def test_logarithms_are_the_same_to_the_last_bit_however_the_rows_lie(rows, data):
    """Of part of the rows, in other memory, and back from JSON."""
    rows = np.abs(rows)
    logs = data.draw(st.sets(st.integers(0, rows.shape[1] - 1)))
    scaler = RobustScaler.fit(rows, sorted(logs))
    whole = scaler.transform(rows)
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=5))
    assert scaler.transform(rows[chosen]).tobytes() == whole[chosen].tobytes()
    assert scaler.transform(np.asfortranarray(rows)).tobytes() == whole.tobytes()
    copy = RobustScaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    assert copy == scaler
    assert copy.transform(rows).tobytes() == whole.tobytes()


def test_a_manifest_from_before_logarithms_is_read_and_written_as_it_was():
    content = {"median": [0.5], "iqr": [2.0]}
    assert RobustScaler.from_dict(content).to_dict() == content
    assert RobustScaler.from_dict(content) != RobustScaler.from_dict(content | {"logs": [0.0]})


@pytest.mark.parametrize("logs", [[2], [-1], [0.5], ["0"], [1, 0], [0, 0], 0, None])
def test_columns_of_logarithms_that_cannot_be_are_refused(logs):
    with pytest.raises(ValueError, match="logs are"):
        RobustScaler.from_dict({"median": [0.0, 0.0], "iqr": [1.0, 1.0], "logs": logs})


@given(rows=ROWS)
def test_json_gives_back_the_same_scaler_to_the_last_bit(rows):
    scaler = RobustScaler.fit(rows)
    copy = RobustScaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    assert copy == scaler
    assert copy.transform(rows).tobytes() == scaler.transform(rows).tobytes()


@given(rows=ROWS, data=st.data())
def test_a_row_is_scaled_the_same_whatever_else_is_asked_for(rows, data):
    scaler = RobustScaler.fit(rows)
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=5))
    assert scaler.transform(rows)[chosen].tobytes() == scaler.transform(rows[chosen]).tobytes()


@given(rows=ROWS, seed=st.integers(0, 2**32 - 1))
def test_the_order_of_the_rows_does_not_matter(rows, seed):
    assert RobustScaler.fit(np.random.default_rng(seed).permutation(rows)) == RobustScaler.fit(rows)


@given(rows=ROWS)
def test_what_is_scaled_is_finite_and_bounded_and_keeps_its_order(rows):
    scaled = RobustScaler.fit(rows).transform(rows)
    assert np.abs(scaled).max() <= 10
    order = np.argsort(rows, axis=0, kind="stable")
    assert (np.diff(np.take_along_axis(scaled, order, axis=0), axis=0) >= 0).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_row_of_the_warm_up_cannot_be_fitted(value):
    rows = np.zeros((5, 3), dtype=np.float32)
    rows[3, 1] = value
    with pytest.raises(ValueError, match=r"row 3, feature 1 is .*leave out the warm-up"):
        RobustScaler.fit(rows)


def test_no_rows_and_a_wrong_number_of_features_are_refused():
    with pytest.raises(ValueError, match="at least one row"):
        RobustScaler.fit(np.empty((0, 3), dtype=np.float32))
    with pytest.raises(ValueError, match=r"rows have shape \(3,\)"):
        RobustScaler.fit(np.zeros(3, dtype=np.float32))
    with pytest.raises(ValueError, match="the matrix has 2 features, the scaler 3"):
        RobustScaler.fit(np.zeros((4, 3), dtype=np.float32)).transform(np.zeros((4, 2), dtype=np.float32))


def test_infinity_is_refused_and_not_clipped_into_a_number():
    scaler = RobustScaler.fit(np.zeros((4, 1), dtype=np.float32))
    with pytest.raises(ValueError, match="1 values are infinite"):
        scaler.transform(np.array([[np.inf]], dtype=np.float32))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"median": [0.0]}, "has median and iqr, found median"),
        ({"median": [0.0], "iqr": [1.0], "mean": [0.0]}, "found iqr, mean, median"),
        ({"median": [0.0], "iqr": [1.0, 1.0]}, "two lists of equal length"),
        ({"median": 0.0, "iqr": 1.0}, "two lists of equal length"),
        ({"median": [0.0], "iqr": [0.0]}, "iqr above 0"),
        ({"median": [float("nan")], "iqr": [1.0]}, "must be finite"),
        ({"median": ["low"], "iqr": [1.0]}, "lists of numbers"),
        ({"median": [None], "iqr": [1.0]}, "must be finite"),
    ],
)
def test_what_is_no_scaler_is_refused(content, sentence):
    with pytest.raises(ValueError, match=sentence):
        RobustScaler.from_dict(content)


def test_a_scaler_is_equal_to_its_like_only():
    one = RobustScaler.fit(np.arange(5, dtype=np.float32)[:, None])
    assert one != RobustScaler.fit(np.arange(6, dtype=np.float32)[:, None])
    assert one != "scaler"
    assert_array_equal(one.median, [2.0])
