"""The command: result on stdout, story on stderr, verdict in the exit code; a user's slip is one sentence."""

import shutil

import pytest

from nn.forecast.train import main

from .conftest import PAIRS, make_candles, write_market


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    frames = {pair: make_candles(2200, seed=number) for number, pair in enumerate(PAIRS)}
    return write_market(tmp_path_factory.mktemp("market"), frames)


@pytest.fixture
def arguments(market, tmp_path, monkeypatch, empty_database):
    (tmp_path / "user_data" / "mlflow").mkdir(parents=True)
    shutil.copy(empty_database, tmp_path / "user_data" / "mlflow" / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    for name in ("CANDLEWRIGHT_MODEL_KEY_FILE", "CANDLEWRIGHT_REGISTRY", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CANDLEWRIGHT_MODEL_KEY", "k" * 40)
    return ["--config", "base", "--config", "test", "--datadir", str(market), "--walk-forward", "1", "--period", "12h"]


def test_it_prints_a_folder_per_version_and_nothing_else(arguments, capsys, tmp_path):
    assert main([*arguments, "--pairs", *PAIRS]) == 0
    captured = capsys.readouterr()
    folders = captured.out.splitlines()
    assert len(folders) == 1
    assert folders[0].startswith("user_data/registry/unified-15m/unified-15m-2025")
    assert (tmp_path / folders[0] / "weights.safetensors").is_file()
    assert (tmp_path / "user_data" / "mlflow" / "mlflow.db").is_file()
    assert "epoch 2/2" in captured.err
    assert "Out of sample" in captured.err


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--pairs", "DOGE/USDT:USDT"], "DOGE/USDT:USDT"),
        (["--timeframe", "5m"], "no 5m candles"),
        (["--timeframe", "15x"], "15x"),
        (["--config", "demmo"], "did you mean 'demo'"),
        (["--period", "9d", "--walk-forward", "3"], "closed before 2024-12-27 10:00: take fewer versions"),
        (["--period", "6d", "--walk-forward", "3"], "take fewer versions, a shorter period or more data"),
        (["--period", "22d"], "take fewer versions, a shorter period or more data"),
        (["--until", "2024-01-01"], "--until is 2024-01-01"),
        (["--walk-forward", "0"], "expected at least 1 version"),
    ],
)
def test_a_slip_ends_with_2_and_one_sentence(arguments, more, sentence, capsys):
    assert main([*arguments, *more]) == 2
    captured = capsys.readouterr()
    error = captured.err.splitlines()[-1]
    assert captured.out == ""
    assert error.startswith("error: ")
    assert sentence in error


def test_no_key_ends_with_2_before_any_training(arguments, monkeypatch, capsys):
    monkeypatch.delenv("CANDLEWRIGHT_MODEL_KEY")
    assert main(arguments) == 2
    assert "no model key" in capsys.readouterr().err


def test_a_store_that_fails_ends_with_1(arguments, capsys, tmp_path):
    (tmp_path / "db").mkdir()
    assert main([*arguments, "--tracking-uri", f"sqlite:///{tmp_path / 'db'}"]) == 1
    assert "MLflow at sqlite:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more", [["--period", "soon"], ["--until", "tomorrow"], ["--line", "../x"], ["--walk-forward", "x"], ["--nonsense"]]
)
def test_an_option_that_says_nothing_is_refused_by_name(arguments, more, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*arguments, *more])
    assert caught.value.code == 2
    assert more[0] in capsys.readouterr().err
