"""The pictures show what happened: their lines are the figures they were given, and what is missing is left out."""

import numpy as np
import pytest

from nn.policy.plots import PANELS, Validation, equity, figures, learning, quantiles, running_mean

LEVELS = (np.arange(32) + 0.5) / 32


def rounds(n=40):
    random = np.random.default_rng(1)
    return [{"steps": 100.0 * (k + 1)} | {name: float(random.normal()) for name in PANELS} for k in range(n)]


@pytest.fixture
def run():
    random = np.random.default_rng(2)
    times = np.datetime64("2025-01-01", "ms") + np.arange(300) * np.timedelta64(900_000, "ms")
    equity, hold = (np.exp(np.cumsum(0.01 * random.normal(size=300))) for _ in range(2))
    returns = random.normal(size=280)
    said = np.tile(np.quantile(random.normal(size=9999), LEVELS), (280, 1))
    return Validation(times, equity / equity[0], hold / hold[0], random.random(300), random.random(300), said, returns)


def test_every_figure_of_the_rounds_has_a_panel_over_the_steps():
    history = rounds()
    axes = [each for each in learning(history).axes if each.get_visible()]
    assert len(axes) == len(PANELS)
    for panel, name in zip(axes, PANELS, strict=True):
        steps, values = panel.lines[0].get_data()
        assert steps.tolist() == [each["steps"] for each in history]
        assert values.tolist() == [each[name] for each in history]


def test_a_figure_that_only_some_rounds_have_is_drawn_where_it_is():
    history = [{"steps": 1.0, "kl": 0.1}, {"steps": 2.0, "kl": 0.2, "episode_return": 5.0}]
    axes = [each for each in learning(history).axes if each.get_visible()]
    assert [len(each.lines[0].get_xdata()) for each in axes] == [1, 2]


def test_calibration_is_the_share_of_returns_below_each_quantile(run):
    left, middle, _ = quantiles(run.quantiles, run.returns).axes
    share = left.lines[1].get_ydata()
    assert share == pytest.approx([(run.returns <= run.quantiles[0, k]).mean() for k in range(32)])
    assert np.abs(share - LEVELS).max() < 0.1
    narrow = quantiles(0.3 * run.quantiles, run.returns).axes[0].lines[1].get_ydata()
    assert narrow[0] > 0.2  # tails that are too thin are seen
    unknown = run.returns.copy()
    unknown[:100] = np.nan
    assert middle.lines[0].get_ydata() == pytest.approx(np.quantile(run.returns, LEVELS))
    shorter = quantiles(run.quantiles, unknown).axes[1].lines[0].get_ydata()
    assert shorter == pytest.approx(np.quantile(run.returns[100:], LEVELS))


def test_equity_and_drawdown_are_those_of_the_run(run):
    growth, depth, held, traded = equity(run).axes
    assert growth.lines[0].get_ydata() == pytest.approx(run.equity)
    assert growth.lines[1].get_ydata() == pytest.approx(run.hold)
    worst = min(run.hold[t] / run.hold[: t + 1].max() - 1 for t in range(300))
    assert depth.lines[1].get_ydata().min() == pytest.approx(worst)
    assert held.lines[0].get_ydata().tolist() == run.weight.tolist()
    assert traded.lines[0].get_ydata()[-1] == pytest.approx(run.traded.sum())


def test_all_pictures_can_be_written(run, tmp_path):
    drawn = figures(rounds(), run)
    assert list(drawn) == ["learning.png", "quantiles.png", "equity.png"]
    assert list(figures(rounds())) == ["learning.png"]
    for name, figure in drawn.items():
        figure.savefig(tmp_path / name, dpi=40)
        assert (tmp_path / name).stat().st_size > 5_000


def test_a_running_mean_is_that_of_the_last_values():
    assert running_mean(np.array([1.0, 3.0, 5.0, 7.0]), 2).tolist() == [1.0, 2.0, 4.0, 6.0]
