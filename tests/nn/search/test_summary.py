"""EVA-9: every trial counts against the winner, those that were given up too."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import yaml

from nn.evaluation.overfitting import backtest_overfitting, deflated_sharpe_of
from nn.forecast.config import load_config
from nn.forecast.nested import choose
from nn.policy.trading_config import load_trading_config
from nn.search.study import Trial
from nn.search.summary import profile, searched, summarise


def trials(n=12, days=40, drift=0.0, seed=3):
    draw = np.random.default_rng(seed)
    found = []
    for number in range(n):
        returns = tuple(draw.normal(drift, 0.01, days).tolist())
        names = tuple(f"day {day}" for day in range(days))
        found.append(
            Trial(number, "complete", {"fit.learning_rate": 0.1}, 7, float(np.mean(returns)), names, returns, 5)
        )
    return found


def test_figures_are_those_of_the_library_of_record():
    given = trials()
    found = summarise(given)
    sharpes = [np.mean(trial.returns) / np.std(trial.returns, ddof=1) for trial in given]
    assert found.best.value == max(trial.value for trial in given)
    assert found.deflated_sharpe == pytest.approx(deflated_sharpe_of(found.best.returns, sharpes))
    table = np.array([trial.returns for trial in given]).T
    assert found.pbo == pytest.approx(backtest_overfitting(table, 16).probability)
    assert found.sharpe == pytest.approx(max(sharpes) * 365**0.5, rel=0.2)


def test_pruned_and_failed_trials_make_the_winner_less_believable():
    given = trials(drift=0.003)
    more = [replace(given[0], number=100 + n, state="pruned", value=None, returns=()) for n in range(500)]
    more.append(replace(given[0], number=700, state="failed", error="ValueError: x", value=None, returns=()))
    died = replace(given[0], number=701, state="failed", value=None, returns=())  # tried again: its retry counts
    assert summarise([*given, *more, died]).n_trials == 12 + 501
    assert summarise([*given, *more]).deflated_sharpe < summarise(given).deflated_sharpe - 0.05


def test_what_is_not_known_is_unknown():
    assert summarise([]) is None
    still = [replace(trial, returns=(0.0,) * 40, value=0.0) for trial in trials(3)]
    found = summarise(still)
    assert (found.deflated_sharpe, found.pbo) == (None, None)
    assert "deflated_sharpe" not in found.metrics()
    assert summarise(trials(1)).pbo is None


def test_one_ratio_among_many_tries_is_no_figure():
    """Nothing tells how far the others lie from it, and undeflated it would stand for the best of ten."""
    (alone,) = trials(1, drift=0.005)
    given_up = [replace(alone, number=n, state="pruned", value=None, returns=()) for n in range(1, 10)]
    assert summarise([alone]).deflated_sharpe > 0.5
    assert summarise([alone, *given_up]).deflated_sharpe is None


def test_the_winner_is_a_profile_with_its_worth_above_it():
    text = profile("mine", summarise(trials()), {"fit": {"learning_rate": 0.1}})
    assert "12 trials" in text
    assert "deflated Sharpe ratio" in text
    assert yaml.safe_load(text) == {"fit": {"learning_rate": 0.1}}


@pytest.mark.parametrize(("before", "deviation"), [(None, "own"), (0.001, "own"), (3.0, 3.0)])
def test_a_policys_winner_says_how_far_its_trials_lie_apart(tmp_path, before, deviation):
    """The wider of two searches counts: what is not known of the other shall not make the gate easier."""
    found = summarise(trials())
    sharpes = [np.mean(trial.returns) / np.std(trial.returns, ddof=1) for trial in trials()]
    section = searched("mine", found, {"trials": 20, "sharpe_deviation": before, "pbo": 0.9})
    own = np.std(sharpes, ddof=1)
    assert section["sharpe_deviation"] == pytest.approx(own if deviation == "own" else deviation)
    (tmp_path / "best.yaml").write_text(profile("mine", found, {"search": section}))
    read = load_trading_config(["train", str(tmp_path / "best.yaml")]).search
    assert (read.study, read.trials, read.pbo) == ("mine", 32, found.pbo)
    assert read.sharpe_deviation == section["sharpe_deviation"]


def test_trials_behind_a_winner_reach_the_training_and_those_of_earlier_searches_count(tmp_path):
    path = tmp_path / "best.yaml"
    found = summarise(trials())
    path.write_text(profile("mine", found, {"search": searched("mine", found, {"study": "", "trials": 20})}))
    (choice,) = choose("unified_patchtst", load_config(["test", path]), {}, "15m", 7, [None], 0, timedelta(days=1))
    assert choice.n_tried == 32
    assert replace(choice, scores=((0.7,), (0.8,))).n_tried == 34
