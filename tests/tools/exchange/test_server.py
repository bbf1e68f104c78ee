"""The process: loopback only, a taken port named, a quick stop (SIM-8)."""

import signal
import socket
import subprocess
import sys

import httpx
import pytest

from tools.exchange.server import CannotServe, bind, loopback


def start(*options):
    return subprocess.Popen([sys.executable, "-m", "tools.exchange", *options], stderr=subprocess.PIPE, text=True)


def refusal(*options):
    """Return exit code and last words of an exchange that does not start."""
    with start(*options) as process:
        return process.wait(120), process.stderr.read().strip()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.com", ""])
def test_any_host_but_loopback_is_refused_in_a_sentence(host):
    with pytest.raises(CannotServe, match=r"serves this machine only, expected 127\.0\.0\.1"):
        loopback(host)


def test_the_command_refuses_a_foreign_host():
    code, words = refusal("--host", "0.0.0.0")
    assert code == 1
    assert words.startswith("exchange: host is 0.0.0.0;")
    assert "\n" not in words


def test_a_taken_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, words = refusal("--port", str(port))
    assert code == 1
    assert words == f"exchange: port {port} of 127.0.0.1 is taken by another program; choose another with --port"


def test_a_bound_port_cannot_be_bound_again():
    with bind("localhost", 0) as first, pytest.raises(CannotServe, match="is taken by another program"):
        bind("127.0.0.1", first.getsockname()[1])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--pairs", "BTCUSDT"], "exchange: pair is BTCUSDT, expected a name like BTC/USDT or BTC/USDT:USDT"),
        (["--datadir", "/nowhere"], "exchange: data directory /nowhere does not exist"),
        (["--port", "70000"], "exchange: port is 70000, expected 0 to 65535"),
    ],
)
def test_a_wrong_option_is_refused_in_a_sentence(options, words):
    assert refusal("--port", "0", *options) == (1, words)


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_even_with_a_connection_open(told):
    """SIM-8: it waits for no client, here one that keeps its connection until the exchange has gone."""
    with start("--port", "0", "--days", "1", "--timeframe", "1h") as process:
        ready = process.stderr.readline()
        address = ready.split()[3]
        with httpx.Client() as client:
            assert client.get(f"{address}/api/v3/ping").status_code == 200
            process.send_signal(told)
            process.wait(120)
        assert process.stderr.read() == ""
