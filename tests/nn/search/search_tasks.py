"""Functions that workers call in the tests; they find this module by PYTHONPATH, the tests do not import it."""

import os
import signal
import time
from pathlib import Path

import numpy as np


def wait_for(condition):
    """Return once it holds; the limit only ends a test that waits for what never comes."""
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def square(task):
    if "wait_for" in task:
        wait_for(Path(task["wait_for"]).exists)
    time.sleep(task.get("wait_s", 0))
    return {"square": task["x"] ** 2, "pid": os.getpid(), "threads": os.environ["OMP_NUM_THREADS"]}


def numbers(task):
    x = np.random.default_rng(task["seed"]).standard_normal((200, 200))
    return {"sum": float((x @ x).sum()), "row": (x @ x)[0].tolist()}


def first_attempt(task):
    """True once for each folder."""
    try:
        Path(task["folder"], "attempt").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def killed_once(task):
    if "folder" in task and first_attempt(task):
        os.kill(os.getpid(), signal.SIGKILL)
    return {"x": task["x"]}


def raises(task):
    if task["x"] < 0:
        raise ValueError(f"x is {task['x']}")
    print("this goes to stderr")
    return {"x": task["x"]}


def dies(task):
    if task["x"] < 0:
        os._exit(3)
    return {"x": task["x"]}


def sleeps(task):
    Path(task["folder"], f"pid-{os.getpid()}").touch()
    time.sleep(600)


def on_a_node(task):
    """Say which node runs it, wait for other nodes or for a file; the answer is the same on any node."""
    Path(task["folder"], f"task-{task['seed']}-node-{os.getppid()}").touch()
    wait_for(lambda: len({each.name.split("-")[-1] for each in Path(task["folder"]).iterdir()}) >= task.get("nodes", 1))
    if "wait_for" in task:
        wait_for(Path(task["wait_for"]).exists)
    return numbers(task)


def many_trials(task):
    """Run trials that take no time, so that workers meet in the database all the time."""
    from nn.search.space import Space
    from nn.search.study import Answer, StudyOptions, open_study

    space = Space.model_validate_json(task["space"])
    options = StudyOptions("study", task["storage"], space, 7, 4, {"config": "a"}, 1, task["sampler"])
    return {
        "n": open_study(options).run(lambda asked: Answer(asked.parameters["a.x"]), task["n_trials"], task["worker"])
    }
