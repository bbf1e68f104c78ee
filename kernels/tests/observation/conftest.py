"""Sets of observations to test. From: the frames of the kernels' own tests. To: every test in this folder."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests import the slow twin by `observation_twin`

from tradekernels.features.span import milliseconds
from tradekernels.observation import fit, observation_set

CANDLE = ("date", "open", "high", "low", "close", "volume")
METADATA = ("event_high", "hours_since_event", "fear_greed")
TAKER = ("taker_buy_volume", "quote_volume")
BOOK = ("best_bid", "best_ask", "best_bid_size", "best_ask_size", "bid_size_5", "ask_size_5",
        "order_flow_imbalance", "mean_top_depth")  # fmt: skip
COLUMNS = {"candles": CANDLE, "taker": (*CANDLE, *TAKER), "book": (*CANDLE, *TAKER, *BOOK)}


def with_metadata(frame, seed=0):
    """Add events and the fear and greed index, each unknown now and then."""
    random, n_rows = np.random.default_rng(seed + 3000), len(frame["date"])
    event = (random.random(n_rows) < 0.02).astype(float)
    index = np.floor(random.random(n_rows) * 101)
    since = np.cumsum(np.ones(n_rows)) % 131 / 4
    for column in (event, index, since):
        column[random.random(n_rows) < 0.05] = np.nan
    return frame | {"event_high": event, "hours_since_event": since, "fear_greed": index}


@pytest.fixture(scope="session")
def observed_frame(full_frame):
    """Return the function that makes frames with what one micro source knows, metadata included."""

    def make(n_rows, seed=0, source="taker", timeframe="15m", metadata=True):
        frame = full_frame(n_rows, seed, milliseconds(timeframe))
        frame = {name: frame[name] for name in COLUMNS[source]}
        return with_metadata(frame, seed) if metadata else frame

    return make


@pytest.fixture(scope="session")
def sets(observed_frame):
    """Return the function that gives the set of a source and timeframe, fitted on a frame of its own."""
    known = {}

    def get(source="taker", timeframe="15m", metadata=True):
        key = source, timeframe, metadata
        if key not in known:
            known[key] = observation_set(fit(observed_frame(3200, 77, *key), timeframe))
        return known[key]

    return get


@pytest.fixture(scope="session")
def accounts():
    """Return the function that makes accounts, some of them ruined or short."""

    def make(n_rows, seed=0):
        random = np.random.default_rng(seed + 4000)
        agent = random.lognormal(0, 1, (n_rows, 9))
        agent[:, 0] *= 100 * random.choice([-1.0, 1.0], n_rows, p=[0.2, 0.8])
        agent[:, 1] *= random.choice([-1.0, 1.0], n_rows)
        agent[:, 5] *= random.choice([-0.05, 0.05], n_rows)
        agent[:, 2:] *= random.random((n_rows, 7)) > 0.2
        return agent

    return make


def bits(rows):
    """Return floats as integers: equal only if every bit is."""
    return np.ascontiguousarray(rows, dtype=np.float32).view(np.int32)


@pytest.fixture(scope="session", name="bits")
def bits_fixture():
    return bits


@pytest.fixture(scope="session")
def bars_of():
    """Return the function that gives a frame's bars as long tuples, as a set's stream reads them."""
    return lambda frame, observations: list(
        zip(*(np.asarray(frame[name]).tolist() for name in (*CANDLE, *observations.inputs)), strict=True)
    )
