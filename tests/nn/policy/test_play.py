"""A rollout is what an account would have done: as-of, blind to the future, in the kernel's own books."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tradekernels.environment import TradingEnvironment, market
from tradekernels.observation import fit, observation_set

from nn.policy.play import AGENT, NOBODY, LackingInput, UnknownPair, rollout
from nn.policy.version import Policy
from nn.registry.keys import Keys
from nn.registry.manifest import load_version

from ..forecast.conftest import BEGIN, make_candles
from .small_policy import write_small_policy

KEYS, PAIR = Keys(b"k" * 32), "ETH/USDT:USDT"
N_ROWS, WARMUP = 3300, 2880


@pytest.fixture(scope="module")
def frame():
    return make_candles(N_ROWS, seed=3)


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    line = tmp_path_factory.mktemp("registry") / "policy-15m"
    starts = (pd.Timestamp("2025-01-08", tz="UTC"), BEGIN + pd.Timedelta(minutes=15) * 3100)
    folders = [write_small_policy(line, KEYS, seed, valid_from=start.to_pydatetime())
               for seed, start in enumerate(starts)]  # fmt: skip
    return [Policy.from_loaded(load_version(folder, KEYS)) for folder in folders]


@pytest.fixture(scope="module")
def played(chain, frame):
    return rollout(chain, frame, PAIR)


def test_nobody_acts_before_the_warmup_and_the_newest_valid_version_after(played):
    assert (played.acted_by[:WARMUP] == NOBODY).all()
    assert np.isnan(played.target_weight[:WARMUP]).all()
    # Row 3099 closes as the second version becomes valid.
    np.testing.assert_array_equal(played.acted_by[WARMUP:], np.arange(WARMUP, N_ROWS) >= 3099)
    for name in ("target_weight", "value", "cvar", "held_weight", "agent", "worth"):
        assert np.isfinite(getattr(played, name)[WARMUP:]).all(), name


def test_every_row_is_the_answer_to_what_was_seen(chain, frame, played):
    """PPO-5: `act` on the market slots with the simulated agent slots gives the very weights of the rollout."""
    for k, policy in enumerate(chain):
        mine = played.acted_by == k
        rows = policy.observations.market(frame, 1)[mine]
        rows[:, AGENT] = played.agent[mine]
        assert policy.act(rows)[0].tobytes() == played.target_weight[mine].tobytes()


def test_the_account_goes_on_through_a_change_of_version(chain, frame, played):
    """The books are those of one environment that is given the same targets."""
    rows = chain[0].observations.market(frame, 1)
    place = market(PAIR, frame, rows, "15m", chain[0].grids[PAIR], WARMUP)
    environment = TradingEnvironment(place, 1, chain[0].settings, seed=0)
    environment.reset(pairs=0, rows=WARMUP)
    for row in range(WARMUP, N_ROWS):
        assert environment.weight()[0] == pytest.approx(played.held_weight[row], abs=1e-12)
        assert environment.copies["worth"][0] == played.worth[row]
        if row + 1 < N_ROWS:
            environment.step(played.target_weight[row : row + 1])
    assert played.n_trades[-1] > 20
    assert played.turnover[-1] > played.worth[-1]


def test_candles_after_t_change_nothing_at_or_before_t(chain, frame, played):
    """LEK-1."""
    for cut in (WARMUP + 1, 3099, 3200):
        other = make_candles(N_ROWS, seed=77)
        noise = pd.concat([frame[:cut], other[cut:]], ignore_index=True)
        for changed in (frame[:cut], noise):
            again = rollout(chain, changed, PAIR)
            for name in ("target_weight", "value", "cvar", "held_weight", "agent", "worth", "turnover"):
                assert getattr(again, name)[:cut].tobytes() == getattr(played, name)[:cut].tobytes(), name


def test_a_frame_that_ends_with_the_warmup_has_one_answer_of_a_flat_account(chain, frame, played):
    short = rollout(chain, frame[: WARMUP + 1], PAIR)
    assert short.target_weight[WARMUP] == played.target_weight[WARMUP]
    assert short.agent[WARMUP].tolist() == [1, 0, 0, 0, 0, 0]
    assert (rollout(chain, frame[:WARMUP], PAIR).acted_by == NOBODY).all()


def test_an_unknown_pair_and_two_accounts_are_refused(chain, frame):
    with pytest.raises(UnknownPair, match="does not know XRP/USDT:USDT, expected one of BTC/USDT:USDT"):
        rollout(chain, frame, "XRP/USDT:USDT")
    account = chain[1].manifest.environment.model_copy(update={"cash": 1.0})
    other = replace(chain[1], manifest=chain[1].manifest.model_copy(update={"environment": account}))
    with pytest.raises(ValueError, match="different environments"):
        rollout([chain[0], other], frame, PAIR)


def test_a_ruined_account_begins_anew(chain, frame):
    """All is lost within a few bars; what comes after is a new account, and the turnover of the old one counts on."""
    crash = frame.assign(volume=frame["volume"] * 1e9)  # deep enough to buy again after the crash
    middle = 3000
    crash.loc[middle:, ["open", "high", "low", "close"]] *= 0.01
    eager = replace(chain[0], settings=replace(chain[0].settings, dead_band=0.0))
    eager.forward.low, eager.forward.reach = np.float32(0.97), np.float32(0.03)  # always nearly all in
    told = rollout(eager, crash, PAIR)
    ruined = WARMUP + int(told.growth[WARMUP:].argmin())
    assert middle <= ruined <= middle + 1
    assert told.growth[ruined] == pytest.approx(np.log(0.1))  # no reward is below (ENV-4)
    assert told.worth[ruined] == 10_000
    assert told.agent[ruined].tolist()[:2] == [1, 0]
    assert (np.diff(told.turnover[WARMUP:]) >= 0).all()
    calm = np.delete(np.arange(WARMUP + 1, N_ROWS), ruined - WARMUP - 1)
    np.testing.assert_allclose(told.growth[calm], np.log(told.worth[calm] / told.worth[calm - 1]), atol=1e-12)


@pytest.mark.parametrize("column", ["taker_buy_volume", "quote_volume", "fear_greed"])
def test_a_policy_is_played_with_what_it_was_trained_with_or_not_at_all(chain, frame, column):
    """OBS-59, ENR-9: without the column a slot would show a default, or a formula of candles, and nobody would know."""
    values = {"taker_buy_volume": 0.4 * frame["volume"], "quote_volume": frame["volume"] * frame["open"]}
    richer = frame.assign(**{column: values.get(column, 40.0)})
    observations = observation_set(fit(richer[:600], "15m"), chain[0].observations.tokens, 3)
    assert observations.inputs == (column,)
    policy = replace(chain[0], observations=observations)
    played = rollout(policy, richer, PAIR)
    rows = observations.market(richer, 1)[WARMUP:]
    rows[:, AGENT] = played.agent[WARMUP:]
    assert policy.act(rows)[0].tobytes() == played.target_weight[WARMUP:].tobytes()
    with pytest.raises(LackingInput, match=f"{policy.version} was trained with {column}, these candles have none"):
        rollout(policy, frame, PAIR)
