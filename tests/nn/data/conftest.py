"""Candles for the tests of nn/data: a seeded random walk on a price grid, and Freqtrade's files written from it."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

START_MS = 1_700_006_400_000  # 2023-11-15 00:00 UTC, on the grid of every timeframe


def random_walk(n_rows: int, seed: int = 0, step_ms: int = 900_000, volatility: float = 0.004) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, volatility, n_rows)))
    opened = np.concatenate(([100.0], close[:-1]))
    wick = np.abs(rng.normal(0, volatility / 2, (2, n_rows)))
    frame = pd.DataFrame(
        {
            "date": pd.to_datetime(START_MS + step_ms * np.arange(n_rows), unit="ms", utc=True),
            "open": opened,
            "high": np.maximum(opened, close) * (1 + wick[0]),
            "low": np.minimum(opened, close) * (1 - wick[1]),
            "close": close,
            "volume": rng.gamma(2.0, 50.0, n_rows),
        }
    )
    return frame.round({"open": 2, "high": 2, "low": 2, "close": 2})


@pytest.fixture(scope="session")
def make_candles():
    return random_walk


@pytest.fixture
def candles():
    return random_walk(200)


@pytest.fixture
def datadir(tmp_path, candles):
    """A Freqtrade data directory: spot 15m, futures 15m with mark and funding."""
    (tmp_path / "futures").mkdir()
    candles.to_feather(tmp_path / "BTC_USDT-15m.feather", compression="lz4")
    candles.to_feather(tmp_path / "futures" / "BTC_USDT_USDT-15m-futures.feather", compression="lz4")
    candles.assign(volume=0.0).to_feather(tmp_path / "futures" / "BTC_USDT_USDT-15m-mark.feather")
    return tmp_path


@pytest.fixture(scope="session")
def market_data():
    """The directory of recorded market data, of which Binance's part is a Freqtrade data directory."""
    folder = os.environ.get("CANDLEWRIGHT_MARKET_DATA")
    if not folder:
        pytest.skip("CANDLEWRIGHT_MARKET_DATA is not set: no recorded market data to read")
    return Path(folder) / "binance"
