"""A real dry-run bot while its service lies, freezes and dies: no entry without a decision, stops and exits go on.

From: unmodified Freqtrade, the simulated exchange, and a stand-in service as a process that is stopped by signals. The
exchange stands still at the end of its candles, so each step starts it again with one candle more.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from freqtrade_process import PAIRS, Freqtrade, exchange, free_port, merged

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

BTC, ETH, SOL = PAIRS["spot"]
STOPS = ("stop_loss", "trailing_stop_loss")  # Freqtrade's names, by whether the fill's stop was ever set again
STRATEGY = """
from strategies.nn_predictor import NNPredictor
from strategies.shared import lateness, signals
from pandas import Timedelta

lateness.SHARE = lateness.LONGEST_SECONDS = 1e9  # the candles of this test are older than a live one may be
signals.GRACE = Timedelta("1000min")  # as outdated_offset of this bot


class StillPredictor(NNPredictor):
    stoploss = -0.05
"""


class Bench:
    """A bot with everything around it; `step` brings the next candle, at prices that may have moved."""

    def __init__(self, folder):
        self.folder, self.port, self.service_port = folder, free_port(), free_port()
        self.scenario, self.log = folder / "scenario.json", folder / "bot.log"
        self.bot = Freqtrade(folder / "ft", self.port, "spot", f"http://127.0.0.1:{self.service_port}")
        prices = {"price_side": "other"}  # a limit order fills at once
        every_loop = {"ohlcv_max_poll_interval_secs": 0}  # and not every few minutes: the exchange's candles are late
        changes = {
            "exchange": {"outdated_offset": 1000, "_ft_has_params": every_loop},
            "entry_pricing": prices,
            "exit_pricing": prices,
        }
        changes["api_server"] = {"enabled": False}
        self.bot.config.write_text(json.dumps(merged(json.loads(self.bot.config.read_text()), changes)))
        (folder / "strategies").mkdir()
        (folder / "strategies" / "still.py").write_text(STRATEGY)
        self.newest = pd.Timestamp.now("UTC").floor("15min") - pd.Timedelta("6h")
        self.moved, self.steps, self.market = dict.fromkeys(PAIRS["spot"], 1.0), 0, None

    def write_candles(self):
        """Write a quiet market whose newest candle alone has moved."""
        data = self.folder / f"data{self.steps}"
        data.mkdir()
        dates = pd.date_range(end=self.newest, periods=1100 + self.steps, freq="15min").as_unit("ms")
        for seed, pair in enumerate(PAIRS["spot"]):
            noise = np.random.default_rng(seed).normal(0, 0.0005, 1200)[: len(dates)]
            close = np.round(1000 * np.exp(noise), 2)
            close[-1] = np.round(1000 * self.moved[pair], 2)
            opened = np.concatenate([close[:1], close[:-1]])
            high, low = np.maximum(opened, close) + 0.01, np.minimum(opened, close) - 0.01
            frame = pd.DataFrame({"date": dates, "open": opened, "high": high, "low": low, "close": close})
            frame.assign(volume=5000.0).to_feather(data / f"{pair.replace('/', '_')}-15m.feather")
        return data

    def step(self, long=(), short=(), faults=None, **moved):
        """Let the next candle close, with these wishes and faults; `moved` are prices by coin, 1 is the old price."""
        self.close_market()
        self.scenario.write_text(json.dumps({"long": long, "short": short, "faults": faults or {}}))
        self.moved |= {f"{coin}/USDT": ratio for coin, ratio in moved.items()}
        self.newest += pd.Timedelta("15min")
        self.steps += 1
        self.market = exchange(self.write_candles(), self.port)
        self.market.__enter__()

    def close_market(self):
        if self.market is not None:
            self.market.__exit__(None, None, None)
            self.market = None

    @contextmanager
    def service(self):
        command = [sys.executable, str(Path(__file__).with_name("stub_service.py")), str(self.service_port)]
        process = subprocess.Popen([*command, str(self.scenario)], stdout=subprocess.PIPE, text=True)
        try:
            assert int(process.stdout.readline()) == self.service_port
            yield process
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def trades(self):
        """Return pair, exit reason and enter tag of every trade so far, and the audit records by pair."""
        path = self.bot.folder / "trades.sqlite"
        if not path.exists():
            return {}, {}
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            rows = database.execute("select pair, exit_reason, is_open from trades").fetchall()
            query = "select t.pair, d.cd_value from trade_custom_data d join trades t on t.id = d.ft_trade_id"
            records = database.execute(f"{query} where d.cd_key = 'forecast'").fetchall()
        except sqlite3.OperationalError:  # the bot has not made its tables yet
            return {}, {}
        finally:
            database.close()
        return {pair: None if is_open else reason for pair, reason, is_open in rows}, dict(records)

    def until(self, reached, seconds=240):
        """Wait until a condition on the log and the trades holds."""
        assert self.reaches(reached, seconds), f"{self.trades()}\n{self.log.read_text()[-6000:]}"

    def recovers(self, reached, **wishes):
        """Step until the condition holds: on a busy machine a candle may miss its time limit and open the breaker."""
        for _ in range(4):
            self.step(**wishes)
            if self.reaches(reached, 15):
                return
        self.until(reached, 0)

    def reaches(self, reached, seconds):
        deadline = time.monotonic() + seconds
        while not reached(self.log.read_text(), self.trades()[0]):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True


def test_a_bot_outlives_its_service(tmp_path):
    """STR-4, CLT-4, CLT-5, LIM-9: garbage, NaN, another pair, another version, a freeze and a death open nothing."""
    bench = Bench(tmp_path)
    everything = [BTC, ETH, SOL]
    try:
        bench.step(long=everything, faults={"all": "garbage", BTC: "nan", ETH: "pair", SOL: "version"})
        words = ("-v", "--strategy-path", tmp_path / "strategies")  # -v: the log has what was complained of before
        with bench.service() as service, bench.bot.trading("StillPredictor", bench.log, *words) as bot:
            bench.until(lambda log, _: all(part in log for part in ("out of range", "'XRP/USDT'", "version v9")))
            time.sleep(2)  # two loops
            assert bench.trades()[0] == {}

            bench.recovers(lambda _, trades: trades == {BTC: None, ETH: None}, long=[BTC, ETH])
            record = json.loads(bench.trades()[1][BTC])
            assert (record["model_version"], record["direction_version"]) == ("v2", "d2")

            service.send_signal(signal.SIGSTOP)  # frozen: it takes connections and never answers
            bench.step(long=everything, BTC=0.9)
            bench.until(lambda _, trades: trades.get(BTC) in STOPS)
            bench.until(lambda log, _: "took longer than" in log)
            assert SOL not in bench.trades()[0]
            service.send_signal(signal.SIGCONT)
            bench.recovers(lambda _, trades: SOL in trades, long=[SOL])

            service.kill()
            service.wait()
            bench.step(long=everything, ETH=0.9)
            bench.until(lambda log, trades: trades.get(ETH) in STOPS and "ConnectError" in log)
            with bench.service():
                bench.recovers(lambda _, trades: trades.get(SOL) == "nn_reversal", short=[SOL])  # it has turned
            assert bot.poll() is None
        assert set(bench.trades()[0]) == set(everything)
        assert "Traceback" not in bench.log.read_text()
        assert os.environ.get("CANDLEWRIGHT_API_KEY", "k" * 32) not in bench.log.read_text()
    finally:
        bench.close_market()
