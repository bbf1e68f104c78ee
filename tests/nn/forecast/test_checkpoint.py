"""A killed run goes on from its last whole epoch, to the same bits; what it cannot go on from it says (TRN-11)."""

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
import torch

from nn.forecast.checkpoint import Checkpoint, CheckpointRefused, State
from nn.forecast.config import load_config
from nn.forecast.dataset import make_training_data
from nn.forecast.fold import fold_task
from nn.forecast.recipe import recipe_of
from nn.forecast.version import train_version

from .conftest import BEGIN, PAIRS, make_candles, write_market

UNTIL = (BEGIN + timedelta(days=20)).to_pydatetime()
DEADLY_SAVE = 4  # two epochs of the first member and one of the second are kept, the next is half written
CHILD = f"""
import json, os, signal, sys
from nn.forecast.fold import train_fold
saves, fsync = [], os.fsync
def killing(file):
    saves.append(file)
    if len(saves) == {DEADLY_SAVE}:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(file)
os.fsync = killing
train_fold(json.load(sys.stdin))
"""


def quiet(*_):
    return None


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    frames = {pair: make_candles(1950, seed=number) for number, pair in enumerate(PAIRS)}
    return frames, write_market(tmp_path_factory.mktemp("market"), frames)


@pytest.fixture
def config():
    return load_config(["base", "test"]).with_layer({"fit": {"seeds": 2}})


def train(kind, config, market, checkpoints=None, on_epoch=quiet, on_batch=quiet):
    torch.set_num_threads(1)
    data = make_training_data(market[0], "15m", UNTIL, config.data, recipe_of(kind, config).context_length)
    return train_version(kind, config, data, 7, on_batch, on_epoch, checkpoints)


def same_bits(one, other):
    first, second = one.model.state_dict(), other.model.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["unified_patchtst", "direction"])
def test_a_killed_process_goes_on_to_the_same_bits(kind, config, market, tmp_path):
    task = fold_task(kind, config, "15m", 7, UNTIL, tmp_path / "kept", candles=(market[1], PAIRS))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    child = subprocess.run([sys.executable, "-c", CHILD], input=json.dumps(task), env=environment, text=True)
    assert child.returncode == -signal.SIGKILL
    left = sorted(path.name.split(".")[:2] for path in (tmp_path / "kept").iterdir())
    assert left == [["", "member-1"], ["member-0", "safetensors"], ["member-1", "safetensors"]]
    seen, trained = [], []
    resumed = train(
        kind, config, market, tmp_path / "kept", lambda epoch, metrics: seen.append(epoch),
        lambda epoch, *rest: trained.append(epoch),
    )  # fmt: skip
    assert set(trained) == {3}
    whole = train(kind, config, market, tmp_path / "whole")
    assert same_bits(resumed, whole)
    assert resumed.metrics == whole.metrics
    assert seen == list(range(4))  # the epochs before the kill are told again, for the new run in MLflow
    for name in ("member-0.safetensors", "member-1.safetensors"):  # equal states are equal files
        assert (tmp_path / "kept" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_finished_training_is_taken_as_it_is(config, market, tmp_path):
    first = train("direction", config, market, tmp_path / "kept")
    steps = []
    again = train("direction", config, market, tmp_path / "kept", on_batch=lambda *step: steps.append(step))
    assert steps == []
    assert same_bits(first, again)
    assert [history.epochs for history in first.histories] == [history.epochs for history in again.histories]


@pytest.mark.parametrize("damage", ["cut", "empty", "noise"])
def test_a_broken_file_is_begun_anew_with_a_warning(config, market, tmp_path, capsys, damage):
    first = train("direction", config, market, tmp_path / "kept")
    path = tmp_path / "kept" / "member-1.safetensors"
    content = path.read_bytes()
    path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "noise": os.urandom(5000)}[damage])
    again = train("direction", config, market, tmp_path / "kept")
    assert "member-1.safetensors is broken" in capsys.readouterr().err
    assert same_bits(first, again)


def test_the_file_of_another_run_is_refused_with_the_reason(config, market, tmp_path, capsys):
    train("direction", config, market, tmp_path / "kept")
    other = config.with_layer({"fit": {"learning_rate": 2.0e-3}})
    found = train("direction", other, market, tmp_path / "kept")
    assert "is of another config, seed, library or candles" in capsys.readouterr().err
    assert same_bits(found, train("direction", other, market))


def test_a_save_that_fails_leaves_the_epoch_before(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path / "a" / "member.safetensors", "f" * 64)
    assert checkpoint.load() is None
    checkpoint.save(State({"weights.x": torch.arange(3)}, {"epochs": [1]}))

    def disk_full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(State({"weights.x": torch.zeros(3)}, {"epochs": [1, 2]}))
    assert checkpoint.load().story == {"epochs": [1]}
    assert torch.equal(checkpoint.load().part("weights")["x"], torch.arange(3))
    assert [path.name for path in checkpoint.path.parent.iterdir()] == ["member.safetensors"]
    with pytest.raises(CheckpointRefused, match="another config"):
        Checkpoint(checkpoint.path, "0" * 64).load()
