"""A running Freqtrade behind the hub: its REST API is asked, its websocket followed (HUB-4)."""

import json
import os
import subprocess
import sys
import time

import httpx
import pytest
from hubs import KEY, PAIR, ROOT, datahub_process, exchange_process

from tools.commands.freqtrade import layers
from tools.freqtrade import at_port, merged_config
from tools.home import Home
from tools.ports import free_port

pytestmark = pytest.mark.e2e
LOGIN = {
    "FREQTRADE__API_SERVER__USERNAME": "trader",
    "FREQTRADE__API_SERVER__PASSWORD": "only-for-this-test",
    "FREQTRADE__API_SERVER__WS_TOKEN": "also-only-for-this-test",
}
STRATEGY = """
from freqtrade.strategy import IStrategy


class Watcher(IStrategy):
    timeframe = "15m"
    stoploss = -0.1
    minimal_roi = {}

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    populate_entry_trend = populate_exit_trend = populate_indicators
"""


@pytest.fixture
def bot(tmp_path):
    """The address of a dry-running bot on the simulated exchange, and that exchange's port."""
    with exchange_process() as (exchange, _):
        exchange_port, port = int(exchange.rsplit(":", 1)[1]), free_port()
        server = {"enabled": True, "listen_port": port, "jwt_secret_key": "j" * 40}
        above = {"api_server": server, "exchange": {"pair_whitelist": [PAIR]}}
        config = at_port(merged_config(Home.find(), layers("futures", "sim"), above), exchange_port)
        (tmp_path / "config.json").write_text(json.dumps(config))
        (tmp_path / "watcher.py").write_text(STRATEGY)
        command = [sys.executable, "-m", "freqtrade", "trade", "--config", str(tmp_path / "config.json"), "--dry-run"]
        command += ["--userdir", str(tmp_path / "bot"), "--strategy", "Watcher", "--strategy-path", str(tmp_path)]
        command += ["--db-url", "sqlite://"]
        with open(tmp_path / "bot.log", "wb") as log:
            (tmp_path / "bot").mkdir()
            running = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **LOGIN}, stdout=log, stderr=log)
        try:
            yield wait_for(f"http://127.0.0.1:{port}"), exchange_port
        finally:
            running.kill()  # it trades dry, in memory: there is nothing to end in peace
            running.wait()


def wait_for(url):
    """Return once the bot's API answers."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        try:
            if httpx.get(f"{url}/api/v1/ping").status_code == 200:
                return url
        except httpx.TransportError:
            time.sleep(0.5)
    raise AssertionError("the bot's API did not answer")


def test_candles_come_from_a_real_bot_and_its_stream_is_followed(bot, tmp_path):
    url, exchange_port = bot
    options = ["--bot", url, "--stream", "--exchange-port", exchange_port]
    with (
        datahub_process(tmp_path / "hub", *options, **LOGIN) as (hub, running),
        httpx.Client(base_url=hub, headers={"X-API-KEY": KEY}, timeout=120) as client,
    ):
        until = time.monotonic() + 300
        told = {}
        while told.get("source") != "bot" and time.monotonic() < until:
            time.sleep(1.1)  # until the bot has analysed its first candles it knows none: the exchange tells the price
            told = client.get("/price/BTC_USDT_USDT").json()
        assert told["source"] == "bot", (tmp_path / "bot.log").read_text()[-2000:]
        history = client.get("/history/BTC_USDT_USDT", params={"limit": 50}).json()
        close = httpx.get(
            f"http://127.0.0.1:{exchange_port}/fapi/v1/klines",
            params={"symbol": "BTCUSDT", "interval": "15m", "limit": 60},
        ).json()
        while not any("following the bot" in line for line in running.said) and time.monotonic() < until:
            time.sleep(0.2)
        said = "".join(running.said)
    assert history["candles"][-1]["close"] in [float(row[4]) for row in close]
    assert len(history["candles"]) == 50
    assert "following the bot's candles" in said
