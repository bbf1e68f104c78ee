"""Steps worked out by hand: orders, costs, slots, rewards, limits (ENV-2 to ENV-9)."""

import math

import numpy as np
import pytest
from test_laws import flat_candles

from tradekernels.environment import Costs, Reward, Risk, Settings, TradingEnvironment, market
from tradekernels.execution import Fees, Latency, Quantiser, Slippage
from tradekernels.observation import AgentWindow

AT_ONCE = Latency(base_ms=0.0, jitter_ms=0.0, spike_probability=0.0)


def make(close, settings, timeframe="15m", frame=None, **columns):
    """Return an environment with one copy at the beginning of these closes."""
    frame = frame or flat_candles(np.asarray(close, dtype=float))
    rows = np.zeros((len(frame["close"]), 56), dtype=np.float32)
    one = market("A/USDT", frame, rows, timeframe, Quantiser("0.01", "0.001", "5"), columns=columns)
    environment = TradingEnvironment(one, 1, settings)
    environment.reset()
    return environment


def go(environment, weight):
    """Step the one copy; return its observation and reward."""
    out = environment.step(np.array([weight]))
    return out.observation[0], float(out.reward[0])


def test_a_purchase_to_the_cent():
    """ENV-2, EXE-1, EXE-2: half of 10,000 at 100 is 50 units; 5 bps of slippage, 10 bps of fees, then +2%."""
    costs = Costs(Fees(10, 10, quote_step="0.01"), Slippage(k=0.5, spread_bps=4.0), AT_ONCE)
    settings = Settings(costs=costs, reward=Reward.growth("ratio"), random_start=False)
    environment = make([100, 102, 102], settings, volatility_bps=60.0, liquidity=5000.0)
    observation, reward = go(environment, 0.5)
    fill = 100 * (1 + (2 + 0.5 * 60 * math.sqrt(50 / 5000)) * 1e-4)
    assert fill == pytest.approx(100.05)
    cash = 10_000 - 50 * 100.05 - 5.01  # 5.0025 of fees, rounded up to the cent
    assert environment.cash()[0] == pytest.approx(cash, abs=1e-9)
    assert environment.units()[0] == 50.0
    worth = cash + 50 * 102
    assert environment.copies["worth"][0] == pytest.approx(worth, abs=1e-9)
    assert reward == pytest.approx((worth - 10_000) / 10_000, abs=1e-15)
    assert observation[21] == np.float32(cash / worth)
    assert observation[22] == pytest.approx(math.tanh(5100 / worth), rel=1e-7)
    assert observation[23:27].tolist() == pytest.approx([math.tanh(1), math.tanh(1 / 20), 0.0005, 1.0], rel=1e-6)


def test_slots_are_those_of_the_strategys_own_window():
    """OBS-61: the same account, kept by `AgentWindow` as a strategy does, gives slots 21 to 26 bit for bit."""
    from tradekernels.observation import _observation

    settings = Settings(random_start=False, can_short=True)
    closes = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, 80)))
    environment, window = make(closes, settings), AgentWindow()
    grid_closes = environment.markets[0].rows["close"] * 0.01
    for step, weight in enumerate(np.random.default_rng(1).uniform(-1, 1, 79)):
        before = environment.copies[0].copy()
        observation, _ = go(environment, weight)
        after = environment.copies[0]
        window.next_bar()
        lots = float(after["lots"] - before["lots"])
        if after["n_trades"] > before["n_trades"]:
            price = abs(float(after["turnover"] - before["turnover"])) / abs(lots * 0.001)
            mid = environment.markets[0].rows["open"][step + 1] * 0.01
            bar = environment.copies["bars"][0, environment.copies["newest"][0]]
            window.place(bar[6])
            window.fill("buy" if lots > 0 else "sell", abs(lots) / 1000, round(price, 2), round(mid, 2))
        row = np.zeros((1, 56), dtype=np.float32)
        fields = window.fields(float(environment.cash()[0]), float(after["lots"]) / 1000)
        _observation.fill_agent(np.array([fields]), np.array([grid_closes[step + 1]]), row)
        np.testing.assert_allclose(observation[21:27], row[0, 21:27], rtol=0, atol=1e-9)
        assert observation[24] == row[0, 24]
        assert observation[26] == row[0, 26]


def test_a_late_order_fills_at_a_worse_price():
    """After a quarter of the bar it meets half of the way to the bar's worst price: sqrt(1/4)."""
    frame = flat_candles(np.array([100.0, 100.0, 100.0]))
    frame["high"][1], frame["low"][2] = 108.0, 90.0
    late = Latency(base_ms=225_000.0, jitter_ms=0.0, spike_probability=0.0, timeout_ms=1e9)
    costs = Costs(Fees(0, 0), Slippage(0.0, 0.0, 0.0), late)
    environment = make(None, Settings(costs=costs, random_start=False), frame=frame)
    go(environment, 0.5)
    assert environment.cash()[0] == pytest.approx(10_000 - 50 * 104)
    go(environment, 0.0)
    assert environment.cash()[0] == pytest.approx(10_000 - 50 * 104 + 50 * 95)
    assert environment.copies["slippage"][0] == pytest.approx(50 * 4 + 50 * 5)


