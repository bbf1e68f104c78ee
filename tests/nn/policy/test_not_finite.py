"""What is no number stops a training by name, and leaves the weights as they were."""

import numpy as np
import pytest

from nn.models.actor_critic import ActorCriticConfig
from nn.policy.config import PPOConfig
from nn.policy.ppo import PPO, NotFinite
from nn.policy.rollout import NotFiniteStep
from tests.nn.policy.bandit import Arms
from tests.nn.policy.trading import learner, random_market


def candle_of(one, row: int) -> str:
    return str((one.rows["close_time"][row] - one.bar_ms).astype("datetime64[ms]").astype("datetime64[s]"))


def test_an_observation_that_turns_nan_is_told_by_slot_pair_and_candle():
    one = random_market("SOL/USDT:USDT")
    ours = learner(50, one)
    one.observation[200, 3] = np.nan  # behind the border that checks them
    with pytest.raises(NotFiniteStep) as told:
        ours.learn()
    copy = int(np.flatnonzero(ours.player.envs.environment.copies["row"] == 200)[0])
    assert str(told.value) == (
        f"the observation slot 3 is nan in copy {copy} of the environment"
        f" (ret_bar of SOL/USDT:USDT, candle {candle_of(one, 200)}Z), expected a finite number"
    )


def test_a_reward_that_turns_nan_is_told_by_pair_and_candle():
    ours = learner(50, one := random_market("SOL/USDT:USDT"))
    envs, step = ours.player.envs, ours.player.envs.step

    def broken(actions):
        observation, reward, *others = step(actions)
        reward[envs.environment.copies["row"] == 200] = np.nan
        return observation, reward, *others

    envs.step = broken
    with pytest.raises(NotFiniteStep, match=rf"\(SOL/USDT:USDT, candle {candle_of(one, 200)}Z\)") as told:
        ours.learn()
    assert "the reward is nan" in str(told.value)


def test_an_account_that_comes_to_no_number_is_told_by_pair_and_candle():
    """The kernel holds such a reward within its bounds, so that it alone would not show."""
    one = random_market("SOL/USDT:USDT")
    one.rows["close"][200] = np.nan  # behind the border that checks candles
    with pytest.raises(ValueError, match=rf"worth of copy \d+ is nan \(SOL/USDT:USDT, candle {candle_of(one, 200)}Z\)"):
        learner(50, one).learn()


def test_elsewhere_copy_and_value_are_told():
    arms = Arms(2, lambda arm, draws: np.where(arm == 0, np.inf, 1.0))
    with pytest.raises(NotFiniteStep, match=r"the reward is inf in copy \d+ of the environment, expected"):
        PPO(arms, ActorCriticConfig(1, 2, True), PPOConfig(n_steps=4), 1, 64).learn()


@pytest.mark.parametrize("broken", ["rewards", "log_probs", "observations"])
def test_gradients_that_are_no_numbers_leave_the_weights_as_they_were(broken):
    ours = learner(2)
    ours.player.play(ours.rollout)
    getattr(ours.rollout, broken)[3, 2] = np.nan
    update, seen = ours.update, []

    def watched(*arguments):
        seen.append((ours.network.flat.values.copy(), ours.adam.mean.copy()))
        return update(*arguments)

    ours.update = watched
    with pytest.raises(NotFinite, match=r"norm nan, expected a finite number .*weights stay as they were"):
        ours.improve(1.0)
    assert np.isfinite(ours.network.flat.values).all()
    np.testing.assert_array_equal(ours.network.flat.values, seen[-1][0])
    np.testing.assert_array_equal(ours.adam.mean, seen[-1][1])


def test_a_ratio_beyond_all_numbers_is_clipped_or_told_not_learned():
    """exp(1000): where it gains it is clipped and teaches nothing, where it loses its gradient is not finite."""
    ours = learner(2)
    ours.player.play(ours.rollout)
    ours.rollout.log_probs[...] = -1000
    with pytest.raises(NotFinite):
        ours.improve(1.0)
    assert np.isfinite(ours.network.flat.values).all()
