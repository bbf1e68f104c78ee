"""Plays a policy in many copies of an environment and keeps what happened, in arrays made once.

From: any Gymnasium vector environment with next-step autoreset, and a `Network`. To: `ppo`.
"""

from __future__ import annotations

from dataclasses import dataclass

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ..models.actor_critic import ActorCriticConfig
from .network import Network
from .normalise import Moments, RewardScale


class NotFiniteStep(ValueError):
    """The environment gave a reward or an observation that is no number."""


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
    def empty(cls, n_steps: int, n_copies: int, config: ActorCriticConfig) -> Rollout:
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


def within(actions: NDArray, envs: gym.vector.VectorEnv) -> NDArray:
    """Return actions as the environment's space counts, shapes and bounds them; float32 rounds a bound up as well."""
    space = envs.single_action_space
    if isinstance(space, gym.spaces.Discrete):
        return actions + space.start if space.start else actions
    assert isinstance(space, gym.spaces.Box)  # see `environments.network_for`
    return np.clip(actions.reshape(len(actions), *space.shape), space.low, space.high)


class Player:
    """One environment in play: it remembers the last observation, and the returns of the episodes that run.

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
        network: Network,
        seed: int,
        moments: Moments | None,
        scale: RewardScale | None,
    ) -> None:
        mode = envs.metadata.get("autoreset_mode")
        if mode != gym.vector.AutoresetMode.NEXT_STEP:
            raise ValueError(f"the environment's autoreset_mode is {mode}, expected NEXT_STEP")
        self.envs, self.network, self.moments, self.scale = envs, network, moments, scale
        self.draws = np.random.default_rng([seed, 0])
        self.begin(seed)

    def begin(self, seed: int) -> None:
        """Begin an episode in every copy."""
        first, _ = self.envs.reset(seed=seed)
        self.begins = np.zeros(self.envs.num_envs, dtype=bool)  # whether the next step only begins an episode
        self.returns = np.zeros(self.envs.num_envs)  # of the present episodes, unscaled
        self.observation = self._seen(first, np.zeros(self.envs.num_envs))

    def play(self, out: Rollout) -> dict[str, float]:
        """Fill the arrays with the next steps; return the mean reward, and return of the episodes that ended."""
        earned, finished = 0.0, []
        for step in range(len(out.rewards)):
            out.observations[step] = self.observation
            action = self._choose(out, step)
            observation, reward, terminated, truncated, _ = self.envs.step(action)
            self.observation = self._seen(observation, reward)
            ended, real = terminated | truncated, ~self.begins
            self.returns += reward
            earned += float(reward.sum())
            if ended.any():
                finished += self.returns[ended].tolist()
                self.returns[ended] = 0.0
            out.rewards[step] = reward if self.scale is None else self.scale(reward, ended, real)
            out.terminated[step], out.ended[step], out.real[step] = terminated, ended, real
            self.begins = ended
        out.observations[-1] = self.observation
        out.quantiles[-1] = self.network.forward(self.observation)[1]
        figures = {"reward": earned / max(int(out.real.sum()), 1), "episodes": float(len(finished))}
        return figures | ({"episode_return": float(np.mean(finished))} if finished else {})

    def _choose(self, out: Rollout, step: int) -> NDArray:
        policy, out.quantiles[step] = self.network.forward(self.observation)
        distribution = self.network.distribution(policy)
        drawn = distribution.draw(self.draws)
        out.actions[step], out.log_probs[step] = drawn, distribution.log_prob(drawn)
        return within(drawn if self.network.config.discrete else self.network.squash(drawn), self.envs)

    def _seen(self, observation: NDArray, reward: NDArray) -> NDArray[np.float32]:
        """Return what the network shall see, checked and normalised."""
        rows = observation.reshape(len(observation), -1)
        if not (np.isfinite(reward).all() and np.isfinite(rows).all()):
            raise NotFiniteStep(self._not_finite(rows, reward))
        if self.moments is None:
            return rows.astype(np.float32)
        self.moments.add(rows)
        return self.moments.normalised(rows)

    def _not_finite(self, rows: NDArray, reward: NDArray) -> str:
        """Return a sentence that names copy and slot; pair and candle too, where the environment can tell."""
        bad = ~np.isfinite(rows)
        copy = int(np.flatnonzero(bad.any(1) | ~np.isfinite(reward))[0])
        slot = None if not np.isfinite(reward[copy]) else int(bad[copy].argmax())
        what = f"reward is {reward[copy]}" if slot is None else f"observation slot {slot} is {rows[copy, slot]}"
        tell = getattr(self.envs, "tell", None)
        where = f" ({tell(copy, slot)})" if tell else ""
        return f"the {what} in copy {copy} of the environment{where}, expected a finite number"
