"""Bad input is refused at the border, by name, value and expectation; nothing moves then."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradekernels.environment import Reward, Risk, Settings, TradingEnvironment, Transition, market
from tradekernels.execution import Fees, Quantiser


@pytest.fixture(scope="module")
def one(candles):
    return market("BTC/USDT", candles(50), np.zeros((50, 56), dtype=np.float32), "15m")


def test_a_bad_number_in_the_data_is_named_by_slot_pair_and_candle(candles):
    rows = np.zeros((50, 56), dtype=np.float32)
    rows[7, 33] = np.nan
    with pytest.raises(ValueError, match=r"slot 33 of BTC/USDT at 2020-09-13T14:15:00.000 is not finite"):
        market("BTC/USDT", candles(50), rows, "15m")
    assert market("BTC/USDT", candles(50), rows, "15m", first=8).first == 8
    frame = candles(50)
    frame["close"][3] = np.inf
    with pytest.raises(ValueError, match="close in row 3 is inf"):
        market("BTC/USDT", frame, rows, "15m", first=8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"observation": np.zeros((50, 26), dtype=np.float32)}, r"shape \(50, 26\), expected floats of shape \(50, 27"),
        ({"observation": np.zeros((49, 56), dtype=np.float32)}, r"shape \(49, 56\)"),
        ({"timeframe": "15x"}, "timeframe is '15x'"),
        ({"first": 49}, "first is 49 and last 49"),
        ({"last": 50}, "first is 0 and last 50"),
        ({"window": 0}, "window is 0"),
        ({"columns": {"volume": 1.0}}, "columns has 'volume'"),
        ({"columns": {"atr": np.ones(3)}}, r"atr has shape \(3,\), expected \(50,\)"),
        ({"columns": {"liquidity": -1.0}}, "liquidity is -1.0, expected a finite number of at least 0"),
        ({"grid": Quantiser(tick_size=1000)}, r"(open|low) of BTC/USDT in row 0 is below half of its tick 1000"),
    ],
)
def test_what_is_no_market_is_refused(candles, change, message):
    arguments = {"observation": np.zeros((50, 56), dtype=np.float32), "timeframe": "15m"} | change
    with pytest.raises(ValueError, match=message):
        market("BTC/USDT", candles(50), **arguments)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Settings(cash=0), "cash is 0, expected a number above 0"),
        (lambda: Settings(episode_length=0), "episode_length is 0"),
        (lambda: Settings(dead_band=-0.1), "dead_band is -0.1"),
        (lambda: Reward("sharpe"), "form is 'sharpe'"),
        (lambda: Reward(gamma=-1.0), "gamma is -1.0"),
        (lambda: Risk(max_drawdown=float("nan")), "max_drawdown is nan"),
        (lambda: Risk(ruin=1.0), "ruin is 1.0, expected a share below 1"),
        (lambda: Reward(gamma=[1.0, 2.0]), r"gamma has shape \(2,\), expected one number"),
        (lambda: Settings(can_short="no"), "can_short is 'no', expected bool"),
        (lambda: Settings(book=1), "book is 1, expected BookFlow or NoneType"),
    ],
)
def test_what_is_no_setting_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda one: TradingEnvironment([]), "markets is empty"),
        (lambda one: TradingEnvironment(one, 0), "n_copies is 0"),
        (lambda one: TradingEnvironment(one, seed=-1), "seed is -1"),
        (lambda one: TradingEnvironment(one, threads=True), "threads is True"),
        (
            lambda one: TradingEnvironment([one, replace(one, observation=one.observation[:, :30].copy())]),
            r"markets have \[56, 30\] slots",
        ),
        (lambda one: TradingEnvironment(one, 1, Settings(episode_length=50)), "BTC/USDT has only 49 steps"),
        (lambda one: TradingEnvironment(one, 1, Settings(cash="0.000000001")), "cash is 0.000000001, expected whole"),
        (lambda one: TradingEnvironment(one, 1, Settings(cash=10**12)), "cash is 1000000000000, expected whole steps"),
    ],
)
def test_what_is_no_environment_is_refused(one, make, message):
    with pytest.raises(ValueError, match=message):
        make(one)


def test_a_bad_action_moves_nothing(one):
    environment = TradingEnvironment(one, 3)
    with pytest.raises(RuntimeError, match="step before reset"):
        environment.step(np.zeros(3))
    environment.reset()
    environment.step(np.ones(3))
    before = environment.state()
    for action, message in [
        (np.array([0.0, np.nan, 0.0]), "action of copy 1 is nan, expected a finite weight"),
        (np.array([0.0, 0.0, np.inf]), "action of copy 2 is inf"),
        (np.zeros(4), r"action is float64 of shape \(4,\), expected a contiguous array of shape \(3,\)"),
        (np.zeros((3, 1)), r"action is float64 of shape \(3, 1\)"),
        (np.zeros(6)[::2], "action is float64"),
        (np.zeros(3, dtype=np.int64), "action is int64"),
        ([0.0, 0.0, 0.0], "action is <class 'list'>"),
    ]:
        with pytest.raises(ValueError, match=message):
            environment.step(action)
        assert (environment.state() == before).all()


def test_a_bad_output_moves_nothing(one):
    environment = TradingEnvironment(one, 3)
    environment.reset()
    before, good = environment.state(), environment.empty()
    frozen = np.zeros(3)
    frozen.flags.writeable = False
    for name, array in {
        "observation": np.zeros((3, 55), dtype=np.float32),
        "reward": np.zeros(3, dtype=np.float32),
        "terminated": np.zeros(4, dtype=bool),
        "truncated": np.zeros(6, dtype=bool)[::2],
    }.items():
        with pytest.raises(ValueError, match=f"{name} is "):
            environment.step(np.zeros(3), good._replace(**{name: array}))
    with pytest.raises(ValueError, match="reward is float64"):
        environment.step(np.zeros(3), Transition(good.observation, frozen, good.terminated, good.truncated))
    with pytest.raises(ValueError, match="reward is <class 'list'>"):
        environment.step(np.zeros(3), good._replace(reward=[0.0, 0.0, 0.0]))
    assert (environment.state() == before).all()


def test_an_array_that_shrinks_between_two_steps_is_not_written_beyond_its_end(one):
    environment = TradingEnvironment(one, 3)
    environment.reset()
    out = environment.step(np.zeros(3), environment.empty())
    before = environment.state()
    out.reward.resize(0, refcheck=False)
    with pytest.raises(ValueError, match="an array was resized"):
        environment.step(np.zeros(3), out)
    assert (environment.state() == before).all()


def test_a_bad_start_or_state_is_refused(one):
    environment = TradingEnvironment([one, one], 2)
    for arguments, message in [
        ({"pairs": 2}, "pairs is 2, expected 0 to 1"),
        ({"rows": 3}, "rows without pairs"),
        ({"pairs": 0, "rows": [1, 49]}, "row is 49, expected 0 to 48 of BTC/USDT"),
        ({"seed": 2.5}, "seed is 2.5"),
        ({"out": np.zeros((2, 57), dtype=np.float32)}, "out is float32"),
        ({"out": np.zeros((56, 2), dtype=np.float32).T}, "out is float32 .*expected a writable, C-contiguous"),
        ({"out": [0.0]}, "out is <class 'list'>"),
        ({"pairs": [0.5, 0.0]}, "pairs is float64"),
        ({"pairs": [0, 0, 0]}, r"pairs is int64 of shape \(3,\)"),
        ({"pairs": 0, "rows": True}, "rows is bool"),
    ]:
        with pytest.raises(ValueError, match=message):
            environment.reset(**arguments)
    environment.reset(pairs=[1, 0], rows=[5, 6])
    assert environment.copies[["pair", "row"]].tolist() == [(1, 5), (0, 6)]
    state = environment.state()
    with pytest.raises(ValueError, match="state is uint8"):
        environment.restore(state[:-1], seed=0)
    for bad in ("pair", "row", "newest", "pause_reason"):
        broken = state.copy()
        broken.view(environment.copies.dtype)[bad] = 10**6
        with pytest.raises(ValueError, match="state has"):
            environment.restore(broken, seed=0)
    for change in ({"row": 49}, {"lots": np.nan}):  # a copy at its end that is not done would step beyond the data
        broken = state.copy()
        for name, value in change.items():
            broken.view(environment.copies.dtype)[name] = value
        with pytest.raises(ValueError, match="state has"):
            environment.restore(broken, seed=0)


@settings(deadline=None, max_examples=60)
@given(
    actions=st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=30),
    price=st.sampled_from([1e-4, 1.0, 1e5]), volatility=st.floats(0, 2), bps=st.integers(0, 5000),
    ruin=st.floats(0, 0.9), seed=st.integers(0, 2**64 - 1), can_short=st.booleans(),
)  # fmt: skip
def test_no_path_gives_anything_but_finite_numbers(candles, actions, price, volatility, bps, ruin, seed, can_short):
    """Wild prices, fees of half the order, huge actions: observations, rewards and cash stay what they can be."""
    frame = candles(40, seed=seed % 97, price=price, volatility=volatility)
    for name in ("open", "high", "low", "close"):
        frame[name] = np.clip(frame[name], 1e-5, 1e9)
    grid = Quantiser("0.00001", "0.001", "0.01")
    wild = market("A", frame, np.zeros((40, 56), dtype=np.float32), "15m", grid)
    costs = Settings().costs
    costs = type(costs)(Fees(bps, bps), costs.slippage, costs.latency)
    its = Settings(costs=costs, risk=Risk(ruin=ruin, max_drawdown=1.0), can_short=can_short)
    environment = TradingEnvironment(wild, 2, its, seed=seed)
    environment.reset()
    for action in actions:
        observation, reward, _, _ = environment.step(np.full(2, action))
        assert np.isfinite(observation).all()
        assert (np.abs(reward) <= 10).all()
        assert np.isfinite(environment.copies["worth"]).all()
        assert can_short or ((environment.cash() >= 0).all() and (environment.units() >= 0).all())
