"""The check of all pairs at one go refuses what the check of each refuses, and nothing else (DQ-1, DQ-3, LIM-5)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nn.data.quality import OHLCV
from nn.service.errors import Refused
from nn.service.wire import Block, Parameters, checked, flawless

STEP, N_ROWS = 900_000, 12
PARAMETERS = Parameters(schema_version=1, timeframe="15m", as_of="latest")


def pair(seed):
    generator = np.random.default_rng(seed)
    low, high = generator.uniform(1, 2, N_ROWS), generator.uniform(2, 3, N_ROWS)
    inner = low + (high - low) * generator.random((2, N_ROWS))
    numbers = {"open": inner[0], "high": high, "low": low, "close": inner[1], "volume": generator.random(N_ROWS)}
    return {"date": STEP * (1000 + np.arange(N_ROWS)), **numbers}


def refused(block):
    try:
        checked(block, PARAMETERS)
    except Refused:
        return True
    return False


def all_good(blocks):
    whole = {name: np.concatenate([block[name] for block in blocks]) for name in ("date", *OHLCV)}
    return flawless(whole["date"], {name: whole[name] for name in OHLCV}, range(0, N_ROWS * len(blocks), N_ROWS), STEP)


@given(
    fault=st.tuples(
        st.sampled_from(OHLCV),
        st.integers(0, 3 * N_ROWS - 1),
        st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -1.0, 1e-300, 1.5, 2.5, 1e9, 1e308]),
    )
)
@settings(max_examples=200, deadline=None)
def test_one_wrong_number_is_seen_wherever_it_is(fault):
    """Every number that some check refuses, in any column of any of three pairs."""
    blocks = [pair(seed) for seed in range(3)]
    name, row, value = fault
    blocks[row // N_ROWS][name][row % N_ROWS] = value
    assert all_good(blocks) != any(refused(Block("A/B", block)) for block in blocks)


@given(row=st.integers(0, 3 * N_ROWS - 1), shift=st.sampled_from([-STEP, STEP, 1, -1, 5 * STEP, -20 * STEP, 40 * STEP]))
@settings(max_examples=100, deadline=None)
def test_one_wrong_time_is_seen_wherever_it_is(row, shift):
    """Backwards, twice, off the grid; a gap is none, and pairs need not follow one another."""
    blocks = [pair(seed) for seed in range(3)]
    blocks[row // N_ROWS]["date"][row % N_ROWS] += shift
    assert all_good(blocks) != any(refused(Block("A/B", block)) for block in blocks)


def test_good_candles_pass_and_a_bad_one_is_named(ask, kit):
    """The reason still has the row and the value."""
    assert all_good([pair(0), pair(1)])
    frame = kit.candles(170)
    frame.loc[33, "volume"] = -2.0
    response = ask.arrow(kit.arrow_body(frame))
    assert response.status_code == 400
    assert "volume" in response.json()["reason"]
    assert "-2" in response.json()["reason"]
    with pytest.raises(Refused, match="whole multiple of 15m"):
        checked(Block("A/B", pair(0) | {"date": pair(0)["date"] + 1}), PARAMETERS)
