"""The command, on public tasks, and in slips."""

import re

import gymnasium as gym
import numpy as np
import pytest

from nn.models.actor_critic import ActorCritic, ActorCriticConfig
from nn.policy import evaluate, public
from nn.policy.config import NetworkConfig, PPOConfig
from nn.policy.environments import UnknownEnvironment, make_envs, network_for
from nn.policy.evaluate import episode_returns
from nn.policy.ppo import PPO
from nn.policy.rollout import within
from nn.policy.train import main
from tests.nn.policy.bandit import Arms


@pytest.mark.slow
def test_cartpole_is_learned(capsys):
    assert main(["--env", "CartPole-v1"]) == 0
    returns = [float(line) for line in capsys.readouterr().out.split()]
    assert len(returns) == 20
    assert sum(returns) / 20 >= 475  # Gymnasium's own threshold of a solved CartPole-v1


@pytest.mark.slow
def test_a_task_that_nobody_named_is_learned_too(capsys):
    assert main(["--env", "Acrobot-v1", "--steps", "60000"]) == 0
    told = capsys.readouterr()
    assert "no config is made for Acrobot-v1: configs/nn/policy/default.yaml is taken" in told.err
    returns = [float(line) for line in told.out.split()]
    assert sum(returns) / 20 >= -150  # it begins at -500; Gymnasium's threshold is -100


