"""One path through the environment, a backtest and a dry-run: the same decisions, orders and slots 21 to 26 (ENV-3).

From: a policy known by construction, candles, unmodified Freqtrade. Freqtrade fills at the next open and takes a fee,
so the environment has no slippage and no latency here. What is left are ticks and lots.
"""

import json
import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import uvicorn
from freqtrade_process import Freqtrade, merged
from known_policy import PolicyService, known_policy
from stub_service import candles, running

from nn.policy.play import rollout
from strategies.shared.forms import AGENT_SLOTS
from tools.exchange.candles import Candles
from tools.exchange.history import History
from tools.exchange.market import Instrument, Listing, Market
from tools.exchange.server import bind
from tools.exchange.wire.app import create_app

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PAIR, FEE, WARMUP, BAR = "BTC/USDT", 0.001, 2880, pd.Timedelta("15min")
STEPS = 10  # candles of the dry-run
SPY = """
import json, os
from strategies.ppo_agent import PPOAgent as Agent


def note(**words):
    with open(os.environ["SPY"], "a") as file:
        file.write(json.dumps(words, default=str) + chr(10))


class PPOAgent(Agent):
    position_adjustment_enable = True

    def bot_start(self, **kwargs):
        super().bot_start(**kwargs)
        from strategies.shared.accounts import Accounts
        self.accounts = Accounts(self, self.timeframe)

    def bot_loop_start(self, current_time, **kwargs):
        super().bot_loop_start(current_time, **kwargs)
        for pair in self.dp.current_whitelist():
            frame, _ = self.dp.get_analyzed_dataframe(pair, self.timeframe)
            if len(frame):
                account, fields = self.accounts.fields(pair, frame)
                note(date=frame["date"].iloc[-1], weight=account.weight, fields=fields, close=frame["close"].iloc[-1])
        note(loop=current_time)

    def populate_exit_trend(self, dataframe, metadata):
        dataframe = super().populate_exit_trend(dataframe, metadata)
        note(asked=dataframe["date"].iloc[-1], row=dataframe.drop(columns="date").iloc[-1].to_dict())
        return dataframe
"""


def market(rows):
    """Return candles of 60,000 to the cent, so that a tick is next to nothing, each opening at the last close."""
    frame = candles(rows, "2025-01-01", seed=11)
    close = (frame["close"] * 600).round(2)
    opened = close.shift(1).fillna(close[0])
    high, low = np.maximum(opened, close) + 1, np.minimum(opened, close) - 1
    return frame.assign(open=opened, high=high, low=low, close=close, volume=frame["volume"].round(5) * 1000)


class Tape:
    """An exchange that has seen the first `n` candles; `n` may grow while it serves."""

    def __init__(self, frame, n):
        self.frame, self.n = frame, n
        self.history = History({"15m": self.seen})
        instrument = Instrument("BTC", "USDT", "spot", 2, 8)
        self.app = create_app(Market("a tape", [Listing(instrument, self.history)]))

    def seen(self):
        part = self.frame.iloc[: self.n]
        columns = (part[name].to_numpy(np.float64) for name in ("open", "high", "low", "close", "volume"))
        return Candles(part["date"].dt.as_unit("ms").astype("int64").to_numpy(), *columns)

    def advance(self):
        self.n += 1
        self.history._loaded.clear()
        self.history._served.clear()

    @contextmanager
    def serving(self):
        with bind("127.0.0.1", 0) as bound:
            server = uvicorn.Server(uvicorn.Config(self.app, log_level="warning", access_log=False))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
            thread.start()
            try:
                yield bound.getsockname()[1]
            finally:
                server.should_exit = True
                thread.join(10)


@pytest.fixture(scope="module")
def path():
    """The candles, the policy, and what the environment does with them."""
    frame, policy = market(3000), known_policy(PAIR, FEE)
    return frame, policy, rollout(policy, frame, PAIR)


