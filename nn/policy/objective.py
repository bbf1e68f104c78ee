"""What PPO minimises: a clipped surrogate, the quantiles of the return, and a bonus for being undecided.

From: minibatches of `rollout`, outputs of `ActorCritic`. To: `ppo`. Schulman et al. (2017), eq. 7 and 9; Dabney et al.
(2018), eq. 9 and 10, for the quantiles; Tamar et al. (2015) for the tail.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def quantile_levels(n: int) -> Tensor:
    """Return the levels (n,) that n quantiles stand for: the middles of n equal parts of [0, 1]."""
    return (torch.arange(n, dtype=torch.float32) + 0.5) / n


def quantile_huber(quantiles: Tensor, target: Tensor, levels: Tensor, kappa: float) -> Tensor:
    """Return the mean of |tau - 1{u < 0}| Huber_kappa(u) / kappa, u = target - quantile (LOS-7).

    With kappa 0 it is the pinball loss itself. kappa must be small beside the spread of the targets, or the quantiles
    become expectiles (LOS-8).

    Parameters
    ----------
    quantiles : Tensor of shape (B, Q)
    target : Tensor of shape (B,)
    levels : Tensor of shape (Q,)
    """
    u = target.unsqueeze(1) - quantiles
    size = u.abs()
    if kappa > 0:
        size = torch.where(size <= kappa, 0.5 * size * size / kappa, size - 0.5 * kappa)
    return ((levels - (u < 0).float()).abs() * size).mean()


def tail_mean(quantiles: Tensor, alpha: float) -> Tensor:
    """Return CVaR_alpha (B,) of the distributions that the quantiles (B, Q) describe: the mean of the worst alpha."""
    share = (alpha * quantiles.shape[1] - torch.arange(quantiles.shape[1])).clamp(0, 1)  # of each quantile's 1/Q
    return quantiles.sort(1).values @ (share / (alpha * quantiles.shape[1]))


def tail_advantage(returns: Tensor, quantiles: Tensor, alpha: float) -> Tensor:
    """Return what each return says about CVaR_alpha: min(G - VaR, 0) / alpha - (CVaR - VaR), mean 0 under the critic.

    The score function of CVaR (Tamar et al. 2015, eq. 4) with the critic's own tail as its baseline.
    """
    ordered = quantiles.sort(1).values
    n = ordered.shape[1]
    place = min(max(alpha * n - 0.5, 0.0), n - 1.0)  # between the middles of two quantiles
    low, part = int(place), place - int(place)
    var = ordered[:, low] + part * (ordered[:, min(low + 1, n - 1)] - ordered[:, low])
    expected = (ordered - var.unsqueeze(1)).clamp(max=0).mean(1) / alpha
    return (returns - var).clamp(max=0) / alpha - expected


def gaussian_log_prob(u: Tensor, mean: Tensor, sigma: Tensor) -> Tensor:
    """Return log densities (B,) of numbers before they are squashed: the squashing cancels in every ratio."""
    return (-0.5 * ((u - mean) / sigma).square() - sigma.log() - HALF_LOG_2PI).sum(-1)


def gaussian_entropy(sigma: Tensor) -> Tensor:
    """Return the entropy of the Gaussian before it is squashed, nats."""
    return (sigma.log() + HALF_LOG_2PI + 0.5).sum()


def clipped_surrogate(log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """Return the negated surrogate, and the log of the probability ratios (B,)."""
    log_ratio = log_prob - old_log_prob
    ratio = log_ratio.exp()
    bounded = ratio.clamp(1 - clip, 1 + clip)
    return -torch.minimum(ratio * advantage, bounded * advantage).mean(), log_ratio
