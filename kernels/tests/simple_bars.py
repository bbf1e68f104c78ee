"""Bars simple enough to work out on paper. From: a few numbers. To: the tests by hand, of engine and twins alike."""

from datetime import UTC, datetime
from math import exp

import numpy as np
from twins import TWINS, Market
from twins.market import milliseconds

from tradekernels.features import References, feature_set

MIDNIGHT_MS = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp() * 1000)


def of_engine(name, frame, timeframe, references, sector, parameters):
    features = feature_set([name], timeframe=timeframe, parameters=parameters)
    if references:
        references = References(frames=references, sector=sector)
    return features.compute(frame, references=references, dtype=np.float64)[:, 0]


def of_twin(name, frame, timeframe, references, sector, parameters):
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(TWINS[name](Market(frame, timeframe, references, sector, parameters)), dtype=np.float64)


def bars(close, open_=None, high=None, low=None, volume=1.0, timeframe="15m", start=MIDNIGHT_MS, **optional):
    """Return candles without wicks unless told otherwise, each opening at its close unless told otherwise."""
    close = np.array(close, dtype=np.float64)
    n_rows, bar_ms = len(close), milliseconds(timeframe)
    open_ = close if open_ is None else np.array(open_, dtype=np.float64)
    high = np.maximum(open_, close) if high is None else np.array(high, dtype=np.float64)
    low = np.minimum(open_, close) if low is None else np.array(low, dtype=np.float64)
    rest = {name: np.broadcast_to(np.float64(value), n_rows).copy() if np.ndim(value) == 0 else np.array(value, float)
            for name, value in optional.items()}  # fmt: skip
    volume = np.broadcast_to(np.asarray(volume, dtype=np.float64), n_rows).copy()
    date = start + bar_ms * np.arange(n_rows)
    return {"date": date, "open": open_, "high": high, "low": low, "close": close, "volume": volume} | rest


def walk(returns):
    """Return the closes that log returns make from 100."""
    return 100 * np.exp(np.concatenate([[0.0], np.cumsum(returns)]))


def zigzag(n_rows, step=0.01):
    """Return closes that go up by `step` and down again, the very same two prices."""
    return np.where(np.arange(n_rows) % 2, 100 * exp(step), 100.0)


def without(frame, rows):
    return {name: np.delete(column, rows) for name, column in frame.items()}
