"""What a training of a policy is told: known names, possible values, and a sentence for everything else."""

import pytest

from nn.policy.config import FOLDER, PolicyConfigProblem, load_policy_config


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_loads(path):
    assert load_policy_config(path.stem).total_steps > 0


def test_a_name_that_is_not_there_gets_the_nearest():
    with pytest.raises(PolicyConfigProblem, match="did you mean 'CartPole-v1'"):
        load_policy_config("Cartpole-v1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("total_steps: 100\nn_copies: 1\nppo: {clipp: 1}", "ppo.clipp is 1"),
        ("total_steps: 100\nn_copies: 1\nppo: {gamma: 1.5}", "ppo.gamma is 1.5"),
        ("total_steps: 100\nn_copies: 1", "fewer than one round of 1 x 2048"),
        ("total_steps: [", "cannot be read"),
    ],
)
def test_what_cannot_be_is_named(tmp_path, text, words):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(PolicyConfigProblem, match=words):
        load_policy_config(str(path))
