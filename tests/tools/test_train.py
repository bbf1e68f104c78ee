"""Verbs run their programs in the clone; a file is still read from the folder in which it was typed."""

import itertools
import sys
from pathlib import Path

from tools.__main__ import main
from tools.commands import freqtrade, search
from tools.commands.train import Training, command
from tools.commands.train_policy import PolicyTraining
from tools.commands.train_policy import command as policy_command


def configs(argv):
    return [after for word, after in itertools.pairwise(argv) if word == "--config"]


def test_a_file_is_that_of_the_caller_and_a_name_stays_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = str(tmp_path / "mine.yaml")
    assert configs(command(Training(config=["base", "mine.yaml"]), Path("data"), "unified")) == ["base", here]
    assert configs(policy_command(PolicyTraining(config=["train", "mine.yaml"]), Path("data"))) == ["train", here]


def test_the_space_of_a_search_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CANDLEWRIGHT_USER_DATA", str(tmp_path / "user_data"))
    seen = []
    monkeypatch.setattr(search, "run_child", lambda argv, **options: seen.extend(argv) or 0)
    assert main(["search", "--datadir", str(tmp_path), "--space", "mine.yaml", "--config", "base", "own.yaml"]) == 0
    assert seen[:3] == [sys.executable, "-m", "nn.search"]
    assert seen[seen.index("--space") + 1] == str(tmp_path / "mine.yaml")
    assert configs(seen) == ["base", str(tmp_path / "own.yaml")]


def test_a_dry_run_keeps_its_trades_in_its_own_folder(tmp_path, monkeypatch):
    """Freqtrade's default is a file in the working folder, which two bots with folders of their own would share."""
    monkeypatch.setenv("CANDLEWRIGHT_USER_DATA", str(tmp_path / "user_data"))
    seen = {}
    monkeypatch.setattr(freqtrade, "run_freqtrade", lambda home, command, config, rest: seen.update(config) or 0)
    assert main(["freqtrade", "trade"]) == 0
    assert seen["db_url"] == f"sqlite:///{tmp_path / 'user_data' / 'tradesv3.dryrun.sqlite'}"
    (tmp_path / "mine.json").write_text('{"dry_run": true, "db_url": "sqlite:///mine.sqlite"}')
    monkeypatch.setattr(freqtrade, "layers", lambda *_: [str(tmp_path / "mine.json")])
    assert main(["freqtrade", "trade"]) == 0
    assert seen["db_url"] == "sqlite:///mine.sqlite"
