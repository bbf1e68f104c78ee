"""Background services: found again, never confused with a stranger, stopped only if ours.

Real processes, real ports.
"""

import json
import os
import socket
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from tools import services
from tools.errors import UserError
from tools.home import Home
from tools.ports import free_port, holder, is_free

SERVER = textwrap.dedent("""
    import http.server, sys
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200); self.end_headers(); self.wfile.write(b"{}")
        def log_message(self, *a): pass
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
""")


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path, tmp_path / "user_data")
    home.make()
    yield home
    for each in services.all_running(home):
        services.stop(home, each.name)


def serve(home, name="exchange", port=None):
    port = port or free_port()
    return services.start(home, name, [sys.executable, "-c", SERVER, str(port)], port, wait=20)


def test_a_service_is_started_found_again_and_stopped(home):
    started = serve(home)
    assert started.ready()
    assert services.running(home, "exchange") == started
    assert services.stop(home, "exchange")
    assert services.running(home, "exchange") is None
    assert not psutil.pid_exists(started.pid) or psutil.Process(started.pid).status() == psutil.STATUS_ZOMBIE
    assert is_free(started.port)


def test_a_second_start_says_that_it_runs_already(home):
    started = serve(home)
    with pytest.raises(UserError, match=f"runs already .pid {started.pid}"):
        serve(home)


def test_a_taken_port_is_told_with_its_holder(home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"pid {os.getpid()}" in holder(port)
        with pytest.raises(UserError, match=rf"port {port} .* taken by .*pid {os.getpid()}"):
            serve(home, port=port)


def test_a_service_that_dies_at_once_shows_the_end_of_its_log(home):
    with pytest.raises(UserError, match="no such thing as a market"):
        services.start(
            home, "exchange", [sys.executable, "-c", "raise SystemExit('no such thing as a market')"], free_port()
        )
    assert services.running(home, "exchange") is None


def test_a_pid_that_belongs_to_somebody_else_by_now_is_left_alone(home):
    """The process died, the machine gave its pid to another: `stop` must not end that one."""
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        stale = {
            "name": "exchange",
            "pid": stranger.pid,
            "created": time.time() - 9999,
            "port": 1,
            "log": "",
            "detail": "",
        }
        (home.run / "exchange.json").write_text(json.dumps(stale))
        assert services.running(home, "exchange") is None
        assert not services.stop(home, "exchange")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("content", ["", "{", '{"name": "exchange"}', "[]", '"x"'])
def test_a_pid_file_cut_short_by_a_crash_is_forgotten(home, content):
    (home.run / "exchange.json").write_text(content)
    assert services.running(home, "exchange") is None
    assert services.all_running(home) == []


def test_a_killed_service_is_noticed(home):
    started = serve(home)
    services.CHILDREN[started.pid].kill()
    services.CHILDREN[started.pid].wait(120)
    assert services.running(home, "exchange") is None
    assert serve(home).ready()


def test_a_temporary_service_ends_with_its_block_even_on_an_error(home):
    port = free_port()
    command = [sys.executable, "-c", SERVER, str(port)]

    def fail_inside():
        with services.temporary(home, "exchange-x", command, port) as started:
            assert started.ready()
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail_inside()
    assert is_free(port)
