"""A running job server and the little it needs, for the tests of this room."""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import psutil

from tools.home import Home
from tools.jobs.group import MARK

ROOT = Path(__file__).resolve().parents[3]
INLINE = {"features": [[float(k % 3 == c) for c in range(3)] for k in range(90)], "labels": [k % 3 for k in range(90)]}


class JobServer:
    """A running server in a home of its own."""

    def __init__(self, home, *options, **environment):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CANDLEWRIGHT_", "MLFLOW_"))}
        self.environment = kept | {"CANDLEWRIGHT_USER_DATA": str(home.user_data), **environment}
        self.home, self.options = home, options

    def __enter__(self):
        command = [sys.executable, "-m", "tools.jobs", "--port", "0", *self.options]
        self.log = self.home.user_data / f"jobs-{time.monotonic_ns()}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stderr=log)
        self.url = wait_for(self._address, 120)
        self.key = self.home.secret_file("jobs").read_text().strip()
        return self

    def _address(self):
        assert self.process.poll() is None, self.log.read_text()
        found = [line for line in self.log.read_text().splitlines() if line.startswith("jobs ready at ")]
        return found and found[0].removeprefix("jobs ready at ")

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(120)

    def ask(self, method="GET", path="/jobs", **request):
        headers = {"x-api-key": self.key} | request.pop("headers", {})
        return httpx.request(method, self.url + path, headers=headers, timeout=120, trust_env=False, **request)

    def post(self, body=INLINE):
        return self.ask("POST", "/train", json=body)

    def wait(self, job, *states, seconds=400):
        def look():
            found = self.ask(path=f"/jobs/{job}").json()
            return found["state"] in states and found

        return wait_for(look, seconds)


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)
    return found


def marked():
    """Return the processes that any job left."""
    found = []
    for process in psutil.process_iter():
        try:
            if MARK in process.environ() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.environ()[MARK])
        except psutil.Error:
            continue
    return found


def make_home(folder):
    home = Home(ROOT, folder / "user_data")
    home.make()
    return home


def write_candles(folder, n=40 * 96):
    rng = np.random.default_rng(3)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.003, n)))
    opened = np.concatenate([[100.0], close[:-1]])
    spread = 1 + rng.uniform(0, 0.002, n)
    frame = pd.DataFrame(
        {
            "date": pd.date_range("2025-01-01", periods=n, freq="15min", tz="UTC"),
            "open": opened,
            "high": np.maximum(opened, close) * spread,
            "low": np.minimum(opened, close) / spread,
            "close": close,
            "volume": rng.lognormal(3, 1, n),
        }
    )
    folder.mkdir(parents=True)
    frame.to_feather(folder / "BTC_USDT-15m.feather")
