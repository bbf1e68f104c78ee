"""SEA-1, EVA-9: the command, from candles to a winner that is trained as a challenger, through Ctrl-C and going on."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from nn.evaluation.trading import STRENGTHS
from nn.forecast import walk_forward
from nn.forecast.config import load_config
from nn.search.__main__ import main

pytest.importorskip("optuna", reason="Optuna is not installed")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def command(candles, write_market, tmp_path, monkeypatch):
    """The command without --trials; a whole search of it takes seconds."""
    monkeypatch.setenv("CANDLEWRIGHT_MODEL_KEY", "k" * 40)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    profile = tmp_path / "tiny.yaml"
    profile.write_text("fit: {epochs: 1, patience: 1, train_stride: 64}\n")
    space = tmp_path / "space.yaml"
    space.write_text("prune_by: ic_4h\nparameters: {fit.learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}}\n")
    return [
        "--config", "test", "--config", str(profile), "--datadir", str(write_market(candles.tail(2200))),
        "--walk-forward", "1", "--period", "2d", "--inner-folds", "1", "--space", str(space), "--study", "mine",
        "--out", str(tmp_path / "out"), "--registry", str(tmp_path / "registry"), "--heartbeat", "1",
        "--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db",
    ]  # fmt: skip


def finished(database):
    if not database.is_file():
        return 0
    with closing(sqlite3.connect(database)) as connection:
        try:
            return connection.execute("SELECT count(*) FROM trials WHERE state = 'COMPLETE'").fetchone()[0]
        except sqlite3.OperationalError:  # no such table yet
            return 0


def interrupt(argv, database):
    """Start the command, and press Ctrl-C after its first trial; return its exit code and what it said."""
    with subprocess.Popen(
        [sys.executable, "-m", "nn.search", *argv], cwd=ROOT, start_new_session=True, stderr=subprocess.PIPE, text=True
    ) as process:
        end = time.monotonic() + 300
        while not finished(database):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < end, "no trial was finished"
            time.sleep(0.05)
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers hear it, too
        said = process.communicate(timeout=120)[1]
        assert psutil.wait_procs(children, timeout=120)[1] == []
        return process.returncode, said


@pytest.mark.e2e
def test_a_search_goes_on_after_ctrl_c_and_its_winner_becomes_the_challenger(
    command, tmp_path, capfd, monkeypatch, empty_database
):
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    code, said = interrupt([*command, "--trials", "999"], tmp_path / "out" / "search.db")
    assert code == 130
    assert said.splitlines()[-1] == "error: interrupted; the same command goes on"
    kept = finished(tmp_path / "out" / "search.db")

    monkeypatch.setattr(
        walk_forward, "evaluate_version", lambda *given: JUDGE(*given, baselines=("last_value", "last_direction"))
    )
    capfd.readouterr()
    assert main([*command, "--trials", str(kept + 1), "--train"]) == 0
    captured = capfd.readouterr()
    best, version = map(Path, captured.out.splitlines())
    rows = [json.loads(line) for line in best.with_name("trials.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row["state"] == "complete"]
    assert len(rows) == kept + 1
    assert [row["seed"] for row in rows][:kept] == list(range(7, 7 + kept))
    assert all(len(row["returns"]) == len(row["days"]) >= 2 for row in rows)
    assert f"all {kept + 1} trials counted" in " ".join(captured.err.split())
    winner = max(rows, key=lambda row: row["value"])
    config = load_config(["test", best])
    assert config.fit.learning_rate == winner["parameters"]["fit.learning_rate"]
    assert (config.search.study, config.search.trials) == ("mine", kept + 1)
    assert json.loads((version.parent / "aliases.json").read_text())["aliases"] == {"challenger": version.name}
    judged = json.loads(version.with_name(f"{version.name}.evaluation.json").read_text())
    assert judged["trading"]["trials"] == kept + 1 + 3 * len(STRENGTHS)

    assert main([*command, "--trials", "9", "--seed", "9"]) == 2  # other terms are another study
    assert "take another --study" in capfd.readouterr().err


JUDGE = walk_forward.evaluate_version


@pytest.mark.parametrize(
    ("space", "sentence"),
    [
        ("fit.nonsense: {low: 0.1, high: 0.2}", "unknown key 'nonsense'"),
        ("fit.batch_size: {low: 0.5, high: 0.6}", "fit.batch_size"),
        ("fit.learning_rate: {low: 0.1, high: 0.1}", "low below high"),
    ],
)
def test_a_slip_in_the_space_costs_no_trial(command, tmp_path, capsys, space, sentence):
    (tmp_path / "space.yaml").write_text(f"parameters: {{{space}}}\n")
    assert main([*command, "--trials", "1"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert sentence in error
    assert not (tmp_path / "out").exists()
