"""MLflow follows the signed file; what the store says when it fails never shows the password of its address."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from mlflow.exceptions import MlflowException

from nn.registry.manifest import load_aliases, load_version, write_version
from nn.registry.promotion import Operator, promote
from nn.registry.store import Store, StoreProblem, hide_password
from nn.registry.thresholds import load_thresholds

from .conftest import make_draft


def test_a_password_is_hidden_quoted_and_plain():
    uri = "postgresql://me:s%40cret@db/mlflow"
    assert hide_password(f"{uri} refused s@cret", uri) == "postgresql://me:***@db/mlflow refused ***"
    assert hide_password("sqlite:///a.db failed", "sqlite:///a.db") == "sqlite:///a.db failed"


def test_a_server_that_does_not_answer_is_one_sentence_without_the_password(monkeypatch):
    """Port 9 of loopback has no server; the refusal comes from this machine alone."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(StoreProblem, match="cannot be opened") as caught:
        Store("http://me:s%40cret@127.0.0.1:9", "unified-15m")
    assert "cret" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """An MLflow database of its own; making its tables takes seconds."""
    return Store(f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}", "unified-15m")


@pytest.mark.slow
def test_two_trainings_that_begin_at_once_make_one_database(tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    opens = "import sys; from nn.registry.store import Store; print(Store(sys.argv[1], sys.argv[2]).experiment)"
    lines = ("unified-15m", "direction-15m")
    both = [subprocess.Popen([sys.executable, "-c", opens, uri, line], stdout=subprocess.PIPE) for line in lines]
    said = [each.communicate(timeout=300)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert len(set(said)) == 2


@pytest.mark.slow
def test_mlflow_shows_what_the_signed_file_says_and_decides_nothing(store, version_folder, keys, model, monkeypatch):
    """REG-6: signed file first, MLflow after; what MLflow missed, it shows after the next move."""
    line = version_folder.parent
    newer = write_version(line, make_draft(valid_from=datetime(2025, 7, 9, tzinfo=UTC)), model.state_dict(), keys)
    for folder in (version_folder, newer):
        with store.run(folder.name, {}, {}) as run:
            run.register(folder, load_version(folder, keys).manifest)
    names = [version_folder.name, newer.name]

    def shown():
        aliases = store.client.get_registered_model("unified-15m").aliases
        return {alias: names[int(number) - 1] for alias, number in aliases.items()}

    assert store.publish(line, keys, names[:1]).aliases == shown() == {"challenger": names[0]}

    with monkeypatch.context() as patched:  # killed between the two: the move is done, MLflow does not know yet
        patched.setattr(Store, "follow", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            store.publish(line, keys, names)
    assert load_aliases(line, keys).aliases == {"challenger": names[1]}
    assert shown() == {"challenger": names[0]}
    store.follow(load_aliases(line, keys))
    assert shown() == {"challenger": names[1]}

    moved = promote(line, keys, load_thresholds(), operator=Operator("Anna", "a test")).aliases
    with monkeypatch.context() as patched:  # down: a warning, and the move stays
        patched.setattr(store.client, "get_registered_model", _down)
        assert store.publish(line, keys, names).aliases == {"champion": names[1]} == moved.aliases
    store.follow(load_aliases(line, keys))
    assert shown() == {"champion": names[1]}


def _down(_):
    raise MlflowException("the server is gone")
