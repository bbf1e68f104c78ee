"""Keys and the environment of child processes (SEC-8, CFG-3)."""

import stat

import pytest

from tools.home import Home, make_key


def test_keys_are_random_private_and_made_once(tmp_path):
    path = tmp_path / "secrets" / "service.key"
    assert make_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    first = path.read_text()
    assert len(first.strip()) == 64
    assert not make_key(path)
    assert path.read_text() == first
    assert make_key(tmp_path / "other.key")
    assert (tmp_path / "other.key").read_text() != first


def test_a_child_is_told_where_keys_lie_and_never_what_they_are(tmp_path, monkeypatch):
    monkeypatch.delenv("CANDLEWRIGHT_API_KEY", raising=False)
    home = Home(tmp_path, tmp_path / "user_data")
    home.make()
    environment = home.child_environment()
    secret = home.secret_file("service").read_text().strip()
    assert environment["CANDLEWRIGHT_API_KEY_FILE"] == str(home.secret_file("service"))
    assert secret not in " ".join(environment.values())


@pytest.mark.parametrize("variable", ["CANDLEWRIGHT_API_KEY", "CANDLEWRIGHT_MODEL_KEY"])
def test_a_key_of_the_caller_s_own_is_passed_on(tmp_path, monkeypatch, variable):
    monkeypatch.setenv(variable, "k" * 40)
    environment = Home(tmp_path, tmp_path / "user_data").child_environment()
    assert environment[variable] == "k" * 40
    assert f"{variable}_FILE" not in environment


def test_a_command_that_is_proposed_reaches_the_same_folder(tmp_path):
    assert Home(tmp_path, tmp_path / "user_data").typed("stop service") == "tools/start.sh stop service"
    elsewhere = Home(tmp_path, tmp_path / "my models").typed("stop service")
    assert elsewhere == f"tools/start.sh --user-data '{tmp_path / 'my models'}' stop service"
