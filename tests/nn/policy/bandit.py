"""Arms whose best answer is known: episodes of one step, in a Gymnasium vector environment."""

from __future__ import annotations

import gymnasium as gym
import numpy as np


class Arms(gym.vector.VectorEnv):
    """`pull(arm, draws)` gives the reward of one step; every episode is that one step."""

    metadata = {"autoreset_mode": gym.vector.AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(self, n_arms: int, pull, num_envs: int = 64) -> None:
        self.num_envs, self.pull = num_envs, pull
        self.single_observation_space = gym.spaces.Box(-1, 1, (1,), np.float32)
        self.single_action_space = gym.spaces.Discrete(n_arms)
        self.begins = np.zeros(num_envs, bool)

    def reset(self, *, seed=None, options=None):
        self.draws = np.random.default_rng(seed)
        self.begins[:] = False
        return np.zeros((self.num_envs, 1), np.float32), {}

    def step(self, actions):
        rewards = np.where(self.begins, 0.0, self.pull(np.asarray(actions), self.draws))
        ended = ~self.begins
        self.begins = ended
        return np.zeros((self.num_envs, 1), np.float32), rewards, ended, np.zeros(self.num_envs, bool), {}
