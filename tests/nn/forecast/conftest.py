"""A small market with a pattern in it, and one tiny chain that the slower tests share."""

import numpy as np
import pandas as pd
import pytest
import torch

from nn.forecast.config import load_config
from nn.registry.store import Store

PAIRS = ("BTC/USDT:USDT", "ETH/USDT:USDT")
BEGIN = pd.Timestamp("2025-01-01", tz="UTC")


def make_candles(n_rows=2600, seed=1, begin=BEGIN):
    """Return 15m candles of a random walk whose next step leans on the last one, so that something can be learned."""
    draw = np.random.default_rng(seed)
    steps = draw.normal(0, 0.003, n_rows)
    for t in range(1, n_rows):
        steps[t] += 0.4 * steps[t - 1]
    close = 100 * np.exp(np.cumsum(steps))
    opened = np.concatenate([[100.0], close[:-1]])
    spread = np.abs(draw.normal(0, 0.001, (2, n_rows)))
    return pd.DataFrame(
        {
            "date": pd.date_range(begin, periods=n_rows, freq="15min", unit="ms"),
            "open": opened,
            "high": np.maximum(opened, close) * (1 + spread[0]),
            "low": np.minimum(opened, close) * (1 - spread[1]),
            "close": close,
            "volume": draw.uniform(1, 10, n_rows),
        }
    )


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """Return an MLflow database without content: making its tables takes seconds, copying it does not."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    Store(f"sqlite:///{path}", "template")
    return path


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def frames():
    return {pair: make_candles(seed=number) for number, pair in enumerate(PAIRS)}


@pytest.fixture(scope="session")
def config():
    return load_config(["base", "test"])


def write_market(folder, frames):
    """Write the frames as Freqtrade's futures files."""
    (folder / "futures").mkdir(parents=True)
    for pair, frame in frames.items():
        name = pair.replace("/", "_").replace(":", "_")
        frame.to_feather(folder / "futures" / f"{name}-15m-futures.feather")
    return folder
