"""What a policy earns when it does what it holds for best, and nothing at random (PPO-4).

From: an `ActorCritic` and fresh copies of an environment. To: `train`, as returns of whole episodes.
"""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray

from ..models.actor_critic import ActorCritic
from .normalise import Moments
from .rollout import within

LONGEST = 100_000  # steps of an episode: some tasks never end


def episode_returns(
    model: ActorCritic, moments: Moments | None, envs: gym.vector.VectorEnv, seed: int
) -> NDArray[np.float64]:
    """Return the undiscounted return of one whole episode of each copy; statistics stay as they are.

    An episode that has not ended after `LONGEST` steps counts as far as it went.
    """
    observation, _ = envs.reset(seed=seed)
    returns, over = np.zeros(envs.num_envs), np.zeros(envs.num_envs, dtype=bool)
    for _ in range(LONGEST):
        if over.all():
            break
        rows = np.asarray(observation).reshape(envs.num_envs, -1)
        seen = rows.astype(np.float32) if moments is None else moments.normalised(rows)
        with torch.inference_mode():
            action = model.act(torch.from_numpy(seen)).numpy()
        observation, reward, terminated, truncated, _ = envs.step(within(action, envs))
        returns += np.where(over, 0.0, reward)
        over |= terminated | truncated
    return returns
