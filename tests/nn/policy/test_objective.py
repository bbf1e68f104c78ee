"""Each term against an independent answer: closed forms, NumPy loops, laws."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from nn.policy.objective import (
    clipped_surrogate,
    gaussian_entropy,
    gaussian_log_prob,
    quantile_huber,
    quantile_levels,
    tail_advantage,
    tail_mean,
)  # fmt: skip

NORMAL = torch.tensor(norm.ppf((np.arange(20_000) + 0.5) / 20_000), dtype=torch.float64)


def settled(tau: float, kappa: float) -> float:
    """Return where a head of this level comes to rest on N(0, 1)."""
    head = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([head], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-12)

    def loss():
        search.zero_grad()
        value = quantile_huber(head.expand(len(NORMAL), 1), NORMAL, torch.tensor([tau], dtype=torch.float64), kappa)
        value.backward()
        return value

    search.step(loss)
    return head.item()


@pytest.mark.parametrize(("tau", "kappa", "where"), [(0.02, 1.0, -1.686), (0.98, 1.0, 1.686), (0.02, 0.01, -2.054)])
def test_a_low_level_holds_the_low_tail(tau, kappa, where):  # LOS-7, LOS-8
    """Where tau E[min(u+, kappa)] = (1 - tau) E[min(u-, kappa)]; reversed, a low head would hold the upper tail."""
    assert settled(tau, kappa) == pytest.approx(where, abs=0.01)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.05, 1.0]))
def test_quantile_huber_is_its_formula(seed, kappa):
    draws = np.random.default_rng(seed)
    quantiles, target, levels = draws.normal(size=(5, 4)), draws.normal(size=5), quantile_levels(4).numpy()
    slow = 0.0
    for row in range(5):
        for column in range(4):
            u = target[row] - quantiles[row, column]
            if kappa == 0:
                huber = abs(u)
            elif abs(u) <= kappa:
                huber = 0.5 * u * u / kappa
            else:
                huber = abs(u) - 0.5 * kappa
            slow += abs(levels[column] - (u < 0)) * huber / 20
    fast = quantile_huber(torch.tensor(quantiles), torch.tensor(target), torch.tensor(levels), kappa)
    assert fast.item() == pytest.approx(slow, abs=1e-12)


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.33, 1.0])
def test_the_tail_mean_of_a_normal_is_its_cvar(alpha):
    quantiles = NORMAL.float().reshape(1, -1)
    exact = -norm.pdf(norm.ppf(alpha)) / alpha if alpha < 1 else 0.0
    assert tail_mean(quantiles, alpha).item() == pytest.approx(exact, abs=2e-3)


def test_few_quantiles_blunt_the_tail():  # LOS-8: 8 quantiles give -1.53, 32 give -1.97, exact is -2.06
    for n, cvar in ((8, -1.53), (32, -1.97)):
        quantiles = torch.tensor(norm.ppf(quantile_levels(n).numpy()), dtype=torch.float32).reshape(1, -1)
        assert tail_mean(quantiles, 0.05).item() == pytest.approx(cvar, abs=0.01)


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 1))
def test_what_returns_say_about_the_tail_adds_up_to_nothing_under_the_critic(seed, alpha):
    quantiles = torch.from_numpy(np.random.default_rng(seed).normal(size=(1, 32)).astype(np.float32))
    said = tail_advantage(quantiles[0], quantiles.expand(32, 32), alpha)
    assert said.mean().item() == pytest.approx(0.0, abs=1e-5)
    assert (said[quantiles[0].argsort()].diff() >= -1e-6).all()


def test_a_surrogate_is_clipped_where_it_would_gain():
    old = torch.zeros(4)
    new = torch.tensor([math.log(1.5), math.log(1.5), math.log(0.5), math.log(0.5)])
    advantage = torch.tensor([1.0, -1.0, 1.0, -1.0])
    loss, log_ratio = clipped_surrogate(new, old, advantage, 0.2)
    assert loss.item() == pytest.approx(-(1.2 - 1.5 + 0.5 - 0.8) / 4)
    assert torch.equal(log_ratio, new)


def test_the_gaussian_is_torchs():
    u, mean, sigma = torch.randn(6, 2), torch.randn(6, 2), torch.tensor([0.3, 1.2])
    peer = torch.distributions.Normal(mean, sigma)
    assert torch.allclose(gaussian_log_prob(u, mean, sigma), peer.log_prob(u).sum(-1), atol=1e-6)
    assert torch.allclose(gaussian_entropy(sigma), peer.entropy()[0].sum(), atol=1e-6)
