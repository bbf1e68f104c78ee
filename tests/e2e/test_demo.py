"""`tools/start.sh demo`, whole: synthetic market to report, every step a real process (CMD-2, TST-1)."""

import json
import sqlite3
from pathlib import Path

import pytest
from paths import assert_scored_by_versions_that_existed, valid_from, verb

pytestmark = pytest.mark.e2e
LINES = ("unified-15m", "direction-15m")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    user_data = tmp_path_factory.mktemp("demo") / "user_data"
    return verb(user_data, "demo", "--days", "100"), user_data


def test_it_ends_well_and_names_its_reports(demo):
    done, _ = demo
    assert done.returncode == 0, done.stderr[-6000:]
    assert len(done.stdout.split()) == 2
    assert "mlflow" in done.stderr


def test_both_strategies_have_a_report_as_page_and_as_json(demo):
    done, _ = demo
    for page in map(Path, done.stdout.split()):
        assert "<html" in page.read_text()[:2000]
        assert json.loads(page.with_suffix(".json").read_text())


def test_three_versions_of_each_line_scored_only_what_came_after_it_existed(demo):
    _, user_data = demo
    chains = {line: {version for version in valid_from(user_data) if version.startswith(line)} for line in LINES}
    assert {line: len(chain) for line, chain in chains.items()} == dict.fromkeys(LINES, 3)
    assert chains["unified-15m"] == assert_scored_by_versions_that_existed(user_data)


def test_mlflow_has_a_run_per_version_with_metrics_of_every_epoch(demo):
    _, user_data = demo
    with sqlite3.connect(user_data / "mlflow" / "mlflow.db") as database:
        (runs,) = database.execute("select count(*) from runs where status = 'FINISHED'").fetchone()
        (versions,) = database.execute("select count(*) from model_versions").fetchone()
        (steps,) = database.execute("select max(step) from metrics").fetchone()
    database.close()
    assert runs >= 6
    assert versions == 6
    assert steps >= 1


def test_nothing_keeps_running_and_no_secret_is_told(demo):
    done, user_data = demo
    assert list((user_data / "run").glob("*")) == []
    for secret in (user_data / "secrets").glob("*.key"):
        text = secret.read_text().strip()
        assert text not in done.stderr
        for log in (user_data / "logs").glob("*"):
            assert text not in log.read_text(errors="replace"), log


def test_what_is_planted_is_found_and_in_a_fair_game_nothing_is(demo, tmp_path):
    """The whole path as a leak detector: what earns money where prices are fair games has seen the future.

    There an honest model trades little or not at all: it has learned on later rows that its forecasts have no worth.
    """
    done, _ = demo
    assert better_than_random(done, 0.05)  # a model of a minute's training need not find all of it
    fair = verb(tmp_path / "user_data", "demo", "--days", "100", "--planted-trend", "0")
    assert fair.returncode == 0, fair.stderr[-6000:]
    assert not better_than_random(fair, 0.01)


def better_than_random(done, share):
    """Tell whether the neural strategy beat all but this share of random-entry runs, with enough trades to say so."""
    report = json.loads(Path(done.stdout.split()[0]).with_suffix(".json").read_text())
    against = report["random_entries"]
    return against is not None and against["trades"] >= 20 and against["p_value"] <= share
