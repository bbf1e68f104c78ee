"""The command, on a public task and in slips."""

import pytest

from nn.policy.config import NetworkConfig
from nn.policy.environments import UnknownEnvironment, make_envs, network_for
from nn.policy.train import main


@pytest.mark.slow
def test_cartpole_is_learned(capsys):
    assert main(["--env", "CartPole-v1"]) == 0
    returns = [float(line) for line in capsys.readouterr().out.split()]
    assert len(returns) == 20
    assert sum(returns) / 20 >= 475  # Gymnasium's own threshold of a solved CartPole-v1


def test_a_slip_is_one_line(capsys):
    assert main(["--env", "CartPole-v9"]) == 2
    assert main(["--env", "CartPole-v9", "--config", "CartPole-v1"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert all(line.startswith("error: ") and "CartPole-v9" in line for line in said)


def test_a_network_fits_the_spaces():
    envs = make_envs("Pendulum-v1", 2)
    found = network_for(envs, NetworkConfig())
    assert (found.n_observations, found.n_actions, found.low, found.high) == (3, 1, (-2.0,), (2.0,))
    envs = make_envs("CartPole-v1", 2)
    assert network_for(envs, NetworkConfig()).discrete


def test_spaces_without_numbers_are_refused():
    envs = make_envs("FrozenLake-v1", 2)
    with pytest.raises(UnknownEnvironment, match="expected a Box of numbers"):
        network_for(envs, NetworkConfig())
