"""A datahub on a real socket, with sources that a test controls, in this process or as the command."""

import asyncio
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pandas as pd
import uvicorn

from nn.service.keys import ApiKeys
from tools.datahub.app import create_app
from tools.datahub.source import COLUMNS, Price
from tools.exchange.server import bind

ROOT = Path(__file__).resolve().parents[3]
KEY, OLD_KEY = "k" * 32, "o" * 40
PAIR = "BTC/USDT:USDT"
NOW = 1_760_000_400 // 900 * 900 + 100.0  # s: 100 s after a quarter of an hour


def frame(rows=1000, end=NOW, step=900, close=100.0):
    """Closed candles up to `end` and the one that is still open."""
    newest = int(end // step) * step
    opens = [(newest - (rows - 1 - row) * step) * 1000 for row in range(rows)]
    values = [[opened, close, close * 1.01, close * 0.99, close, 5.0] for opened in opens]
    return pd.DataFrame(values, columns=list(COLUMNS))


class Scripted:
    """A source whose answers a test writes; it counts how often it is asked."""

    def __init__(self, name="exchange"):
        self.name, self.asked = name, 0
        self.answer = frame()
        self.value = 100.0
        self.fault = None
        self.delay = 0.0

    async def _reply(self, answer):
        self.asked += 1
        await asyncio.sleep(self.delay)
        if self.fault:
            raise self.fault
        return answer

    async def candles(self, pair, timeframe, limit):
        return (await self._reply(self.answer)).tail(limit)

    async def price(self, pair):
        return await self._reply(Price(self.value, int(NOW * 1000)))

    async def close(self):
        pass


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@contextmanager
def served(hub, background=None):
    """Serve on a socket of loopback; yields a client with the key."""
    app = create_app(hub, ApiKeys.of(KEY, OLD_KEY), [PAIR], "15m", background)
    bound = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = bound.getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"X-API-KEY": KEY}, timeout=120) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(20)
        bound.close()


@contextmanager
def process(module, *options, ready, environment=None):
    """Run a command until it says that it is ready; yields its address and the process."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("CANDLEWRIGHT_", "FREQTRADE__"))}
    command = [sys.executable, "-m", module, "--port", "0", *map(str, options)]
    running = subprocess.Popen(
        command, cwd=ROOT, env={**keep, **(environment or {})}, stderr=subprocess.PIPE, text=True
    )
    try:
        said = []
        for line in running.stderr:
            said.append(line)
            if found := re.search(ready + r" at (http://\S+)", line):
                break
        else:
            raise AssertionError("".join(said))
        running.said = said
        reader = threading.Thread(target=lambda: said.extend(running.stderr), daemon=True)
        reader.start()
        yield found[1], running
    finally:
        running.terminate()
        try:
            running.wait(120)
        finally:
            running.kill()
            running.wait()
            reader.join(5)
            running.stderr.close()


def exchange_process():
    return process("tools.exchange", "--days", "12", "--timeframe", "5m", "--end", "2025-10-01", ready="exchange ready")


def datahub_process(user_data, *options, **environment):
    own = {"CANDLEWRIGHT_USER_DATA": str(user_data), "CANDLEWRIGHT_API_KEY": KEY, **environment}
    return process("tools.datahub", *options, ready="datahub ready", environment=own)
