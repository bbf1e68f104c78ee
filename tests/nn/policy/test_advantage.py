"""GAE against the sum it is short for, and what an end means (PPO-7)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nn.policy.advantage import generalized_advantage


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
    rewards = draws.normal(size=(12, 3)).astype(np.float32)
    values = draws.normal(size=(13, 3)).astype(np.float32)
    ended = draws.random((12, 3)) < 0.3
    terminated = ended & (draws.random((12, 3)) < 0.5)
    fast = generalized_advantage(rewards, values, terminated, ended, gamma, lambda_)
    assert fast == pytest.approx(slow_advantage(rewards, values, terminated, ended, gamma, lambda_), abs=1e-5)


def test_ruin_is_worth_nothing_and_the_end_of_data_what_was_expected():
    rewards, values = np.ones((1, 2), np.float32), np.array([[0, 0], [10, 10]], np.float32)
    ended = np.array([[True, True]])
    found = generalized_advantage(rewards, values, np.array([[True, False]]), ended, 0.5, 0.9)
    assert found.tolist() == [[1.0, 6.0]]
