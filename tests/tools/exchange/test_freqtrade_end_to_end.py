"""Unmodified Freqtrade processes against the exchange: list, download, backtest, on both venues and with no network.

From: the configuration layers of the project, at the test's port. To: Freqtrade's own files, compared bit for bit.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

ROOT = Path(__file__).resolve().parents[3]
LAYERS = ROOT / "configs" / "freqtrade"
PAIRS = {
    "spot": ["BTC/USDT", "ETH/USDT", "SOL/USDT"],
    "futures": ["BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"],
}
STRATEGY = '''
from freqtrade.strategy import IStrategy


class Crossing(IStrategy):
    """Buy above a moving average, sell below: enough to trade often on any market."""

    timeframe = "15m"
    can_short = {can_short}
    startup_candle_count = 20
    minimal_roi = {{"0": 0.02}}
    stoploss = -0.05

    def populate_indicators(self, dataframe, metadata):
        dataframe["mean"] = dataframe["close"].rolling(20).mean()
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        dataframe.loc[dataframe["close"] > dataframe["mean"], "enter_long"] = 1
        if self.can_short:
            dataframe.loc[dataframe["close"] < dataframe["mean"], "enter_short"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        dataframe.loc[dataframe["close"] < dataframe["mean"], "exit_long"] = 1
        return dataframe
'''

pytestmark = pytest.mark.e2e


class Bot:
    """Freqtrade with the project's layers, its own user directory, and proxies that lead nowhere."""

    def __init__(self, userdir, address, mode):
        self.userdir, self.mode = userdir, mode
        self.datadir = userdir / "data" / "binance"
        (userdir / "strategies").mkdir(parents=True, exist_ok=True)
        strategy = STRATEGY.format(can_short=mode == "futures")
        (userdir / "strategies" / "crossing.py").write_text(strategy)
        sim = userdir / "sim.json"
        sim.write_text((LAYERS / "sim.json").read_text().replace("127.0.0.1:8086", address.split("://")[1]))
        self.layers = [LAYERS / "base.json", sim, LAYERS / f"{mode}.json"]

    def __call__(self, command, *arguments):
        """Run a command that must succeed; return all it said."""
        configs = [part for layer in self.layers for part in ("--config", str(layer))]
        line = [sys.executable, "-m", "freqtrade", command, *configs, "--userdir", str(self.userdir), *arguments]
        nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FREQTRADE__")}
        answer = subprocess.run(
            line,
            capture_output=True,
            text=True,
            env={**environment, **nowhere},
            cwd=self.userdir,
            timeout=300,
            check=False,
        )
        said = answer.stdout + answer.stderr
        assert answer.returncode == 0, said
        return said

    def stored(self, pair, timeframe, kind=""):
        """Return a downloaded file and its times in ms."""
        name = re.sub(r"[/:]", "_", pair)
        folder = self.datadir / "futures" if kind else self.datadir
        frame = pd.read_feather(folder / f"{name}-{timeframe}{'-' + kind if kind else ''}.feather")
        return frame, frame["date"].dt.as_unit("ms").array.asi8


@pytest.fixture(scope="module", params=["spot", "futures"])
def bot(request, tmp_path_factory, exchange):
    """A bot that has downloaded everything the exchange has."""
    bot = Bot(tmp_path_factory.mktemp(request.param), exchange, request.param)
    bot.said = bot("download-data", "--timeframes", "15m", "--timerange", "20250919-20251001")
    return bot


def assert_same_candles(frame, times, candles):
    assert_array_equal(times, candles.open_time)
    for name in ("open", "high", "low", "close", "volume"):
        assert_array_equal(frame[name], getattr(candles, name))


def test_list_pairs_knows_every_listing(bot):
    listed = next(line for line in bot("list-pairs", "--print-json").splitlines() if line.startswith("["))
    assert json.loads(listed) == PAIRS[bot.mode]


