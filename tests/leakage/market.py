"""Seeded candles for the leakage tests: a random walk in real steps of price. To: any test that perturbs a future."""

import numpy as np
import pandas as pd


def random_market(n_rows: int, seed: int = 0, timeframe: str = "15min", volatility: float = 0.004) -> pd.DataFrame:
    """Return valid candles from 2024-01-01 on, without gaps."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, volatility, n_rows)))
    opened = np.concatenate(([100.0], close[:-1]))
    wick = np.abs(rng.normal(0, volatility / 2, (2, n_rows)))
    frame = pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=n_rows, freq=timeframe, tz="UTC"),
            "open": opened,
            "high": np.maximum(opened, close) * (1 + wick[0]),
            "low": np.minimum(opened, close) * (1 - wick[1]),
            "close": close,
            "volume": rng.gamma(2.0, 50.0, n_rows),
        }
    )
    return frame.round({"open": 3, "high": 3, "low": 3, "close": 3})