def test_an_order_that_times_out_twice_is_counted_and_not_filled():
    """EXE-3: 4 s are a timeout, the retry too; placed 50, filled none."""
    costs = Costs(latency=Latency(base_ms=4000.0))
    environment = make([100, 101, 102], Settings(costs=costs, random_start=False))
    observation, _ = go(environment, 0.5)
    assert environment.units()[0] == 0
    assert environment.refusals()["TIMEOUT"] == 1
    assert observation[26] == 0
    assert environment.copies["bars"][0, 1, 6] == 50.0


def test_a_purchase_never_overdraws():
    """All of the worth at a price that rises before the fill: what the cash pays for, and not a lot more."""
    frame = flat_candles(np.array([100.0, 110.0, 110.0]))
    frame["open"][1] = 107.0
    costs = Costs(Fees(10, 10), Slippage(0.0, 0.0, 0.0), AT_ONCE)
    environment = make(None, Settings(costs=costs, random_start=False), frame=frame)
    observation, _ = go(environment, 1.0)
    units = math.floor(10_000 / (107 * 1.001) * 1000) / 1000
    assert environment.units()[0] == units
    assert 0 <= environment.cash()[0] < 0.11
    assert observation[26] == pytest.approx(units / 100, rel=1e-6)


def test_the_reward_of_one_trade_by_its_formula():
    """ENV-4 to ENV-6 in one step, every term on."""
    reward = Reward(
        "log", gamma=0.9, shaping=0.2, variance=3.0, drawdown=2.0, per_trade=0.003, taker_bps=10.0,
        half_spread_bps=5.0, impact_bps=30.0, impact_exponent=0.5, turnover=0.0005, loss_penalty=0.07,
    )  # fmt: skip
    settings = Settings(costs=Costs(Fees(0, 0), Slippage(0.0, 0.0, 0.0), AT_ONCE), reward=reward, random_start=False)
    environment = make([100, 100, 96, 96], settings, daily_volume=1e6, atr=2.0)
    _, first = go(environment, 0.5)
    phi = 0.2 * math.tanh(-3 * 50 * 2 / 10_000)
    cost = 0.003 + 5000 * (15 + 30 * math.sqrt(5000 / 1e6)) * 1e-4 / 10_000 + 0.0005 * 5000 / 10_000
    assert first == pytest.approx(0.9 * phi - 0.0 - cost, rel=1e-12)
    _, second = go(environment, 0.5)  # below the worth: 9,800 / 2 = 51.041 units, so 1.041 more at the open of 100
    lots = math.trunc(0.5 * 10_000 / 0.1) - 50_000
    assert lots == 0
    next_phi = 0.2 * math.tanh(-3 * 50 * 2 / 9_800 - 2 * 200 / 10_000)
    assert second == pytest.approx(math.log(0.98) + 0.9 * next_phi - phi, rel=1e-12)
    _, third = go(environment, 0.0)
    cost = 0.003 + 4800 * (15 + 30 * math.sqrt(4800 / 1e6)) * 1e-4 / 9_800 + 0.0005 * 4800 / 9_800
    last_phi = 0.2 * math.tanh(-2 * 200 / 10_000)
    assert third == pytest.approx(0.9 * last_phi - next_phi - cost - 0.07, rel=1e-12)


@pytest.mark.parametrize(("form", "expected"), [("ratio", 10.0), ("log", math.log(10.0))])
def test_rewards_are_clamped(form, expected):
    """The ratio of the log form within 0.1 and 10, every reward within -10 and 10."""
    settings = Settings(costs=Costs.none(), reward=Reward.growth(form), random_start=False)
    environment = make([1.0, 1.0, 50.0, 50.0], settings)
    go(environment, 1.0)
    assert go(environment, 1.0)[1] == pytest.approx(expected)


def test_the_best_reward_is_known_and_reached():
    """ENV-9: prices that alternate, free trading: knowing the next move earns exactly the sum of its rises."""
    closes = np.where(np.arange(101) % 2 == 0, 100.0, 110.0)
    closes[::7] += 5
    settings = Settings(costs=Costs.none(), reward=Reward.growth("log"), random_start=False, cash=1_000_000)
    environment = make(closes, settings)
    earned = sum(go(environment, float(closes[t + 1] > closes[t]))[1] for t in range(100))
    best = np.maximum(np.diff(np.log(closes)), 0).sum()
    assert earned == pytest.approx(best, rel=1e-6)
    assert environment.copies["worth"][0] == pytest.approx(1_000_000 * math.exp(best), rel=1e-5)
    assert sum(go(environment, 0.0)[1] for _ in range(50)) == 0.0


