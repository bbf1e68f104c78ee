"""Clients that mean harm or do not care, on a real socket: silent, slow, deaf, many at once, and a server killed."""

from __future__ import annotations

import json
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

pytestmark = pytest.mark.e2e
JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"
SETTINGS = "requests_per_second: 100000\nrequests_burst: 100000\nreply_timeout_s: 4\n"


@pytest.fixture(scope="module")
def server(start, both_lines):
    return start(both_lines.folder, SETTINGS)


@pytest.fixture
def connections():
    """A stack that closes what is entered into it, also when a test fails."""
    with ExitStack() as stack:
        yield stack


def connect(server, receive_bytes: int | None = None) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    line = socket.socket()
    if receive_bytes is not None:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    line.settimeout(120)
    line.connect((host, int(port)))
    return line


def raw(server, body: bytes, kind: str, path: str = "/forecast", extra: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {server.key}\r\ncontent-type: {kind}\r\n{extra}"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def test_fifty_bots_ask_for_twenty_pairs_at_once(server, kit):
    """No errors, and each has the bits that it would have alone, whoever shared its batch."""
    frames = {f"C{k}/USDT:USDT": kit.candles(232, seed=k) for k in range(20)}
    bodies = [kit.stream_of(kit.pairs_table(dict(list(frames.items())[k % 4 :]))) for k in range(4)]

    def ask(bot: int):
        headers = {"x-api-key": server.key, "content-type": ARROW}
        with httpx.Client(headers=headers, timeout=kit.watchdog_s) as client:
            return [
                (path, bot % 4, client.post(server.url + path, content=bodies[bot % 4]))
                for path in ("/predict", "/forecast")
            ]

    alone = {(path, which): answer.content for bot in range(4) for path, which, answer in ask(bot)}
    with ThreadPoolExecutor(50) as pool:
        answers = [each for found in pool.map(ask, range(50)) for each in found]
    assert {answer.status_code for *_, answer in answers} == {200}
    for path, which, answer in answers:
        assert answer.content == alone[path, which]


def test_a_thousand_silent_connections_keep_nobody_out(server, kit, connections):
    lines = [connections.enter_context(connect(server)) for _ in range(1000)]
    for line in lines[:500]:
        line.sendall(b"POST /forecast HTTP/1.1\r\nhost:")
    assert server.forecast(kit.json_body(kit.candles(200), as_of="latest")).status_code == 200
    for line in (lines[0], lines[-1]):
        assert line.recv(10) == b""  # after ten seconds


def test_an_arrow_body_without_end_is_cut_off(server):
    """LIM-4: counted while reading; no header announces the size here."""

    def chunks():
        for _ in range(70):
            yield b"x" * (1 << 20)

    answer = server.forecast(chunks(), ARROW)
    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")


def test_clients_that_do_not_read_are_left_and_keep_nobody_waiting(server, kit, connections):
    """That only one piece waits for each is shown in test_sending.py."""
    body = kit.arrow_body(kit.candles(60_000))  # the answer has 10 MB, more than sockets hold
    deaf = [connections.enter_context(connect(server, 4096)) for _ in range(3)]
    for line in deaf:
        line.sendall(raw(server, body, ARROW))
    server.wait_for(lambda: server.log.read_text().count("slow_reader") == len(deaf))
    assert server.forecast(kit.json_body(kit.candles(200), as_of="latest")).status_code == 200


def test_requests_behind_one_another_on_one_connection(server, kit):
    """HTTP pipelining: each has its answer, in order; what is ambiguous is refused and ends the connection."""
    latest, history = kit.json_body(kit.candles(200), as_of="latest"), kit.arrow_body(kit.candles(200))
    with connect(server) as line:
        ending = "connection: close\r\n"
        line.sendall(raw(server, latest, JSON) + raw(server, history, ARROW) + raw(server, b"{", JSON, extra=ending))
        found = b"".join(iter(lambda: line.recv(1 << 16), b""))
    places = [found.index(word) for word in (b'"rows":', b"chain_digest", b"is no JSON")]
    assert places == sorted(places)
    assert found.count(b"HTTP/1.1 200") == 2
    assert found.count(b"HTTP/1.1 400") == 1
    for extra in (
        "transfer-encoding: chunked\r\ncontent-length: 3\r\n",
        f"content-length: {len(latest) + 1}\r\n",
        "x-api-key: other\r\n",
        f"content-type: {ARROW}\r\n",
        "host: localhost\r\n",
    ):
        with connect(server) as line:
            line.sendall(raw(server, latest, JSON, extra=extra + "connection: close\r\n"))
            assert line.recv(12) in (b"HTTP/1.1 400", b"HTTP/1.1 401", b"HTTP/1.1 415", b"HTTP/1.1 403"), extra


def test_what_is_no_http_is_told_so_as_json(server, kit):
    """LIM-8: the server under it answers in plain text; and where an answer has begun, the connection ends quietly."""
    for lines in (
        "GET /livez HTTP/1.1\r\n\r\n",
        "nonsense\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: 127.0.0.1\r\na b\r\n\r\n",
    ):
        with connect(server) as line:
            line.sendall(lines.encode())
            head, body = b"".join(iter(lambda line=line: line.recv(1 << 16), b"")).split(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400")
        assert json.loads(body)["error"] == "bad_request"
    with connect(server) as line:
        line.sendall(
            raw(server, b"", "text/plain", extra="transfer-encoding: chunked\r\n").replace(
                b"content-length: 0\r\n", b""
            )
        )
        assert line.recv(12) == b"HTTP/1.1 415"
        line.sendall(b"zz\r\nno chunk\r\n")
        assert b"HTTP/1.1 400" not in b"".join(iter(lambda: line.recv(1 << 16), b""))
    assert server.ask().status_code == 200
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"])
def test_other_methods_get_an_answer_that_ends(server, method):
    with httpx.Client(headers={"x-api-key": server.key}) as client:
        assert client.request(method, server.url + "/forecast").status_code == 405
        assert client.get(server.url + "/livez").status_code == 200  # on the same connection


def test_killed_in_the_middle_of_an_answer_it_gives_the_same_bytes_again(server, start, both_lines, kit):
    """kill -9 while a long answer leaves: the client sees a broken answer, never a short one."""
    body, headers = kit.arrow_body(kit.candles(60_000)), {"x-api-key": server.key, "content-type": ARROW}
    whole = server.forecast(body, ARROW).content

    def read_until_killed():
        with httpx.stream(
            "POST", server.url + "/forecast", content=body, headers=headers, timeout=kit.watchdog_s
        ) as response:
            for count, _ in enumerate(response.iter_raw(1000)):
                if count == 3:
                    server.stop(signal.SIGKILL)

    with pytest.raises(httpx.TransportError):
        read_until_killed()
    again = start(both_lines.folder, SETTINGS)
    assert again.forecast(body, ARROW).content == whole
