"""What baselines read: quarter hours off the labels of the past, realised volatility of the future."""

import numpy as np
import pytest
from harness import assert_past_is_unchanged

from nn.baselines.rows import (
    PAST,
    Forecast,
    direction_of,
    from_probability,
    join,
    log_volatility,
    past_quarters,
    rows_of,
    training_rows,
)
from nn.data.target_table import DOWN, FLAT, UP
from nn.data.targets import make_targets
from nn.forecast.dataset import Samples


def test_quarters_are_the_log_returns_of_the_closes(candles):
    frame = next(iter(candles.values())).iloc[:300]
    past = past_quarters(make_targets(frame, "15m").values, "15m")
    np.testing.assert_allclose(past[1:], np.diff(np.log(frame["close"])), atol=1e-7)
    assert past[0] == 0


def test_on_5m_a_quarter_is_three_bars(candles):
    frame = next(iter(candles.values())).iloc[:300].copy()
    frame["date"] = frame["date"].iloc[0] + np.arange(300) * np.timedelta64(5, "m")
    past = past_quarters(make_targets(frame, "5m").values, "5m")
    close = np.log(frame["close"].to_numpy())
    np.testing.assert_allclose(past[3:], close[3:] - close[:-3], atol=1e-7)


def test_what_a_row_knows_never_looks_ahead(candles):
    """LEK-1: quarter hours come off labels, but only off those whose future has passed."""
    frame = next(iter(candles.values())).iloc[:200]
    assert_past_is_unchanged(
        lambda f: past_quarters(make_targets(f, "15m").values, "15m"), frame, cut=[60, 137], seed=1
    )


def test_the_harness_sees_a_planted_leak(candles):
    """The test above must be able to fail: a quarter hour read one bar too early is caught."""
    frame = next(iter(candles.values())).iloc[:200]
    with pytest.raises(AssertionError, match="after row 60"):
        assert_past_is_unchanged(
            lambda f: np.append(past_quarters(make_targets(f, "15m").values, "15m")[1:], 0.0), frame, cut=60, seed=1
        )


def test_realised_volatility_is_the_root_of_squared_quarters(candles):
    frame = next(iter(candles.values())).iloc[:200]
    labels = make_targets(frame, "15m")
    found = log_volatility(labels.values, labels.mask, "15m")
    steps = np.diff(np.log(frame["close"].to_numpy()))
    assert found[50, 0] == pytest.approx(0.5 * np.log((steps[50:54] ** 2).sum()), abs=1e-5)
    assert found[50, 1] == pytest.approx(0.5 * np.log((steps[50:66] ** 2).sum()), abs=1e-5)
    assert np.isfinite(found[:-16]).all()
    assert np.isnan(found[-4:, 0]).all()
    assert np.isnan(found[-16:, 1]).all()


def test_a_market_that_stands_still_has_the_floor_as_its_volatility():
    assert log_volatility(np.zeros((40, 24)), np.ones((40, 24), bool), "15m")[0] == pytest.approx(np.log(1e-5))


def test_rows_end_with_the_newest_quarter_and_begin_with_zeros(data):
    samples = Samples(np.array([0, 1]), np.array([5, 500]))
    rows = rows_of(data.windows.matrices, data.values, samples, "15m")
    quarters = past_quarters(data.values[1], "15m")
    np.testing.assert_array_equal(rows.past[1], quarters[500 - PAST + 1 : 501].astype(np.float32))
    assert not rows.past[0, : PAST - 6].any()
    np.testing.assert_array_equal(rows.features[1], data.windows.matrices[1][500])
    assert len(training_rows(data, data.validation)) == len(data.validation)


def test_classes_follow_the_bands_and_parts_join():
    assert direction_of(np.array([[0.002, 0.002, -0.008, 0.0]])).tolist() == [[UP, FLAT, DOWN, FLAT]]
    p = np.tile([0.5, 0.2, 0.3], (3, 4, 1))
    forecast = from_probability(p)
    assert forecast.score == pytest.approx(0.3)
    assert (forecast.classes == UP).all()
    whole = join([forecast[np.array([0])], forecast[np.array([1, 2])]])
    np.testing.assert_array_equal(whole.probability, p)
    assert join([whole, Forecast(forecast.score, forecast.classes)]).probability is None
