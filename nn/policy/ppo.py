"""Proximal policy optimisation with a critic of quantiles: play, judge, improve, again (Schulman et al. 2017).

From: a Gymnasium vector environment. To: an `ActorCritic` and the figures of every round.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from ..models.actor_critic import ActorCritic, ActorCriticConfig
from .advantage import generalized_advantage
from .config import PPOConfig
from .flat import flat_parameter
from .normalise import Moments, RewardScale
from .objective import (
    clipped_surrogate,
    gaussian_entropy,
    gaussian_log_prob,
    quantile_huber,
    quantile_levels,
    tail_advantage,
)  # fmt: skip
from .rollout import Player, Rollout, as_tensors


class Minibatch(NamedTuple):
    """Steps in any order, one row each."""

    observations: Tensor
    actions: Tensor
    old_log_probs: Tensor
    advantages: Tensor
    returns: Tensor


class PPO:
    """A learner; `learn` may be called again to go on."""

    def __init__(
        self, envs: gym.vector.VectorEnv, network: ActorCriticConfig, config: PPOConfig, seed: int, total_steps: int
    ) -> None:
        torch.manual_seed(seed)
        self.config, self.total_steps, self.steps = config, total_steps, 0
        self.model = ActorCritic(network)
        self.moments = Moments((network.n_observations,)) if config.normalise_observations else None
        self.scale = RewardScale(envs.num_envs, config.gamma) if config.normalise_rewards else None
        self.player = Player(envs, self.model, seed, self.moments, self.scale)
        self.rollout = Rollout.empty(config.n_steps, envs.num_envs, self.model)
        self.parameter = flat_parameter(self.model)
        self.optimizer = torch.optim.Adam([self.parameter], lr=config.learning_rate, eps=1e-5, fused=True)
        self.shuffle = torch.Generator().manual_seed(seed)
        self.levels = quantile_levels(network.n_quantiles)

    def learn(self, on_round: Callable[[dict[str, float]], None] = lambda figures: None) -> None:
        """Play and improve until `total_steps` steps were played."""
        while self.steps < self.total_steps:
            self.player.play(self.rollout)
            figures = self.improve(1 - self.steps / self.total_steps)
            self.steps += self.rollout.rewards.size
            episodes, self.player.finished = self.player.finished, []
            if episodes:
                figures["episode_return"] = float(np.mean(episodes))
            on_round({"steps": float(self.steps), **figures})

    def improve(self, left: float) -> dict[str, float]:
        """Improve the policy by one round's steps; `left` is the share of the training still to come."""
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = config.final_learning_rate + (config.learning_rate - config.final_learning_rate) * left
        final_clip = config.clip if config.final_clip is None else config.final_clip
        clip = final_clip + (config.clip - final_clip) * left
        observations, actions, old_log_probs = as_tensors(self.rollout)
        advantages, returns = self.judge()
        kappa = config.kappa * float(returns.std())
        n, figures = len(returns), {"kl": 0.0}
        for _ in range(config.epochs):
            order = torch.randperm(n, generator=self.shuffle)
            columns = Minibatch(*(each[order] for each in (observations, actions, old_log_probs, advantages, returns)))
            for rows in zip(*(each.split(config.batch_size) for each in columns), strict=True):
                if len(rows[0]) > 1:
                    figures = self.update(Minibatch(*rows), clip, kappa)
            if config.target_kl is not None and figures["kl"] > config.target_kl:
                break
        spread = float(returns.var())
        unexplained = float((returns - torch.from_numpy(self.values()[:-1][self.rollout.real])).var())
        return {**figures, "explained_variance": 1 - unexplained / spread if spread else 0.0}

    def values(self) -> np.ndarray:
        return self.rollout.quantiles.mean(-1)

    def judge(self) -> tuple[Tensor, Tensor]:
        """Return advantages and the targets of the critic for the real steps of the round."""
        config, played, values = self.config, self.rollout, self.values()
        advantages = generalized_advantage(
            played.rewards, values, played.terminated, played.ended, config.gamma, config.gae_lambda
        )
        returns = torch.from_numpy((advantages + values[:-1])[played.real])
        plain = torch.from_numpy(advantages[played.real])
        if config.cvar_weight == 0:
            return plain, returns
        tail = tail_advantage(returns, torch.from_numpy(played.quantiles[:-1][played.real]), config.cvar_alpha)
        weighed = config.cvar_weight * tail
        size, most = float(weighed.std()), config.cvar_cap * float(plain.std())
        return (1 - config.cvar_weight) * plain + weighed * min(1.0, most / max(size, 1e-8)), returns

    def update(self, rows: Minibatch, clip: float, kappa: float) -> dict[str, float]:
        """Take one step of gradient descent on one minibatch."""
        config = self.config
        policy, quantiles = self.model(rows.observations)
        if self.model.config.discrete:
            log_p = policy.log_softmax(-1)
            log_probs = log_p.gather(1, rows.actions.unsqueeze(1)).squeeze(1)
            entropy = -(log_p.exp() * log_p).sum(1).mean()
        else:
            sigma = self.model.sigma()
            log_probs, entropy = gaussian_log_prob(rows.actions, policy, sigma), gaussian_entropy(sigma)
        scaled = (rows.advantages - rows.advantages.mean()) / (rows.advantages.std() + 1e-8)
        surrogate, log_ratio = clipped_surrogate(log_probs, rows.old_log_probs, scaled, clip)
        critic = quantile_huber(quantiles, rows.returns, self.levels, kappa)
        loss = surrogate + config.value_weight * critic - config.entropy_weight * entropy
        self.parameter.grad.zero_()  # type: ignore[union-attr]
        loss.backward()
        torch.nn.utils.clip_grad_norm_([self.parameter], config.max_grad_norm)
        self.optimizer.step()
        with torch.no_grad():
            kl = (log_ratio.exp() - 1 - log_ratio).mean()  # Schulman's k3 estimate
        return {"surrogate": surrogate.item(), "critic": critic.item(), "entropy": entropy.item(), "kl": kl.item()}