def test_a_purchase_is_the_largest_that_pays_a_fee_of_many_lots():
    """A fee of whole 10s on lots of 1e-7: of a cash of 20, one fee of 10 leaves 10 for the lots."""
    frame = flat_candles(np.full(3, 1e-5))
    one = market("A", frame, np.zeros((3, 56), np.float32), "15m", Quantiser("0.00000001", "0.01", "0"))
    costs = Costs(Fees(10, 10, quote_step="10"), Slippage(0.0, 0.0, 0.0), AT_ONCE)
    environment = TradingEnvironment(one, 1, Settings(costs=costs, cash=20, random_start=False))
    environment.reset()
    go(environment, 1.0)
    assert (environment.units()[0], environment.cash()[0]) == (1e6, 0.0)


def test_a_pause_without_end_ends_never():
    close = (100.0, 100.0, 60.0, 60.0, 60.0)
    risk = Risk(pause_s=math.inf, max_drawdown=1.0)
    environment = make(close, Settings(costs=Costs.none(), risk=risk, random_start=False))
    for weight in (0.5, 0.9, 0.95, 0.95):
        go(environment, weight)
    assert environment.refusals()["INTRABAR_DRAWDOWN"] == 2


def test_a_position_is_refused_by_each_limit():
    def refused(weight, *, close=(100.0, 100.0, 100.0), then=None, **limits):
        settings = Settings(costs=Costs.none(), risk=Risk(**limits), can_short=True, random_start=False)
        environment = make(close, settings)
        go(environment, weight)
        if then is not None:
            go(environment, then)
        reasons = {reason: count for reason, count in environment.refusals().items() if count}
        return reasons, float(environment.units()[0])

    assert refused(0.6, position_limit=50.0) == ({"POSITION_LIMIT": 1}, 0.0)
    assert refused(0.5, position_limit=50.0) == ({}, 50.0)
    assert refused(0.6, notional_limit=5000.0) == ({"NOTIONAL_LIMIT": 1}, 0.0)
    assert refused(0.5, notional_limit=5000.0) == ({}, 50.0)
    falling = (100.0, 80.0, 80.0)
    assert refused(0.5, close=falling, then=0.9, max_drawdown=0.1) == ({"DRAWDOWN": 1}, 50.0)
    assert refused(0.5, close=falling, then=0.0, max_drawdown=0.1) == ({}, 0.0)
    assert refused(0.5, close=falling, then=-0.5, max_drawdown=0.1) == ({"DRAWDOWN": 1}, 0.0)
    assert refused(0.5, close=falling, then=0.9, max_intrabar_drawdown=0.1) == ({"INTRABAR_DRAWDOWN": 1}, 50.0)
    assert refused(0.0004) == ({"MIN_NOTIONAL": 1}, 0.0)
    assert refused(0.0005) == ({}, 0.05)


def test_the_drawdowns_window_is_500_bars():
    """A peak counts for 500 bars, itself included, and is then forgotten."""
    close = np.full(600, 100.0)
    close[1:3] = 200.0
    settings = Settings(costs=Costs.none(), reward=Reward.growth(), risk=Risk(max_drawdown=0.2), random_start=False)
    environment = make(close, settings)
    go(environment, 0.9)
    go(environment, 0.9)  # worth 19,000 at rows 1 and 2
    go(environment, 0.0)  # out at 200: keeps its worth
    counts = []
    for _ in range(4, 590):
        go(environment, 0.0)
    counts.append(environment.refusals()["DRAWDOWN"])
    assert counts == [0]
    close = np.full(600, 100.0)
    close[1] = 200.0
    environment = make(close, settings)
    go(environment, 0.9)  # 19,000 at row 1, 10,000 at row 2
    go(environment, 0.9)
    for row in range(2, 599):
        refusals = environment.refusals()["DRAWDOWN"]
        go(environment, 1.0)
        assert (environment.refusals()["DRAWDOWN"] > refusals) == (row < 501), row


def test_sixty_orders_a_minute_then_a_pause_of_300_seconds():
    """On bars of one minute no limit is reached; bars of a second are emulated by times within one minute."""
    frame = flat_candles(np.full(500, 100.0))
    settings = Settings(costs=Costs.none(), random_start=False, risk=Risk(pause_s=300.0))
    environment = make(None, settings, frame=frame)
    one = environment.markets[0]
    one.rows["close_time"] = 1_600_000_000_000 + 500 * np.arange(500)  # half a second a bar
    environment = TradingEnvironment(one, 1, settings)
    environment.reset()
    for k in range(200):
        go(environment, 0.5 if k % 2 == 0 else 0.9)
    # Row 0 to 59: sixty orders within 30 s. Every wish to hold more is refused from row 60 on, holding less is not.
    assert environment.refusals()["ORDER_RATE"] > 0
    assert environment.copies["n_trades"][0] == 61
    assert environment.copies["paused_until"][0] == one.rows["close_time"][61] + 300_000
