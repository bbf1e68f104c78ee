"""The 56 values in the environment are those that a strategy computes from candles and its account (ENV-3, OBS-61)."""

import numpy as np
import pytest

from tradekernels.environment import BookFlow, Settings, TradingEnvironment, market
from tradekernels.observation import SLOTS, AgentWindow, fit, observation_set


@pytest.fixture(scope="module")
def observed(candles):
    frame = candles(700, seed=4, price=100.0)
    return frame, observation_set(fit(candles(1500, seed=5), "15m"))


@pytest.mark.parametrize(
    "book", [None, BookFlow("limit", depth=(0.5, 0.5)), BookFlow()], ids=["candle", "limit", "book"]
)
def test_a_whole_observation_is_that_of_the_strategy(observed, book):
    """Two episodes here, and the same account kept by `AgentWindow`, as a bot keeps it: equal in every slot."""
    frame, features = observed
    rows = features.market(frame)
    one = market("BTC/USDT", frame, rows, "15m", first=300)
    its = Settings(can_short=True, random_start=False, episode_length=200, book=book)
    environment = TradingEnvironment(one, 1, its)
    np.testing.assert_array_equal(environment.reset()[0], rows[300])
    window, random = AgentWindow(), np.random.default_rng(0)
    for row in [*range(301, 501), 300, *range(301, 501)]:
        if row == 300:  # the next episode: a new account
            window = AgentWindow()
            np.testing.assert_array_equal(environment.step(np.ones(1)).observation[0], rows[300])
            continue
        before = environment.copies[0].copy()
        action = np.array([random.uniform(-1, 1) if row % 3 else 0.0])
        observation = environment.step(action).observation[0]
        after = environment.copies[0]
        window.next_bar()
        placed = float(after["bars"][after["newest"], 6])
        if placed:
            window.place(placed)
        if after["n_trades"] > before["n_trades"]:
            lots = float(after["lots"] - before["lots"])
            price = float(after["turnover"] - before["turnover"]) / abs(lots * 1e-5)
            window.fill("buy" if lots > 0 else "sell", abs(lots) / 1e5, price, one.rows["open"][row] / 100)
        account = window.fields(float(environment.cash()[0]), float(after["lots"]) / 1e5)
        theirs = features.observe(rows[row], account, float(one.rows["close"][row]) / 100)
        np.testing.assert_array_equal(np.delete(observation, 25), np.delete(theirs, 25))
        assert observation[25] == pytest.approx(theirs[25], abs=1e-8)  # a price taken back from sums
    ranges = np.array([slot.range for slot in SLOTS])
    assert ((observation >= ranges[:, 0]) & (observation <= ranges[:, 1])).all()
