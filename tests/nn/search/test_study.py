"""SEA-1: trials are shared, outlive their workers and repeat, with Optuna and without."""

import importlib.util
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from nn.search.space import Space
from nn.search.study import Answer, StudyOptions, StudyProblem, open_study
from nn.search.workers import run_tasks

SPACE = Space(
    parameters={"a.x": {"low": -1.0, "high": 1.0}, "a.c": {"choices": [[1, 2], [3, 4]]}, "a.n": {"low": 1, "high": 9,
                "integer": True}}
)  # fmt: skip
SAMPLERS = [
    pytest.param("optuna", marks=pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="no Optuna")),
    "random",
]


@pytest.fixture(params=SAMPLERS)
def options(request, tmp_path):
    return StudyOptions("study", f"sqlite:///{tmp_path}/search.db", SPACE, 7, 4, {"config": "a"}, 1, request.param)


def parabola(asked):
    return Answer(-(asked.parameters["a.x"] ** 2), ("2025-01-01",), (asked.parameters["a.x"],), asked.seed)


def told(study):
    return [(trial.number, trial.parameters, trial.seed, trial.value, trial.state) for trial in study.trials()]


@pytest.mark.slow
def test_a_study_that_goes_on_is_the_study_that_never_stopped(options, tmp_path):
    study = open_study(options)
    assert study.run(parabola, 3, "first") == 3
    assert open_study(options).run(parabola, 4, "second") == 4
    whole = StudyOptions(**{**vars(options), "storage": f"sqlite:///{tmp_path}/other.db"})
    open_study(whole).run(parabola, 7, "one")
    assert told(open_study(options)) == told(open_study(whole))
    first = study.trials()[0]
    assert first.returns == (first.parameters["a.x"],)
    assert first.parameters["a.c"] in ([1, 2], [3, 4])
    assert isinstance(first.parameters["a.n"], int)
    assert [trial.seed for trial in study.trials()] == list(range(7, 14))


def test_a_worker_that_comes_back_runs_only_what_it_has_not_finished(options):
    study = open_study(options)
    assert study.run(parabola, 2, "worker") == 2
    assert open_study(options).run(parabola, 3, "worker") == 1


def test_a_trial_that_raises_is_kept_with_its_reason_and_counts(options, capfd):
    def sometimes(asked):
        if asked.number == 1:
            raise ArithmeticError("the loss is nan")
        return parabola(asked)

    study = open_study(options)
    study.run(sometimes, 3, "worker")
    assert [(trial.state, trial.error) for trial in study.trials()] == [
        ("complete", ""), ("failed", "ArithmeticError: the loss is nan"), ("complete", ""),
    ]  # fmt: skip
    assert all(trial.counts for trial in study.trials())


def test_a_study_does_not_go_on_with_other_data(options):
    open_study(options)
    with pytest.raises(StudyProblem, match="was begun with config a, now it is b: take another --study"):
        open_study(StudyOptions(**{**vars(options), "facts": {"config": "b"}}))


DIES = """
import os, signal, sys, time
from nn.search.space import Space
from nn.search.study import StudyOptions, open_study
def objective(asked):
    print(asked.number, flush=True)
    time.sleep(600)
open_study(StudyOptions("study", sys.argv[1], Space.model_validate_json(sys.argv[2]), 7, 4, {"config": "a"}, 1,
                        sys.argv[3])).run(objective, 1, "dead")
"""


def heartbeats(storage, change=None):
    """Return how many heartbeats the database holds, once they are set back by an hour if that is wanted."""
    with closing(sqlite3.connect(storage.removeprefix("sqlite:///"), timeout=120)) as connection, connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        table, earlier = "random_trials", "heartbeat - 3600"
        if table not in tables:
            table, earlier = "trial_heartbeats", "datetime(heartbeat, '-1 hour')"
        if change == "set back":
            connection.execute(f"UPDATE {table} SET heartbeat = {earlier}")
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


