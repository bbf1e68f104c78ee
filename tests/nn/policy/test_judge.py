"""Figures by hand, rivals that know no future, intervals that hold what they should (EVA-1, EVA-3)."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from nn.__main__ import module_of
from nn.forecast.schedule import Fold
from nn.models.build import ACTOR_CRITIC
from nn.policy.account import Account, cvar, figures_of, joined, sortino, together, weeks
from nn.policy.judge import Judged, chained, judge_policy, judgement
from nn.policy.judge_line import searched_before
from nn.policy.learn import learn
from nn.policy.rivals import RIVALS, Linear, holders
from nn.policy.trading import make_trading_data
from nn.policy.trading_config import SearchedSection, load_trading_config
from nn.registry.evaluations import Evaluation
from nn.registry.gates import judge
from nn.registry.thresholds import load_thresholds

from ..forecast.conftest import BEGIN, PAIRS, make_candles

BAR = timedelta(minutes=15)
DAY = 96
UNTIL = (BEGIN + 4200 * BAR).to_pydatetime()
END = UNTIL + 10 * DAY * BAR


def account_with(day_returns, weight=0.5):
    """An account that moves once a day, at midnight."""
    steps = np.ones(len(day_returns) * DAY + 1)
    steps[DAY::DAY] = 1 + np.asarray(day_returns)
    closes = 1735689600000 + np.arange(len(steps)) * 900_000
    traded = np.zeros(len(steps))
    traded[DAY::DAY] = 0.3
    return Account(closes, np.cumprod(steps), traded, np.full(len(steps), weight), len(day_returns))


def test_figures_by_hand():
    account = account_with([0.10, -0.05, 0.02, 0.0])
    np.testing.assert_allclose(account.day_returns[1:], [0.10, -0.05, 0.02, 0.0])  # the first day is its first close
    found = figures_of(account)
    assert found["net_return"] == pytest.approx(1.1 * 0.95 * 1.02 - 1)
    assert found["max_drawdown"] == pytest.approx(0.05)
    assert found["turnover"] == pytest.approx(0.3)
    assert found["win_rate"] == pytest.approx(2 / 5)
    assert found["cvar_5"] == pytest.approx(-0.05)
    assert found["trades"] == 4
    assert found["mean_weight"] == 0.5
    assert found["sortino"] == pytest.approx(0.07 / 5 / np.sqrt(0.05**2 / 5) * np.sqrt(365))
    yearly = (1 + found["net_return"]) ** (365 / 4) - 1
    assert found["calmar"] == pytest.approx(yearly / 0.05)


def test_tails_and_ratios_at_their_ends():
    assert cvar(np.array([])) == 0.0
    assert cvar(np.arange(40.0)) == 0.5  # the worst two of forty
    assert sortino(np.zeros(5)) == 0.0
    assert sortino(np.array([0.01, 0.01])) > 1000  # not infinite
    np.testing.assert_allclose(weeks(np.full(8, 0.1)), 1.1**7 - 1)
    np.testing.assert_allclose(weeks(np.full(3, 0.1)), 1.1**3 - 1)


def test_pairs_are_added_up_and_periods_go_on():
    up, down = account_with([0.10] * 3), account_with([-0.10] * 3)
    both = together([up, down])
    np.testing.assert_allclose(both.equity[-1], (1.1**3 + 0.9**3) / 2)
    assert both.n_trades == 6
    whole = joined([up, down])
    np.testing.assert_allclose(whole.equity[-1], 1.1**3 * 0.9**3)
    assert len(whole.equity) == 2 * len(up.equity)


def test_intervals_hold_a_real_edge_and_do_not_find_one_in_noise(monkeypatch):
    monkeypatch.setattr("nn.policy.judge.N_RESAMPLES", 300)
    draw = np.random.default_rng(5)
    noise = [draw.normal(0, 0.01, 200) for _ in range(3)]
    flat = {name: [account_with(np.zeros(200))] for name in RIVALS}
    begin = BEGIN.to_pydatetime()
    fair = judgement(Judged(begin, END, tuple(account_with(each - each.mean()) for each in noise), flat))
    rich = judgement(Judged(begin, END, tuple(account_with(each + 0.005) for each in noise), flat))
    assert fair.above["flat"][1] < 0 < fair.above["flat"][2]
    assert not fair.beats
    assert 0 < rich.above["flat"][1] < 0.005 < rich.above["flat"][2]
    assert rich.beats
    assert rich.intervals["sortino"][0] > 0
    payload = Evaluation.model_validate(rich.payload("policy-15m", "v"))
    assert payload.metrics["seeds"] == 3
    assert payload.verdict.beats_baselines


def test_more_trials_before_a_policy_leave_less_of_its_sharpe_ratio(monkeypatch):
    """EVA-9: the judgement counts them, and the gate asks more; without knowing how far they lie apart it says no."""
    monkeypatch.setattr("nn.policy.judge.N_RESAMPLES", 20)
    draw = np.random.default_rng(6)
    flat = {name: [account_with(np.zeros(60))] for name in RIVALS}
    judged = Judged(BEGIN.to_pydatetime(), END, (account_with(draw.normal(0.003, 0.01, 60)),), flat)
    found = [judgement(judged, 7, SearchedSection(trials=n, sharpe_deviation=0.2)) for n in (0, 10, 1000)]
    figures = [each.deflated_sharpe for each in found]
    assert figures[0] > figures[1] + 0.05 > figures[2] + 0.1
    payload = Evaluation.model_validate(found[1].payload("policy-15m", "v")).trading
    assert (payload["trials"], payload["trials_deviation"]) == (11, 0.2)
    assert found[1].reasons[-1].endswith("tries counted: 11")
    assert searched_before(Evaluation.model_validate(found[1].payload("policy-15m", "v"))) == found[1].searched
    manifest = SimpleNamespace(kind=ACTOR_CRITIC, version="v", valid_from=judged.begin, warmup=2880)
    signed = [Evaluation.model_validate(each.payload("policy-15m", "v")) for each in found]
    gates = [gate for each in signed for gate in judge(manifest, each, load_thresholds()) if gate.id == "EVA-9"]
    assert [gate.passed for gate in gates] == [True, True, False]
    assert gates[2].note == "tries counted: 1001"
    two = replace(judged, seeds=(*judged.seeds, account_with(draw.normal(0.001, 0.01, 60))))
    first = judgement(two, 7, SearchedSection(trials=10, sharpe_deviation=0.01))  # seeds lie further apart
    alone = judgement(judged, 7, searched_before(Evaluation.model_validate(first.payload("policy-15m", "v"))))
    assert alone.deflated_sharpe == first.deflated_sharpe < found[0].deflated_sharpe  # judged again from what is signed
    unknown = judgement(judged, 7, SearchedSection(trials=10))
    assert "deflated_sharpe" not in unknown.payload("policy-15m", "v")["trading"]


@pytest.fixture(scope="module")
def made():
    """A policy that has hardly learned, on candles whose next step leans on the last one."""
    config = load_trading_config(["train", "test"])
    config = config.model_copy(update={"learning": config.learning.model_copy(update={"total_steps": 2048})})
    frames = {pair: make_candles(5200, seed=number) for number, pair in enumerate(PAIRS)}
    deep = {pair: frame.assign(volume=frame["volume"] * 1e6) for pair, frame in frames.items()}
    data = make_trading_data(deep, UNTIL, config)
    return learn(data, config, 3, "policy-15m", Fold(UNTIL, UNTIL, END)).policy, data, deep


def test_rivals_trade_in_the_same_environment(made):
    policy, data, frames = made
    judged = judge_policy([policy, policy], data, frames, UNTIL, END)
    flat, hold = figures_of(judged.rivals["flat"][0]), figures_of(judged.rivals["buy_and_hold"][0])
    assert flat["net_return"] == flat["turnover"] == 0
    assert hold["trades"] == len(PAIRS)
    random = [figures_of(account) for account in judged.rivals["random"]]
    own = figures_of(judged.seeds[0])
    assert np.median([each["mean_weight"] for each in random]) == pytest.approx(own["mean_weight"], abs=0.05)
    assert np.median([each["turnover"] for each in random]) == pytest.approx(own["turnover"], rel=0.5, abs=0.3)
    assert judged.seeds[0].equity.tobytes() == judged.seeds[1].equity.tobytes()
    twice = chained([judged, judged])
    assert twice.seeds[0].equity[-1] == pytest.approx(judged.seeds[0].equity[-1] ** 2)


def test_the_linear_rival_finds_the_lean_of_these_candles(made):
    """Steps of 0.3 % that keep two fifths of the last one pay for a round trip of 0.16 %: a limit is chosen."""
    policy, data, _ = made
    linear = Linear(data, policy)
    place = data.markets[0]
    rows, close = slice(place.first, place.last), np.log(place.rows["close"])
    forecast = linear.forecasts(data.frames[PAIRS[0]], PAIRS[0])[rows]
    came = np.diff(close)[rows.start : rows.stop]
    assert np.corrcoef(forecast, came)[0, 1] > 0.2


def test_never_to_trade_is_among_the_linear_rivals_choices(made):
    policy, data, frames = made
    linear = Linear(data, policy)
    assert linear.limits[-1] == np.inf
    linear.limit = np.inf
    assert figures_of(linear.account(frames, UNTIL, END))["trades"] == 0


def test_rivals_see_no_candle_after_the_one_they_trade(made):
    policy, data, frames = made
    cut = UNTIL + 4 * DAY * BAR
    noise = {pair: frame.where(frame["date"] < cut, make_candles(5200, seed=66)) for pair, frame in frames.items()}
    linear = Linear(data, policy)
    for name in ("linear", "hold"):
        found = []
        for each in (frames, noise):
            if name == "linear":
                found.append(linear.account(each, UNTIL, cut))
            else:
                part = {pair: np.linspace(0, 1, 4 * DAY + 1) for pair in each}
                found.append(holders(policy, each, part, UNTIL, cut, 3)["random"][0])
        assert found[0].equity.tobytes() == found[1].equity.tobytes()


def test_a_hole_in_the_judged_period_stops_nobody(made):
    """The policy keeps what it holds near a hole; its rivals trade the same candles."""
    policy, data, frames = made
    first = int((UNTIL - BEGIN.to_pydatetime()) / BAR)
    for hole in (first - 6, first + 200):  # across the beginning, and later
        holed = {pair: frame.drop(range(hole, hole + 10)).reset_index(drop=True) for pair, frame in frames.items()}
        judged = judge_policy([policy], data, holed, UNTIL, END)
        for account in (*judged.seeds, *(each for some in judged.rivals.values() for each in some)):
            assert len(account.closes) == len(judged.seeds[0].closes)
            assert all(np.isfinite(each).all() for each in (account.equity, account.traded, account.weight))


@pytest.mark.parametrize(
    ("mode", "rest", "module"),
    [
        ("evaluate", ["--line", "policy-15m", "--datadir", "x"], "nn.policy.judge_line"),
        ("evaluate", ["--datadir", "x", "--line=policy-1h"], "nn.policy.judge_line"),
        ("evaluate", ["--line", "unified-15m"], "nn.forecast.evaluate"),
        ("train", ["--line", "policy-15m"], "nn.forecast.train"),
    ],
)
def test_a_policy_line_is_evaluated_by_what_it_earns(mode, rest, module):
    """EVA-7."""
    assert module_of(mode, rest) == module
