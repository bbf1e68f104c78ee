"""Book fidelity by hand: own orders take levels, wait in queues, and are worth what they got (LOB-41, LOB-42)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_by_hand import AT_ONCE, go, make
from test_laws import flat_candles

from tradekernels.environment import BookFlow, Costs, Settings, TradingEnvironment, market
from tradekernels.execution import Fees, Latency, Slippage

FREE = Costs(Fees(0, 0), Slippage(0.0, 20.0), AT_ONCE)  # a spread of 20 bps: at 100, levels 0.20 apart
LEVELS = {"depth_deviation": 0.0, "limit_deviation": 0.0, "market_deviation": 0.0}


def environment_of(book, frame, costs=FREE, **columns):
    """Return one copy at the beginning; 15 units trade in a bar of 15 minutes, so one in a minute."""
    return make(None, Settings(costs=costs, random_start=False, book=book), frame=frame, liquidity=15.0, **columns)


def test_a_market_order_walks_the_levels():
    """Levels of 10, 20, 30 units, half a spread away and then one apart: 10 at 100.10, 20 at 100.30, 20 at 100.50."""
    book = BookFlow(depth=(10.0, 20.0, 30.0), events=0, **LEVELS)
    environment = environment_of(book, flat_candles(np.full(4, 100.0)))
    observation, _ = go(environment, 0.5)
    paid = 10 * 100.10 + 20 * 100.30 + 20 * 100.50
    assert environment.units()[0] == 50.0
    assert environment.cash()[0] == pytest.approx(10_000 - paid, abs=1e-9)
    assert environment.copies["slippage"][0] == pytest.approx(paid - 5000, abs=1e-9)
    assert observation[25] == pytest.approx((paid / 50 - 100) / 100, rel=1e-6)
    go(environment, 0.0)
    assert environment.cash()[0] == pytest.approx(10_000 - paid + 10 * 99.90 + 20 * 99.70 + 20 * 99.50, abs=1e-9)


def test_what_the_book_does_not_hold_is_not_filled():
    book = BookFlow(depth=(10.0, 20.0), events=0, **LEVELS)
    environment = environment_of(book, flat_candles(np.full(4, 100.0)))
    observation, _ = go(environment, 0.5)
    assert environment.units()[0] == 30.0
    assert observation[26] == pytest.approx(0.6)


def test_a_limit_order_joins_the_queue_and_is_filled_after_it():
    """Ten events take a unit each, all from one side: of 10 units sold, 4 go to the queue ahead, 6 to the order."""
    flow = {"market": 1.0, "add": 0.0, "sign_memory": 1.0, "market_size": 1.0, "depth": (4.0, 20.0), **LEVELS}
    costs = Costs(Fees(2, 10), Slippage(0.0, 20.0), AT_ONCE)
    environment = environment_of(BookFlow("limit", events=10, **flow), flat_candles(np.full(4, 100.0)), costs)
    seen = set()
    for seed in range(8):
        environment.reset(seed)
        observation, _ = go(environment, 0.5)
        filled = float(environment.units()[0])
        cash = 10_000 - filled * 99.90 * 1.0002  # its own price, the best bid; makers pay 2 bps
        assert environment.cash()[0] == pytest.approx(cash, abs=1e-7)
        assert observation[26] == pytest.approx(filled / 50, rel=1e-6)
        seen.add(filled)
    assert seen == {0.0, 6.0}


def test_a_limit_order_that_the_market_trades_through_is_filled_up_to_what_bars_trade():
    """15 units trade in a bar: an order for 50 gets no more of them, one for 10 gets all it wants."""
    book = BookFlow("limit", depth=(1e3,), events=10, market_size=1e-3, **LEVELS)
    for low, weight, units in ((99.90, 0.5, 0.0), (99.89, 0.5, 15.0), (99.89, 0.1, 10.0)):
        frame = flat_candles(np.full(4, 100.0))
        frame["low"][1] = low
        environment = environment_of(book, frame)
        go(environment, weight)
        assert environment.units()[0] == units


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("came_back", [False, True])
def test_a_candle_that_ran_away_from_a_limit_order_did_not_fill_it(side, came_back):
    """The order comes when the price has gone half of the way to the bar's far end: the open is past."""
    late = Latency(base_ms=225_000.0, jitter_ms=0.0, spike_probability=0.0, timeout_ms=1e9)
    frame = flat_candles(np.full(4, 100.0))
    frame["high" if side > 0 else "low"][1] = 100.0 + 8 * side
    if came_back:
        frame["low" if side > 0 else "high"][1] = 100.0 - 0.01 * side
    book = BookFlow("limit", depth=(1e3,), events=0, **LEVELS)
    costs = Costs(Fees(0, 0), Slippage(0.0, 20.0), late)
    its = Settings(costs=costs, random_start=False, can_short=True, book=book)
    environment = make(None, its, frame=frame, liquidity=15.0)
    go(environment, 0.5 * side)
    assert environment.units()[0] == 15.0 * side * came_back


