"""The passes in NumPy against the module and autograd; distributions against torch's; Adam against torch's."""

import numpy as np
import pytest
import torch

from nn.models.actor_critic import ActorCritic, ActorCriticConfig
from nn.policy.adam import Adam
from nn.policy.distributions import Categorical, Gaussian
from nn.policy.flat import flatten
from nn.policy.network import Network

CONTINUOUS = ActorCriticConfig(5, 2, low=(0.0, -1.0), high=(1.0, 3.0), hidden=(16, 8), n_quantiles=7)
DISCRETE = ActorCriticConfig(5, 3, discrete=True, hidden=(8,), n_quantiles=4)
CASES = pytest.mark.parametrize("config", [CONTINUOUS, DISCRETE], ids=["continuous", "discrete"])


def moved(config: ActorCriticConfig) -> ActorCritic:
    """Return a network whose weights are all different from 0."""
    torch.manual_seed(2)
    model = ActorCritic(config)
    with torch.no_grad():
        for part in model.parameters():
            part += 0.3 * torch.randn_like(part)
    return model


def torch_policy(config, policy, sigma):
    if config.discrete:
        return torch.distributions.Categorical(logits=policy)
    return torch.distributions.Independent(torch.distributions.Normal(policy, sigma), 1)


def drawn(config, n=11):
    draws = np.random.default_rng(1)
    x = draws.normal(size=(n, config.n_observations)).astype(np.float32)
    if config.discrete:
        return x, draws.integers(0, config.n_actions, n), draws
    return x, draws.normal(size=(n, config.n_actions)).astype(np.float32), draws


@CASES
def test_forward_is_the_module(config):
    model = moved(config)
    x, _, _ = drawn(config)
    with torch.inference_mode():
        expected = model(torch.from_numpy(x))
    for mine, its in zip(Network(model).forward(x), expected, strict=True):
        np.testing.assert_allclose(mine, its.numpy(), rtol=0, atol=1e-6)


@CASES
def test_gradients_of_all_weights_are_those_of_autograd(config):
    """Of any sum of log probabilities, entropies and quantiles, at 1e-6 of the largest."""
    model = moved(config)
    x, actions, draws = drawn(config)
    by_log_prob = draws.normal(size=len(x)).astype(np.float32)
    by_quantile = draws.normal(size=(len(x), config.n_quantiles)).astype(np.float32)
    policy, quantiles = model(torch.from_numpy(x))
    peer = torch_policy(config, policy, None if config.discrete else model.sigma())
    loss = (peer.log_prob(torch.from_numpy(actions)) * torch.from_numpy(by_log_prob)).sum()
    loss = loss + 0.7 * peer.entropy().sum() + (quantiles * torch.from_numpy(by_quantile)).sum()
    loss.backward()
    expected = {name: part.grad.numpy() for name, part in model.named_parameters()}

    network = Network(model)
    distribution = network.distribution(network.forward(x)[0])
    by_policy, by_sigma = distribution.gradients(actions, by_log_prob, 0.7)
    network.backward(by_policy, by_quantile, by_sigma)
    assert set(network.flat.gradients) == set(expected)
    for name, gradient in expected.items():
        np.testing.assert_allclose(
            network.flat.gradients[name], gradient, rtol=0, atol=1e-6 * max(1, abs(gradient).max()), err_msg=name
        )


@CASES
def test_log_probabilities_and_entropies_are_torchs(config):
    model = moved(config)
    x, actions, _ = drawn(config)
    network = Network(model)
    policy, _ = network.forward(x)
    ours = network.distribution(policy)
    with torch.inference_mode():
        peer = torch_policy(config, torch.from_numpy(policy), None if config.discrete else model.sigma())
        np.testing.assert_allclose(ours.log_prob(actions), peer.log_prob(torch.from_numpy(actions)), atol=1e-6)
        np.testing.assert_allclose(np.broadcast_to(ours.entropy(), len(x)), peer.entropy(), rtol=0, atol=1e-6)
        if not config.discrete:
            np.testing.assert_allclose(network.squash(policy), model.squash(torch.from_numpy(policy)), atol=1e-6)


def test_choices_are_drawn_as_often_as_they_are_probable():
    p = np.array([0.2, 0.5, 0.05, 0.25], np.float32)
    draws = np.random.default_rng(3)
    n = 40_000
    found = np.bincount(Categorical(np.tile(np.log(p), (n, 1))).draw(draws), minlength=4) / n
    assert found == pytest.approx(p, abs=5 * 0.5 / n**0.5)  # five standard errors at most


def test_a_choice_that_cannot_be_is_never_drawn_and_has_finite_gradients():
    logits = np.array([[0.0, -2e4, 0.0]], np.float32).repeat(1000, 0)
    choice = Categorical(logits)
    chosen = choice.draw(np.random.default_rng(1))
    assert set(chosen) == {0, 2}
    assert np.isfinite(choice.gradients(chosen, np.ones(1000, np.float32), -0.1)[0]).all()


def test_gaussian_numbers_have_their_mean_and_deviation():
    n = 40_000
    found = Gaussian(np.full((n, 1), 2.0, np.float32), np.array([0.5], np.float32)).draw(np.random.default_rng(4))
    assert found.mean() == pytest.approx(2, abs=5 * 0.5 / n**0.5)
    assert found.std() == pytest.approx(0.5, abs=5 * 0.5 / n**0.5)


def test_adam_is_torchs():
    draws = np.random.default_rng(1)
    start = draws.normal(size=50).astype(np.float32)
    leaf = torch.nn.Parameter(torch.from_numpy(start.copy()))
    peer, values = torch.optim.Adam([leaf], lr=1e-2, eps=1e-5), start.copy()
    ours = Adam(values)
    for _ in range(200):
        gradients = draws.normal(size=50).astype(np.float32)
        leaf.grad = torch.from_numpy(gradients)
        peer.step()
        ours.step(gradients.copy(), 1e-2)
    np.testing.assert_allclose(values, leaf.detach().numpy(), rtol=0, atol=1e-6)
    assert abs(values - start).max() > 0.1


def test_a_flat_vector_is_the_module():
    torch.manual_seed(1)
    module = torch.nn.Linear(3, 2)
    before = module(torch.ones(1, 3))
    flat = flatten(module)
    assert torch.equal(module(torch.ones(1, 3)), before)
    flat.values[-2:] += 1
    assert torch.equal(module.bias, torch.from_numpy(flat.value["bias"]))
    torch.testing.assert_close(module(torch.ones(1, 3)), before + 1)


@pytest.mark.parametrize("bounds", [(-1.0, 1.0), (-0.5, 2.0), (0.0, 1.0)])
def test_an_action_rests_at_0_and_reaches_its_bounds_where_it_may_go_both_ways(bounds):
    low, high = bounds
    config = ActorCriticConfig(2, 1, low=(low,), high=(high,), hidden=(4,), rest=0.4)
    model = ActorCritic(config)
    u = np.linspace(-9, 9, 2001, dtype=np.float32)[:, None]
    plain = low + (high - low) * (np.tanh(u) + 1) / 2
    found = Network(model).squash(u)
    np.testing.assert_allclose(found, model.squash(torch.from_numpy(u)), atol=1e-6)
    if low == 0:
        np.testing.assert_allclose(found, plain, atol=1e-6)
        return
    assert (found[(plain > 0.4 * low) & (plain < 0.4 * high)] == 0).all()
    assert (found[0, 0], found[-1, 0]) == pytest.approx(bounds, abs=1e-5)
    assert (np.diff(found[:, 0]) >= 0).all()
    assert np.abs(np.diff(found[:, 0])).max() < 0.05  # no jump
