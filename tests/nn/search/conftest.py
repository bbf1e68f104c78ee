"""A module of tasks that workers find and this process does not."""

from pathlib import Path

import pytest


@pytest.fixture
def task_module(monkeypatch):
    """The name of the module; workers inherit the path to it."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    return "search_tasks"
