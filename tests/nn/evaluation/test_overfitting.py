"""EVA-9: the published example, a slow twin over whole series, and what chance and skill must give."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nn.evaluation.overfitting import (
    backtest_overfitting,
    deflated_sharpe,
    deflated_sharpe_of,
    expected_best_sharpe,
    probabilistic_sharpe,
    sharpe_ratio,
)


def test_the_published_example():
    """Bailey and López de Prado (2014): 2.5 a year over 5 years of 250 days, 100 tries of variance 1/2: 0.9004."""
    found = deflated_sharpe(2.5 / math.sqrt(250), 1250, -3, 10, 100, 0.5 / 250)
    assert found == pytest.approx(0.9004, abs=5e-5)
    assert expected_best_sharpe(100, 0.5 / 250) == pytest.approx(0.1132, abs=5e-5)


def test_one_try_is_not_deflated_and_more_tries_deflate_more():
    assert expected_best_sharpe(1, 0.3) == 0
    assert deflated_sharpe(0.1, 500, 0, 3, 1, 0.3) == probabilistic_sharpe(0.1, 500, 0, 3)
    found = [deflated_sharpe(0.1, 500, 0, 3, n, 0.01) for n in (1, 2, 10, 1000)]
    assert found == sorted(found, reverse=True)


def test_the_best_of_many_without_skill_is_as_good_as_foretold():
    """The maximum of N normal draws, by simulation."""
    best = np.random.default_rng(0).normal(0, 0.2, (4000, 50)).max(1).mean()
    assert expected_best_sharpe(50, 0.04) == pytest.approx(best, rel=0.02)


def test_of_returns_it_takes_their_moments():
    returns = np.random.default_rng(1).standard_t(5, 400) * 0.01 + 0.001
    tries = np.array([0.02, -0.05, 0.07, returns.mean() / returns.std(ddof=1)])
    z = (returns - returns.mean()) / returns.std()
    expected = deflated_sharpe(tries[3], 400, sum(z**3) / 400, sum(z**4) / 400, 4, sum((tries - tries.mean()) ** 2) / 3)
    assert deflated_sharpe_of(returns, tries) == pytest.approx(expected, rel=1e-12)


def slow_overfitting(returns, n_blocks):
    """Return the logits from whole series, split by split, in the order of the combinations."""
    n = len(returns) // n_blocks * n_blocks
    blocks = np.split(returns[len(returns) - n :], n_blocks)
    logits = []
    for chosen in itertools.combinations(range(n_blocks), n_blocks // 2):
        inside = np.concatenate([blocks[k] for k in chosen])
        outside = np.concatenate([blocks[k] for k in range(n_blocks) if k not in chosen])
        best = max(range(returns.shape[1]), key=lambda c: inside[:, c].mean() / inside[:, c].std())
        ratios = [outside[:, c].mean() / outside[:, c].std() for c in range(returns.shape[1])]
        share = sorted(ratios).index(ratios[best]) + 1
        share /= returns.shape[1] + 1
        logits.append(math.log(share / (1 - share)))
    return np.array(logits)


def test_it_equals_the_slow_twin():
    returns = np.random.default_rng(2).normal(0.0002, 0.01, (203, 7))
    found = backtest_overfitting(returns, 8)
    expected = slow_overfitting(returns, 8)
    np.testing.assert_allclose(found.logits, expected, atol=1e-12)
    assert found.probability == np.mean(expected <= 1e-12)
    assert len(found.logits) == math.comb(8, 4)


def test_chance_gives_a_half_and_skill_nothing():
    random = np.random.default_rng(3)
    noise = np.mean([backtest_overfitting(random.normal(0, 1, (320, 20)), 10).probability for _ in range(40)])
    assert noise == pytest.approx(0.5, abs=0.12)
    skilled = random.normal(0, 1, (1600, 20))
    skilled[:, 4] += 0.3
    assert backtest_overfitting(skilled).probability == 0


def test_copies_of_one_configuration_say_nothing():
    same = np.repeat(np.random.default_rng(4).normal(size=(64, 1)), 5, axis=1)
    assert backtest_overfitting(same, 4).logits == pytest.approx(0)


def test_a_configuration_that_never_trades_is_no_error():
    returns = np.random.default_rng(5).normal(-1, 1, (160, 3))
    returns[:, 0] = 0
    assert backtest_overfitting(returns, 4).probability == 0


@pytest.mark.parametrize(
    ("returns", "n_blocks", "sentence"),
    [
        (np.zeros((40, 1)), 4, "at least 2"),
        (np.zeros((40, 3)), 5, "n_blocks is 5, expected an even number of 4 to 20"),
        (np.zeros((7, 3)), 4, "7 periods make fewer than 2 for each of 4 blocks"),
        (np.full((40, 3), np.nan), 4, "returns: 120 of 120 values are not finite"),
    ],
)
def test_what_cannot_be_judged_is_said(returns, n_blocks, sentence):
    with pytest.raises(ValueError, match=sentence):
        backtest_overfitting(returns, n_blocks)


def test_where_nobody_can_say_there_is_no_number():
    """A gate fails on what is missing; a number made of rounding, or of one try for many, might pass."""
    assert sharpe_ratio(np.full(10, 0.1)) is None  # whose deviation is 1e-17, not 0
    assert sharpe_ratio([0.1]) is None
    assert deflated_sharpe_of(np.full(10, 0.1), [0.1, 0.2]) is None
    assert deflated_sharpe_of(np.zeros(10), [0.0, 0.2]) is None
    assert deflated_sharpe_of([0.1, 0.2], [0.1, 0.2]) is None
    returns = np.random.default_rng(0).normal(0.01, 0.01, 50)
    assert deflated_sharpe_of(returns, [0.1]) == pytest.approx(1)
    assert deflated_sharpe_of(returns, [0.1], n_more=30) is None  # 31 tries, and nothing says how far they lie apart
    assert 0 <= deflated_sharpe_of(returns, [0.1, 0.9], n_more=30) < 1
    told = [deflated_sharpe_of(returns, [0.1], 30, deviation) for deviation in (0.01, 0.5, 5.0)]  # by a search
    assert told == sorted(told, reverse=True)
    assert told[0] > 0.99 > told[2]
    assert deflated_sharpe_of(returns, [0.1], 30, 0.0) is None  # tries that are all alike say as little
    assert deflated_sharpe_of(returns, [0.1] * 3) is None  # their deviation is 1e-17, not 0
    wide = np.std([0.1, 0.9], ddof=1)  # the larger of what is known twice counts
    assert deflated_sharpe_of(returns, [0.1, 0.9], 30, wide / 2) == deflated_sharpe_of(returns, [0.1, 0.9], 30)
    assert deflated_sharpe_of(returns, [0.1, 0.9], 30, wide * 9) < deflated_sharpe_of(returns, [0.1, 0.9], 30)


def test_trials_whose_ratios_were_not_kept_count_as_well():
    returns, tries = np.random.default_rng(1).normal(0.001, 0.01, 300), np.array([0.1, -0.05, 0.02])
    found = [deflated_sharpe_of(returns, tries, n) for n in (0, 10, 1000)]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[2]
    with pytest.raises(ValueError, match="expected at least 1 and 0"):
        deflated_sharpe_of(returns, [])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from([-0.9, -0.1, 0.0, 0.1, 0.1 + 1e-9]), min_size=1, max_size=12), st.integers(0, 3))
def test_whatever_the_returns_the_deflated_ratio_is_a_probability_or_missing(returns, n_more):
    found = deflated_sharpe_of(returns, [0.3, -0.1], n_more)
    assert found is None or 0 <= found <= 1


def test_time_goes_down_and_configurations_across():
    """One configuration is skilled all the time; turned around it would be a skilled moment."""
    table = np.random.default_rng(6).normal(0, 0.01, (64, 12))
    table[:, 3] += 0.02
    assert backtest_overfitting(table, 4).probability == 0
    with pytest.raises(ValueError, match="12 periods make fewer than 2 for each of 8 blocks"):
        backtest_overfitting(table.T, 8)
