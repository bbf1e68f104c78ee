"""What the tests of the strategies share: candles, a running stub service, an empty cache."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from freqtrade.persistence import disable_database_use, enable_database_use

from strategies.shared import actions, client, live
from strategies.shared.forecasts import WAIT_SECONDS
from strategies.shared.patience import Patience


def load(name):
    """Import a helper of this folder by its path: the tests are no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


stub_service = load("stub_service")
load("freqtrade_process")
load("known_policy")
load("tape")
load("dry_run")
load("loaded")


def candles(rows, start="2025-01-20", timeframe="15m", seed=5):
    """Return a Freqtrade frame of a random walk."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.003, rows)))
    open_ = np.concatenate([[100.0], close[:-1]])
    wick = np.abs(rng.normal(0, 0.001, (2, rows)))
    date = pd.date_range(start, periods=rows, freq=timeframe.replace("m", "min"), tz="UTC", unit="ms")
    high, low = np.maximum(open_, close) * (1 + wick[0]), np.minimum(open_, close) * (1 - wick[1])
    volume = rng.lognormal(3, 1, rows)
    return pd.DataFrame({"date": date, "open": open_, "high": high, "low": low, "close": close, "volume": volume})


@pytest.fixture
def make_candles():
    return candles


@pytest.fixture(autouse=True)
def room(tmp_path, monkeypatch):
    """Keep every test's key, cache and clients to itself."""
    monkeypatch.setenv("CANDLEWRIGHT_API_KEY", stub_service.KEY)
    monkeypatch.setenv("CANDLEWRIGHT_FORECAST_CACHE", str(tmp_path / "cache"))
    for name in ("CANDLEWRIGHT_SERVICE_URL", "CANDLEWRIGHT_FORECAST_LOG", "CANDLEWRIGHT_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    clients = {}
    monkeypatch.setattr(client, "_clients", clients)
    # A busy machine needs longer than a trading loop may wait; tests of a limit set their own.
    monkeypatch.setattr(client, "CONNECT_SECONDS", 60.0)
    monkeypatch.setattr(client, "LATEST_SECONDS", 60.0)
    for module in (actions, live):
        monkeypatch.setattr(module, "Patience", lambda seconds: Patience(600.0 if seconds == WAIT_SECONDS else seconds))
    yield tmp_path
    for one in clients.values():
        one.close()


@pytest.fixture
def stub():
    with stub_service.running() as service:
        yield service


@pytest.fixture
def no_database():
    """Freqtrade's trades live in memory, as in a backtest."""
    disable_database_use("15m")
    yield
    enable_database_use()
