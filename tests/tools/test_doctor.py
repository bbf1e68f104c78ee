"""The doctor: every finding is a sentence with its remedy, the worst is the exit code (DOC-1 to DOC-3)."""

import json
import os
import socket

import pytest

from tools.commands import doctor
from tools.commands.train import DOWNLOAD
from tools.home import Home


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in (
        "CANDLEWRIGHT_MODEL_KEY",
        "CANDLEWRIGHT_API_KEY",
        "CANDLEWRIGHT_MODEL_KEY_FILE",
        "CANDLEWRIGHT_API_KEY_FILE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CANDLEWRIGHT_USER_DATA", str(tmp_path / "user_data"))
    home = Home.find()
    home.make()
    return home


def only(findings, level):
    return [finding for finding in findings if finding.level == level]


def test_a_fresh_installation_has_no_failure_and_says_what_comes_next(home, capsys):
    code = doctor.doctor(json=True)
    findings = json.loads(capsys.readouterr().out)
    assert [finding for finding in findings if finding["level"] == "failure"] == []
    assert code == (1 if any(finding["level"] == "warning" for finding in findings) else 0)
    assert all(finding["remedy"] for finding in findings if finding["level"] != "good")
    remedies = [finding["remedy"] for finding in findings]
    assert home.typed("train") in remedies
    assert home.typed(DOWNLOAD) in remedies  # into the folder that was looked at


def test_a_key_open_to_others_is_a_failure_with_its_remedy(home):
    home.secret_file("service").chmod(0o644)
    (finding,) = only(doctor.check_secrets(home), "failure")
    assert "open to others" in finding.sentence
    assert finding.remedy == f"chmod 600 {home.secret_file('service')}"


def test_a_missing_and_a_short_key_are_failures(home):
    home.secret_file("service").unlink()
    home.secret_file("model").write_text("short")
    assert {finding.subject for finding in only(doctor.check_secrets(home), "failure")} == {"service key", "model key"}


def test_a_taken_port_is_a_warning_that_names_the_holder(home, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(doctor, "DEFAULT_PORTS", {"exchange": taken.getsockname()[1]})
        (finding,) = doctor.check_ports(home)
    assert finding.level == "warning"
    assert f"pid {os.getpid()}" in finding.sentence


def test_broken_candles_are_a_failure(home):
    folder = home.user_data / "data" / "binance"
    folder.mkdir(parents=True)
    (folder / "BTC_USDT-15m.feather").write_bytes(b"not arrow")
    (finding,) = only(doctor.check_data(home), "failure")
    assert "BTC_USDT-15m.feather" in finding.sentence


def test_a_registry_that_does_not_verify_is_a_failure(home):
    line = home.registry / "unified-15m"
    line.mkdir(parents=True)
    (line / "aliases.json").write_text("{}")
    (finding,) = only(doctor.check_registry(home), "failure")
    assert "unified-15m" in finding.sentence