@pytest.fixture
def bot(tmp_path):
    def make(port, url):
        one = Freqtrade(tmp_path / "ft", port, "spot", url)
        prices, every_loop = {"price_side": "other"}, {"ohlcv_max_poll_interval_secs": 0}
        changes = {
            "exchange": {"pair_whitelist": [PAIR], "_ft_has_params": every_loop}, "entry_pricing": prices,
            "exit_pricing": prices, "internals": {"process_throttle_secs": 1, "heartbeat_interval": 0},
        }  # fmt: skip
        one.config.write_text(json.dumps(merged(json.loads(one.config.read_text()), changes)))
        (tmp_path / "strategies").mkdir()
        (tmp_path / "strategies" / "spy.py").write_text(SPY)
        return one

    return make


def notes(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")] if path.exists() else []


def slots_of(policy, noted):
    """Return slots 21 to 26 of what a bot wrote down about its account."""
    rows = np.zeros((len(noted), len(policy.observations.names)), dtype=np.float32)
    policy.observations.fill_agent(rows, [each["fields"] for each in noted], [each["close"] for each in noted])
    return rows[:, 21:27]


def orders_of_environment(played, frame):
    """Return signed base currency by the row whose close the order was sent at."""
    rows = np.flatnonzero(np.diff(played.n_trades) > 0)
    units = played.held_weight * played.worth / frame["close"].to_numpy()
    return {int(row): units[row + 1] - units[row] for row in rows}


def assert_same_orders(orders, played, frame, first, last):
    expected = {row: units for row, units in orders_of_environment(played, frame).items() if first <= row < last}
    assert sorted(orders) == sorted(expected)
    found, wanted = (np.array([each[row] for row in sorted(expected)]) for each in (orders, expected))
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_backtest_decides_as_the_environment(path, bot, tmp_path):
    """PPA-1, PPA-3: with position adjustment a trade follows the weight in both directions, candle by candle."""
    frame, policy, played = path
    tape = Tape(frame, len(frame))
    with tape.serving() as port, running(PolicyService(policy)) as service:
        one = bot(port, service.url)
        one.datadir.mkdir()
        frame.to_feather(one.datadir / "BTC_USDT-15m.feather")
        begin = frame["date"][WARMUP]
        words = ("--timerange", f"{int(begin.timestamp())}-", "--fee", FEE, "--strategy-path", tmp_path / "strategies")
        result, output = one.backtest("PPOAgent", *map(str, words), SPY=tmp_path / "spy")
        assert [(method, where) for method, where, *_ in service.requests] == [("GET", "/models"), ("POST", "/rollout")]
    assert "No entries will be made" not in output
    orders = {}
    for trade in result["trades"]:
        for order in trade["orders"] if trade["exit_reason"] != "force_exit" else trade["orders"][:-1]:
            row = int((pd.Timestamp(order["order_filled_timestamp"], unit="ms", tz="UTC") - frame["date"][0]) / BAR) - 1
            orders[row] = order["amount"] * (1 if order["ft_order_side"] == "buy" else -1)
    assert_same_orders(orders, played, frame, WARMUP, len(frame) - 2)
    assert len(result["trades"]) > 3
    assert max(len(trade["orders"]) for trade in result["trades"]) > 4
    noted = {each["date"]: each for each in notes(tmp_path / "spy") if "fields" in each}
    rows = [row for row in range(WARMUP, len(frame) - 2) if str(frame["date"][row]) in noted]
    assert len(rows) > 100
    found = slots_of(policy, [noted[str(frame["date"][row])] for row in rows])
    np.testing.assert_allclose(found, played.agent[rows], atol=2e-5)
    weights = [noted[str(frame["date"][row])]["weight"] for row in rows]
    np.testing.assert_allclose(weights, played.held_weight[rows], atol=2e-5)


def test_a_dry_run_decides_as_the_environment_and_outlives_its_service(path, bot, tmp_path):
    """PPA-2, PPA-3, OBS-61: slots from wallets, trades and orders; a bot that ends on the way goes on as if not.

    STR-4: without an action the stop works on and nothing opens; with the next action the bot trades again.
    """
    frame, policy, played = path
    clock, spy, log = tmp_path / "clock", tmp_path / "spy", tmp_path / "log"
    tape = Tape(frame, WARMUP + 1)

    def set_clock():
        clock.write_text(str((frame["date"][tape.n - 1] + BAR).timestamp() + 2.0))

    def asked():
        return {each["asked"]: each["row"] for each in notes(spy) if "asked" in each}

    def wait_until(process, reached):
        deadline = time.monotonic() + 60
        while not reached():
            assert process.poll() is None, Path(log).read_text()[-6000:]
            assert time.monotonic() < deadline, f"{spy.read_text()[-600:]}\n{Path(log).read_text()[-6000:]}"
            time.sleep(0.02)

    def trades():
        with closing(sqlite3.connect(f"file:{one.folder}/trades.sqlite?mode=ro", uri=True)) as database:
            return database.execute("select is_open, exit_reason from trades order by id").fetchall()

    def loops():
        return sum("loop" in each for each in notes(spy))

    def play(process, steps):
        for step in range(steps):
            wait_until(process, lambda: str(frame["date"][tape.n - 1]) in asked())
            seen = loops()
            wait_until(process, lambda: loops() >= seen + 2)  # orders are placed, filled and booked  # noqa: B023
            if step < steps - 1:
                tape.advance()
                set_clock()

    with tape.serving() as port, running(PolicyService(policy)) as service:
        one = bot(port, service.url)
        set_clock()
        words = ("--strategy-path", str(tmp_path / "strategies"))
        with one.trading("PPOAgent", log, *words, clock=clock, SPY=spy) as process:
            play(process, STEPS // 2)
        before = asked()
        tape.advance()
        set_clock()
        with one.trading("PPOAgent", log, *words, clock=clock, SPY=spy) as process:  # another one
            play(process, STEPS - STEPS // 2)
            crash = tape.frame.copy()
            crash.loc[tape.n :, ["open", "high", "low", "close"]] *= 0.85
            tape.frame, service.faults = crash, [503, 503]
            tape.advance()
            set_clock()
            play(process, 1)
            wait_until(process, lambda: trades()[-1] == (0, "stop_loss"))
            closed = len(trades())
            service.stop()
            tape.advance()
            set_clock()
            play(process, 1)
            assert len(trades()) == closed
            with running(PolicyService(policy), service.port):
                tape.advance()
                set_clock()
                wait_until(process, lambda: trades()[-1][0] == 1)
    complaints = log.read_text()
    assert "train-policy" in complaints  # 503
    assert "tools/start.sh serve" in complaints  # nobody there
    last = WARMUP + STEPS
    dates = [str(date) for date in frame["date"][WARMUP:last]]
    found = asked()
    assert list(found)[:STEPS] == dates
    assert len(before) == STEPS // 2
    columns = pd.DataFrame([found[date] for date in dates])
    market_rows = policy.observations.market(frame.iloc[:last])[WARMUP:]
    asked_with = np.array(service.observed[:STEPS])
    assert asked_with[:, :21].tobytes() == market_rows[:, :21].tobytes()
    assert asked_with[:, 27:].tobytes() == market_rows[:, 27:].tobytes()
    np.testing.assert_allclose(columns[list(AGENT_SLOTS)], played.agent[WARMUP:last], atol=5e-5)
    np.testing.assert_allclose(columns["held_weight"], played.held_weight[WARMUP:last], atol=5e-5)
    np.testing.assert_allclose(columns["target_weight"], played.target_weight[WARMUP:last], atol=2e-4)
    with closing(sqlite3.connect(f"file:{one.folder}/trades.sqlite?mode=ro", uri=True)) as database:
        rows = database.execute("select order_date, side, filled from orders where filled > 0").fetchall()
    orders = {}
    for when, side, amount in rows:
        row = int((pd.Timestamp(when, tz="UTC") - frame["date"][0]) / BAR) - 1
        if row < last - 1:  # what the last candle decides is filled after the crash has begun, or before
            orders[row] = amount * (1 if side == "buy" else -1)
    assert_same_orders(orders, played, frame, WARMUP, last - 1)
    assert len(orders) >= 5
