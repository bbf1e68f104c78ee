"""Holes in the candles, and where a history is cut: nobody acts blind, and a longer history goes on from a shorter."""

from dataclasses import replace

import numpy as np
import pytest

from nn.policy.play import NOBODY, rollout
from nn.policy.version import Policy
from nn.registry.keys import Keys
from nn.registry.manifest import load_version

from ..forecast.conftest import make_candles
from .small_policy import write_small_policy

KEYS, PAIR = Keys(b"k" * 32), "ETH/USDT:USDT"
N_ROWS, WARMUP, HOLE = 3200, 2880, 3050
NAMES = (
    "acted_by",
    "target_weight",
    "value",
    "cvar",
    "held_weight",
    "agent",
    "worth",
    "growth",
    "turnover",
    "n_trades",
)


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    line = tmp_path_factory.mktemp("registry") / "policy-15m"
    return Policy.from_loaded(load_version(write_small_policy(line, KEYS), KEYS))


@pytest.fixture(scope="module")
def frame():
    return make_candles(N_ROWS, seed=3)


def missing(frame, count):
    return frame.drop(index=range(HOLE, HOLE + count)).reset_index(drop=True)


def filled(frame, count):
    """As Freqtrade fills a hole: flat, without volume."""
    frame = frame.copy()
    rows = slice(HOLE, HOLE + count - 1)
    frame.loc[rows, ["open", "high", "low", "close"]] = frame["close"][HOLE - 1]
    frame.loc[rows, "volume"] = 0.0
    return frame


@pytest.mark.parametrize(("make", "first", "blind"), [(missing, HOLE, 19), (filled, HOLE + 3, 17)])
def test_nobody_acts_blind_and_the_account_keeps_what_it_holds(policy, frame, make, first, blind):
    """DQ-4: four bars missing, or four filled ones, the fourth of which makes a hole; until it is out of 20 bars."""
    frame = make(frame, 4)
    told = rollout(policy, frame, PAIR)
    idle = np.flatnonzero(told.acted_by[WARMUP:] == NOBODY) + WARMUP
    assert (idle[0], idle[-1]) == (first, first + blind - 1)
    assert len(idle) == blind
    for name in ("target_weight", "value", "cvar"):
        assert np.isnan(getattr(told, name)[idle]).all(), name
    assert np.isfinite(told.agent[WARMUP:]).all()
    # The order of the last candle acted on fills in the first one idle; after that none does.
    assert (told.n_trades[idle[1:]] == told.n_trades[idle[0]]).all()
    units = told.held_weight * told.worth / frame["close"].round(3)
    assert np.abs(units[idle[0]]) > 0
    np.testing.assert_allclose(units[idle], units[idle[0]], rtol=1e-9)
    assert told.n_trades[-1] > told.n_trades[idle[-1]]


@pytest.mark.parametrize("make", [missing, filled])
def test_three_bars_are_no_hole(policy, frame, make):
    told = rollout(policy, make(frame, 3), PAIR)
    assert (told.acted_by[WARMUP:] != NOBODY).all()


def test_a_short_is_kept_too(tmp_path, frame):
    policy = Policy.from_loaded(load_version(write_small_policy(tmp_path / "policy-15m", KEYS, can_short=True), KEYS))
    policy.forward.low, policy.forward.reach = np.float32(-0.6), np.float32(0.01)
    frame = missing(frame, 9)
    told = rollout(policy, frame, PAIR)
    units = told.held_weight * told.worth / frame["close"].round(3)
    assert units[HOLE] < 0
    np.testing.assert_allclose(units[HOLE : HOLE + 19], units[HOLE], rtol=1e-9)


def test_a_longer_history_goes_on_from_a_shorter(policy, frame):
    """Prefix property, at every cut around the first act, a hole, and the bar of a ruin, whose account begins anew."""
    frame = missing(frame, 6)
    frame.loc[3100:, ["open", "high", "low", "close"]] *= 0.01
    eager = replace(policy, settings=replace(policy.settings, dead_band=0.0))
    eager.forward.low, eager.forward.reach = np.float32(0.97), np.float32(0.03)
    whole = rollout(eager, frame, PAIR)
    assert whole.growth.min() < np.log(0.11)  # a reward's ratio is held at 0.1
    for cut in (WARMUP + 1, WARMUP + 2, HOLE, HOLE + 1, HOLE + 25, 3100, 3101, 3102, 3103):
        short = rollout(eager, frame[:cut], PAIR)
        for name in NAMES:
            assert getattr(short, name).tobytes() == getattr(whole, name)[:cut].tobytes(), (cut, name)


def test_what_is_raised_now_and_then_ends_the_work(policy, frame):
    class Ended(Exception):
        pass

    calls = []

    def end():
        calls.append(1)
        if len(calls) == 3:
            raise Ended

    with pytest.raises(Ended):
        rollout(policy, frame, PAIR, end)
    assert len(calls) == 3
