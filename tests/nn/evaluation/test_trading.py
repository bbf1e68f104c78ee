"""Trades worked out by hand, drawdowns, buckets; what cannot be computed is left out (PRM-4, EVA-9)."""

import numpy as np
import pytest

from nn.baselines.rows import Forecast
from nn.data.target_table import ROUND_TRIP_COST
from nn.evaluation.figures import Judge, Outcomes
from nn.evaluation.overfitting import deflated_sharpe, sharpe_ratio
from nn.evaluation.trading import (
    STEP_MS,
    Trades,
    buckets_of,
    drawdown,
    profit_by_bucket,
    strength_limits,
    trade,
    trading_figures,
)


def outcomes_of(returns, times, pairs=None):
    labels = np.full((len(returns), 24), np.nan)
    labels[:, 2] = returns
    zero = np.zeros(len(returns), int)
    return Outcomes(np.asarray(times), zero if pairs is None else pairs, labels, np.zeros((len(returns), 2)))


def scores_of(values):
    score = np.zeros((len(values), 4))
    score[:, 2] = values
    return score


def test_a_trade_pays_a_round_trip_and_shares_the_stake_between_pairs():
    """Step 1: long +1 % and out; step 2: short against +1 % and short with -2 %."""
    times = [STEP_MS, STEP_MS, 2 * STEP_MS, 2 * STEP_MS]
    outcomes = outcomes_of([0.01, 0.5, 0.01, -0.02], times, np.array([0, 1, 0, 1]))
    found = trade(scores_of([1.0, 0.1, -1.0, -2.0]), np.array([4, 0, 4, 4]), outcomes, np.array([0, 0, 2, 2]), 2)
    expected = [(0.01 - ROUND_TRIP_COST) / 2, (-0.01 + 0.02 - 2 * ROUND_TRIP_COST) / 2]
    np.testing.assert_allclose(found.returns, expected)
    assert found.count == 3
    assert found.regimes.tolist() == [0, 2]


def test_trades_do_not_overlap_and_an_unknown_end_is_no_trade():
    times = np.arange(1, 33) * STEP_MS // 16
    returns = np.where(np.arange(32) == 31, np.nan, 0.01)
    found = trade(scores_of(np.ones(32)), np.full(32, 4), outcomes_of(returns, times), np.zeros(32, int), 0)
    assert found.count == 1  # of closes at 4h and 8h the second has no known future


def test_drawdown_and_sharpe_by_hand():
    assert drawdown(np.array([0.1, -0.5, 0.2])) == pytest.approx(0.5)
    assert drawdown(np.array([-0.1, -0.1])) == pytest.approx(1 - 0.81)  # from the very beginning
    assert drawdown(np.array([])) == 0
    assert sharpe_ratio(np.array([0.01, 0.03])) == pytest.approx(0.02 / (0.01 * np.sqrt(2)))
    assert sharpe_ratio(np.zeros(5)) is None


def test_limits_are_quantiles_of_strength_and_zero_is_weak():
    limits = strength_limits(scores_of(np.arange(-100, 101)))
    assert limits == pytest.approx([50, 80, 90, 95])
    assert buckets_of(scores_of([0, 49, -51, 85, 92, 99]), limits).tolist() == [0, 0, 1, 2, 3, 4]
    assert buckets_of(scores_of([0, 0]), np.zeros(4)).tolist() == [0, 0]


def trades_of(returns, count=12):
    return Trades(np.asarray(returns), np.arange(len(returns)) % 3, count)


def test_figures_of_a_rule_among_its_rivals():
    draw = np.random.default_rng(0)
    rules = {str(k): trades_of(draw.normal(0.001, 0.01, 120)) for k in range(6)}
    own = rules["0"]
    found = trading_figures(own, rules, n_searched=30)
    r = own.returns
    z = (r - r.mean()) / r.std()
    tried = np.array([each.returns.mean() / each.returns.std(ddof=1) for each in rules.values()])
    assert found["net_return"] == pytest.approx(np.prod(1 + r) - 1)
    assert found["sharpe"] == pytest.approx(r.mean() / r.std(ddof=1) * np.sqrt(365 * 6))
    assert found["trials"] == 36
    assert found["deflated_sharpe"] == pytest.approx(
        deflated_sharpe(tried[0], 120, (z**3).mean(), (z**4).mean(), 36, tried.var(ddof=1))
    )
    assert found["worst_regime_drawdown"] == max(drawdown(r[k::3]) for k in range(3))
    assert 0 <= found["pbo"] <= 1
    assert trading_figures(own, rules, 1000)["deflated_sharpe"] < found["deflated_sharpe"]


def test_what_cannot_be_computed_is_left_out():
    """A missing figure fails its gate; a zero or a NaN might pass one."""
    assert trading_figures(trades_of([]), {"a": trades_of([])}) == {"trades": 0.0}
    found = trading_figures(trades_of([0.0, 0.0, 0.0], 0), {"a": trades_of([0.0, 0.0, 0.0], 0)})
    assert "deflated_sharpe" not in found
    assert "pbo" not in found


def test_one_rule_after_a_search_and_equal_returns_have_no_deflated_sharpe():
    draw = np.random.default_rng(2)
    alone = trades_of(draw.normal(0.001, 0.01, 64))
    found = trading_figures(alone, {"a": alone}, n_searched=20)
    assert "deflated_sharpe" not in found  # undeflated it would stand for the best of 21
    assert "pbo" not in found
    equal = trades_of(np.full(64, 0.1))
    found = trading_figures(equal, {"a": equal, "b": alone})
    assert "deflated_sharpe" not in found
    assert found["sharpe"] == 0
    two = trades_of(np.array([0.0, 0.0, 0.0, 0.1]))
    assert all(np.isfinite(value) for value in trading_figures(two, {"a": two, "b": trades_of(np.zeros(4))}).values())


def test_a_rule_that_never_trades_among_others_that_do_fails_and_says_so():
    draw = np.random.default_rng(3)
    still = trades_of(np.zeros(64), 0)
    found = trading_figures(still, {"a": still, "b": trades_of(draw.normal(0, 0.01, 64))})
    assert (found["trades"], found["net_return"], found["sharpe"]) == (0, 0, 0)
    assert "deflated_sharpe" not in found
    assert 0 <= found["pbo"] <= 1


def test_profit_by_bucket_pays_costs_and_says_how_often_it_was_right():
    score = scores_of([1.0, -1.0, 3.0, 3.0])
    outcomes = outcomes_of([0.01, 0.01, 0.02, 0.04], np.arange(4))
    forecast = Forecast(score, np.zeros((4, 4), int))
    rows = profit_by_bucket(forecast, np.array([0, 0, 4, 4]), outcomes, Judge(outcomes.times, 1, 0, 50))
    assert [(row["bucket"], row["rows"], row["right"]) for row in rows] == [("0-50 %", 2, 0.5), ("95-100 %", 2, 1.0)]
    assert rows[0]["mean_profit"] == pytest.approx(-ROUND_TRIP_COST)
    assert rows[1]["mean_profit"] == pytest.approx(0.03 - ROUND_TRIP_COST)
