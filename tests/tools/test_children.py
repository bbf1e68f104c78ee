"""Children end in peace: SIGTERM is passed on and waited for, and what was begun is cleaned up (real processes)."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tools.commands.freqtrade import freqtrade
from tools.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import signal, sys, time
def stop(*_):
    time.sleep(0.7)  # orders are cancelled here
    open(sys.argv[1], "w").write("cleaned up")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("up", flush=True)
time.sleep(60)
"""
PARENT = """
import sys
from tools.children import raise_on_termination, run_child
raise_on_termination()
try:
    run_child([sys.executable, "-c", sys.argv[1], sys.argv[2]])
finally:
    open(sys.argv[2] + ".parent", "w").write("finally ran")
"""


def test_a_child_gets_time_to_clean_up_when_we_are_terminated(tmp_path):
    mark = tmp_path / "mark"
    command = [sys.executable, "-c", textwrap.dedent(PARENT), textwrap.dedent(CHILD), str(mark)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout.readline() == "up\n"
        time.sleep(0.2)
        os.kill(parent.pid, signal.SIGTERM)
        parent.wait(120)
    assert mark.read_text() == "cleaned up"
    assert Path(f"{mark}.parent").read_text() == "finally ran"


@pytest.mark.parametrize("value", ["false", "False", "0"])
def test_no_variable_turns_the_dry_run_off(tmp_path, monkeypatch, value):
    """SEC-13: real orders take two deliberate acts, and this verb is none of them."""
    monkeypatch.setenv("CANDLEWRIGHT_USER_DATA", str(tmp_path))
    monkeypatch.setenv("FREQTRADE__DRY_RUN", value)
    with pytest.raises(UserError, match="trades dry only"):
        freqtrade("trade", ["--strategy", "TrendFollower"], "futures", "sim")


@pytest.mark.parametrize("option", [["--config", "live.json"], ["-c", "live.json"], ["--config=live.json"]])
def test_no_further_config_replaces_the_merged_one(tmp_path, monkeypatch, option):
    monkeypatch.setenv("CANDLEWRIGHT_USER_DATA", str(tmp_path))
    with pytest.raises(UserError, match="would replace the merged configuration"):
        freqtrade("trade", option, "futures", "sim")
