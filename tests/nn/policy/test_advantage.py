"""GAE against the sum it is short for, and what an end means (PPO-7)."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nn.policy.advantage import drawn_returns, generalized_advantage


def slow_advantage(rewards, values, terminated, ended, gamma, lambda_):
    """Schulman et al. (2016), eq. 16, summed term by term until the episode ends."""
    found = np.zeros(rewards.shape)
    for copy in range(rewards.shape[1]):
        for start in range(len(rewards)):
            for step in range(start, len(rewards)):
                comes = 0.0 if terminated[step, copy] else values[step + 1, copy]
                delta = rewards[step, copy] + gamma * comes - values[step, copy]
                found[start, copy] += (gamma * lambda_) ** (step - start) * delta
                if ended[step, copy]:
                    break
    return found


@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0, 1))
def test_advantages_are_the_sum_they_are_short_for(seed, gamma, lambda_):
    draws = np.random.default_rng(seed)
    rewards, values = draws.normal(size=(12, 3)), draws.normal(size=(13, 3))
    ended = draws.random((12, 3)) < 0.3
    terminated = ended & (draws.random((12, 3)) < 0.5)
    fast = generalized_advantage(rewards, values, terminated, ended, gamma, lambda_)
    slow = slow_advantage(rewards, values, terminated, ended, gamma, lambda_)
    np.testing.assert_allclose(fast, slow, rtol=0, atol=1e-6)
    single = generalized_advantage(
        rewards.astype(np.float32), values.astype(np.float32), terminated, ended, gamma, lambda_
    )
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, slow, rtol=0, atol=1e-5)  # what rounding leaves


def test_every_way_in_which_four_steps_can_end():
    """PPO-7: each step goes on, is cut short or is ruin, in all 81 ways at once, one copy each."""
    draws = np.random.default_rng(3)
    ends = np.array(list(product(("on", "cut", "ruin"), repeat=4))).T
    rewards, values = draws.normal(size=ends.shape), draws.normal(size=(5, 81))
    terminated, ended = ends == "ruin", ends != "on"
    fast = generalized_advantage(rewards, values, terminated, ended, 0.9, 0.8)
    slow = slow_advantage(rewards, values, terminated, ended, 0.9, 0.8)
    np.testing.assert_allclose(fast, slow, rtol=0, atol=1e-12)


def test_ruin_is_worth_nothing_and_the_end_of_data_what_was_expected():
    rewards, values = np.ones((1, 2), np.float32), np.array([[0, 0], [10, 10]], np.float32)
    ended = np.array([[True, True]])
    found = generalized_advantage(rewards, values, np.array([[True, False]]), ended, 0.5, 0.9)
    assert found.tolist() == [[1.0, 6.0]]


def slow_draw(rewards, quantiles, terminated, ended, gamma, goes_on, which):
    """One draw of the return at the first step, walked forward; `goes_on` and `which` are the dice of each step."""
    found, weight = 0.0, 1.0
    for step, reward in enumerate(rewards):
        found, weight = found + weight * reward, weight * gamma
        if terminated[step]:
            return found
        if ended[step] or not goes_on[step] or step == len(rewards) - 1:  # cut short, handed over, the round is over
            return found + weight * quantiles[step + 1, which[step]]
    raise AssertionError("the last step always returns")


@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0, 1))
def test_a_draw_is_a_walk_that_ends_in_one_quantile(seed, gamma, lambda_):
    random = np.random.default_rng(seed)
    rewards, quantiles = random.normal(size=(9, 2)), random.normal(size=(10, 2, 5))
    ended = random.random((9, 2)) < 0.3
    terminated = ended & (random.random((9, 2)) < 0.5)
    drawn = drawn_returns(rewards, quantiles, terminated, ended, gamma, lambda_, 3, np.random.default_rng(seed))
    dice = np.random.default_rng(seed)
    which, goes_on = dice.integers(5, size=(9, 2, 3)), dice.random((9, 2, 3), dtype=np.float32) < lambda_
    for t, n, m in np.ndindex(drawn.shape):
        told = (rewards, quantiles, terminated, ended, goes_on[..., m], which[..., m])
        r, q, over, end, on, of = (column[t:, n] for column in told)
        assert drawn[t, n, m] == pytest.approx(slow_draw(r, q, over, end, gamma, on, of), rel=0, abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0, 1))
def test_draws_have_the_lambda_return_as_their_mean(seed, gamma, lambda_):
    random = np.random.default_rng(seed)
    rewards = random.normal(size=(6, 2)).astype(np.float32)
    quantiles = random.normal(size=(7, 2, 5)).astype(np.float32)
    ended = random.random((6, 2)) < 0.3
    terminated = ended & (random.random((6, 2)) < 0.5)
    drawn = drawn_returns(rewards, quantiles, terminated, ended, gamma, lambda_, 4000, random)
    values = quantiles.mean(-1)
    mean = generalized_advantage(rewards, values, terminated, ended, gamma, lambda_) + values[:-1]
    assert np.abs(drawn.mean(-1) - mean).max() < 6 * drawn.std() / 4000**0.5 + 1e-5


def test_draws_have_the_spread_of_the_return_and_lambda_returns_have_not():
    """A reward of deviation 1 at each of many steps, discounted: the return has deviation 1 / sqrt(1 - gamma^2)."""
    random, gamma = np.random.default_rng(1), 0.9
    deviation = 1 / (1 - gamma**2) ** 0.5
    rewards = random.normal(size=(400, 50)).astype(np.float32)
    critic = (deviation * random.normal(size=1001)).astype(np.float32)
    quantiles = np.broadcast_to(critic - critic.mean(), (401, 50, 1001))
    never = np.zeros((400, 50), bool)
    drawn = drawn_returns(rewards, quantiles, never, never, gamma, 0.8, 1, random)
    mean = generalized_advantage(rewards, quantiles.mean(-1), never, never, gamma, 0.8)
    assert drawn.std() == pytest.approx(deviation, rel=0.05)
    assert mean.std() < 0.7 * deviation