def test_downloaded_candles_equal_the_source_to_the_last_bit(bot, market):
    """Every stored candle arrives; only the one in progress is dropped, by Freqtrade's own rule."""
    for pair in PAIRS[bot.mode]:
        listing = market.venues[bot.mode][pair.split(":")[0].replace("/", "")]
        kind = "futures" if bot.mode == "futures" else ""
        complete = listing.trades.candles("15m")[:-1]
        assert len(complete) == 12 * 96
        assert_same_candles(*bot.stored(pair, "15m", kind), complete)
        if bot.mode == "futures":
            assert_same_candles(*bot.stored(pair, "1h", "mark"), listing.mark.candles("1h")[:-1])
            frame, times = bot.stored(pair, "1h", "funding_rate")
            assert_array_equal(times, listing.funding.time)
            assert_array_equal(frame["funding_rate"], listing.funding.rate)


def test_nothing_went_wrong_on_the_way(bot):
    assert [line for line in bot.said.splitlines() if re.search("WARNING|ERROR|Traceback", line)] == []


def test_a_backtest_on_the_downloaded_candles_trades(bot):
    said = bot("backtesting", "--strategy", "Crossing", "--export", "none", "--cache", "none")
    traded = re.search(r"Total/Daily Avg Trades\s*│\s*(\d+)", said)
    assert traded, said
    assert int(traded[1]) > 20


@pytest.mark.parametrize("exchange_layer", ["sim", "binance"])
@pytest.mark.parametrize("mode", ["spot", "futures"])
def test_freqtrade_accepts_every_combination_of_layers(tmp_path, mode, exchange_layer):
    bot = Bot(tmp_path, "http://127.0.0.1:8086", mode)
    bot.layers = [LAYERS / f"{name}.json" for name in ("base", exchange_layer, mode)]
    shown = bot("show-config")
    config = json.loads(shown[shown.index("\n{") : shown.rindex("\n}") + 2])
    assert config["trading_mode"] == mode
    assert config["dry_run"] is True


@pytest.fixture(scope="module")
def stored_market():
    folder = os.environ.get("CANDLEWRIGHT_MARKET_DATA")
    if not folder:
        pytest.skip("CANDLEWRIGHT_MARKET_DATA names no folder of real candles")
    return Path(folder) / "binance"


@pytest.mark.real_data
def test_a_stored_market_comes_back_as_it_was_and_can_be_backtested(stored_market, run_exchange, tmp_path):
    """A fortnight of real futures candles, through the exchange into a new directory, and a week of it traded."""
    with run_exchange("--datadir", str(stored_market)) as address:
        bot = Bot(tmp_path, address, "futures")
        bot("download-data", "--timeframes", "15m", "--timerange", "20250915-20250930")
        source = Bot(tmp_path / "source", address, "futures")
        source.datadir = stored_market
        for pair in PAIRS["futures"]:
            for timeframe, kind in (("15m", "futures"), ("1h", "mark"), ("1h", "funding_rate")):
                frame, times = bot.stored(pair, timeframe, kind)
                expected, source_times = source.stored(pair, timeframe, kind)
                first, last = np.searchsorted(source_times, [times[0], times[-1]])
                assert pd.Timestamp(times[0], unit="ms") == pd.Timestamp("2025-09-15")
                assert pd.Timestamp(times[-1], unit="ms") >= pd.Timestamp("2025-09-29 23:00") - pd.Timedelta("8h")
                assert_array_equal(times, source_times[first : last + 1])
                columns = ["open", "high", "low", "close", "volume"]
                pairs = [("funding_rate", "open")] if kind == "funding_rate" else [(name, name) for name in columns]
                for name, name_there in pairs:
                    assert_array_equal(frame[name], expected[name_there][first : last + 1])
        said = bot(
            *("backtesting", "--strategy", "Crossing", "--export", "none", "--cache", "none"),
            *("--timerange", "20250922-20250929"),
        )
    assert int(re.search(r"Total/Daily Avg Trades\s*│\s*(\d+)", said)[1]) > 10
