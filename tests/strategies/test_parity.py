"""One path through the environment, a backtest and a dry-run: the same decisions, orders and slots 21 to 26 (ENV-3).

From: policies known by construction (long or flat on spot, long or short on futures), candles, unmodified Freqtrade.
Freqtrade fills at the next open and takes a fee, so the environment has no slippage and no latency here, and funding
is nothing. What is left are ticks and lots.
"""

import numpy as np
import pandas as pd
import pytest
from dry_run import DryRun, notes, spied
from known_policy import PolicyService, known_policy
from stub_service import running
from tape import BAR, PAIRS, Tape, market

from nn.policy.play import rollout
from strategies.shared.forms import AGENT_SLOTS

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

FEE = {"spot": 0.001, "futures": 0.0005}  # what Freqtrade is told by Binance's list of markets
WARMUP = 2880


@pytest.fixture(scope="module")
def path():
    """Gives candles, policy, and what the environment does with them, by trading mode."""
    known, later = {}, {"spot": 0, "futures": 7}  # candles: to one that is soon followed by reversals

    def of(mode):
        if mode not in known:
            frame = market(3000).iloc[later[mode] :].reset_index(drop=True)
            policy = known_policy(PAIRS[mode], FEE[mode], can_short=mode == "futures")
            known[mode] = frame, policy, rollout(policy, frame, PAIRS[mode])
        return known[mode]

    return of


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
    found = {row: units for row, units in orders.items() if first <= row < last}
    assert sorted(found) == sorted(expected)
    amounts, wanted = (np.array([each[row] for row in sorted(expected)]) for each in (found, expected))
    np.testing.assert_allclose(amounts, wanted, atol=1e-6)


def assert_same_decisions(run, service, policy, played, frame, steps):
    """Hold what a dry-run asked and was told at its first candles to what the environment showed and did there."""
    last = WARMUP + steps
    dates = [str(date) for date in frame["date"][WARMUP:last]]
    found = run.asked()
    assert list(found)[:steps] == dates
    columns = pd.DataFrame([found[date] for date in dates])
    market_rows = policy.observations.market(frame.iloc[:last])[WARMUP:]
    asked_with = np.array(service.observed[:steps])
    assert asked_with[:, :21].tobytes() == market_rows[:, :21].tobytes()
    assert asked_with[:, 27:].tobytes() == market_rows[:, 27:].tobytes()
    np.testing.assert_allclose(columns[list(AGENT_SLOTS)], played.agent[WARMUP:last], atol=5e-5)
    np.testing.assert_allclose(columns["held_weight"], played.held_weight[WARMUP:last], atol=5e-5)
    np.testing.assert_allclose(columns["target_weight"], played.target_weight[WARMUP:last], atol=2e-4)
    assert_same_orders(run.orders(), played, frame, WARMUP, last - 1)  # the last candle's are filled later, or not


@pytest.mark.parametrize("mode", ["spot", "futures"])
def test_a_backtest_decides_as_the_environment(path, tmp_path, mode):
    """PPA-1, PPA-3: with position adjustment a trade follows the weight in both directions, candle by candle."""
    frame, policy, played = path(mode)
    tape = Tape(mode, frame, len(frame))
    with tape.serving() as port, running(PolicyService(policy)) as service:
        one = spied(tmp_path, tape, port, service.url)
        tape.store(one.datadir)
        begin = frame["date"][WARMUP]
        words = (
            "--timerange",
            f"{int(begin.timestamp())}-",
            "--fee",
            FEE[mode],
            "--strategy-path",
            tmp_path / "strategies",
        )
        result, output = one.backtest("PPOAgent", *map(str, words), SPY=tmp_path / "spy")
        assert [(method, where) for method, where, *_ in service.requests] == [("GET", "/models"), ("POST", "/rollout")]
    assert "No entries will be made" not in output
    orders = {}
    for trade in result["trades"]:
        for order in trade["orders"] if trade["exit_reason"] != "force_exit" else trade["orders"][:-1]:
            row = int((pd.Timestamp(order["order_filled_timestamp"], unit="ms", tz="UTC") - frame["date"][0]) / BAR) - 1
            buys = order["ft_order_side"] == "buy"
            orders[row] = orders.get(row, 0.0) + order["amount"] * (1 if buys else -1)
    assert_same_orders(orders, played, frame, WARMUP, len(frame) - 2)
    assert len(result["trades"]) > 3
    assert {trade["is_short"] for trade in result["trades"]} == ({False} if mode == "spot" else {False, True})
    assert max(len(trade["orders"]) for trade in result["trades"]) > 4
    noted = {each["date"]: each for each in notes(tmp_path / "spy") if "fields" in each}
    rows = [row for row in range(WARMUP, len(frame) - 2) if str(frame["date"][row]) in noted]
    assert len(rows) > 100
    found = slots_of(policy, [noted[str(frame["date"][row])] for row in rows])
    np.testing.assert_allclose(found, played.agent[rows], atol=2e-5)
    weights = [noted[str(frame["date"][row])]["weight"] for row in rows]
    np.testing.assert_allclose(weights, played.held_weight[rows], atol=2e-5)


def test_a_dry_run_decides_as_the_environment_and_outlives_its_service(path, tmp_path):
    """PPA-2, PPA-3, OBS-61: slots from wallets, trades and orders; a bot that ends on the way goes on as if not.

    STR-4: without an action the stop works on and nothing opens; with the next action the bot trades again.
    """
    frame, policy, played = path("spot")
    steps = 10
    tape = Tape("spot", frame, WARMUP + 1)
    with tape.serving() as port, running(PolicyService(policy)) as service:
        run = DryRun(tmp_path, tape, port, service.url)
        with run.bot():
            run.play(steps // 2)
        before = run.asked()
        run.advance()
        with run.bot():  # another one
            run.play(steps - steps // 2)
            crash = tape.frame.copy()
            crash.loc[tape.n :, ["open", "high", "low", "close"]] *= 0.85
            tape.frame, service.faults = crash, [503, 503]
            run.advance()
            run.play(1)
            run.wait_until(lambda: run.trades()[-1] == (0, "stop_loss"))
            closed = len(run.trades())
            service.stop()
            run.advance()
            run.play(1)
            assert len(run.trades()) == closed
            with running(PolicyService(policy), service.port):
                run.advance()
                run.wait_until(lambda: run.trades()[-1][0] == 1)
    complaints = run.log.read_text()
    assert "train-policy" in complaints  # 503
    assert "tools/start.sh serve" in complaints  # nobody there
    assert len(before) == steps // 2
    assert_same_decisions(run, service, policy, played, frame, steps)
    assert len(run.orders()) >= 5


def test_a_dry_run_goes_short_as_the_environment(path, tmp_path):
    """PPA-1 to PPA-3: long, short and back within three candles, less of it, and short again."""
    frame, policy, played = path("futures")
    steps = 6
    tape = Tape("futures", frame, WARMUP + 1)
    with tape.serving() as port, running(PolicyService(policy)) as service:
        run = DryRun(tmp_path, tape, port, service.url)
        with run.bot():
            run.play(steps)
    assert run.query("select is_short from trades where is_open") == [(1,)]
    assert_same_decisions(run, service, policy, played, frame, steps)
    reversals = np.abs(np.diff(np.sign(played.held_weight[WARMUP : WARMUP + steps]))) == 2
    assert reversals.sum() == 3
    assert len(run.orders()) >= 5
