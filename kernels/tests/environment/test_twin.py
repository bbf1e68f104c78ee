"""Holds the loop to its slow twin: cash, units, fees, worth, reward and slots, over random steps (ENV-1..8)."""

import numpy as np
import pytest
from slow_environment import SlowEnvironment

from tradekernels.environment import BookFlow, Costs, Reward, Risk, Settings, TradingEnvironment, market
from tradekernels.execution import Fees, Latency, Quantiser, Slippage

SLOTS = 56
HARD = Latency(spike_probability=0.3, spike_multiple=9.5, hour_of_week=tuple(1 + hour / 200 for hour in range(168)))
SETTINGS = {
    "default": Settings(episode_length=900),
    "shaped": Settings(
        reward=Reward(
            "log", shaping=0.5, variance=2.0, drawdown=3.0, per_trade=0.001, impact_bps=20.0, gain_bonus=0.01,
            loss_penalty=0.02,
        ),
        costs=Costs(Fees(7.5, 7.5, pay_in_bnb=True, quote_step="0.01"), Slippage(1.5, 8.0), HARD),
        risk=Risk(ruin=0.9), can_short=True, episode_length=300, cash=500,
    ),
    "limits": Settings(
        risk=Risk(position_limit=60.0, notional_limit=4_000.0, max_drawdown=0.15, max_intrabar_drawdown=0.01),
        can_short=True, dead_band=0.05, episode_length=700,
    ),
    "book, market orders": Settings(
        can_short=True, episode_length=400, costs=Costs(latency=HARD),
        book=BookFlow(depth=(0.002, 0.004, 0.01), events=30, market=0.3, add=0.4),
    ),
    "book, limit orders": Settings(
        can_short=True, episode_length=400, costs=Costs(Fees(2, 10)),
        book=BookFlow("limit", depth=(0.02, 0.03), market_size=0.03, market=0.4, add=0.3, events=12),
    ),
    "free": Settings(costs=Costs.none(), reward=Reward.growth("ratio"), can_short=True, random_start=False),
}  # fmt: skip


@pytest.fixture(scope="module")
def pairs(candles):
    random = np.random.default_rng(3)
    kinds = [
        ("BTC/USDT", 30_000.0, 0.004, Quantiser()),
        ("DOGE/USDT", 0.1, 0.03, Quantiser("0.00001", "1", "5")),
        ("ES", 100.0, 0.01, Quantiser("0.25", "0.5", "50")),
    ]
    out = []
    for seed, (pair, price, volatility, grid) in enumerate(kinds):
        frame = candles(4000, seed=seed, price=price, volatility=volatility, volume=2e4 / price * 100)
        rows = random.normal(size=(4000, SLOTS)).astype(np.float32)
        columns = {"spread_bps": random.uniform(0.1, 20, 4000)} if seed == 2 else None
        out.append(market(pair, frame, rows, "15m", grid, first=100, columns=columns))
    return out


def actions_of(random, n_steps, n_copies):
    """Return actions of all kinds: small moves, jumps, exits, beyond the range."""
    walk = np.clip(np.cumsum(random.normal(0, 0.05, (n_steps, n_copies)), axis=0), -1.5, 1.5)
    jumps = random.uniform(-1.2, 1.2, (n_steps, n_copies))
    kind = random.random((n_steps, n_copies))
    return np.where(kind < 0.6, walk, np.where(kind < 0.9, jumps, 0.0)).astype(np.float32)


def reconcile(pairs, settings, n_steps, n_copies, seed):
    """Step loop and twins together; return the number of trades seen and the reasons of refusals."""
    environment = TradingEnvironment(pairs, n_copies, settings, seed=seed)
    twins = [SlowEnvironment(pairs, settings, seed, stream) for stream in range(n_copies)]
    np.testing.assert_array_equal(environment.reset()[:, :21], np.stack([twin.reset() for twin in twins])[:, :21])
    actions, out = actions_of(np.random.default_rng(seed), n_steps, n_copies), environment.empty()
    refused = set()
    for action in actions:
        environment.step(action, out)
        theirs = [twin.step(one) for twin, one in zip(twins, action, strict=True)]
        copies, cash, units = environment.copies, environment.cash(), environment.units()
        for k, (twin, (observation, reward, terminated, truncated)) in enumerate(zip(twins, theirs, strict=True)):
            assert cash[k] == float(twin.cash)
            assert (copies["lots"][k], copies["row"][k], copies["n_trades"][k]) == (twin.lots, twin.row, twin.trades)
            assert abs(units[k] - float(twin.lots * twin.lot)) <= 1e-12 * abs(units[k])
            assert abs(copies["worth"][k] - twin.worths[-1]) <= 1e-12 * twin.worths[-1]
            for name in ("fees", "slippage", "turnover"):
                assert abs(copies[name][k] - float(getattr(twin, name))) < 1e-7
            assert abs(out.reward[k] - reward) < 1e-12
            assert (out.terminated[k], out.truncated[k]) == (terminated, truncated)
            assert copies["refusals"][k].tolist() == list(twin.refusals.values())
            np.testing.assert_allclose(out.observation[k], observation, rtol=0, atol=1e-7)
            refused |= {reason for reason, count in twin.refusals.items() if count}
    return sum(twin.all_trades for twin in twins), refused


@pytest.mark.parametrize("name", SETTINGS)
def test_every_number_is_that_of_the_twin(pairs, name):
    trades, refused = reconcile(pairs, SETTINGS[name], 1000, 5, seed=17)
    assert trades > 100
    assert (
        refused
        >= {
            "default": {"MIN_NOTIONAL"},
            "shaped": {"TIMEOUT", "BANKRUPTCY"},
            "limits": {"POSITION_LIMIT", "NOTIONAL_LIMIT", "DRAWDOWN", "INTRABAR_DRAWDOWN"},
            "book, market orders": {"TIMEOUT"},
            "book, limit orders": {"MIN_NOTIONAL"},
            "free": {"DRAWDOWN"},
        }[name]
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_100_000_random_steps_reconcile(pairs, name):
    reconcile(pairs, SETTINGS[name], 5000, 20, seed=4)
