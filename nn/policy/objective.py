"""What PPO minimises: a clipped surrogate and the quantiles of the return; and what a return says about the tail.

From: minibatches of `rollout`, outputs of `network`. To: `ppo`, as values with their gradients. Schulman et al. (2017),
eq. 7 and 9; Dabney et al. (2018), eq. 9 and 10, for the quantiles; Tamar et al. (2015) for the tail.
"""

from __future__ import annotations

import numpy as np

from .flat import Floats


def clipped_surrogate(log_ratio: Floats, advantage: Floats, clip: float) -> tuple[float, Floats]:
    """Return -mean(min(r A, clip(r, 1 - clip, 1 + clip) A)), r = exp(log_ratio), and its gradient by log_ratio (B,).

    A ratio that is clipped where it would gain has no gradient: nothing is left to be won by moving on.
    """
    ratio = np.exp(log_ratio)
    plain, bounded = ratio * advantage, np.clip(ratio, 1 - clip, 1 + clip) * advantage
    least = np.minimum(plain, bounded)
    return -float(least.mean()), np.where(plain > bounded, 0, least) / -np.float32(len(least))  # NaN stays


def quantile_levels(n: int) -> Floats:
    """Return the levels (n,) that n quantiles stand for: the middles of n equal parts of [0, 1]."""
    return (np.arange(n, dtype=np.float32) + np.float32(0.5)) / np.float32(n)


def quantile_huber(quantiles: Floats, target: Floats, levels: Floats, kappa: float) -> tuple[float, Floats]:
    """Return the mean of |tau - 1{u < 0}| Huber_kappa(u) / kappa, u = target - quantile (LOS-7), and its gradient.

    With kappa 0 it is the pinball loss itself. kappa must be small beside the spread of the targets, or the quantiles
    become expectiles (LOS-8).

    Parameters
    ----------
    quantiles : ndarray of shape (B, Q), as the gradient
    target : ndarray of shape (B,)
    levels : ndarray of shape (Q,)
    """
    u = target[:, None] - quantiles
    weight = np.abs(levels - (u < 0))
    held = np.clip(u, -kappa, kappa)  # Huber_kappa(u) = held (u - held / 2)
    gradient = held / kappa if kappa > 0 else np.sign(u)
    gradient *= weight
    gradient /= -u.size
    held *= -0.5
    held += u
    return -float(np.vdot(gradient, held)), gradient


def tail_mean(quantiles: Floats, alpha: float) -> Floats:
    """Return CVaR_alpha (B,) of the distributions that the quantiles (B, Q) describe: the mean of the worst alpha."""
    n = quantiles.shape[1]
    share = np.clip(alpha * n - np.arange(n), 0, 1) / (alpha * n)  # of each quantile's 1/Q
    return np.sort(quantiles, axis=1) @ share.astype(quantiles.dtype)


def tail_advantage(returns: Floats, quantiles: Floats, alpha: float) -> Floats:
    """Return what each return says about CVaR_alpha: min(G - VaR, 0) / alpha - (CVaR - VaR), mean 0 under the critic.

    The score function of CVaR (Tamar et al. 2015, eq. 4) with the critic's own tail as its baseline.
    """
    ordered = np.sort(quantiles, axis=1)
    n = ordered.shape[1]
    place = min(max(alpha * n - 0.5, 0.0), n - 1.0)  # between the middles of two quantiles
    low, part = int(place), place - int(place)
    var = ordered[:, low] + np.float32(part) * (ordered[:, min(low + 1, n - 1)] - ordered[:, low])
    expected = np.minimum(ordered - var[:, None], 0).mean(1) / np.float32(alpha)
    return np.minimum(returns - var, 0) / np.float32(alpha) - expected