def test_a_purchase_in_the_book_never_overdraws():
    book = BookFlow(depth=(30.0, 30.0, 60.0), events=0, **LEVELS)
    environment = environment_of(book, flat_candles(np.full(4, 100.0)), Costs(Fees(10, 10), Slippage(0, 100), AT_ONCE))
    go(environment, 1.0)
    assert 0 <= environment.cash()[0] < 0.11
    assert 97 < environment.units()[0] < 99.5


@settings(deadline=None, max_examples=25)
@given(threads=st.integers(1, 4), seed=st.integers(0, 2**63), orders=st.sampled_from(["market", "limit"]))
def test_a_path_through_books_depends_neither_on_copies_nor_on_threads(candles, threads, seed, orders):
    one = market("A", candles(200), np.zeros((200, 56), dtype=np.float32), "15m")
    its = Settings(can_short=True, episode_length=50, book=BookFlow(orders, depth=(0.05, 0.1), events=15))
    whole = TradingEnvironment(one, 9, its, seed=seed, threads=threads)
    part = TradingEnvironment(one, 2, its, seed=seed, first_stream=5)
    whole.reset()
    part.reset()
    for action in np.random.default_rng(1).uniform(-1, 1, (80, 9)):
        for ours, theirs in zip(part.step(action[5:7]), whole.step(action), strict=True):
            assert ours.tobytes() == theirs[5:7].tobytes()


def test_a_state_in_book_fidelity_continues_bit_for_bit(candles):
    """A book lives for one candle: nothing of it needs to be saved."""
    one = market("A", candles(200), np.zeros((200, 56), dtype=np.float32), "15m")
    its = Settings(can_short=True, book=BookFlow("limit"))
    environment, other = (TradingEnvironment(one, 3, its, seed=2) for _ in range(2))
    environment.reset()
    actions = np.random.default_rng(2).uniform(-1, 1, (60, 3))
    for action in actions[:30]:
        environment.step(action)
    other.restore(environment.state(), seed=2)
    for action in actions[30:]:
        for ours, theirs in zip(other.step(action), environment.step(action), strict=True):
            assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"orders": "stop"}, "orders is 'stop', expected 'market' or 'limit'"),
        ({"events": 1001}, "events is 1001, expected a whole number from 0 to 1000"),
        ({"depth": ()}, r"depth has shape \(0,\), expected 1 to 16 levels"),
        ({"depth": (1.0,) * 17}, "expected 1 to 16 levels"),
        ({"market": 0.7, "add": 0.6}, "shares are 0.7, 0.6 and 0.2, expected at most 1"),
        ({"market_size": float("nan")}, "market_size is nan"),
        ({"distance": 1e300}, r"distance is 1e\+300, expected at most 1000"),
        ({"depth_deviation": 800.0}, "depth_deviation is 800.0, expected at most 10"),
        ({"add": (0.1, 0.2)}, r"add has shape \(2,\), expected one number"),
    ],
)
def test_what_is_no_flow_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        BookFlow(**change)
