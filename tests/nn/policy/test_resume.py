"""A training that was killed ends with the weights of one that was not; what cannot be gone on from is refused."""

import resource
import signal
import subprocess
import sys

import numpy as np
import pytest

from nn.forecast.checkpoint import CheckpointRefused
from nn.models.actor_critic import ActorCriticConfig
from nn.policy.config import PPOConfig
from nn.policy.environments import make_envs
from nn.policy.ppo import PPO
from nn.policy.resume import fingerprint, state_of
from tests.nn.policy.trading import ROUND, checkpoint, learner


class Stop(Exception):
    """Ends a training between two rounds."""


def stop_after(steps: int):
    def heard(figures):
        if figures["steps"] >= steps:
            raise Stop

    return heard


def learned(n_rounds: int) -> PPO:
    ours = learner(n_rounds)
    ours.learn()
    return ours


def same(one: PPO, other: PPO) -> None:
    """All that the next round depends on, and so all that was learned, bit for bit."""
    mine, its = state_of(one), state_of(other)
    assert mine.story == its.story
    assert set(mine.tensors) == set(its.tensors)
    for name, tensor in mine.tensors.items():
        np.testing.assert_array_equal(tensor.numpy(), its.tensors[name].numpy(), err_msg=name)


def test_a_learner_that_goes_on_is_the_one_that_never_stopped(tmp_path):
    first = learner(9)
    with pytest.raises(Stop):
        first.learn(stop_after(5 * ROUND), checkpoint(tmp_path / "it", first), save_every_s=0)
    second = learner(9)
    heard = []
    second.learn(lambda figures: heard.append(figures["steps"]), checkpoint(tmp_path / "it", second))
    assert heard == [ROUND * k for k in range(6, 10)]
    same(second, learned(9))


def test_a_finished_training_is_not_learned_again(tmp_path):
    first = learner(3)
    first.learn(checkpoint=checkpoint(tmp_path / "it", first))
    again = learner(3)
    again.learn(pytest.fail, checkpoint(tmp_path / "it", again))
    same(again, first)


@pytest.mark.slow
def test_kill_9_costs_nothing_but_time(tmp_path):
    """The process is really killed, at two places; the last part runs here."""
    rounds = 60
    command = [sys.executable, "-m", "tests.nn.policy.trading", str(tmp_path / "it"), str(rounds)]
    for reached in (7, 31):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                if int(line) >= reached * ROUND:
                    process.send_signal(signal.SIGKILL)
                    break
            assert process.wait(60) == -signal.SIGKILL
    last = learner(rounds)
    last.learn(checkpoint=checkpoint(tmp_path / "it", last))
    same(last, learned(rounds))


def test_an_environment_that_keeps_its_state_to_itself_begins_anew_the_same_way_every_time(tmp_path):
    def ours() -> PPO:
        config = PPOConfig(n_steps=16, batch_size=32, epochs=2)
        return PPO(make_envs("CartPole-v1", 4), ActorCriticConfig(4, 2, discrete=True), config, 1, 10 * 64)

    def kept(one):
        from nn.forecast.checkpoint import Checkpoint

        return Checkpoint(tmp_path / "it", fingerprint(one, "CartPole-v1"))

    first = ours()
    with pytest.raises(Stop):
        first.learn(stop_after(5 * 64), kept(first), save_every_s=0)
    saved = (tmp_path / "it").read_bytes()
    ends = []
    for _ in range(2):
        (tmp_path / "it").write_bytes(saved)
        ends.append(ours())
        ends[-1].learn(checkpoint=kept(ends[-1]))
        assert ends[-1].steps == 10 * 64
    same(*ends)


def test_another_trainings_checkpoint_is_refused(tmp_path):
    first = learner(2)
    first.learn(checkpoint=checkpoint(tmp_path / "it", first))
    for other in (learner(3), learner(2, seed=4)):
        with pytest.raises(CheckpointRefused, match="is of another config, seed, library or candles"):
            other.learn(checkpoint=checkpoint(tmp_path / "it", other))


def test_a_torn_checkpoint_is_refused(tmp_path):
    first = learner(2)
    first.learn(checkpoint=checkpoint(tmp_path / "it", first))
    whole = (tmp_path / "it").read_bytes()
    (tmp_path / "it").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointRefused, match="is broken"):
        learner(2).learn(checkpoint=checkpoint(tmp_path / "it", first))


def test_a_full_disk_leaves_the_checkpoint_before_it_whole(tmp_path):
    """The limit on a file's size stands in for the disk: the same write fails half-way."""
    first = learner(9)
    kept = checkpoint(tmp_path / "it", first)
    with pytest.raises(Stop):
        first.learn(stop_after(4 * ROUND), kept, save_every_s=0)
    before = (tmp_path / "it").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            learner(9).learn(checkpoint=kept, save_every_s=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (tmp_path / "it").read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["it"]
    second = learner(9)
    second.learn(checkpoint=kept)
    same(second, learned(9))
