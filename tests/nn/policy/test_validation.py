"""A validation run is the account's own, what the critic said stands beside what came, and nothing later counts."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from tradekernels.observation import fit, observation_set

from nn.policy.account import account_of
from nn.policy.play import LackingInput
from nn.policy.validation import discounted, validation_run
from nn.policy.version import Policy
from nn.registry.keys import Keys
from nn.registry.manifest import load_version

from ..forecast.conftest import BEGIN, make_candles
from .small_policy import PAIRS, write_small_policy

KEYS = Keys(b"k" * 32)
BAR = timedelta(minutes=15)


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    folder = write_small_policy(tmp_path_factory.mktemp("registry") / "policy-15m", KEYS, pairs=PAIRS[:2])
    return Policy.from_loaded(load_version(folder, KEYS))


@pytest.fixture(scope="module")
def frames(policy):
    n = policy.observations.warmup + 250
    return {pair: make_candles(n, seed=9 + number) for number, pair in enumerate(PAIRS[:2])}


def times(policy):
    begin = BEGIN.to_pydatetime() + (policy.observations.warmup + 20) * BAR
    return begin, begin + 200 * BAR


def test_it_is_the_run_of_the_account(policy, frames):
    found = validation_run(policy, frames, *times(policy))
    account, _ = account_of(policy, frames, *times(policy))
    assert found.equity == pytest.approx(account.equity)
    assert found.weight == pytest.approx(account.weight)
    assert found.traded == pytest.approx(account.traded)
    assert found.hold[0] == 1.0
    closes = [frame["close"].to_numpy() for frame in frames.values()]
    first = policy.observations.warmup + 19  # closes at `begin`
    assert found.hold[-1] == pytest.approx(np.mean([close[first + 200] / close[first] for close in closes]))
    assert len(found.quantiles) == len(found.returns) == 2 * len(found.times)
    assert (np.diff(found.quantiles, axis=1) >= 0).all()


def test_columns_beside_the_candles_reach_the_run_and_the_account(policy, frames):
    """OBS-59: what was learned with taker volume is looked at and judged with it."""
    richer = {pair: frame.assign(taker_buy_volume=0.4 * frame["volume"]) for pair, frame in frames.items()}
    seen = observation_set(fit(richer, "15m"), PAIRS[:2], 2)
    assert seen.inputs == ("taker_buy_volume",)
    trained = replace(policy, observations=seen)
    account, _ = account_of(trained, richer, *times(policy))
    assert validation_run(trained, richer, *times(policy)).equity == pytest.approx(account.equity)
    with pytest.raises(LackingInput, match="trained with taker_buy_volume"):
        account_of(trained, frames, *times(policy))


def test_what_comes_after_the_end_changes_nothing(policy, frames):
    begin, end = times(policy)
    one = validation_run(policy, frames, begin, end)
    for frame in (changed := {pair: frame.copy() for pair, frame in frames.items()}).values():
        later = frame["date"] >= pd.Timestamp(end)
        assert later.any()
        frame.loc[later, ["open", "high", "low", "close"]] *= 2.0
    other = validation_run(policy, changed, begin, end)
    assert all(np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in vars(one))


def test_a_range_without_a_candle_is_named(policy, frames):
    begin, _ = times(policy)
    with pytest.raises(ValueError, match="BTC/USDT:USDT: no candle that closes in"):
        validation_run(policy, frames, begin + timedelta(days=900), begin + timedelta(days=901))


def test_returns_are_discounted_sums_and_unknown_where_the_run_ends_too_soon():
    rewards = np.array([1.0, 2.0, 4.0, 8.0])
    found = discounted(rewards, 0.5, enough=0.25)
    assert found[:3].tolist() == [1 + 1 + 1 + 1, 2 + 2 + 2, 4 + 4]
    assert np.isnan(found[3])
    assert np.isnan(discounted(rewards, 0.99)).all()
