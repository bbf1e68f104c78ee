"""The loop beside a plain twin in PyTorch, and its switches: schedules, target KL, tail, entropy, masks."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from nn.models.actor_critic import ActorCritic, ActorCriticConfig
from nn.policy.config import NetworkConfig, PPOConfig
from nn.policy.environments import network_for
from nn.policy.evaluate import episode_returns
from nn.policy.objective import tail_advantage
from nn.policy.ppo import PPO
from tests.nn.policy.bandit import Arms
from tests.nn.policy.test_advantage import slow_advantage

PLAIN = {
    "n_steps": 12, "batch_size": 1000, "epochs": 1, "learning_rate": 1e-3, "clip": 0.2, "target_kl": None,
    "cvar_weight": 0.0, "normalise_observations": False, "normalise_rewards": False, "n_draws": 0,
}  # fmt: skip


class Walk(gym.vector.VectorEnv):
    """Episodes of 5 steps, ended for good in even copies and cut short in odd ones; rewards follow the action."""

    metadata = {"autoreset_mode": gym.vector.AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(self, discrete: bool, num_envs: int = 4) -> None:
        self.num_envs, self.discrete = num_envs, discrete
        self.single_observation_space = gym.spaces.Box(-5, 5, (3,), np.float32)
        self.single_action_space = gym.spaces.Discrete(3) if discrete else gym.spaces.Box(-1, 2, (2,), np.float32)

    def network(self) -> ActorCriticConfig:
        common = {"n_observations": 3, "hidden": (8,), "n_quantiles": 5}
        if self.discrete:
            return ActorCriticConfig(n_actions=3, discrete=True, **common)
        return ActorCriticConfig(n_actions=2, low=(-1.0, -1.0), high=(2.0, 2.0), **common)

    def reset(self, *, seed=None, options=None):
        self.draws, self.age = np.random.default_rng(seed), np.zeros(self.num_envs, int)
        return self.look(), {}

    def look(self):
        return self.draws.normal(size=(self.num_envs, 3)).astype(np.float32)

    def step(self, actions):
        begins = self.age == 5
        rewards = np.where(begins, 0.0, np.asarray(actions, float).reshape(self.num_envs, -1)[:, 0])
        self.age = np.where(begins, 0, self.age + 1)
        ended, even = self.age == 5, np.arange(self.num_envs) % 2 == 0
        return self.look(), rewards, ended & even, ended & ~even, {}


def played(discrete: bool, **changes) -> PPO:
    envs = Walk(discrete)
    ppo = PPO(envs, envs.network(), PPOConfig(**PLAIN | changes), seed=4, total_steps=480)
    ppo.player.play(ppo.rollout)
    return ppo


def twin_of(ppo: PPO) -> ActorCritic:
    twin = ActorCritic(ppo.model.config)
    twin.load_state_dict(ppo.model.state_dict())
    return twin


def twin_step(ppo: PPO, twin: ActorCritic, learning_rate: float) -> None:
    """One epoch of PPO with a quantile critic on all real steps at once, as the papers say it, by autograd."""
    config, out = ppo.config, ppo.rollout
    values = out.quantiles.mean(-1)
    advantages = slow_advantage(out.rewards, values, out.terminated, out.ended, config.gamma, config.gae_lambda)
    returns = torch.tensor((advantages + values[:-1])[out.real])
    advantage = torch.tensor(advantages[out.real])
    advantage = (advantage - advantage.mean()) / advantage.std(correction=0)
    policy, quantiles = twin(torch.from_numpy(out.observations[:-1][out.real]))
    if twin.config.discrete:
        peer = torch.distributions.Categorical(logits=policy)
    else:
        peer = torch.distributions.Independent(torch.distributions.Normal(policy, twin.sigma()), 1)
    ratio = (peer.log_prob(torch.from_numpy(out.actions[out.real])) - torch.from_numpy(out.log_probs[out.real])).exp()
    surrogate = torch.minimum(ratio * advantage, ratio.clamp(1 - config.clip, 1 + config.clip) * advantage).mean()
    u = returns[:, None] - quantiles
    kappa = config.kappa * returns.std(correction=0)
    huber = torch.where(u.abs() <= kappa, 0.5 * u * u, kappa * (u.abs() - 0.5 * kappa)) / kappa
    tau = (torch.arange(quantiles.shape[1]) + 0.5) / quantiles.shape[1]
    critic = ((tau - (u < 0).double()).abs() * huber).mean()
    loss = -surrogate + config.value_weight * critic - config.entropy_weight * peer.entropy().mean()
    adam = torch.optim.Adam(twin.parameters(), lr=learning_rate, eps=1e-5)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(twin.parameters(), config.max_grad_norm)
    adam.step()


@pytest.mark.parametrize("discrete", [True, False], ids=["discrete", "continuous"])
@pytest.mark.parametrize("max_grad_norm", [0.01, 100.0])
def test_a_round_is_what_the_papers_say(discrete, max_grad_norm):
    """Masks, bootstrapping at truncation, both losses, entropy, clipping of the norm and Adam, all at once."""
    ppo = played(discrete, entropy_weight=0.02, max_grad_norm=max_grad_norm)
    assert 0 < (~ppo.rollout.real).sum() < ppo.rollout.real.size / 4
    assert ppo.rollout.ended.sum() > ppo.rollout.terminated.sum() > 0
    twin = twin_of(ppo)
    begun = ppo.network.flat.values.copy()
    ppo.improve(1.0)
    twin_step(ppo, twin, 1e-3)
    assert abs(ppo.network.flat.values - begun).max() > 5e-4  # Adam's first step is as long as its rate
    found = torch.cat([part.detach().flatten() for part in twin.parameters()]).numpy()
    np.testing.assert_allclose(ppo.network.flat.values, found, rtol=0, atol=2e-6)


def test_truncation_expects_what_the_critic_expects_of_the_final_observation():
    ppo = played(True, gamma=0.9, gae_lambda=0.0)
    advantages = np.zeros(ppo.rollout.rewards.shape)
    advantages[ppo.rollout.real], out = ppo.judge()[0], ppo.rollout
    values = out.quantiles.mean(-1)
    ends = np.argwhere(out.ended)
    assert len(ends) > 4
    for step, copy in ends:
        _, final = ppo.network.forward(out.observations[step + 1])
        comes = 0.0 if copy % 2 == 0 else 0.9 * final.mean(-1)[copy]
        expected = out.rewards[step, copy] + comes - values[step, copy]
        assert advantages[step, copy] == pytest.approx(expected, abs=1e-6)


def test_rates_fall_on_a_line_and_the_last_round_is_not_yet_at_its_end():
    envs, heard = Walk(True), []
    config = PPOConfig(**PLAIN | {"learning_rate": 1e-3, "final_learning_rate": 2e-4, "final_clip": 0.0})
    ppo = PPO(envs, envs.network(), config, 1, 48 * 4)
    clips, update = [], ppo.update
    ppo.update = lambda rows, rate, clip, kappa: (clips.append(clip), update(rows, rate, clip, kappa))[1]
    ppo.learn(heard.append)
    assert [figures["learning_rate"] for figures in heard] == pytest.approx([1e-3, 8e-4, 6e-4, 4e-4])
    assert clips == pytest.approx([0.2, 0.15, 0.1, 0.05])


def test_a_round_ends_early_once_the_policy_has_moved_far_enough():
    for target, epochs in ((1e-5, 2), (None, 10)):  # the first epoch begins where the policy has not moved at all
        ppo = played(False, epochs=10, target_kl=target, learning_rate=3e-3)
        figures = ppo.improve(1.0)
        assert ppo.adam.count == epochs
        assert figures["kl"] > 1e-5


def test_the_tail_moves_advantages_by_its_weight_and_no_further_than_its_cap():
    """Beside the definition: (1 - w) A + w T, w T scaled down to `cvar_cap` deviations of A."""
    for weight, cap in ((0.15, 0.5), (1.0, 0.01), (1.0, float("inf"))):
        ppo = played(True, cvar_weight=weight, cvar_alpha=0.25, cvar_cap=cap)
        out, (found, returns, *_) = ppo.rollout, ppo.judge()
        values = out.quantiles.mean(-1)
        plain = slow_advantage(out.rewards, values, out.terminated, out.ended, 0.99, 0.95)[out.real]
        tail = weight * tail_advantage(returns, out.quantiles[:-1][out.real], 0.25)
        if tail.std() > cap * plain.std():
            tail *= cap * plain.std() / tail.std()
        np.testing.assert_allclose(found, (1 - weight) * plain + tail, rtol=0, atol=1e-5)


def test_a_bonus_for_being_undecided_keeps_a_policy_undecided():
    def entropy(weight):
        config = PPOConfig(**PLAIN | {"entropy_weight": weight, "epochs": 4, "learning_rate": 1e-2, "batch_size": 128})
        envs, last = Arms(2, lambda arm, draws: np.where(arm == 0, 1.0, 0.0)), {}
        ppo = PPO(envs, ActorCriticConfig(1, 2, discrete=True), config, 1, 12 * 64 * 30)
        ppo.learn(last.update)
        return last["entropy"]

    assert entropy(0.0) < 0.1
    assert entropy(10.0) > 0.6  # ln 2 = 0.693 is the most there is


def test_a_round_tells_its_figures():
    heard = []
    envs = Walk(False)
    PPO(envs, envs.network(), PPOConfig(**PLAIN), 1, 48 * 2).learn(heard.append)
    assert heard[1].keys() >= {
        "steps", "steps_per_second", "reward", "episode_return", "kl", "entropy", "explained_variance", "clip_share",
        "cvar_dynamic", "learning_rate", "gradient_norm",
    }  # fmt: skip
    assert all(np.isfinite(value) for figures in heard for value in figures.values())


def test_rewards_are_scaled_by_real_steps_alone():
    """A copy that only begins an episode earned nothing: its 0 says nothing about how rewards spread."""
    ppo = played(True, normalise_rewards=True)
    assert ppo.scale.moments.count == pytest.approx(ppo.rollout.real.sum(), abs=0.01)


class Strict(gym.Env):
    """Takes no action that lies outside of its space, not even by a rounding."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float64)

    def __init__(self, dtype):
        self.action_space = gym.spaces.Box(np.array([-0.3, -0.01], dtype), np.array([-0.1, 0.3], dtype), dtype=dtype)

    def reset(self, *, seed=None, options=None):
        return np.zeros(1), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        return np.zeros(1), 0.0, False, True, {}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("side", [-20.0, 20.0])
def test_an_action_at_its_bound_is_in_the_space(dtype, side):
    envs = gym.vector.SyncVectorEnv([lambda: Strict(dtype)])
    ppo = PPO(envs, network_for(envs, NetworkConfig()), PPOConfig(**PLAIN | {"n_steps": 4}), 1, 4)
    ppo.model.actor_bias.data[:] = side  # beyond what tanh can tell from its end
    ppo.player.play(ppo.rollout)
    assert episode_returns(ppo.model, ppo.moments, envs, 1).tolist() == [0.0]
