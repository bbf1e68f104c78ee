"""Each term against an independent answer: closed forms, plain loops, laws; each gradient against autograd."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm

from nn.policy.objective import clipped_surrogate, quantile_huber, quantile_levels, tail_advantage, tail_mean

NORMAL = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
seeds = st.integers(0, 2**32 - 1)


def settled(tau: float, kappa: float) -> float:
    """Return where a head of this level comes to rest on N(0, 1): where the gradients add up to nothing."""

    def total(place):
        return quantile_huber(np.full((len(NORMAL), 1), place), NORMAL, np.array([tau]), kappa)[1].sum()

    return brentq(total, -4, 4)


@pytest.mark.parametrize(("tau", "kappa", "where"), [(0.02, 1.0, -1.686), (0.98, 1.0, 1.686), (0.02, 0.01, -2.054)])
def test_a_low_level_holds_the_low_tail(tau, kappa, where):  # LOS-7, LOS-8
    """Where tau E[min(u+, kappa)] = (1 - tau) E[min(u-, kappa)]; reversed, a low head would hold the upper tail."""
    assert settled(tau, kappa) == pytest.approx(where, abs=0.01)


def slow_quantile_huber(quantiles, target, levels, kappa):
    """Dabney et al. (2018), eq. 9 and 10, term by term."""
    total = 0.0
    for row, z in enumerate(target):
        for tau, theta in zip(levels, quantiles[row], strict=True):
            u = z - theta
            if kappa == 0:
                huber = abs(u)
            elif abs(u) <= kappa:
                huber = 0.5 * u * u / kappa
            else:
                huber = abs(u) - 0.5 * kappa
            total += abs(tau - (1 if u < 0 else 0)) * huber
    return total / quantiles.size


@given(seeds, st.sampled_from([0.0, 0.05, 1.0]))
def test_quantile_huber_is_its_formula(seed, kappa):
    draws = np.random.default_rng(seed)
    quantiles, target, levels = draws.normal(size=(5, 4)), draws.normal(size=5), quantile_levels(4)
    fast, _ = quantile_huber(quantiles, target, levels, kappa)
    assert fast == pytest.approx(slow_quantile_huber(quantiles, target, levels, kappa), abs=1e-6)


@given(seeds, st.sampled_from([0.0, 0.05, 1.0]))
def test_quantile_huber_has_the_gradients_of_autograd(seed, kappa):
    draws = np.random.default_rng(seed)
    quantiles, target, levels = draws.normal(size=(5, 4)), draws.normal(size=5), quantile_levels(4)
    leaf = torch.tensor(quantiles, requires_grad=True)
    u = torch.tensor(target)[:, None] - leaf
    huber = torch.nn.functional.huber_loss(u, torch.zeros_like(u), reduction="none", delta=kappa) if kappa else u.abs()
    loss = ((torch.tensor(levels) - (u < 0).double()).abs() * huber / (kappa or 1)).mean()
    loss.backward()
    value, gradients = quantile_huber(quantiles, target, levels, kappa)
    assert value == pytest.approx(loss.item(), abs=1e-6)
    np.testing.assert_allclose(gradients, leaf.grad.numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.33, 1.0])
def test_the_tail_mean_of_a_normal_is_its_cvar(alpha):
    exact = -norm.pdf(norm.ppf(alpha)) / alpha if alpha < 1 else 0.0
    assert tail_mean(NORMAL.reshape(1, -1), alpha)[0] == pytest.approx(exact, abs=2e-3)


def test_few_quantiles_blunt_the_tail():  # LOS-8: 8 quantiles give -1.53, 32 give -1.97, exact is -2.06
    for n, cvar in ((8, -1.53), (32, -1.97)):
        assert tail_mean(norm.ppf(quantile_levels(n)).reshape(1, -1), 0.05)[0] == pytest.approx(cvar, abs=0.01)


@given(seeds, st.floats(0.05, 1))
def test_the_tail_mean_is_the_mean_of_the_worst_share(seed, alpha):
    quantiles = np.random.default_rng(seed).normal(size=16)
    left, total = alpha, 0.0
    for each in sorted(quantiles.tolist()):  # each stands for a sixteenth
        taken = min(left, 1 / 16)
        total, left = total + taken * each, left - taken
    assert tail_mean(quantiles.reshape(1, -1), alpha)[0] == pytest.approx(total / alpha, abs=1e-6)


@given(seeds, st.floats(0.05, 1))
def test_what_returns_say_about_the_tail_adds_up_to_nothing_under_the_critic(seed, alpha):
    quantiles = np.random.default_rng(seed).normal(size=(1, 32)).astype(np.float32)
    said = tail_advantage(quantiles[0], np.repeat(quantiles, 32, axis=0), alpha)
    assert said.mean() == pytest.approx(0.0, abs=1e-5)
    assert (np.diff(said[quantiles[0].argsort()]) >= -1e-6).all()


def test_the_score_of_the_tail_follows_its_cvar():
    """Tamar et al. (2015), eq. 4: the mean of score x d log p is the derivative of CVaR; of a normal by its mean, 1."""
    returns = NORMAL[:, None] + 0.5
    critic = np.repeat((norm.ppf(quantile_levels(200)) + 0.5)[None], len(returns), axis=0)
    for alpha in (0.05, 0.25):
        said = tail_advantage(returns[:, 0], critic, alpha)
        assert (said * (returns[:, 0] - 0.5)).mean() == pytest.approx(1.0, abs=0.02)


def slow_surrogate(log_ratio, advantage, clip):
    """Schulman et al. (2017), eq. 7, term by term."""
    total = 0.0
    for each, a in zip(log_ratio, advantage, strict=True):
        r = math.exp(each)
        total += min(r * a, min(max(r, 1 - clip), 1 + clip) * a)
    return -total / len(log_ratio)


@given(seeds, st.sampled_from([0.05, 0.2]))
def test_the_surrogate_is_its_formula_and_has_the_gradients_of_autograd(seed, clip):
    draws = np.random.default_rng(seed)
    log_ratio, advantage = draws.normal(0, 0.2, 9), draws.normal(size=9)
    leaf = torch.tensor(log_ratio, requires_grad=True)
    ratio, a = leaf.exp(), torch.tensor(advantage)
    loss = -torch.minimum(ratio * a, ratio.clamp(1 - clip, 1 + clip) * a).mean()
    loss.backward()
    value, gradients = clipped_surrogate(log_ratio, advantage, clip)
    assert value == pytest.approx(slow_surrogate(log_ratio, advantage, clip), abs=1e-6)
    assert value == pytest.approx(loss.item(), abs=1e-6)
    np.testing.assert_allclose(gradients, leaf.grad.numpy(), rtol=0, atol=1e-6)


def test_a_surrogate_is_clipped_where_it_would_gain():
    log_ratio = np.log(np.array([1.5, 1.5, 0.5, 0.5]))
    loss, gradients = clipped_surrogate(log_ratio, np.array([1.0, -1.0, 1.0, -1.0]), 0.2)
    assert loss == pytest.approx(-(1.2 - 1.5 + 0.5 - 0.8) / 4)
    assert gradients == pytest.approx([0, 1.5 / 4, -0.5 / 4, 0])
