"""A small synthetic market, and exchanges that run as processes of their own on free ports of loopback."""

import re
import subprocess
import sys
from contextlib import contextmanager
from datetime import datetime

import httpx
import pytest

from tools.exchange.synthetic.market import synthetic_market

COINS = ["BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"]
SMALL = {"seed": 7, "pairs": COINS, "days": 12, "end": datetime(2025, 10, 1), "interval": "5m"}
SMALL_OPTIONS = ["--synthetic", "--seed", "7", "--days", "12", "--timeframe", "5m"]


@contextmanager
def running(*options):
    """Start `python -m tools.exchange`, wait until it is ready, give its address, stop it."""
    command = [sys.executable, "-m", "tools.exchange", "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        ready = process.stderr.readline()
        address = re.match(r"exchange ready at (http://\S+)", ready)
        assert address, ready + process.stderr.read()
        yield address[1]
    finally:
        process.terminate()
        try:
            process.wait(120)
        finally:
            process.kill()
            process.stderr.close()


@pytest.fixture(scope="session")
def market():
    return synthetic_market(**SMALL)


@pytest.fixture(scope="session")
def exchange():
    """The address of an exchange that serves `market`."""
    with running(*SMALL_OPTIONS) as address:
        yield address


@pytest.fixture(scope="session")
def client(exchange):
    with httpx.Client(base_url=exchange, timeout=120) as client:
        yield client


@pytest.fixture(scope="session")
def run_exchange():
    return running
