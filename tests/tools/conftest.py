"""What tests of several verbs need."""

import pytest

from tools.home import Home


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user folder of its own, with its folders and keys."""
    monkeypatch.setenv("CANDLEWRIGHT_USER_DATA", str(tmp_path / "user_data"))
    home = Home.find()
    home.make()
    return home
