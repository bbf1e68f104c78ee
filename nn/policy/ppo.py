"""Proximal policy optimisation with a critic of quantiles: play, judge, improve, again (Schulman et al. 2017).

From: a Gymnasium vector environment. To: an `ActorCritic` and the figures of every round. Everything is drawn from two
generators that belong to the learner, and computed on one thread: the same seed gives the same weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ..forecast.checkpoint import Checkpoint
from ..models.actor_critic import ActorCritic, ActorCriticConfig
from .adam import Adam
from .advantage import drawn_returns, generalized_advantage
from .config import PPOConfig
from .flat import Floats
from .network import Network
from .normalise import Moments, RewardScale
from .objective import clipped_surrogate, quantile_huber, quantile_levels, tail_advantage, tail_mean
from .resume import restore, state_of
from .rollout import Player, Rollout

Figures = dict[str, float]
SAVE_EVERY_S = 20.0  # what a kill may cost


class NotFinite(ArithmeticError):
    """A minibatch has a gradient that is no number; the weights are as they were before it."""


class Minibatch(NamedTuple):
    """Steps in any order, one row each."""

    observations: Floats
    actions: NDArray
    old_log_probs: Floats
    advantages: Floats
    targets: Floats  # (B, M): of the quantiles


class PPO:
    """A learner; `learn` may be called again to go on."""

    def __init__(
        self, envs: gym.vector.VectorEnv, network: ActorCriticConfig, config: PPOConfig, seed: int, total_steps: int
    ) -> None:
        torch.manual_seed(seed)  # of the first weights
        self.config, self.seed, self.total_steps, self.steps = config, seed, total_steps, 0
        self.model = ActorCritic(network)
        self.network = Network(self.model)
        self.adam = Adam(self.network.flat.values)
        self.moments = Moments((network.n_observations,)) if config.normalise_observations else None
        self.scale = RewardScale(envs.num_envs, config.gamma) if config.normalise_rewards else None
        self.player = Player(envs, self.network, seed, self.moments, self.scale)
        self.rollout = Rollout.empty(config.n_steps, envs.num_envs, network)
        self.shuffles = np.random.default_rng([seed, 1])
        self.levels = quantile_levels(network.n_quantiles)

    def learn(
        self,
        on_round: Callable[[Figures], None] = lambda figures: None,
        checkpoint: Checkpoint | None = None,
        save_every_s: float = SAVE_EVERY_S,
    ) -> None:
        """Play and improve until `total_steps` steps were played.

        Parameters
        ----------
        on_round : callable
            Is told the figures of every round.
        checkpoint : Checkpoint, optional
            Where the learner's state is kept, see `resume`. What is there already is gone on from.
        save_every_s : float
            Seconds between two savings. The last round is always saved.

        Raises
        ------
        CheckpointRefused
            If what is there is broken or of another training.
        OSError
            If the state cannot be saved; the one before it stays whole.
        NotFiniteStep
            If the environment gives a reward or an observation that is not finite.
        NotFinite
            If the gradient of a minibatch is not finite.
        """
        if checkpoint is not None and (saved := checkpoint.load()) is not None:
            restore(self, saved)
        saved_at = time.perf_counter()
        with threadpool_limits(1, "blas"):  # networks this small lose by a second thread, and sums would vary with it
            while self.steps < self.total_steps:
                began = time.perf_counter()
                played = self.player.play(self.rollout)
                improved = self.improve(1 - self.steps / self.total_steps)
                self.steps += self.rollout.rewards.size
                pace = self.rollout.rewards.size / (time.perf_counter() - began)
                now, over = time.perf_counter(), self.steps >= self.total_steps
                if checkpoint is not None and (over or now - saved_at >= save_every_s):
                    checkpoint.save(state_of(self))
                    saved_at = now
                on_round({"steps": float(self.steps), "steps_per_second": pace, **played, **improved})

    def improve(self, left: float) -> Figures:
        """Improve the policy by one round's steps; `left` is the share of the training still to come."""
        config, played = self.config, self.rollout
        rate = config.final_learning_rate + (config.learning_rate - config.final_learning_rate) * left
        final_clip = config.clip if config.final_clip is None else config.final_clip
        clip = final_clip + (config.clip - final_clip) * left
        advantages, returns, targets = self.judge()
        columns = (played.observations[:-1], played.actions, played.log_probs)
        rows = Minibatch(*(column[played.real] for column in columns), advantages, targets)  # type: ignore[call-arg]
        kappa = config.kappa * float(targets.std())
        n_parts = -(-len(returns) // config.batch_size)
        figures: Figures = {}
        for _ in range(config.epochs):
            parts = np.array_split(self.shuffles.permutation(len(returns)), n_parts)
            steps = [self.update(Minibatch(*(column[part] for column in rows)), rate, clip, kappa) for part in parts]
            figures = dict(zip(FIGURES, np.mean(steps, axis=0).tolist(), strict=True))
            if config.target_kl is not None and figures["kl"] > config.target_kl:
                break
        quantiles = played.quantiles[:-1][played.real]
        unexplained, spread = float((returns - quantiles.mean(1)).var()), float(returns.var())
        return figures | {
            "explained_variance": 1 - unexplained / spread if spread else 0.0,
            "cvar_dynamic": float(tail_mean(quantiles, config.cvar_alpha).mean()),
            "learning_rate": rate,
        }

    def judge(self) -> tuple[Floats, Floats, Floats]:
        """Return advantages (n,), lambda returns (n,) and draws of returns (n, M) for the real steps of the round."""
        config, played = self.config, self.rollout
        values = played.quantiles.mean(-1)
        advantages = generalized_advantage(
            played.rewards, values, played.terminated, played.ended, config.gamma, config.gae_lambda
        )
        returns, plain = (advantages + values[:-1])[played.real], advantages[played.real]
        targets = returns[:, None]
        if config.n_draws:
            targets = drawn_returns(
                played.rewards, played.quantiles, played.terminated, played.ended, config.gamma, config.gae_lambda,
                config.n_draws, self.shuffles,
            )[played.real]  # fmt: skip
        if config.cvar_weight == 0:
            return plain, returns, targets
        quantiles = played.quantiles[:-1][played.real]
        tail = np.mean([tail_advantage(drawn, quantiles, config.cvar_alpha) for drawn in targets.T], axis=0)
        weighed = np.float32(config.cvar_weight) * tail
        size, most = float(weighed.std()), config.cvar_cap * float(plain.std())
        return (1 - config.cvar_weight) * plain + weighed * min(1.0, most / max(size, 1e-8)), returns, targets

    def update(self, rows: Minibatch, rate: float, clip: float, kappa: float) -> tuple[float, ...]:
        """Take one step of gradient descent on one minibatch; return its `FIGURES`."""
        config, network = self.config, self.network
        with np.errstate(all="ignore"):  # what overflows is found below
            policy, quantiles = network.forward(rows.observations)
            distribution = network.distribution(policy)
            log_ratio = distribution.log_prob(rows.actions) - rows.old_log_probs
            advantages = (rows.advantages - rows.advantages.mean()) / (rows.advantages.std() + np.float32(1e-8))
            surrogate, by_log_prob = clipped_surrogate(log_ratio, advantages, clip)
            drawn = [quantile_huber(quantiles, each, self.levels, kappa) for each in rows.targets.T]
            critic = float(np.mean([loss for loss, _ in drawn]))
            by_quantile = np.mean([each for _, each in drawn], axis=0) * np.float32(config.value_weight)
            by_policy, by_sigma = distribution.gradients(
                rows.actions, by_log_prob, -config.entropy_weight / len(policy)
            )
            network.backward(by_policy, by_quantile, by_sigma)
            gradient = network.flat.gradient
            norm = float(np.sqrt(np.dot(gradient, gradient)))
            if not np.isfinite(norm):
                raise NotFinite(
                    f"the gradient of a minibatch after {self.steps} steps has norm {norm}, expected a finite number"
                    f" (surrogate {surrogate}, critic {critic}, learning rate {rate:g}): the weights stay as they were"
                )
            if norm > config.max_grad_norm:
                gradient *= config.max_grad_norm / norm
            self.adam.step(gradient, rate)
            ratio = np.exp(log_ratio)
            kl = float((ratio - 1 - log_ratio).mean())  # Schulman's k3 estimate
            clipped = float((np.abs(ratio - 1) > clip).mean())
        return surrogate, critic, float(distribution.entropy().mean()), kl, clipped, norm


FIGURES = ("surrogate", "critic", "entropy", "kl", "clip_share", "gradient_norm")  # of a minibatch
