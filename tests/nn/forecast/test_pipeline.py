"""`python -m nn --mode ...`: each step finds its command, and history is scored by the version that existed (TRN-1)."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from nn.__main__ import main
from nn.forecast.history import forecasts
from nn.forecast.train import read_pairs
from nn.registry.manifest import load_version, read_keys

from .conftest import PAIRS, make_candles, write_market

BAR = pd.Timedelta(minutes=15)


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    frames = {pair: make_candles(2400, seed=number) for number, pair in enumerate(PAIRS)}
    return write_market(tmp_path_factory.mktemp("market"), frames)


@pytest.fixture
def options(market, tmp_path, monkeypatch, empty_database):
    (tmp_path / "user_data" / "mlflow").mkdir(parents=True)
    shutil.copy(empty_database, tmp_path / "user_data" / "mlflow" / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    for name in ("CANDLEWRIGHT_MODEL_KEY_FILE", "CANDLEWRIGHT_REGISTRY", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CANDLEWRIGHT_MODEL_KEY", "k" * 40)
    torch.set_num_threads(1)
    return ["--config", "test", "--datadir", str(market)]


def test_data_says_what_there_is_to_learn_from(options, capsys):
    assert main(["--mode", "data", *options]) == 0
    said = capsys.readouterr().out
    assert "features    40, warm-up 512" in said
    assert "15m" in said
    assert main(["--mode", "data", *options, "--pairs", "DOGE/USDT:USDT"]) == 2


@pytest.mark.slow
def test_train_then_backtest_scores_every_candle_by_the_version_of_its_time(options, capsys, tmp_path):
    """TRN-9, ASO-1, ASO-2: the direction line, from data to forecasts of history."""
    (tmp_path / "all.yaml").write_text("data: {outlier_quantile: 0.9}")  # low, so that some candles are refused
    model = ["--model", "mtst", "--walk-forward", "2", "--period", "12h", "--config", "all.yaml"]
    assert main(["--mode", "train", *options, *model]) == 0
    folders = capsys.readouterr().out.splitlines()
    assert [folder.split("/")[2] for folder in folders] == ["direction-15m"] * 2
    assert list((tmp_path / "user_data" / "checkpoints").glob("direction-15m/*")) == []
    assert main(["--mode", "backtest", *options, "--model", "direction", "--out", "history.feather"]) == 0
    assert "candles; overlapping 4h trades after costs" in capsys.readouterr().out
    found = pd.read_feather("history.feather")
    chain = [load_version(folder, read_keys()) for folder in folders]
    frames = read_pairs(Path(options[-1]), None, "15m")
    every = [replace(each, manifest=each.manifest.model_copy(update={"outliers": None})) for each in chain]
    whole = forecasts(every, frames, "15m")
    assert len(whole) == len(PAIRS) * 2 * 12 * 4
    assert 0 < len(found) < len(whole)  # what the service would not answer is not there (SRV-11), all else is the same
    both = whole.merge(found, on=["pair", "row"], suffixes=("", "_found"))
    assert len(both) == len(found)
    assert (both["direction_4h_up"] == both["direction_4h_up_found"]).all()
    for each in chain:
        manifest = each.manifest
        mine = whole[whole["model_version"] == manifest.version]
        assert mine["close_time"].min() == manifest.valid_from
        assert mine["close_time"].max() == manifest.valid_from + pd.Timedelta(hours=12) - BAR
        total = mine[[f"direction_1h_{word}" for word in ("up", "down", "flat")]].sum(axis=1)
        np.testing.assert_allclose(total, 1, atol=1e-5)


def test_backtest_without_a_chain_is_one_sentence(options, capsys):
    assert main(["--mode", "backtest", *options]) in (1, 2)
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: ")


def test_help_and_slips(capsys):
    assert main(["--help"]) == 0
    assert main([]) == 2
    with pytest.raises(SystemExit):
        main(["--mode", "dance"])
