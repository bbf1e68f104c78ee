"""SEA-2, SEA-3: a search over policies, on candles that the winner is never judged by."""

import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from nn.forecast.schedule import data_end, schedule
from nn.policy.trading_config import load_trading_config
from nn.search import policy_objective
from nn.search.__main__ import main, make_policy_task, parser, train_arguments
from nn.search.policy_objective import earn_policy, with_parameters
from nn.search.space import SpaceProblem, load_space
from nn.search.study import Pruned

from .conftest import PAIR

pytest.importorskip("optuna", reason="Optuna is not installed")
SMALL = """
data: {episode_days: 1}
learning: {total_steps: 1024, n_copies: 8, network: {hidden: [8], n_quantiles: 21}, ppo: {n_steps: 64, epochs: 1}}
"""
WEIGHTS = {"normal": 0.4, "choppy": 0.3, "trending": 0.3}


@pytest.fixture
def config(tmp_path):
    (tmp_path / "small.yaml").write_text(SMALL)
    return load_trading_config(["train", str(tmp_path / "small.yaml")])


def test_the_shipped_space_is_that_of_the_specification():
    space = load_space("policy")
    found = space.parameters
    assert (found["learning.ppo.cvar_alpha"].low, found["learning.ppo.cvar_alpha"].high) == (0.01, 0.20)
    assert (found["learning.ppo.learning_rate"].low, found["learning.ppo.learning_rate"].high) == (1e-4, 5e-4)
    assert (found["learning.network.n_quantiles"].low, found["learning.network.n_quantiles"].high) == (21, 32)
    assert sum(space.spells.values()) == pytest.approx(1)


def test_parameters_go_where_their_names_say(config):
    changed = with_parameters(config, {"learning.ppo.cvar_alpha": 0.2, "learning.network.n_quantiles": 25})
    assert (changed.learning.ppo.cvar_alpha, changed.learning.network.n_quantiles) == (0.2, 25)
    assert changed.costs == config.costs
    with pytest.raises(SpaceProblem, match=r"learning\.ppo\.alpha is no setting"):
        with_parameters(config, {"learning.ppo.alpha": 0.2})
    with pytest.raises(SpaceProblem, match=r"learning\.ppo\.cvar_alpha is 2"):
        with_parameters(config, {"learning.ppo.cvar_alpha": 2})


def test_nothing_after_a_fold_counts_and_a_trial_can_be_given_up(config, candles, perturb):
    frames = {PAIR: candles}
    folds = schedule(data_end(frames, "15m", None), 3, timedelta(days=1), "15m")[:2]
    told = []
    found = earn_policy(config, frames, folds, 7, WEIGHTS, lambda step, value: told.append((step, value)))
    assert [step for step, _ in told] == [0, 1]
    assert told[-1][1] == found.value
    assert np.isfinite(found.returns).all()
    assert len(found.days) == len(found.returns) >= 2
    later = {PAIR: perturb(frames[PAIR], folds[-1].end)}
    assert not later[PAIR]["close"].equals(frames[PAIR]["close"])
    assert earn_policy(config, later, folds, 7, WEIGHTS, lambda *_: None) == found

    def give_up(step, value):
        raise Pruned

    with pytest.raises(Pruned):
        earn_policy(config, frames, folds, 7, WEIGHTS, give_up)


def test_the_timeframe_is_that_of_the_config_unless_it_is_given(candles, write_market, tmp_path, capsys):
    """And the winner says it, so that its training learns from the candles that it was found on."""
    dates = pd.date_range(candles["date"].iloc[0], periods=len(candles), freq="5min")
    folder = write_market(candles) / "futures"
    candles.assign(date=dates).to_feather(folder / "BTC_USDT_USDT-5m-futures.feather")
    (tmp_path / "five.yaml").write_text('data: {timeframe: "5m"}')
    argv = [
        "--model",
        "policy",
        "--config",
        "train",
        "--config",
        str(tmp_path / "five.yaml"),
        "--datadir",
        str(folder.parent),
    ]
    argv += ["--walk-forward", "1", "--period", "1d"]
    for more, expected in (([], "5m"), (["--timeframe", "15m"], "15m")):
        task = make_policy_task(parser().parse_args([*argv, *more]))
        assert (task["timeframe"], task["config"]["data"]["timeframe"], task["line"]) == (
            expected, expected, f"policy-{expected}",
        )  # fmt: skip


def test_what_the_training_of_the_winner_cannot_do_is_refused_before_the_first_trial(tmp_path, capsys):
    argv = ["--model", "policy", "--extend", "--train", "--datadir", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(argv) == 2
    assert "--extend is of forecasters" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    options = parser().parse_args([*argv, "--model", "unified", "--timeframe", "15m"])
    assert "--extend" in train_arguments(options, tmp_path / "best.yaml")


def test_days_are_those_of_the_account(config, candles):
    frames = {PAIR: candles}
    fold = schedule(data_end(frames, "15m", None), 1, timedelta(days=2), "15m")[0]
    data = policy_objective.make_trading_data(frames, fold.trained_until, config)
    learned = policy_objective.learn(data, config, 7, "search", fold)
    account, _ = policy_objective.account_of(learned.policy, frames, fold.valid_from, fold.end)
    days = policy_objective.by_day(account)
    assert np.prod(1 + days) == pytest.approx(account.equity[-1])
    assert days.tolist() == pytest.approx(account.day_returns.tolist())


@pytest.mark.slow
def test_the_command_finds_a_winner_that_the_training_takes(candles, write_market, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "small.yaml").write_text(SMALL)
    command = [
        "--model", "policy", "--config", "train", "--config", str(tmp_path / "small.yaml"),
        "--datadir", str(write_market(candles)), "--walk-forward", "1", "--period", "1d", "--inner-folds",
        "2", "--trials", "2", "--study", "mine", "--out", str(tmp_path / "out"), "--heartbeat", "1",
        "--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db",
    ]  # fmt: skip
    assert main(command) == 0
    best = capsys.readouterr().out.strip()
    rows = [json.loads(line) for line in (tmp_path / "out" / "mine" / "trials.jsonl").read_text().splitlines()]
    winner = max((row for row in rows if row["state"] == "complete"), key=lambda row: row["value"])
    config = load_trading_config(["train", str(tmp_path / "small.yaml"), best])
    assert config.learning.ppo.cvar_alpha == winner["parameters"]["learning.ppo.cvar_alpha"]
    assert (config.data.timeframe, config.search.study, config.search.trials) == ("15m", "mine", 2)
    assert main([*command, "--space", "unified"]) == 2
    assert "has no spells" in capsys.readouterr().err