def test_a_slip_is_one_line(capsys, tmp_path):
    assert main(["--env", "CartPole-v9"]) == 2
    assert main(["--env", "nowhere_at_all:CartPole-v9"]) == 2
    assert main(["--env", "CartPole-v9", "--config", "CartPole-v1"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert all(line.startswith("error: ") and "CartPole-v9" in line for line in said)
    assert main(["--env", "CartPole-v1", "--steps", "100"]) == 2
    assert "100 steps: " in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--env", "CartPole-v1", "--seed", "-1"])
    assert "'-1', expected a whole number from 0 on" in capsys.readouterr().err
    assert main(["--env", "CartPole-v1", "--resume"]) == 2
    assert "--resume needs --checkpoint" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--config", "configs/nn/policy_train.yaml"])
    assert "expected --env NAME, a public task, or --datadir DIR" in capsys.readouterr().err  # PPO-1


def test_a_killed_command_goes_on_when_told_to(capsys, tmp_path):
    words = ["--env", "CartPole-v1", "--steps", "512", "--checkpoint", str(tmp_path / "kept")]
    assert main(words) == 0
    first = capsys.readouterr().out
    assert main(words) == 2
    assert "policy.safetensors is there: --resume goes on from it" in capsys.readouterr().err
    assert main([*words, "--resume"]) == 0
    again = capsys.readouterr()
    assert re.search(r"goes on after 512 steps\nCartPole-v1 cannot give its state away", again.err)
    assert again.out == first
    assert main([*words[:-1], str(tmp_path / "empty"), "--resume"]) == 0
    assert "nothing in" in capsys.readouterr().err


def test_a_checkpoint_that_cannot_be_written_ends_the_command_with_a_sentence(capsys, tmp_path):
    (tmp_path / "file").write_text("in the way")
    words = ["--env", "CartPole-v1", "--steps", "512", "--checkpoint", str(tmp_path / "file")]
    assert main(words) == 1
    assert "error: the checkpoint cannot be written: " in capsys.readouterr().err


def test_the_story_counts_only_the_steps_of_this_run(capsys, monkeypatch):
    class Learner:
        total_steps, steps = 1000, 600
        rollout = type("Played", (), {"rewards": np.zeros((10, 10))})

    clock = iter([0.0, 0.0, 10.0, 10.0])
    monkeypatch.setattr(public.time, "monotonic", lambda: next(clock))
    public.Story(Learner())({"steps": 600.0, "kl": 0.01})
    assert "600 of 1,000 steps: kl 0.01; 40 s left" in capsys.readouterr().err


def test_an_episode_that_never_ends_is_judged_as_far_as_it_went(monkeypatch):
    class Endless(Arms):
        def step(self, actions):
            seen, _, ended, *_ = super().step(actions)
            return seen, np.ones(self.num_envs), np.zeros_like(ended), np.zeros_like(ended), {}

    monkeypatch.setattr(evaluate, "LONGEST", 50)
    model = ActorCritic(ActorCriticConfig(1, 2, discrete=True))
    assert (evaluate.episode_returns(model, None, Endless(2, lambda arm, draws: arm, 3), 1) == 50).all()


def test_a_network_fits_the_spaces():
    envs = make_envs("Pendulum-v1", 2)
    found = network_for(envs, NetworkConfig())
    assert (found.n_observations, found.n_actions, found.low, found.high) == (3, 1, (-2.0,), (2.0,))
    envs = make_envs("CartPole-v1", 2)
    assert network_for(envs, NetworkConfig()).discrete


@pytest.mark.parametrize(("name", "ones"), [("FrozenLake-v1", 1), ("Blackjack-v1", 3)])
def test_choices_that_are_seen_are_one_hot(name, ones):
    envs = make_envs(name, 2)
    found = network_for(envs, NetworkConfig())
    ppo = PPO(envs, found, PPOConfig(n_steps=32, normalise_observations=False), 1, 64)
    ppo.learn()
    assert ppo.rollout.observations.shape == (33, 2, found.n_observations)
    assert (ppo.rollout.observations.sum(-1) == ones).all()
    assert np.isfinite(episode_returns(ppo.model, ppo.moments, envs, 1)).all()


class Spaces(gym.vector.VectorEnv):
    """Nothing but spaces."""

    def __init__(self, observation, action):
        self.num_envs, self.single_observation_space, self.single_action_space = 1, observation, action


VECTOR, CHOICE = gym.spaces.Box(-1, 1, (3,)), gym.spaces.Discrete(2)


@pytest.mark.parametrize(
    ("observation", "action", "words"),
    [
        (gym.spaces.Discrete(16), CHOICE, "observations are Discrete"),
        (gym.spaces.Box(0, 255, (84, 84, 3), np.uint8), CHOICE, "expected a Box of one axis: a vector of numbers"),
        (gym.spaces.Dict(a=VECTOR), CHOICE, "observations are Dict"),
        (VECTOR, gym.spaces.MultiDiscrete([2, 3]), "actions are MultiDiscrete"),
        (VECTOR, gym.spaces.Box(-np.inf, np.inf, (1,)), "expected finite bounds for every number"),
        (VECTOR, gym.spaces.Box(-3, 3, (2,), np.int64), "expected Discrete or a Box of real numbers"),
        (VECTOR, gym.spaces.MultiBinary(3), "actions are MultiBinary"),
    ],
)
def test_spaces_that_do_not_fit_are_refused(observation, action, words):
    with pytest.raises(UnknownEnvironment, match=words):
        network_for(Spaces(observation, action), NetworkConfig())


class Guess(gym.Env):
    """Observations of any kind; an action is checked against its space, and worth the sum of its numbers."""

    def __init__(self, observation, action):
        self.observation_space, self.action_space = observation, action

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.step_of_episode = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action), f"{action!r} is not in {self.action_space}"
        self.step_of_episode += 1
        return self.observation_space.sample(), float(np.sum(action)), False, self.step_of_episode == 5, {}


def register(name, observation, action, **more):
    gym.register(name, lambda: Guess(observation, action), disable_env_checker=True, **more)
    return name


@pytest.mark.parametrize(
    ("observation", "action", "shape", "most"),
    [
        (gym.spaces.Dict(a=VECTOR, b=gym.spaces.Discrete(4)), CHOICE, 7, 5.0),
        (gym.spaces.MultiDiscrete([3, 4]), CHOICE, 7, 5.0),
        (gym.spaces.MultiBinary(5), CHOICE, 5, 5.0),
        (gym.spaces.Box(0, 255, (4, 5, 3), np.uint8), CHOICE, 60, 5.0),
        (gym.spaces.Box(-1, 1, ()), CHOICE, 1, 5.0),
        (VECTOR, gym.spaces.Discrete(3, start=-1), 3, 5.0),
        (VECTOR, gym.spaces.Box(-1, 1, (2, 3), np.float64), 3, 30.0),
    ],
)
def test_spaces_of_other_shapes_are_learned(observation, action, shape, most):
    """What earns most is the largest action, whatever is seen: choices counted from -1 and arrays of numbers too."""
    name = register("Guess-v0", observation, action)
    try:
        envs, judged = make_envs(name, 4), make_envs(name, 2)
    finally:
        gym.registry.pop(name)
    found = network_for(envs, NetworkConfig())
    assert found.n_observations == shape
    ppo = PPO(envs, found, PPOConfig(n_steps=64, learning_rate=3e-3), 1, 1536)
    ppo.learn()
    returns = episode_returns(ppo.model, ppo.moments, judged, 1)
    assert (returns > 0.4 * most).all()


def test_numbers_of_an_action_are_laid_out_row_by_row_within_its_bounds():
    envs = Spaces(VECTOR, gym.spaces.Box(np.array([[-1, -1], [0, 0]]), np.array([[1, 1], [2, 2]]), dtype=np.float64))
    assert within(np.array([[-5.0, 0.5, -5.0, 1.5]]), envs).tolist() == [[[-1.0, 0.5], [0.0, 1.5]]]
    assert network_for(envs, NetworkConfig()).high == (1.0, 1.0, 2.0, 2.0)
    assert within(np.array([0, 2]), Spaces(VECTOR, gym.spaces.Discrete(3, start=4))).tolist() == [4, 6]


@pytest.mark.parametrize("mode", [gym.vector.AutoresetMode.SAME_STEP, gym.vector.AutoresetMode.DISABLED])
def test_another_way_of_beginning_episodes_is_refused(mode):
    """PPO-7: its last step would be masked, or its first one would not."""
    maker = lambda: Guess(VECTOR, CHOICE)  # noqa: E731
    envs = gym.vector.SyncVectorEnv([maker], autoreset_mode=mode)
    with pytest.raises(ValueError, match=f"autoreset_mode is {mode}, expected NEXT_STEP"):
        PPO(envs, network_for(envs, NetworkConfig()), PPOConfig(n_steps=4), 1, 8)
    name = register("Other-v0", VECTOR, CHOICE, vector_entry_point=lambda num_envs: envs)
    try:
        with pytest.raises(UnknownEnvironment, match=f"'Other-v0': its vector form has autoreset_mode {mode}"):
            make_envs(name, 1)
    finally:
        gym.registry.pop(name)
