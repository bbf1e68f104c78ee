"""ENV-9: the best policies of planted markets, against closed forms, brute force and the environment's own books."""

import itertools

import numpy as np
import pytest

from nn.policy.optimum import foresight, free_value, free_weight, growth, plan
from nn.policy.planted import best, earn
from nn.policy.planted_markets import Planted, planted

QUICK = {"n_rows": 20_000}


def test_growth_of_a_whole_position_is_that_of_its_price():
    assert growth(np.array([3e-4]), 2e-3, np.array([1.0])).item() == pytest.approx(3e-4 - 2e-6, abs=1e-12)
    assert growth(np.array([3e-4]), 2e-3, np.array([0.0])).item() == 0.0
    draws = 4e-4 - 0.5 * 0.05**2 + 0.05 * np.random.default_rng(1).normal(size=2_000_000)
    sampled = np.log1p(0.4 * np.expm1(draws))
    assert growth(np.array([4e-4]), 0.05, np.array([0.4])).item() == pytest.approx(sampled.mean(), abs=5e-5)


@pytest.mark.parametrize(("can_short", "factor"), [(False, 0.5), (True, 1.0)])
def test_a_strong_free_edge_is_worth_its_mean_size(can_short, factor):
    """E|z| = sqrt(2/pi), of which a position that is never short has half."""
    market = Planted(edge=-1e-3, volatility=1e-4, can_short=can_short)
    assert free_value(market) == pytest.approx(factor * 1e-3 * (2 / np.pi) ** 0.5, rel=0.01)
    assert free_weight(market, np.array([-1.0, 1.0])).tolist() == [1.0, -1.0 if can_short else 0.0]


@pytest.mark.parametrize("can_short", [False, True])
def test_where_trading_is_free_value_iteration_finds_mertons_weights(can_short):
    market = Planted(edge=3e-5, volatility=1e-2, half_life=5, can_short=can_short)  # mean / variance = 0.3 z
    found, z = plan(market), np.array([-1.5, -0.7, 0.4, 1.9])
    assert found.value == pytest.approx(free_value(market), rel=0.02)
    assert found.act(z, np.full(4, 0.5)) == pytest.approx(free_weight(market, z), abs=0.03)


def test_no_rule_of_thresholds_beats_the_optimum_in_the_environment():
    """Independent of the grid and the equations: every band policy, in the kernel's books, on the same episodes."""
    market = planted("reversion", **QUICK)
    found = earn(market, best(market)).growth

    def band(width):
        return lambda seen, held: np.where(seen[:, 0] < -width, 1.0, np.where(seen[:, 0] > width, 0.0, held.round()))

    rivals = [earn(market, band(width)).growth for width in np.arange(0.0, 2.0, 0.25)]
    assert max(rivals) <= 1.01 * found
    assert max(rivals) >= 0.97 * found  # a threshold is what the optimum is made of, too
    assert found == pytest.approx(1e4 * plan(market).value, rel=0.15)  # 16,384 bars of chance


def test_what_costs_more_than_it_brings_is_left_alone():
    for can_short in (False, True):
        costly, noise = planted("costly", can_short=can_short), planted("noise", can_short=can_short)
        usual = np.linspace(-2.5, 2.5, 41)
        assert not plan(costly).act(usual, np.zeros(41)).any()
        assert not plan(noise).act(np.linspace(-4, 4, 41), np.zeros(41)).any()
    assert earn(noise, best(noise), n_episodes=8).traded == 0.0


@pytest.mark.parametrize("can_short", [False, True])
def test_foresight_is_the_best_of_all_paths(can_short):
    market = Planted(edge=1e-3, fee_bps=8.0, can_short=can_short)
    returns = 2e-3 * np.random.default_rng(3).normal(size=6)
    lowest = -1.0 if can_short else 0.0

    def value(path):
        moves = np.diff(path, prepend=0.0)
        return (np.log1p(-8e-4 * np.abs(moves)) + np.log1p(np.asarray(path) * np.expm1(returns))).sum()

    brute = max(value(path) for path in itertools.product(sorted({lowest, 0.0, 1.0}), repeat=6))
    assert brute > 0
    assert foresight(returns, market) == pytest.approx(brute, rel=1e-3)  # weights between are of no use
    free = Planted(edge=1e-3, can_short=can_short)
    gains = np.maximum(returns, np.log1p(lowest * np.expm1(returns)) if can_short else 0.0)
    assert foresight(returns, free) == pytest.approx(gains.sum())
