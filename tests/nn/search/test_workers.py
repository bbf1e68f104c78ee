"""SEA-4: results stand in the order of tasks, whatever happens to the processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from nn.search.cluster import ClusterProblem
from nn.search.workers import TasksFailed, run_tasks

ROOT = Path(__file__).resolve().parents[3]


def quiet(done):
    pass


def test_results_stand_in_the_order_of_tasks_though_the_first_ends_last(task_module, tmp_path):
    ended, others_ended = [], tmp_path / "others ended"

    def on_done(done):
        ended.append(done.index)
        if len(ended) == 2:
            others_ended.touch()

    tasks = [{"x": 3, "wait_for": str(others_ended)}, {"x": 2}, {"x": 1}]
    results = run_tasks(f"{task_module}:square", tasks, workers=2, on_done=on_done)
    assert [each["square"] for each in results] == [9, 4, 1]
    assert ended[-1] == 0
    assert {each["threads"] for each in results} == {"1"}
    assert len({each["pid"] for each in results}) == 2
    assert os.getpid() not in {each["pid"] for each in results}


def test_numbers_do_not_depend_on_how_many_work(task_module):
    tasks = [{"seed": seed} for seed in range(3)]
    one = run_tasks(f"{task_module}:numbers", tasks, workers=1, on_done=quiet)
    assert one == run_tasks(f"{task_module}:numbers", tasks, workers=3, on_done=quiet)


def test_a_killed_process_costs_an_attempt_and_nothing_else(task_module, tmp_path, capsys):
    tasks = [{"x": 1}, {"x": 2, "folder": str(tmp_path)}, {"x": 3}]
    assert [each["x"] for each in run_tasks(f"{task_module}:killed_once", tasks, on_done=quiet)] == [1, 2, 3]
    assert "task 2 is tried again: the worker process was killed by SIGKILL" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("function", "said"), [("raises", "ValueError: x is -2"), ("dies", "the worker process ended with exit code 3")]
)
def test_a_task_that_fails_twice_is_reported_with_its_parameters_after_the_rest(task_module, function, said):
    with pytest.raises(TasksFailed) as caught:
        run_tasks(f"{task_module}:{function}", [{"x": 1}, {"x": -2, "why": "a test"}, {"x": 3}], 2, on_done=quiet)
    assert [each and each["x"] for each in caught.value.results] == [1, None, 3]
    (failure,) = caught.value.failures
    assert failure.index == 1
    assert failure.task == {"x": -2, "why": "a test"}
    assert said in str(failure)
    assert '"why": "a test"' in str(failure)


@pytest.mark.parametrize("function", ["search_tasks:nothing", "no_such_module:f", "nocolon"])
def test_a_function_that_is_not_there_is_an_error_not_a_wait(task_module, function):
    with pytest.raises(TasksFailed, match="task 1 failed 2 times"):
        run_tasks(function, [{}], on_done=quiet)


def test_no_tasks_start_nothing():
    assert run_tasks("no_such_module:f", [], workers=4) == []


def test_fewer_than_one_worker_is_refused():
    with pytest.raises(ValueError, match="workers is 0, expected at least 1"):
        run_tasks("m:f", [{}], workers=0)


def test_progress_says_how_far_and_how_long(task_module, capsys):
    seen = []
    run_tasks(f"{task_module}:square", [{"x": 1}, {"x": 2}], on_done=seen.append)
    assert [each.n_done for each in seen] == [1, 2]
    assert seen[0].eta_s == pytest.approx(seen[0].elapsed_s)
    assert seen[1].eta_s == 0
    run_tasks(f"{task_module}:square", [{"x": 1}])
    assert "1 of 1 tasks done after" in capsys.readouterr().err


def test_an_error_in_on_done_ends_the_processes(task_module, tmp_path):
    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_tasks(f"{task_module}:square", [{"x": 1}, {"x": 2, "wait_s": 600}], workers=2, on_done=stop)
    assert [each for each in psutil.Process().children() if "nn.search.processes" in each.cmdline()] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_however_their_parent_is_told_to(task_module, tmp_path, number):
    """Ctrl-C, and a parent that is killed and cannot say so."""
    code = (
        "import json, sys; from nn.search.workers import run_tasks\n"
        f"run_tasks('search_tasks:sleeps', json.loads({json.dumps(json.dumps([{'folder': str(tmp_path)}] * 2))!s}), 2)"
    )
    path = f"{ROOT}{os.pathsep}{os.environ['PYTHONPATH']}"
    parent = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, stderr=-3)
    _until(lambda: len(list(tmp_path.glob("pid-*"))) == 2)
    children = [psutil.Process(int(each.name[4:])) for each in tmp_path.glob("pid-*")]
    parent.send_signal(number)
    assert parent.wait(120) != 0
    assert psutil.wait_procs(children, timeout=120)[1] == []


def test_without_ray_an_address_is_answered_with_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterProblem, match=r"Ray is not installed.*candlewright\[cluster\]"):
        run_tasks("m:f", [{}], address="127.0.0.1:6379")


def _until(condition, timeout_s=120.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)
