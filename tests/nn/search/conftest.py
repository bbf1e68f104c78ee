"""Tasks for workers: a module that only they can import, and a place to count its calls."""

import pytest

TASKS = '''
import os, signal, time
from pathlib import Path

def square(task):
    time.sleep(task.get("wait_s", 0))
    return {"square": task["x"] ** 2, "pid": os.getpid(), "threads": os.environ["OMP_NUM_THREADS"]}

def numbers(task):
    import numpy as np
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
'''


@pytest.fixture
def task_module(tmp_path, monkeypatch):
    """A module `search_tasks` that a worker finds and this process does not."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "search_tasks.py").write_text(TASKS)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return "search_tasks"
