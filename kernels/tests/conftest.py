"""Candles for every test of the kernels. From: a seed. To: dicts of arrays as a caller would pass them."""

import numpy as np
import pytest

QUARTER_HOUR_MS = 900_000


def make_candles(n_rows, seed=0, price=100.0, volatility=0.01, volume=20.0):
    """Return a random walk of `n_rows` valid 15m candles."""
    random = np.random.default_rng(seed)
    close = price * np.exp(np.cumsum(random.normal(0, volatility, n_rows)))
    open_ = np.concatenate([[price], close[:-1]])[:n_rows] * np.exp(random.normal(0, volatility / 4, n_rows))
    high = np.maximum(open_, close) * np.exp(np.abs(random.normal(0, volatility / 2, n_rows)))
    low = np.minimum(open_, close) * np.exp(-np.abs(random.normal(0, volatility / 2, n_rows)))
    return {
        "date": 1_600_000_200_000 + QUARTER_HOUR_MS * np.arange(n_rows),
        "open": open_,
        "high": high,
        "low": low,
        "close": close,
        "volume": volume * random.lognormal(0, 1, n_rows),
    }


@pytest.fixture(scope="session")
def candles():
    """Return the function that makes candles."""
    return make_candles
