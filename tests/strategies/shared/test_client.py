"""The client on a real socket: time limits, one retry, the breaker, one pool per process (CLT-2)."""

import socket
import threading

import pandas as pd
import pytest
from stub_service import StubService, running

from strategies.shared import client, wire
from strategies.shared.breaker import FAILURES, OPEN_SECONDS
from strategies.shared.client import ForecastClient, ForecastUnavailable, client_for


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def asking(stub, clock):
    """A client of the stub whose breaker reads a clock that the test moves."""
    one = ForecastClient(stub.url, clock)
    yield one
    one.close()


def test_one_pool_per_process_and_url():
    """/reload_config runs the strategy file again; the pool stays."""
    assert client_for("http://127.0.0.1:3000") is client_for("http://127.0.0.1:3000")
    assert client_for("http://127.0.0.1:3000") is not client_for("http://127.0.0.1:3001")


def test_the_key_travels_in_its_header_and_is_read_anew(asking, monkeypatch, room):
    assert asking.models()[0]["timeframe"] == "15m"
    monkeypatch.setenv("CANDLEWRIGHT_API_KEY", "x" * 32)
    with pytest.raises(ForecastUnavailable, match="401: wrong key") as caught:
        asking.models()
    assert caught.value.cause == "key"
    (room / "key").write_text("k" * 32 + "\n")
    monkeypatch.delenv("CANDLEWRIGHT_API_KEY")
    monkeypatch.setenv("CANDLEWRIGHT_API_KEY_FILE", str(room / "key"))
    assert asking.models()


def test_a_proxy_of_the_environment_is_ignored(asking, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    one = ForecastClient(asking.url)
    assert one.models()
    one.close()


def test_a_dropped_connection_is_tried_once_more(stub, asking):
    stub.faults[:] = ["drop"]
    assert asking.post("/predict", request(), bulk=False)
    stub.faults[:] = ["drop", "drop"]
    with pytest.raises(ForecastUnavailable, match="RemoteProtocolError"):
        asking.post("/predict", request(), bulk=False)
    assert sum(method == "POST" for method, *_ in stub.requests) == 4


def test_a_kept_alive_connection_that_died_is_replaced(clock):
    """The usual fault after a restart of the service."""
    with running() as stub:
        one = ForecastClient(stub.url, clock)
        one.models()
    with running(StubService(), port=stub.port):
        assert one.models()
    one.close()


@pytest.mark.parametrize("what", ["held", "drip"])
def test_a_slow_answer_ends_at_the_limit(stub, what, monkeypatch):
    """The answer comes only after the client has left it, or byte by byte; to the end it would be a broken one."""
    monkeypatch.setattr(client, "LATEST_SECONDS", 0.4)
    left = threading.Event()
    stub.faults[:] = ["drip" if what == "drip" else lambda table: left.wait(120) and table]
    one = ForecastClient(stub.url)
    with pytest.raises(ForecastUnavailable, match=r"longer than 0\.4 s") as caught:
        one.post("/predict", request(), bulk=False)
    left.set()
    assert caught.value.cause == "slow"
    assert sum(method == "POST" for method, *_ in stub.requests) < 2  # time ran out: no second try
    one.close()


def test_an_address_that_swallows_packets_costs_two_connect_timeouts(monkeypatch):
    connect, limits = socket.create_connection, []

    def counted(address, timeout, **rest):
        limits.append(timeout)
        return connect(address, timeout, **rest)

    monkeypatch.setattr(client, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(socket, "create_connection", counted)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        one = ForecastClient(f"http://127.0.0.1:{full.getsockname()[1]}")
        with pytest.raises(ForecastUnavailable, match="ConnectTimeout"):
            one.models()
        assert limits == [0.1, 0.1]
        one.close()
        for filler in fillers:
            filler.close()


def test_the_breaker_opens_after_five_failures_and_probes_after_thirty_seconds(stub, asking, clock):
    stub.faults[:] = [500] * (FAILURES + 1)
    for _ in range(FAILURES):
        with pytest.raises(ForecastUnavailable, match="500"):
            asking.post("/predict", request(), bulk=False)
    asked = len(stub.requests)
    with pytest.raises(ForecastUnavailable, match="asked again in 30 s"):
        asking.post("/predict", request(), bulk=False)
    assert len(stub.requests) == asked
    clock.now += OPEN_SECONDS
    with pytest.raises(ForecastUnavailable, match="500"):  # the probe fails: open again, at once
        asking.post("/predict", request(), bulk=False)
    with pytest.raises(ForecastUnavailable, match="asked again"):
        asking.models()
    clock.now += OPEN_SECONDS
    assert asking.models()  # the probe succeeds: closed
    assert asking.post("/predict", request(), bulk=False)


def test_only_one_caller_probes(asking, clock):
    for _ in range(FAILURES):
        asking.breaker.failed()
    clock.now += OPEN_SECONDS
    assert asking.breaker.wait_seconds() == 0
    assert asking.breaker.wait_seconds() > 0


@pytest.mark.parametrize("status", [400, 401, 409, 413, 429])
def test_a_refusal_does_not_open_the_breaker(stub, asking, status):
    """The service lives; waiting would not cure a wrong key."""
    stub.faults[:] = [status] * (FAILURES + 1)
    for _ in range(FAILURES + 1):
        with pytest.raises(ForecastUnavailable, match=str(status)):
            asking.post("/predict", request(), bulk=False)


def test_a_reply_that_never_ends_is_cut(stub, asking, monkeypatch):
    monkeypatch.setattr(client, "MAX_REPLY_BYTES", 1000)
    with pytest.raises(ForecastUnavailable, match="larger than 1000 bytes"):
        asking.post("/predict", request(), bulk=True)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"lines": 3}', b'{"lines": ["x"]}'])
def test_a_model_list_of_another_shape_is_no_list(body, monkeypatch):
    one = ForecastClient("http://127.0.0.1:1")
    monkeypatch.setattr(one, "_send", lambda *arguments: body)
    with pytest.raises(ForecastUnavailable, match="model lines"):
        one.models()
    one.close()


def request():
    date = pd.date_range("2025-01-01", periods=3, freq="15min", tz="UTC", unit="ms")
    frame = pd.DataFrame({"date": date} | dict.fromkeys(wire.PRICES, 1.0))
    return wire.encode(wire.candle_table(frame), "BTC/USDT", "15m", "each")
