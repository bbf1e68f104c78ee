"""A killed run goes on from its last whole epoch, to the same bits; what it cannot go on from it says (TRN-11)."""

import json
import os
import signal
import subprocess
import sys
import time
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
CHILD = "import json, sys; from nn.forecast.fold import train_fold; train_fold(json.load(sys.stdin))"


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
    config = config.with_layer({"fit": {"epochs": 4, "patience": 4, "train_stride": 4}})
    task = fold_task(kind, config, "15m", 7, UNTIL, tmp_path / "kept", candles=(market[1], PAIRS))
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}, text=True
    )
    child.stdin.write(json.dumps(task))
    child.stdin.close()
    second = tmp_path / "kept" / "member-1.safetensors"  # the first member is finished, the second has begun
    deadline = time.monotonic() + 60
    while not second.exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "it ended before it could be killed"
    seen = []
    resumed = train(kind, config, market, tmp_path / "kept", lambda epoch, metrics: seen.append(epoch))
    whole = train(kind, config, market)
    assert same_bits(resumed, whole)
    assert resumed.metrics == whole.metrics
    assert seen == list(range(8))  # the epochs before the kill are told again, for the new run in MLflow


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
