"""The real process on a real socket: the LIM table once more, hot reload under load, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import chain as chain_of
from pathlib import Path

import httpx
import psutil
import pyarrow as pa
import pytest

pytestmark = pytest.mark.e2e
JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def server(start, chain):
    return start(chain.folder, "body_timeout_s: 5\nrequests_burst: 60\nrequests_per_second: 2\n")


def status(response) -> tuple[int, str]:
    assert response.headers["content-type"] == JSON
    assert set(response.json()) == {"error", "reason"}
    return response.status_code, response.json()["error"]


def test_the_limits_hold_on_a_real_socket(server, kit):
    """LIM table; each row once."""
    frame = kit.candles(8)
    good = kit.json_body(frame)
    assert server.ask(path="/livez", key="none").status_code == 200
    assert status(server.ask(path="/models", key="x" * 40)) == (401, "unauthorized")
    assert server.ask(path="/models", key=kit.old_key).status_code == 200
    assert status(server.ask(path="/livez", headers={"host": "evil.example"})) == (403, "foreign_host")
    for path in ("/", "/docs.json", "/schema.json", "/healthz"):
        assert status(server.ask(path=path)) == (404, "not_found")
    assert status(server.forecast(good, "application/vnd.bentoml+pickle")) == (415, "content_type")
    assert status(server.forecast(b"{" * 300_000)) == (413, "too_large")
    assert status(server.forecast(good.replace(b"15m", b"15x"))) == (400, "bad_request")
    assert status(server.forecast(kit.json_body(frame, extra=1))) == (400, "bad_request")
    assert status(server.forecast(good.replace(b'"volume":[', b'"volume":[NaN,'))) == (400, "bad_request")
    assert status(server.forecast(kit.json_body(frame, feature_digest="0" * 64))) == (409, "layout_mismatch")
    assert status(server.forecast(b"no arrow", ARROW)) == (400, "bad_request")
    assert server.forecast(good).json()["rows"][0]["reason"] == "no_version"


def test_arrow_and_json_give_the_same_numbers(server, kit):
    frame = kit.candles(200)
    rows = server.forecast(kit.json_body(frame)).json()["rows"]
    table = kit.read_reply(server.forecast(kit.arrow_body(frame), ARROW).content)
    for name in ("model_version", "reason"):
        assert table[name].to_pylist() == [row[name] for row in rows]
    for name in ("future_return_15m", "best_action_long", "confidence_12h"):
        assert table[name].to_pylist() == pa.array([row[name] for row in rows], pa.float32()).to_pylist()
    assert sum(row["model_version"] is not None for row in rows) == 51


def test_a_body_that_trickles_in_is_cut_off(server, kit):
    """LIM-4: and liveness answers meanwhile."""
    host, port = server.url.removeprefix("http://").split(":")
    head = f"POST /forecast HTTP/1.1\r\nhost: {host}\r\nx-api-key: {kit.api_key}\r\ncontent-type: {JSON}\r\n"
    with socket.create_connection((host, int(port)), timeout=kit.watchdog_s) as line:
        line.sendall(head.encode() + b"content-length: 1000\r\n\r\n{")
        assert server.ask(path="/livez").status_code == 200
        assert line.recv(4096).startswith(b"HTTP/1.1 408")


def test_more_than_the_rate_is_429(server, kit):
    """LIM-6, with the second key, so that the first keeps its own share."""

    def burst(_):
        with httpx.Client(headers={"x-api-key": kit.old_key}) as client:
            return [client.get(server.url + "/models").status_code for _ in range(60)]

    with ThreadPoolExecutor(4) as pool:
        answers = list(chain_of.from_iterable(pool.map(burst, range(4))))
    assert set(answers) == {200, 429}
    assert server.ask(path="/models").status_code == 200


def test_it_is_one_process_with_one_port(server):
    """SRV-1, LIM-7: no worker beside it, no port of a process manager, loopback only."""
    process = psutil.Process(server.process.pid)
    assert process.children(recursive=True) == []
    listening = [each.laddr for each in process.net_connections("inet") if each.status == psutil.CONN_LISTEN]
    assert [f"http://{ip}:{port}" for ip, port in listening] == [server.url]


def test_a_registry_is_picked_up_swapped_and_guarded_while_requests_run(start, registry, kit):
    """SRV-2, SRV-9: from empty to ready; a swap drops no request; a changed byte is refused and the old line serves."""
    registry.folder.mkdir()
    server = start(
        registry.folder, "requests_per_second: 5000\nrequests_burst: 5000\nreload_interval_s: 0.3\n", path="/livez"
    )
    assert status(server.ask()) == (503, "not_ready")
    body = kit.json_body(kit.candles(200), as_of="latest")
    assert status(server.forecast(body)) == (503, "no_model")

    first = registry.add(120, 0)
    registry.publish(first)
    server.wait_for(lambda: server.ask().status_code == 200)

    answers, ended = [], threading.Event()

    def keep_asking():
        with httpx.Client(headers={"x-api-key": kit.api_key, "content-type": JSON}, timeout=kit.watchdog_s) as client:
            while not ended.is_set():
                response = client.post(server.url + "/forecast", content=body)
                row = response.json()["rows"][0] if response.status_code == 200 else {"model_version": None}
                answers.append((response.status_code, row["model_version"]))

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(keep_asking) for _ in range(2)]
        try:
            second = registry.add(150, 1)
            registry.publish(first, second)
            server.wait_for(lambda: answers and answers[-1][1] == second)

            weights = registry.folder / "unified-15m" / second / "weights.safetensors"
            content = bytearray(weights.read_bytes())
            content[-1] ^= 1
            weights.write_bytes(content)
            registry.publish(first, second, champion=first)
            server.wait_for(lambda: "keeps serving" in server.log.read_text())
            asked = len(answers)
            server.wait_for(lambda: len(answers) > asked + 4)
        finally:
            ended.set()
        for each in asking:
            each.result()
    assert {code for code, _ in answers} == {200}
    assert {version for _, version in answers} == {first, second}
    assert answers[-1][1] == second
    assert "weights.safetensors is not the file that was signed" in server.log.read_text()
    assert kit.api_key not in server.log.read_text()
    assert server.stop(signal.SIGINT) == 0
    assert "Traceback" not in server.log.read_text()  # Ctrl-C is no fault


def long_requests(server, kit):
    """Ask for three long answers; return what waits for them once the service has been sent all three questions."""
    body, sent = kit.arrow_body(kit.candles(400_000)), threading.Semaphore(0)

    def pieces():
        for begin in range(0, len(body), 1 << 20):
            yield body[begin : begin + (1 << 20)]
        sent.release()

    def ask():
        try:
            return server.forecast(pieces(), ARROW).status_code
        except httpx.TransportError:
            return 0

    pool = ThreadPoolExecutor(3)
    waiting = [pool.submit(ask) for _ in range(3)]
    pool.shutdown(wait=False)
    assert all(sent.acquire(timeout=kit.watchdog_s) for _ in waiting)
    return waiting


def test_live_requests_pass_history_and_sigterm_waits_for_neither(start, chain, kit):
    """LIM-6: the newest candle is answered before the bulk work that came first; SIGTERM does not sit that work out."""
    server = start(chain.folder, "bulk_concurrency: 1\n")
    waiting = long_requests(server, kit)
    assert server.forecast(kit.json_body(kit.candles(280), as_of="latest")).status_code == 200
    assert not any(each.done() for each in waiting)
    assert server.stop() in (0, -signal.SIGTERM)
    answers = {each.result(kit.watchdog_s) for each in waiting}
    assert answers <= {0, 200, 500, 503}
    assert answers != {200}


def test_a_killed_server_leaves_nothing_behind(start, chain, kit):
    """kill -9 in the middle of work: no orphan process, and the port is free."""
    server = start(chain.folder)
    waiting = long_requests(server, kit)
    session = os.getsid(server.process.pid)
    server.stop(signal.SIGKILL)
    assert {each.result(kit.watchdog_s) for each in waiting} == {0}
    alive = [each for each in psutil.process_iter() if _session_of(each) == session]
    assert alive == []
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", int(server.url.rsplit(":", 1)[1])))


def _session_of(process) -> int | None:
    try:
        return os.getsid(process.pid)
    except OSError:
        return None


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        ([], {}, "no API key"),
        ([], {"CANDLEWRIGHT_API_KEY": "short"}, "5 characters, expected at least 32"),
        (["--host", "0.0.0.0"], {"CANDLEWRIGHT_API_KEY": "k" * 32}, "not a loopback address"),
        (["--host", "elsewhere"], {"CANDLEWRIGHT_API_KEY": "k" * 32}, "expected an IP address"),
        (["--port", "99999"], {"CANDLEWRIGHT_API_KEY": "k" * 32}, "cannot listen"),
        (["--config", "nowhere.yaml"], {"CANDLEWRIGHT_API_KEY": "k" * 32}, "cannot read the service settings"),
    ],
)
def test_it_refuses_to_start_in_one_sentence(tmp_path, arguments, environ, said):
    """LIM-2, SEC-1, SEC-7: and without a traceback."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("CANDLEWRIGHT")}
    command = [sys.executable, "-m", "nn.service", *arguments]
    ended = subprocess.run(command, env=plain | environ, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_bentoml_packs_it(tmp_path):
    """SRV-1: `bentoml build` from bentofile.yaml, with nothing of MLflow or Freqtrade inside."""
    environ = os.environ | {"BENTOML_HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "True"}
    command = [sys.executable, "-m", "bentoml", "build", "--output", "tag"]
    built = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stderr
    assert "nn_infer:" in built.stdout
    [source] = tmp_path.glob("bentos/nn_infer/*/src")
    packed = {str(path.relative_to(source)) for path in source.rglob("*.*")}
    assert {"nn/service/service.py", "configs/nn/service.yaml", "kernels/setup.py"} <= packed
    assert "nn/registry/store.py" not in packed
    assert not any(path.startswith(("strategies", "tools", "user_data")) for path in packed)


def test_a_port_in_use_is_told(server, tmp_path):
    port = server.url.rsplit(":", 1)[1]
    command = [sys.executable, "-m", "nn.service", "--port", port]
    environ = os.environ | {"CANDLEWRIGHT_API_KEY": "k" * 32}
    ended = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (ended.returncode, "Address already in use" in ended.stderr) == (2, True)
