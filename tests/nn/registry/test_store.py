"""What the store says when it fails never shows the password of its address."""

import pytest

from nn.registry.store import Store, StoreProblem, hide_password


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
