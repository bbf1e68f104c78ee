"""Numbers worked out by hand (EVA-2, TRN-5)."""

import numpy as np
import pytest

from nn.data.targets import FORECAST_COLUMNS
from nn.forecast.metrics import (
    ACTION_COLUMNS,
    CONFIDENCE_COLUMNS,
    DIRECTION_COLUMNS,
    calibration_error,
    class_scores,
    information_coefficient,
    trades_after_costs,
)


def test_columns_are_those_of_the_wire():
    assert FORECAST_COLUMNS[DIRECTION_COLUMNS][0] == "direction_15m_up"
    assert FORECAST_COLUMNS[DIRECTION_COLUMNS][-1] == "direction_12h_flat"
    assert FORECAST_COLUMNS[ACTION_COLUMNS] == ("best_action_long", "best_action_short", "best_action_hold")
    assert FORECAST_COLUMNS[CONFIDENCE_COLUMNS] == tuple(f"confidence_{h}" for h in ("15m", "1h", "4h", "12h"))


def test_class_scores_by_hand():
    probability = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8]])
    scores = class_scores(probability, np.array([0.0, 1.0, 1.0, np.nan]), np.array([True, True, True, False]))
    assert scores.rows == 3
    assert scores.accuracy == pytest.approx(2 / 3)
    np.testing.assert_array_equal(scores.confusion, [[1, 0, 0], [1, 1, 0], [0, 0, 0]])
    assert scores.macro_f1 == pytest.approx((2 / 3 + 2 / 3) / 2)  # FLAT neither happened nor was said
    assert scores.brier == pytest.approx((0.06 + 0.86 + 0.14) / 3)
    assert scores.ece == pytest.approx((0.2 + 0.6 + 0.3) / 3)


def test_a_forecaster_that_is_as_sure_as_it_is_right_has_no_calibration_error():
    said = np.repeat([0.25, 0.75], 8)
    happened = np.array([True, False, False, False] * 2 + [True, True, True, False] * 2)
    assert calibration_error(said, happened) == pytest.approx(0.0, abs=1e-12)


def test_the_information_coefficient_sees_order_only():
    forecast = np.array([1.0, 2.0, 3.0, 4.0, 99.0])
    known = np.array([True, True, True, True, False])
    assert information_coefficient(forecast, np.exp(forecast.clip(0, 10)), known) == pytest.approx(1.0)
    assert information_coefficient(forecast, -forecast, known) == pytest.approx(-1.0)
    assert np.isnan(information_coefficient(np.ones(5), forecast, known))


def test_trades_pay_a_round_trip():
    """Long +1%, short -1% against a rise, hold: net +0.78% and -1.22%."""
    rows, labels, mask = np.zeros((3, 38)), np.zeros((3, 24)), np.ones((3, 24), dtype=bool)
    rows[[0, 1, 2], [28, 29, 30]] = 1.0
    labels[:, 2] = 0.01
    found = trades_after_costs(rows, labels, mask)
    assert found["trades"] == 2
    assert found["win_rate"] == 0.5
    assert found["profit_factor"] == pytest.approx(0.0078 / 0.0122)
    assert trades_after_costs(rows[2:], labels[2:], mask[2:]) == {"trades": 0.0}
