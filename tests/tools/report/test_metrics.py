"""Metrics by values worked out by hand (EVA-1)."""

import math

import numpy as np
import pytest

from tools.report import metrics

DAY = metrics.DAY


def test_a_day_ends_at_midnight_and_the_start_is_the_base_of_the_first():
    times = np.array([0, DAY // 2, DAY, DAY + 1, 2 * DAY])
    equity = np.array([100.0, 90.0, 110.0, 50.0, 99.0])
    assert metrics.daily_returns(times, equity) == pytest.approx([0.10, -0.10])


def test_sharpe_is_mean_over_sample_deviation_times_root_of_365():
    # mean 0.01, deviations +-0.01, sample variance 2 * 0.0001 / 1
    assert metrics.sharpe(np.array([0.0, 0.02])) == pytest.approx(0.01 / math.sqrt(0.0002) * math.sqrt(365))


def test_sortino_counts_gains_as_zero_in_its_downside():
    # mean of (0.03, -0.01) is 0.01; downside is root of (0 + 0.0001) / 2
    assert metrics.sortino(np.array([0.03, -0.01])) == pytest.approx(0.01 / math.sqrt(0.00005) * math.sqrt(365))


def test_doubling_in_half_a_year_quadruples_in_one():
    assert metrics.cagr(100.0, 200.0, 182.5) == pytest.approx(3.0)


def test_calmar_is_growth_over_drawdown():
    assert metrics.calmar(0.3, 0.15) == pytest.approx(2.0)


def test_cvar_is_the_mean_of_the_worst_twentieth():
    returns = np.concatenate([np.full(38, 0.01), [-0.10, -0.20]])
    assert metrics.cvar(returns) == pytest.approx(-0.15)
    assert metrics.cvar(np.array([0.01, -0.02])) == pytest.approx(-0.02)


def test_the_deepest_drawdown_knows_its_start_end_and_recovery():
    equity = np.array([100.0, 120.0, 90.0, 110.0, 60.0, 120.0, 119.0])
    found = metrics.max_drawdown(np.arange(7) * 10, equity)
    assert found == {"ratio": 0.5, "amount": 60.0, "start": 10, "end": 40, "recovered": 50}


def test_a_drawdown_that_lasts_has_no_recovery_and_a_rise_has_no_drawdown():
    assert metrics.max_drawdown(np.arange(2), np.array([2.0, 1.0]))["recovered"] is None
    assert metrics.max_drawdown(np.arange(2), np.array([1.0, 2.0])) == {
        "ratio": 0.0, "amount": 0.0, "start": None, "end": None, "recovered": None}  # fmt: skip


def test_win_rate_profit_factor_and_turnover():
    profits = np.array([30.0, -10.0, 0.0, -5.0])
    assert metrics.win_rate(profits) == 0.25
    assert metrics.profit_factor(profits) == pytest.approx(2.0)
    assert metrics.turnover(5000.0, 1000.0) == 5.0


@pytest.mark.parametrize(
    "found",
    [
        metrics.sharpe(np.array([0.01])), metrics.sharpe(np.full(9, 0.01)), metrics.sortino(np.array([0.1, 0.2])),
        metrics.calmar(0.1, 0.0), metrics.cvar(np.empty(0)), metrics.win_rate(np.empty(0)),
        metrics.profit_factor(np.array([1.0])), metrics.cagr(100.0, -1.0, 10), metrics.cagr(100.0, 200.0, 0.001),
    ],
)  # fmt: skip
def test_a_figure_that_does_not_exist_is_none(found):
    assert found is None


def test_an_account_that_went_below_zero_has_no_daily_returns():
    assert len(metrics.daily_returns(np.arange(3) * DAY, np.array([1.0, -1.0, 2.0]))) == 0
