"""The loop finds what is known to be best, and shuns the tail only when told to."""

import numpy as np
import pytest
import torch

from nn.models.actor_critic import ActorCriticConfig
from nn.policy.config import PPOConfig
from nn.policy.normalise import Moments
from nn.policy.ppo import PPO
from tests.nn.policy.bandit import Arms

QUICK = {
    "n_steps": 32, "batch_size": 256, "epochs": 4, "learning_rate": 3e-3, "final_learning_rate": 3e-3, "clip": 0.2,
    "gamma": 0.99, "entropy_weight": 0.0, "target_kl": None, "normalise_observations": False,
}  # fmt: skip
RISKY, SAFE = 0, 1


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def risky_or_safe(arm, draws):
    """The risky arm has the better mean (0.3 against 0.2), and a tail of -4 one time in ten."""
    risky = np.where(draws.random(len(arm)) < 0.1, -4.0, 0.778)
    return np.where(arm == RISKY, risky, 0.2 + 0.01 * draws.normal(size=len(arm)))


def probability_of(arm: int, ppo: PPO) -> float:
    with torch.inference_mode():
        policy, _ = ppo.model(torch.zeros(1, 1))
    return policy.softmax(-1)[0, arm].item()


@pytest.mark.parametrize(("weight", "arm"), [(0.0, RISKY), (1.0, SAFE)])
def test_the_weight_of_the_tail_decides_between_mean_and_safety(weight, arm):
    config = PPOConfig(**QUICK, cvar_weight=weight, cvar_alpha=0.2, cvar_cap=float("inf"))
    ppo = PPO(Arms(2, risky_or_safe), ActorCriticConfig(1, 2, discrete=True), config, seed=3, total_steps=120_000)
    ppo.learn()
    assert probability_of(arm, ppo) > 0.9


def test_the_same_seed_gives_the_same_weights():
    def weights():
        config = PPOConfig(**QUICK)
        ppo = PPO(Arms(3, risky_or_safe), ActorCriticConfig(1, 3, discrete=True), config, seed=5, total_steps=8_000)
        ppo.learn()
        return ppo.network.flat.values.copy()

    assert np.array_equal(weights(), weights())


def test_steps_that_only_begin_an_episode_teach_nothing():
    ppo = PPO(Arms(2, risky_or_safe), ActorCriticConfig(1, 2, discrete=True), PPOConfig(**QUICK), 1, 2_048)
    ppo.player.play(ppo.rollout)
    assert ppo.rollout.real.sum() == ppo.rollout.real.size // 2
    assert len(ppo.judge()[0]) == ppo.rollout.real.sum()


def test_what_is_not_finite_stops_the_training_by_name():
    ppo = PPO(
        Arms(2, lambda arm, draws: np.where(arm == 0, np.nan, 1.0)), ActorCriticConfig(1, 2, True), PPOConfig(), 1, 64
    )
    with pytest.raises(ValueError, match=r"the reward is nan in copy \d+ of the environment"):
        ppo.learn()


def test_moments_of_parts_are_the_moments_of_the_whole():
    rows = np.random.default_rng(1).normal(3, 2, (1000, 4))
    moments = Moments((4,))
    for part in np.split(rows, [10, 11, 400]):
        moments.add(part)
    assert moments.mean == pytest.approx(rows.mean(0), rel=1e-5)
    assert moments.variance == pytest.approx(rows.var(0), rel=1e-4)
    again = Moments.from_dict(moments.to_dict())
    assert np.array_equal(again.normalised(rows), moments.normalised(rows))
