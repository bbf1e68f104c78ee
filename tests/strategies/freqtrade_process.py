"""Unmodified Freqtrade as a process, on the simulated exchange and on candles that a test wrote.

From: a folder of its own. To: the end-to-end tests and `benchmarks/backtest.py`.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
PAIRS = {"futures": ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"), "spot": ("BTC/USDT", "ETH/USDT", "SOL/USDT")}


def free_port():
    """Return a port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def exchange(datadir=None, port=0):
    """Run the simulated exchange, on a free port unless told, over stored candles if there are any; yields the port."""
    market = ("--datadir", str(datadir)) if datadir else ("--days", "1", "--timeframe", "1h")
    command = [sys.executable, "-m", "tools.exchange", "--port", str(port), *market]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if found := re.search(r"ready at http://127\.0\.0\.1:(\d+)", line):
                break
        else:
            raise RuntimeError("the simulated exchange did not start")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield int(found[1])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)
        process.stderr.close()


def write_candles(folder, mode, timeframe, rows, start, volatility=0.003):
    """Write candles of every pair, with funding and mark for futures, as `freqtrade download-data` would."""
    folder = folder / "futures" if mode == "futures" else folder
    folder.mkdir(parents=True, exist_ok=True)
    for seed, pair in enumerate(PAIRS[mode]):
        rng = np.random.default_rng(seed)
        steps = rng.normal(0, volatility, rows) * (1 + 2 * (rng.random(rows) < 0.02))
        close = (60_000, 3_000, 150)[seed] * np.exp(np.cumsum(steps))
        opened = np.concatenate([close[:1], close[:-1]])
        wick = np.abs(rng.normal(0, volatility / 3, (2, rows)))
        date = pd.date_range(start, periods=rows, freq=timeframe.replace("m", "min"), tz="UTC", unit="ms")
        volume = rng.lognormal(3, 0.5, rows) * (1 + 40 * np.abs(steps) / volatility)
        high, low = np.maximum(opened, close) * (1 + wick[0]), np.minimum(opened, close) * (1 - wick[1])
        prices = {"open": opened, "high": high, "low": low, "close": close}
        decimals = {"open": 2, "high": 2, "low": 2, "close": 2}
        frame = pd.DataFrame({"date": date, **prices, "volume": volume}).round(decimals)
        name = pair.replace("/", "_").replace(":", "_")
        if mode == "spot":
            frame.to_feather(folder / f"{name}-{timeframe}.feather")
            continue
        frame.to_feather(folder / f"{name}-{timeframe}-futures.feather")
        hours = frame[frame["date"].dt.minute == 0].reset_index(drop=True)
        hours.to_feather(folder / f"{name}-1h-mark.feather")
        funding = pd.DataFrame({"date": hours["date"], "funding_rate": 0.0001})
        funding[hours["date"].dt.hour % 8 == 0].reset_index(drop=True).to_feather(
            folder / f"{name}-1h-funding_rate.feather"
        )


def merged(below, above):
    """Merge two configuration layers."""
    out = dict(below)
    for key, value in above.items():
        out[key] = merged(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


class Freqtrade:
    """One user folder with a config, candles and results."""

    def __init__(self, folder, exchange_port, mode="futures", service_url="http://127.0.0.1:9"):
        self.folder, self.mode = Path(folder), mode
        self.datadir = self.folder / "data"
        (self.folder / "user").mkdir(parents=True, exist_ok=True)
        config = {}
        for layer in ("base", mode, "sim"):
            text = (ROOT / "configs" / "freqtrade" / f"{layer}.json").read_text()
            config = merged(config, json.loads(text.replace("127.0.0.1:8086", f"127.0.0.1:{exchange_port}")))
        # timeouts of limit orders decide nothing here, and a fee that is told needs no market data
        above = {"candlewright": {"service_url": service_url}, "exchange": {"pair_whitelist": list(PAIRS[mode])}}
        self.config = self.folder / "config.json"
        self.config.write_text(json.dumps(merged(config, above)))

    def run(self, command, *arguments, timeout=600, **environment):
        """Run one Freqtrade command; returns the finished process, stdout and stderr as one text."""
        return subprocess.run(
            **self._process(command, *arguments, **environment), timeout=timeout, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    @contextlib.contextmanager
    def trading(self, strategy, log, *arguments, clock=None, **environment):
        """Let a dry-run bot trade until the block ends; yields its process, `log` is a file of its words.

        With `clock`, a file of seconds since 1970, that is what the bot takes for the present.
        """
        words = ("--strategy", strategy, "--db-url", f"sqlite:///{self.folder}/trades.sqlite", *arguments)
        process = self._process("trade", *words, **environment)
        if clock:
            clocked = (sys.executable, str(ROOT / "tests/strategies/clocked_freqtrade.py"), str(clock))
            process["args"] = [*clocked, *process["args"][3:]]
        with Path(log).open("a") as file:
            process = subprocess.Popen(**process, stdout=file, stderr=file)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(120)
            finally:
                process.kill()

    def _process(self, command, *arguments, **environment):
        argv = [sys.executable, "-m", "freqtrade", command, "-c", self.config, "--userdir", self.folder / "user"]
        argv += ["--strategy-path", ROOT / "strategies", "--no-color", *arguments]
        argv += ["--datadir", self.datadir] if command != "trade" else []
        keep = {name: value for name, value in os.environ.items() if not name.startswith("CANDLEWRIGHT_")}
        cache = {"CANDLEWRIGHT_FORECAST_CACHE": self.folder / "cache", "CANDLEWRIGHT_API_KEY": "k" * 32}
        small = {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        every = {name: str(value) for name, value in (keep | cache | small | environment).items()}
        return {"args": [str(part) for part in argv], "cwd": self.folder, "env": every}

    def backtest(self, strategy, *arguments, **environment):
        """Back-test; returns the strategy's part of Freqtrade's result and what it printed."""
        results = self.folder / "results"
        results.mkdir(exist_ok=True)
        for old in results.iterdir():
            old.unlink()
        done = self.run("backtesting", "--strategy", strategy, "--cache", "none", "--export", "trades",
                        "--backtest-directory", results, *arguments, **environment)  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:]
        archives = list(results.glob("*.zip"))
        assert archives, done.stdout[-3000:]
        (archive,) = archives
        with zipfile.ZipFile(archive) as file:
            name = next(name for name in file.namelist() if re.fullmatch(r"backtest-result-[\d_-]+\.json", name))
            return json.loads(file.read(name))["strategy"][strategy], done.stdout
