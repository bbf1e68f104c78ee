"""Candles for every test of the kernels. From: a seed. To: dicts of arrays as a caller would pass them."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests import the slow twins by `twins`

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


def make_full_frame(n_rows, seed=0, bar_ms=QUARTER_HOUR_MS):
    """Return candles on the grid of a timeframe, with jumps between bars and every optional column known."""
    random = np.random.default_rng(seed + 1000)
    frame = make_candles(n_rows, seed)
    level = np.exp(np.cumsum(random.choice([-0.07, 0.0, 0.07], n_rows, p=[0.002, 0.996, 0.002])))
    frame |= {name: frame[name] * level for name in ("open", "high", "low", "close")}
    frame["date"] = (1_600_000_200_000 // bar_ms + np.arange(n_rows)) * bar_ms
    close, volume = frame["close"], frame["volume"]
    settlement = (frame["date"] + bar_ms) // 28_800_000
    rates = random.normal(1e-4, 1e-4, int(settlement[-1] - settlement[0]) + 1) if n_rows else np.empty(0)
    depth = random.lognormal(0, 1, n_rows)
    return frame | {
        "taker_buy_volume": volume * random.beta(4, 4, n_rows),
        "quote_volume": volume * (frame["low"] + random.random(n_rows) * (frame["high"] - frame["low"])),
        "funding_rate": rates[settlement - settlement[0]] if n_rows else rates,
        "mark_price": close * np.exp(random.normal(0, 2e-4, n_rows)),
        "open_interest": 1e6 * np.exp(np.cumsum(random.normal(0, 0.01, n_rows))),
        "best_bid": close * (1 - 2e-4 * random.random(n_rows)),
        "best_ask": close * (1 + 2e-4 * random.random(n_rows)),
        **{
            name: random.lognormal(1, 1, n_rows)
            for name in ("best_bid_size", "best_ask_size", "bid_size_5", "ask_size_5")
        },
        "order_flow_imbalance": depth * random.normal(0, 2, n_rows),
        "mean_top_depth": depth,
    }


def make_references(frame, seed=0, bar_ms=QUARTER_HOUR_MS, slow=("SOL/USDT", "1h"), slow_ms=3_600_000):
    """Return candles of four other pairs over the time of `frame`, related to it; one is on a slower timeframe.

    The second has been known for longer than the frame, the last begins a third of the way through it.
    """
    n_rows, first = len(frame["date"]), int(frame["date"][0])
    begins = {"BTC/USDT": 0, "ETH/USDT": -200, slow: 0, "XRP/USDT": n_rows // 3}
    moves = np.diff(np.log(frame["close"]), prepend=np.log(frame["close"][0]))
    references = {}
    for k, (key, begin) in enumerate(begins.items()):
        random = np.random.default_rng(seed + 2000 + k)
        walk = random.normal(0, 0.008, n_rows + 200) + 0.5 * np.concatenate([np.zeros(200), moves])
        date = (first // bar_ms - 200 + np.arange(n_rows + 200)) * bar_ms
        close = 10.0 ** (k + 1) * np.exp(np.cumsum(walk))
        if key == slow:  # its close is that of the last of our bars in it
            last = np.flatnonzero((date + bar_ms) % slow_ms == 0)
            date, close = date[last] + bar_ms - slow_ms, close[last]
        keep = date >= first + begin * bar_ms if key != slow else date >= first - 200 * bar_ms
        date, close = date[keep], close[keep]
        was = np.concatenate([close[:1], close[:-1]])
        high, low = np.maximum(close, was) * 1.002, np.minimum(close, was) * 0.998
        references[key] = {
            "date": date, "open": was, "high": high, "low": low, "close": close, "volume": np.full(len(close), 5.0),
        }  # fmt: skip
    return references


@pytest.fixture(scope="session")
def full_frame():
    """Return the function that makes candles with every optional column."""
    return make_full_frame


@pytest.fixture(scope="session")
def reference_frames():
    """Return the function that makes the candles of other pairs."""
    return make_references


@pytest.fixture(params=["of_engine", "of_twin"], ids=["engine", "twin"])
def column(request):
    """Return the function that computes one feature, by the engine and then by its slow twin."""
    import simple_bars

    def compute(name, frame, timeframe="15m", references=None, sector=(), **parameters):
        return getattr(simple_bars, request.param)(name, frame, timeframe, references, sector, parameters or None)

    return compute


@pytest.fixture
def last(column):
    """Return the function that computes one feature at the last bar."""
    return lambda *args, **options: column(*args, **options)[-1]
