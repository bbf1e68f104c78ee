"""What a policy draws its actions from: choices by softmax, or Gaussian numbers that are squashed afterwards.

From: outputs of `network`. To: `rollout`, which draws, and `ppo`, which asks how probable an action has become. The
squashing cancels in every ratio of probabilities, so log densities and entropies are those of the bare Gaussian.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .flat import Floats

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class Categorical:
    """Choices (B, n), as probable as exp(logit)."""

    def __init__(self, logits: Floats) -> None:
        shifted = logits - logits.max(1, keepdims=True)
        self.log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        self.p = np.exp(self.log_p)

    def draw(self, draws: Generator) -> NDArray:
        """Return choices (B,): the first whose summed probability is above a uniform number."""
        below = self.p.cumsum(1) <= draws.random((len(self.p), 1), np.float32)
        return np.minimum(below.sum(1), self.p.shape[1] - 1)

    def log_prob(self, choices: NDArray) -> Floats:
        return self.log_p[np.arange(len(choices)), choices]

    def entropy(self) -> Floats:
        """Return entropies (B,), nats."""
        return -(self.p * self.log_p).sum(1)

    def gradients(self, choices: NDArray, by_log_prob: Floats, by_entropy: float) -> tuple[Floats, None]:
        """Return derivatives by the logits of what has these by log probabilities (B,) and by each row's entropy."""
        by_choice = -self.p * by_log_prob[:, None]
        by_choice[np.arange(len(choices)), choices] += by_log_prob
        if by_entropy:
            by_choice -= by_entropy * self.p * (self.log_p + self.entropy()[:, None])
        return by_choice, None


class Gaussian:
    """Independent numbers (B, A) with means (B, A) and deviations (A,) that are the same everywhere."""

    def __init__(self, mean: Floats, sigma: Floats) -> None:
        self.mean, self.sigma = mean, sigma

    def draw(self, draws: Generator) -> NDArray:
        return self.mean + self.sigma * draws.standard_normal(self.mean.shape, np.float32)

    def log_prob(self, u: NDArray) -> Floats:
        z = (u - self.mean) / self.sigma
        return -0.5 * np.einsum("ba,ba->b", z, z) - (np.log(self.sigma) + HALF_LOG_2PI).sum()

    def entropy(self) -> Floats:
        """Return the entropy, nats: one number for all rows."""
        return (np.log(self.sigma) + HALF_LOG_2PI + 0.5).sum()

    def gradients(self, u: NDArray, by_log_prob: Floats, by_entropy: float) -> tuple[Floats, Floats]:
        """Return derivatives by means (B, A) and by deviations (A,), as `Categorical.gradients`."""
        z = (u - self.mean) / self.sigma
        by_mean = z * by_log_prob[:, None] / self.sigma
        return by_mean, by_log_prob @ (z * z - 1) / self.sigma + by_entropy * len(u) / self.sigma
