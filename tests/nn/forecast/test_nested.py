"""Inner folds choose, outer periods judge: what comes after a range changes no choice and no weight (TRN-12)."""

from datetime import timedelta

import pytest
import torch

from nn.forecast import nested
from nn.forecast.config import ConfigProblem, load_config
from nn.forecast.nested import choose
from nn.forecast.schedule import schedule
from nn.search.workers import run_tasks

from .conftest import BEGIN, PAIRS, make_candles, write_market

BAR = timedelta(minutes=15)
END = (BEGIN + timedelta(days=27)).to_pydatetime()
PERIOD = timedelta(hours=36)
# The second cannot learn at all, so whoever looks must find the first.
CANDIDATES = [{"fit": {"learning_rate": 3.0e-3}}, {"fit": {"learning_rate": 1.0e-9}}]


@pytest.fixture(scope="module")
def frames():
    return {pair: make_candles(2592, seed=number) for number, pair in enumerate(PAIRS)}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "more.yaml"
    path.write_text(f"candidates: {CANDIDATES}\n".replace("'", ""))
    return load_config(["base", "test", path])


def chosen(config, frames, n_inner=2, **more):
    torch.set_num_threads(1)
    (choice,) = choose(
        "direction", config, frames, "15m", 7, schedule(END, 1, PERIOD, "15m"), n_inner, PERIOD, **more
    )  # fmt: skip
    return choice


@pytest.fixture(scope="module")
def choice(config, frames):
    return chosen(config, frames)


def test_the_candidate_that_learns_is_chosen(choice):
    assert choice.chosen == CANDIDATES[0]
    assert choice.config.fit.learning_rate == 3e-3
    assert choice.config.candidates == ()
    assert [len(scores) for scores in choice.scores] == [2, 2]
    assert choice.metrics()["inner_log_loss_candidate_1"] < choice.metrics()["inner_log_loss_candidate_2"]
    assert "0.003" in choice.params()["candidate"]


def test_candles_of_the_outer_period_change_no_choice(choice, config, frames):
    """LEK-1: noise from the end of the outer training range on moves no score by one bit; a bar earlier it does."""
    (outer,) = schedule(END, 1, PERIOD, "15m")
    for until, same in ((outer.trained_until, True), (outer.trained_until - 40 * BAR, False)):
        noisy = {
            pair: frame.where(frame["date"] + BAR <= until, make_candles(len(frame), seed=70))
            for pair, frame in frames.items()
        }
        assert (chosen(config, noisy).scores == choice.scores) is same


def test_inner_folds_lie_inside_the_outer_range_with_room_before_each_judged_period(config, frames, monkeypatch):
    tasks = []
    monkeypatch.setattr(nested, "train_on", lambda frames, task: tasks.append(task) or {"log_loss": 1.0})
    chosen(config, frames, n_inner=3)
    (outer,) = schedule(END, 1, PERIOD, "15m")
    assert len(tasks) == 6
    for task in tasks:
        begin, end = task["judged"]
        assert task["trained_until"] < begin < end <= outer.trained_until.isoformat()
    assert max(task["judged"][1] for task in tasks) == outer.trained_until.isoformat()
    assert outer.valid_from - outer.trained_until == 48 * BAR


@pytest.mark.slow
def test_other_processes_choose_the_same_by_the_same_scores(choice, config, frames, tmp_path):
    """SEA-4."""
    datadir = write_market(tmp_path / "market", frames)

    def run(tasks):
        return run_tasks("nn.forecast.fold:train_fold", tasks, 2)

    other = chosen(config, {pair: frames[pair] for pair in PAIRS}, run=run, candles=(datadir, PAIRS))
    assert other == choice


def test_without_inner_folds_the_profile_is_taken_as_it_is(config, frames):
    assert chosen(config, frames, n_inner=0).config == config.with_layer({})
    assert chosen(config, frames, n_inner=0).params() == {}


def test_nothing_to_choose_from_is_a_slip(frames):
    with pytest.raises(ConfigProblem, match="0 candidates"):
        chosen(load_config(["base", "test"]), frames)


def test_a_candidate_that_does_not_fit_is_refused_before_any_training(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("candidates:\n  - fit: {learning_rat: 1}\n")
    with pytest.raises(ConfigProblem, match="did you mean 'learning_rate'"):
        load_config(["base", path])
