"""The command line as a person meets it: verbs, slips, help (CMD-1)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tools.__main__ import app, main, spread
from tools.children import Terminated

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("CANDLEWRIGHT_USER_DATA", str(tmp_path / "user_data"))


def slip(capsys, *arguments):
    code = main(list(arguments))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    return code, captured.err


def test_an_unknown_verb_is_one_line_with_the_nearest_known_one(capsys):
    code, line = slip(capsys, "backtst")
    assert code == 2
    assert "no verb backtst" in line
    assert "nearest known one is backtest" in line


def test_an_unknown_option_is_one_line_with_the_nearest_known_one(capsys):
    code, line = slip(capsys, "train", "--walkforward", "3")
    assert code == 2
    assert "no option --walkforward" in line
    assert "--walk-forward" in line


def test_a_wrong_value_is_one_line(capsys):
    code, line = slip(capsys, "mlflow", "--port", "high")
    assert code == 2
    assert "--port" in line
    assert "integer" in line


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--user-data"], "'--user-data' requires an argument"),
        (["train", "--seed"], "'--seed' requires an argument"),
        (["serve", "--port", "0"], "greater than or equal to 1 (see `tools/start.sh help serve`)"),
        (["serve", "--port", "80000"], "less than or equal to 65535"),
        (["train", "--walk-forward", "0"], "greater than or equal to 1"),
        (["freqtrade"], "Missing argument 'COMMAND' (see `tools/start.sh help freqtrade`)"),
    ],
)
def test_a_value_that_is_missing_or_impossible_is_one_line(capsys, arguments, expected):
    code, line = slip(capsys, *arguments)
    assert code == 2
    assert expected in line


def test_a_missing_data_directory_says_how_to_fill_it(capsys, tmp_path):
    code, line = slip(capsys, "train", "--datadir", str(tmp_path / "nothing"))
    assert code == 2
    assert str(tmp_path / "nothing") in line
    assert "download-data" in line


def test_what_is_proposed_fills_the_folder_that_was_looked_at(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("CANDLEWRIGHT_USER_DATA", str(tmp_path))
    code, line = slip(capsys, "train")
    assert code == 2
    assert f"`tools/start.sh --user-data {tmp_path} freqtrade download-data " in line


def test_an_unknown_mode_names_the_known_ones(capsys, tmp_path):
    code, line = slip(capsys, "backtest", "--datadir", str(tmp_path), "--mode", "margin")
    assert code == 2
    assert "margin" in line
    assert "futures, spot" in line


@pytest.mark.parametrize("reason", [KeyboardInterrupt, Terminated])
def test_an_interruption_is_one_line(capsys, monkeypatch, reason):
    def interrupted():
        raise reason

    monkeypatch.setattr("tools.commands.status.status", interrupted)
    assert slip(capsys, "status") == (130, "candlewright: interrupted\n")


def test_options_take_several_values():
    assert spread(["train", "--pairs", "A", "B", "--seed", "1"]) == [
        "train",
        "--pairs",
        "A",
        "--pairs",
        "B",
        "--seed",
        "1",
    ]
    assert spread(["x", "--pairs", "A", "--", "--pairs", "B", "C"]) == ["x", "--pairs", "A", "--", "--pairs", "B", "C"]


def test_the_issue_s_verbs_are_all_there_and_each_has_help(capsys):
    wanted = {
        "demo",
        "test",
        "setup",
        "train",
        "serve",
        "mlflow",
        "backtest",
        "exchange",
        "status",
        "stop",
        "doctor",
        "help",
    }
    assert wanted <= {command.name or command.callback.__name__ for command in app.registered_commands}
    for verb in wanted - {"help"}:
        assert main(["help", verb]) == 0
        assert "Usage: tools/start.sh" in capsys.readouterr().out


def test_a_verb_costs_no_heavy_imports():
    """Later uses start in under a second: nothing of torch, pandas or Freqtrade is loaded to show help."""
    heavy = {"torch", "pandas", "freqtrade", "mlflow", "bentoml"}
    code = "import sys, tools.__main__ as m; m.main(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert heavy.isdisjoint(ast.literal_eval(done.stderr))
