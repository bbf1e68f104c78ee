"""EVA-9: every trial counts against the winner, those that were given up too."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import yaml

from nn.evaluation.overfitting import backtest_overfitting, deflated_sharpe_of
from nn.forecast.config import load_config
from nn.forecast.nested import choose
from nn.search.study import Trial
from nn.search.summary import profile, summarise


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


def test_the_winner_is_a_profile_with_its_worth_above_it():
    text = profile("mine", summarise(trials()))
    assert "12 trials" in text
    assert "deflated Sharpe ratio" in text
    assert yaml.safe_load(text) == {"fit": {"learning_rate": 0.1}, "search": {"study": "mine", "trials": 12}}


def test_trials_behind_a_winner_reach_the_training_and_those_of_earlier_searches_count(tmp_path):
    path = tmp_path / "best.yaml"
    path.write_text(profile("mine", summarise(trials()), n_before=20))
    (choice,) = choose("unified_patchtst", load_config(["test", path]), {}, "15m", 7, [None], 0, timedelta(days=1))
    assert choice.n_tried == 32
    assert replace(choice, scores=((0.7,), (0.8,))).n_tried == 34
