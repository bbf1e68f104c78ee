"""Plays a policy in many copies of an environment and keeps what happened, in arrays made once.

From: any Gymnasium vector environment with next-step autoreset, and an `ActorCritic`. To: `ppo`.
"""

from __future__ import annotations

from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..models.actor_critic import ActorCritic
from .normalise import Moments, RewardScale
from .objective import gaussian_log_prob


@dataclass(frozen=True, eq=False)
class Rollout:
    """T steps of N copies. Row T of `observations` and `quantiles` is what came after the last step."""

    observations: NDArray[np.float32]  # (T + 1, N, O), normalised
    actions: NDArray  # (T, N) choices, int64, or (T, N, A) numbers before they are squashed
    log_probs: NDArray[np.float32]  # (T, N)
    quantiles: NDArray[np.float32]  # (T + 1, N, Q)
    rewards: NDArray[np.float32]  # (T, N), scaled
    terminated: NDArray[np.bool_]
    ended: NDArray[np.bool_]
    real: NDArray[np.bool_]  # (T, N), False for the step that only begins a new episode

    @classmethod
    def empty(cls, n_steps: int, n_copies: int, model: ActorCritic) -> Rollout:
        config = model.config
        shape = (n_steps, n_copies)
        return cls(
            observations=np.zeros((n_steps + 1, n_copies, config.n_observations), np.float32),
            actions=np.zeros(shape, np.int64) if config.discrete else np.zeros((*shape, config.n_actions), np.float32),
            log_probs=np.zeros(shape, np.float32),
            quantiles=np.zeros((n_steps + 1, n_copies, config.n_quantiles), np.float32),
            rewards=np.zeros(shape, np.float32),
            terminated=np.zeros(shape, bool),
            ended=np.zeros(shape, bool),
            real=np.zeros(shape, bool),
        )


class Player:
    """One environment in play: it remembers the last observation, and the returns of the episodes that ended.

    Parameters
    ----------
    envs : gymnasium.vector.VectorEnv
        With next-step autoreset: after an episode has ended, the next step begins another and its action is not used.
    seed : int
        Of the environment and of the policy's draws.
    """

    def __init__(
        self,
        envs: gym.vector.VectorEnv,
        model: ActorCritic,
        seed: int,
        moments: Moments | None,
        scale: RewardScale | None,
    ) -> None:
        mode = envs.metadata.get("autoreset_mode")
        if mode != gym.vector.AutoresetMode.NEXT_STEP:
            raise ValueError(f"the environment's autoreset_mode is {mode}, expected NEXT_STEP")
        self.envs, self.model, self.moments, self.scale = envs, model, moments, scale
        self.draws = torch.Generator().manual_seed(seed)
        first, _ = envs.reset(seed=seed)
        self.observation = self._seen(first)
        self.begins = np.zeros(envs.num_envs, dtype=bool)  # whether the next step only begins an episode
        self.returns = np.zeros(envs.num_envs)
        self.finished: list[float] = []  # returns of episodes that ended, unscaled; whoever reads them empties it

    def play(self, out: Rollout) -> None:
        """Fill the arrays with the next steps."""
        for step in range(len(out.rewards)):
            out.observations[step] = self.observation
            action = self._choose(out, step)
            observation, reward, terminated, truncated, _ = self.envs.step(action)
            if not np.isfinite(reward).all() or not np.isfinite(observation).all():
                raise ValueError(self._not_finite(observation, reward))
            ended = terminated | truncated
            self.returns += reward
            if ended.any():
                self.finished += self.returns[ended].tolist()
                self.returns[ended] = 0.0
            out.rewards[step] = reward if self.scale is None else self.scale(reward, ended)
            out.terminated[step], out.ended[step], out.real[step] = terminated, ended, ~self.begins
            self.begins = ended
            self.observation = self._seen(observation)
        out.observations[-1] = self.observation
        with torch.inference_mode():
            out.quantiles[-1] = self.model(torch.from_numpy(self.observation))[1].numpy()

    @torch.inference_mode()
    def _choose(self, out: Rollout, step: int) -> NDArray:
        policy, quantiles = self.model(torch.from_numpy(self.observation))
        out.quantiles[step] = quantiles.numpy()
        if self.model.config.discrete:
            log_p = policy.log_softmax(-1)
            chosen = torch.multinomial(log_p.exp(), 1, generator=self.draws)
            out.log_probs[step] = log_p.gather(1, chosen).squeeze(1).numpy()
            out.actions[step] = chosen.squeeze(1).numpy()
            return out.actions[step]
        sigma = self.model.sigma()
        u = policy + sigma * torch.randn(policy.shape, generator=self.draws)
        out.log_probs[step], out.actions[step] = gaussian_log_prob(u, policy, sigma).numpy(), u.numpy()
        return self.model.squash(u).numpy()

    def _seen(self, observation: NDArray) -> NDArray[np.float32]:
        rows = observation.reshape(len(observation), -1)
        if self.moments is None:
            return rows.astype(np.float32)
        self.moments.add(rows)
        return self.moments.normalised(rows)

    def _not_finite(self, observation: NDArray, reward: NDArray) -> str:
        copy = int(np.flatnonzero(~np.isfinite(observation).reshape(len(reward), -1).all(1) | ~np.isfinite(reward))[0])
        if not np.isfinite(reward[copy]):
            return f"copy {copy} of the environment gave the reward {reward[copy]}, expected a finite number"
        slot = int(np.flatnonzero(~np.isfinite(observation[copy].ravel()))[0])
        return (
            f"copy {copy} of the environment gave {observation[copy].ravel()[slot]} in slot {slot} of its observation"
        )


def as_tensors(rollout: Rollout) -> tuple[Tensor, Tensor, Tensor]:
    """Return observations, actions and log probabilities of the real steps, one row each."""
    real = rollout.real
    return (
        torch.from_numpy(rollout.observations[:-1][real]),
        torch.from_numpy(rollout.actions[real]),
        torch.from_numpy(rollout.log_probs[real]),
    )
