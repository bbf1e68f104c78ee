"""How much better an action was than what was expected, from rewards and values (Schulman et al. 2016, eq. 16).

From: `rollout`. To: `ppo`. An end of data is no ruin: where an episode was truncated the value of its last observation
stands for what would have come (PPO-7); where it terminated nothing comes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .flat import Floats

Bools = NDArray[np.bool_]


def generalized_advantage(
    rewards: Floats, values: Floats, terminated: Bools, ended: Bools, gamma: float, lambda_: float
) -> Floats:
    """Return advantages (T, N); the targets of the values are advantages + values[:-1].

    Parameters
    ----------
    rewards : ndarray of float32 (or float64, as the answer then is), shape (T, N)
    values : ndarray of float32, shape (T + 1, N)
        Of the observation before each step, and of the one after the last. After a step that ended an episode, the next
        row is of its final observation (Gymnasium's next-step autoreset).
    terminated, ended : ndarray of bool, shape (T, N)
        Ended for good; ended at all, truncations included.
    gamma, lambda_ : float
        Discount and the mean's decay, in [0, 1].
    """
    comes = np.where(terminated, values.dtype.type(0), values[1:])
    deltas: Floats = rewards + gamma * comes - values[:-1]
    carry = np.where(ended, 0.0, gamma * lambda_).astype(deltas.dtype)
    advantages = np.empty_like(deltas)
    running = np.zeros_like(deltas[0])
    for step in range(len(deltas) - 1, -1, -1):
        running = deltas[step] + carry[step] * running
        advantages[step] = running
    return advantages


def drawn_returns(
    rewards: Floats,
    quantiles: Floats,
    terminated: Bools,
    ended: Bools,
    gamma: float,
    lambda_: float,
    n_draws: int,
    draws: np.random.Generator,
) -> Floats:
    """Return draws (T, N, M) of each return: their mean is the lambda return, their spread the return's own.

    A lambda return itself is a mean, over where the critic takes over and of all that it expects: quantiles that learn
    from it see the chance of a few steps only, and call every tail too thin. Here what came goes on with probability
    lambda, and else one quantile stands for all that would come: SR(lambda) of Nam, Kim and Park (2021), GMAC, ICML.

    Parameters
    ----------
    quantiles : ndarray of float32, shape (T + 1, N, Q)
        Of the observation before each step, and of the one after the last.
    """
    steps, copies = rewards.shape
    shape = (steps, copies, n_draws)
    after, copy = np.arange(1, steps + 1)[:, None, None], np.arange(copies)[:, None]
    comes = quantiles[after, copy, draws.integers(quantiles.shape[2], size=shape)]
    comes[terminated] = 0
    goes_on = (draws.random(shape, dtype=np.float32) < lambda_) & ~ended[:, :, None]
    goes_on[-1] = False
    found = comes  # written over from behind
    for step in range(steps - 1, -1, -1):
        if step + 1 < steps:
            np.copyto(found[step], found[step + 1], where=goes_on[step])
        found[step] *= gamma
        found[step] += rewards[step][:, None]
    return found
