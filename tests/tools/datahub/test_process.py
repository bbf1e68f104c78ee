"""The command with the simulated exchange: cache, then exchange (SRV-13), and what may go wrong between them."""

import signal
import subprocess
import sys
import time

import httpx
import psutil
import pytest
from hubs import KEY, ROOT, datahub_process, exchange_process, process

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def exchange():
    with exchange_process() as (url, running):
        yield url, running


@pytest.fixture
def hub(exchange, tmp_path):
    port = exchange[0].rsplit(":", 1)[1]
    with (
        datahub_process(tmp_path, "--exchange-port", port) as (url, running),
        httpx.Client(base_url=url, headers={"X-API-KEY": KEY}, timeout=120) as client,
    ):
        client.process = running
        yield client


def quiet_moment():
    """Wait out the end of a quarter of an hour and its first seconds: a candle closes there and the cache ends."""
    while not 35 < time.time() % 900 < 840:
        time.sleep(1)


def asked(client):
    """Return how many questions the exchange has answered, by the hub's own count."""
    lines = client.get("/metrics").text.splitlines()
    found = [line for line in lines if line.startswith('candlewright_datahub_source_requests_total{outcome="answered"')]
    return float(found[0].split()[-1]) if found else 0.0


def test_srv_13_the_cache_answers_after_the_exchange_has_and_while_it_is_frozen(exchange, hub, tmp_path):
    quiet_moment()
    for pair, timeframe, limit in (("BTC_USDT_USDT", "15m", 1000), ("ETH/USDT", "5m", 300), ("SOL_USDT", "1h", 50)):
        before = asked(hub)
        first = hub.get(f"/history/{pair}", params={"timeframe": timeframe, "limit": limit}).json()
        again = hub.get(f"/history/{pair}", params={"timeframe": timeframe, "limit": limit}).json()
        assert first == again
        assert len(first["candles"]) == limit
        if timeframe == "15m":
            assert asked(hub) == before + 1
    assert hub.get("/price/BTC_USDT_USDT").json()["price"] > 0
    exchange[1].send_signal(signal.SIGSTOP)
    try:
        known, unknown = hub.get("/history/BTC_USDT_USDT"), hub.get("/price/SOL_USDT")
    finally:
        exchange[1].send_signal(signal.SIGCONT)
    assert (known.status_code, unknown.status_code) == (200, 503)
    assert hub.get("/price/SOL_USDT").status_code == 200


def test_candles_are_those_of_the_exchange_and_spot_is_not_futures(exchange, hub):
    query = {"symbol": "BTCUSDT", "interval": "1h", "limit": 3}
    for symbol, path in (("BTC_USDT", "/api/v3/klines"), ("BTC_USDT_USDT", "/fapi/v1/klines")):
        theirs = httpx.get(exchange[0] + path, params=query).json()
        ours = hub.get(f"/history/{symbol}", params={"timeframe": "1h", "limit": 3}).json()["candles"]
        assert [float(row[4]) for row in theirs] == [candle["close"] for candle in ours]


def test_a_full_disk_costs_the_cache_and_nothing_else(hub, tmp_path):
    """The kernel refuses every byte the process wants to write into a file, as a full disk does."""
    psutil.Process(hub.process.pid).rlimit(psutil.RLIMIT_FSIZE, (0, 0))
    for _ in range(2):
        assert hub.get("/history/BTC_USDT_USDT").status_code == 200
    assert list((tmp_path / "cache" / "datahub").iterdir()) == []
    deadline = time.monotonic() + 120
    while not any("works without it" in line for line in hub.process.said) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert any("works without it" in line for line in hub.process.said)


def test_a_killed_hub_leaves_what_the_next_one_can_use(exchange, tmp_path):
    port = exchange[0].rsplit(":", 1)[1]
    quiet_moment()
    counts = []
    for _ in range(2):
        with (
            datahub_process(tmp_path, "--exchange-port", port) as (url, running),
            httpx.Client(base_url=url, headers={"X-API-KEY": KEY}, timeout=120) as client,
        ):
            assert client.get("/history/BTC_USDT_USDT").status_code == 200
            counts.append(asked(client))
            running.kill()
            running.wait()
    assert counts == [1.0, 0.0]


def test_neither_key_nor_login_nor_address_reach_the_log_or_the_process_list(exchange, tmp_path):
    secrets = {"FREQTRADE__API_SERVER__USERNAME": "trader-name", "FREQTRADE__API_SERVER__PASSWORD": "hush-hush",
               "FREQTRADE__API_SERVER__WS_TOKEN": "ws-token-secret"}  # fmt: skip
    port = exchange[0].rsplit(":", 1)[1]
    options = ["--exchange-port", port, "--bot", "http://127.0.0.1:9", "--stream"]
    with datahub_process(tmp_path, *options, **secrets) as (url, running):
        answer = httpx.get(f"{url}/history/BTC_USDT_USDT", headers={"X-API-KEY": KEY}, timeout=120)
        assert answer.json()["source"] == "exchange"
        assert "the bot does not answer" in answer.json()["warning"]
        shown = " ".join(psutil.Process(running.pid).cmdline())
        running.send_signal(signal.SIGINT)
        assert running.wait(120) == 0
    told = "".join(running.said) + answer.text + shown
    for secret in (*secrets.values(), KEY):
        assert secret not in told
    assert "Traceback" not in told  # Ctrl-C is no fault


def test_a_start_without_a_key_is_refused_in_one_line(tmp_path):
    clean = {"PATH": "/usr/bin:/bin", "CANDLEWRIGHT_USER_DATA": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tools.datahub", "--port", "0"]
    done = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert "no API key" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_offline_asks_the_simulated_exchange_whatever_was_named(exchange, tmp_path):
    port = exchange[0].rsplit(":", 1)[1]
    with datahub_process(tmp_path, "--exchange", "binance", "--exchange-port", port, OFFLINE_MODE="1") as (url, _):
        answer = httpx.get(f"{url}/price/BTC_USDT", headers={"X-API-KEY": KEY}, timeout=120)
    assert answer.status_code == 200


def test_it_is_a_service_of_start_sh(tmp_path):
    from tools.services import DEFAULT_PORTS, READY_PATHS

    assert DEFAULT_PORTS["datahub"] == 8082
    own = {"CANDLEWRIGHT_USER_DATA": str(tmp_path), "CANDLEWRIGHT_API_KEY": KEY}
    with process("tools.datahub", ready="datahub ready", environment=own) as (url, _):
        assert httpx.get(url + READY_PATHS["datahub"]).status_code == 200
