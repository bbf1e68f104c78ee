"""Backtests in order of Sortino, each with what it was made of; a cell that fails takes no other with it (EVA-8)."""

import csv
import hashlib
import json
from types import SimpleNamespace

import pytest

from tools.commands import backtest as backtest_module
from tools.errors import UserError
from tools.report.__main__ import main
from tools.report.document import build, plain
from tools.report.rank import ranked, row_of, table
from tools.report.result import read_result


@pytest.fixture
def documents(world):
    """Reports of three strategies with other luck, and of one that never traded."""
    found = []
    for name, seed in (("A", 1), ("B", 2), ("C", 3)):
        result = world.write({name: world.stats(world.busy(20, seed=seed))})
        found.append(build(read_result(result), world.datadir, runs=3)[0])
    idle = build(read_result(world.write({"Idle": world.stats([])})), world.datadir, runs=3)[0]
    return [idle, *found]


def test_the_best_sortino_is_first_and_who_has_none_is_last(documents):
    rows = ranked(documents)
    with_one = [row["sortino"] for row in rows if row["sortino"] is not None]
    assert with_one == sorted(with_one, reverse=True)
    assert len(with_one) >= 2
    assert [row["sortino"] for row in rows[len(with_one) :]] == [None] * (len(rows) - len(with_one))
    assert [row["rank"] for row in rows] == [1, 2, 3, 4]
    of = {document["run"]["strategy"]: document for document in documents}
    for row in rows:
        document = of[row["strategy"]]
        assert row["sortino"] == document["summary"]["sortino"]
        assert row["trades"] == document["summary"]["trades"]
    assert "4 backtests were compared" in table(rows)


def test_a_row_names_what_it_was_made_of(documents):
    document = documents[1] | {
        "model_versions": {
            "segments": [{"version": "b"}, {"version": "a"}, {"version": "b"}],
            "candles_scored": 30,
            "candles_asked": 40,
        }
    }
    row = row_of(plain(document))
    assert (row["model_versions"], row["scored"]) == ("a b", 0.75)
    for pair, mark in document["lineage"]["data"].items():
        assert f"{pair}={mark}" in row["data"]
    assert row["config_sha256"] == document["lineage"]["config_sha256"]


def test_reports_that_are_there_are_ranked_without_a_run(documents, tmp_path, capsys):
    paths = []
    for number, document in enumerate(documents):
        paths.append(tmp_path / f"{number}.json")
        paths[-1].write_text(json.dumps(plain(document)))
    assert main(["rank", "--out", str(tmp_path / "out"), "--reports", *map(str, paths)]) == 0
    shown = capsys.readouterr().out
    rows = json.loads((tmp_path / "out" / "rank.json").read_text())
    assert [row["strategy"] for row in rows] == [line.split()[1] for line in shown.splitlines()[1:-1]]
    with (tmp_path / "out" / "rank.csv").open() as file:
        assert [row["strategy"] for row in csv.DictReader(file)] == [row["strategy"] for row in rows]
    paths[0].write_text("{}")
    assert main(["rank", "--reports", str(paths[0])]) == 1
    assert "is no report of this project" in capsys.readouterr().err


def test_the_whole_matrix_is_run_and_a_cell_that_fails_is_counted(documents, tmp_path, monkeypatch, capsys):
    asked = []

    def run(home, strategies, timerange, datadir, pairs, timeframe, mode, exchange):
        asked.append((tuple(strategies), timerange, tuple(pairs)))
        if timerange.startswith("2024"):
            raise UserError("no candles")
        return [SimpleNamespace(summary=plain(documents[1])), SimpleNamespace(summary=plain(documents[2]))]

    monkeypatch.setattr(backtest_module, "run_backtests", run)
    monkeypatch.setenv("CANDLEWRIGHT_USER_DATA", str(tmp_path / "user_data"))
    arguments = ["rank", "--strategies", "A", "B", "--pairs", "X/USDT", "Y/USDT", "--datadir", str(tmp_path / "data")]
    arguments += ["--periods", "20240101-20240201", "20250101-20250201", "--out", str(tmp_path / "out")]
    assert main(arguments) == 1
    assert len(set(asked)) == 4
    assert "4 of 8 backtests did not finish" in capsys.readouterr().err
    assert len(json.loads((tmp_path / "out" / "rank.json").read_text())) == 4


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 1, "name --strategies, --pairs and --periods"),
        (["--periods", "2025-01"], 2, "is no period"),
        (["--periods", "20250231-20250301"], 2, "is no period"),
        (["--periods", "20250201-20250101"], 2, "ends before it begins"),
    ],
)
def test_wrong_usage_is_told_in_one_sentence(arguments, code, said, capsys):
    try:
        found = main(["rank", *arguments])
    except SystemExit as ended:
        found = ended.code
    assert found == code
    assert said in capsys.readouterr().err


def test_the_hash_is_that_of_the_strategys_file(documents):
    for document in documents:
        row = row_of(plain(document))
        assert row["strategy_sha256"] == hashlib.sha256(f"class {row['strategy']}: ...".encode()).hexdigest()