@pytest.mark.slow
def test_the_trial_of_a_killed_worker_is_tried_again_with_its_parameters_and_seed(options):
    argv = [sys.executable, "-c", DIES, options.storage, SPACE.model_dump_json(), options.sampler]
    worker = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    with worker:
        assert worker.stdout.readline() == "0\n"
        while not heartbeats(options.storage):  # until the first has been written nobody can tell that a worker died
            assert worker.poll() is None
            time.sleep(0.05)
        worker.kill()
    assert heartbeats(options.storage, "set back") == 1
    study = open_study(options)
    study.run(parabola, 2, "alive")
    study.run(parabola, 3, "another")
    died = [trial for trial in study.trials() if trial.parameters == study.trials()[0].parameters]
    assert [trial.state for trial in died][-1] == "complete"
    assert {trial.seed for trial in died} == {7}
    assert sum(trial.counts for trial in study.trials()) == 5
    if options.sampler == "optuna":
        assert [(trial.state, trial.retry_of) for trial in died] == [("failed", None), ("complete", 0)]


@pytest.mark.slow
def test_workers_share_one_sqlite_file_and_lose_no_trial(options, task_module):
    task = {"storage": options.storage, "space": SPACE.model_dump_json(), "sampler": options.sampler, "n_trials": 4}
    tasks = [{**task, "worker": f"w{number}"} for number in range(3)]
    open_study(options)
    run_tasks(f"{task_module}:many_trials", tasks, workers=3, on_done=lambda done: None)
    trials = open_study(options).trials()
    assert [trial.number for trial in trials] == list(range(12))
    assert {trial.state for trial in trials} == {"complete"}
    if options.sampler == "random":  # whoever ran it
        assert [trial.parameters for trial in trials] == [SPACE.draw(7, number) | {
            "a.c": list(SPACE.draw(7, number)["a.c"])} for number in range(12)]  # fmt: skip
    else:
        with sqlite3.connect(options.storage.removeprefix("sqlite:///")) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        connection.close()


@pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="no Optuna")
def test_a_hopeless_trial_is_given_up_early_and_counts(tmp_path):
    space = Space(prune_by="ic_4h", parameters={"a.x": {"low": 0.0, "high": 1.0}})
    study = open_study(StudyOptions("study", f"sqlite:///{tmp_path}/search.db", space, 7, 9, sampler="optuna"))
    steps = []

    def objective(asked):
        for step in range(9):
            steps.append(asked.number)
            asked.report(step, 1.0 - asked.number)  # each trial is worse than all before it
        return Answer(1.0 - asked.number)

    study.run(objective, 8, "worker")
    states = [trial.state for trial in study.trials()]
    assert states[0] == "complete"
    assert states.count("pruned") >= 3
    assert sum(trial.counts for trial in study.trials()) == 8
    assert len(steps) < 8 * 9


def test_without_optuna_the_built_in_search_answers_and_says_what_it_cannot(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    storage = f"sqlite:///{tmp_path}/search.db"
    assert type(open_study(StudyOptions("study", storage, SPACE, 7, 4))).__name__ == "RandomStudy"
    with pytest.raises(StudyProblem, match=r"Optuna is not installed.*candlewright\[search\]"):
        open_study(StudyOptions("study", storage, SPACE, 7, 4, sampler="optuna"))
    with pytest.raises(StudyProblem, match="knows no other database"):
        open_study(StudyOptions("study", "postgresql://u:secret@h/d", SPACE, 7, 4))


@pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="no Optuna")
def test_a_database_that_cannot_be_opened_does_not_tell_its_password(tmp_path):
    with pytest.raises(StudyProblem, match="cannot be opened") as caught:
        open_study(StudyOptions("study", "postgresql://u:secret@127.0.0.1:9/d", SPACE, 7, 4, sampler="optuna"))
    assert "secret" not in str(caught.value)
