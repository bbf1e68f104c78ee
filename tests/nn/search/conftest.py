"""A module of tasks that workers find and this process does not; a small market."""

import json
import shutil
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import torch

from nn.forecast import walk_forward
from nn.forecast.config import load_config
from nn.forecast.progress import TrainingProgress
from nn.forecast.walk_forward import Plan, data_end, schedule, train_chain
from nn.registry.manifest import Keys
from nn.registry.store import Store

from ..forecast.conftest import empty_database, make_candles

__all__ = ["empty_database"]  # a fixture of these tests, too


@pytest.fixture
def task_module(monkeypatch):
    """The name of the module; workers inherit the path to it."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    return "search_tasks"


PAIR = "BTC/USDT:USDT"


@pytest.fixture(scope="session")
def candles():
    return make_candles(4200)


def noise_after(frame, moment, seed=5):
    """Return the candles with another market from a moment on."""
    later = (frame["date"] >= moment).to_numpy()
    other = make_candles(len(frame), seed)
    changed = frame.copy()
    for column in ("open", "high", "low", "close", "volume"):
        changed.loc[later, column] = other[column].to_numpy()[later] * (3.0 if column != "volume" else 50.0)
    return changed


@pytest.fixture(scope="session")
def perturb():
    return noise_after


@pytest.fixture
def write_market(tmp_path):
    """Write candles as Freqtrade's futures file; return the data directory."""

    def write(frame):
        folder = tmp_path / "data"
        (folder / "futures").mkdir(parents=True, exist_ok=True)
        frame.to_feather(folder / "futures" / "BTC_USDT_USDT-15m-futures.feather")
        return folder

    return write


def manifests(folders):
    """Return what the manifests say, the weights' SHA-256 too; the commit may move on while tests run."""
    return [json.loads((folder / "manifest.json").read_text()) | {"git_commit": ""} for folder in folders]


@pytest.fixture
def chain(candles, tmp_path, monkeypatch, empty_database):
    """Train a chain of two versions of what a search of 30 trials found; return their folders."""
    judge = partial(walk_forward.evaluate_version, baselines=("last_value", "last_direction"))
    monkeypatch.setattr(walk_forward, "evaluate_version", judge)
    monkeypatch.setattr(walk_forward, "figures", lambda trained: [])  # half of the time, and no part of a version
    profile = tmp_path / "best.yaml"
    profile.write_text("fit: {epochs: 1, patience: 1, train_stride: 32}\nsearch: {study: mine, trials: 30}\n")
    config = load_config(["test", profile])
    frames = {PAIR: candles.tail(2200).reset_index(drop=True)}
    folds = schedule(data_end(frames, "15m", None), 2, timedelta(days=1), "15m")

    def train(name, side=None):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(empty_database, folder / "mlflow.db")
        torch.set_num_threads(1)
        store = Store(f"sqlite:///{folder}/mlflow.db", "chain")
        keys, checkpoints = Keys(b"k" * 32), folder / "checkpoints"
        plan = Plan("chain", "15m", config, 7, folder / "registry", keys, checkpoints=checkpoints, side=side)
        with TrainingProgress(2, 1) as progress:
            return train_chain(plan, frames, folds, store, progress)

    return train
