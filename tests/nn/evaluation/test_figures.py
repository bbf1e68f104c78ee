"""Every figure against SciPy or scikit-learn, and its interval against slow resampling (EVA-2)."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import accuracy_score, brier_score_loss, confusion_matrix, f1_score, mean_absolute_error, r2_score

from nn.baselines.rows import Forecast, from_probability
from nn.evaluation.bootstrap import AT_ONCE, block_counts, block_indices, percentiles, ready, resampled_sums
from nn.evaluation.figures import (
    Figure,
    Judge,
    Outcomes,
    calibration_error,
    calibration_sums,
    centred_ranks,
    correlation,
    figures,
    fit_sums,
    macro_f1,
    one_hot,
    r_squared,
    rank_sums,
    share,
    sign_sums,
)
from nn.forecast.metrics import calibration_error as slow_calibration_error

N = 400


def outcomes_of(draw, n=N, n_pairs=2):
    labels = np.full((n, 24), np.nan)
    labels[:, :4] = draw.normal(0, 0.01, (n, 4))
    labels[:, 4:8] = draw.integers(0, 3, (n, 4))
    labels[: n // 10, 2] = np.nan
    times = np.tile(np.arange(n // n_pairs) * 900_000, n_pairs)
    return Outcomes(times, np.repeat(np.arange(n_pairs), n // n_pairs), labels, draw.normal(-5, 1, (n, 2)))


@pytest.fixture
def draw():
    return np.random.default_rng(0)


def value(figure):
    return float(figure.value(figure.rows.sum(0)))


def test_every_figure_is_another_librarys(draw):
    outcomes = outcomes_of(draw)
    p = draw.dirichlet([1, 1, 1], (N, 4))
    volatility = outcomes.log_volatility + draw.normal(0, 0.5, (N, 2))
    forecast = Forecast(from_probability(p).score, p.argmax(-1), p, volatility)
    found = {figure.name: value(figure) for figure in figures(forecast, outcomes)}
    known = np.isfinite(outcomes.returns[:, 2])
    came, score = outcomes.returns[known, 2], forecast.score[known, 2]
    label, said = outcomes.classes[:, 2], p[:, 2].argmax(-1)
    assert found["ic_4h"] == pytest.approx(spearmanr(score, came).statistic)
    assert found["accuracy_4h"] == pytest.approx(np.mean(np.sign(score) == np.sign(came)))
    assert found["class_accuracy_4h"] == pytest.approx(accuracy_score(label, said))
    assert found["macro_f1_4h"] == found["argmax_macro_f1_4h"] == pytest.approx(f1_score(label, said, average="macro"))
    majority = np.bincount(label.astype(int)).max() / N
    assert found["over_majority_4h"] == pytest.approx(accuracy_score(label, said) - majority)
    assert found["ece_4h"] == pytest.approx(slow_calibration_error(p[:, 2].max(-1), said == label))
    assert found["brier_4h"] == pytest.approx(((p[:, 2] - np.eye(3)[label.astype(int)]) ** 2).sum(-1).mean())
    assert found["volatility_r2_1h"] == pytest.approx(r2_score(outcomes.log_volatility[:, 0], volatility[:, 0]))
    strong = np.abs(score) >= np.quantile(np.abs(forecast.score[:, 2]), 0.9)
    assert found["top_decile_accuracy_4h"] == pytest.approx(np.mean(np.sign(score) == np.sign(came), where=strong))
    other = draw.integers(0, 3, (N, 4))
    balanced = {figure.name: value(figure) for figure in figures(replace(forecast, balanced=other), outcomes)}
    assert balanced["macro_f1_4h"] == pytest.approx(f1_score(label, other[:, 2], average="macro"))
    for name in ("class_accuracy_4h", "over_majority_4h", "argmax_macro_f1_4h"):
        assert balanced[name] == found[name]
    confusion = one_hot((label * 3 + said).astype(int), 9, np.ones(N, bool)).sum(0).reshape(3, 3)
    np.testing.assert_array_equal(confusion, confusion_matrix(label, said))


def test_errors_of_returns_levels_and_excursions_are_another_librarys(draw):
    """EVA-2: each head beside its own target, rows whose future is not known left out."""
    outcomes = outcomes_of(draw)
    outcomes.labels[:, 8:16] = draw.integers(0, 2, (N, 8))
    outcomes.labels[:, 16:20] = draw.exponential(0.01, (N, 4))
    outcomes.labels[:50, 9] = np.nan
    returns, reaches, risks = draw.normal(0, 0.01, (N, 4)), draw.random((N, 8)), draw.exponential(0.01, (N, 4))
    plain = Forecast(np.zeros((N, 4)), np.zeros((N, 4), int))
    told = replace(plain, returns=returns, reaches=reaches, risks=risks)
    found = {figure.name: value(figure) for figure in figures(told, outcomes)}
    known = np.isfinite(outcomes.returns[:, 2])
    expected = mean_absolute_error(outcomes.returns[known, 2], returns[known, 2])
    assert found["mae_future_return_4h"] == pytest.approx(expected)
    assert found["brier_long_1pct_4h"] == pytest.approx(brier_score_loss(outcomes.labels[:, 8], reaches[:, 0]))
    assert found["brier_long_2pct_4h"] == pytest.approx(brier_score_loss(outcomes.labels[50:, 9], reaches[50:, 1]))
    assert found["brier_short_5pct_12h"] == pytest.approx(brier_score_loss(outcomes.labels[:, 15], reaches[:, 7]))
    assert found["mae_max_drawdown_1h"] == pytest.approx(mean_absolute_error(outcomes.labels[:, 16], risks[:, 0]))
    assert found["mae_max_rally_4h"] == pytest.approx(mean_absolute_error(outcomes.labels[:, 19], risks[:, 3]))
    assert not [figure.name for figure in figures(plain, outcomes) if figure.name.startswith(("mae", "brier_"))]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=4, max_size=40))
def test_ranks_share_their_mean_and_the_ic_is_spearmans(pairs):
    x, y = np.array(pairs, dtype=float).T
    found = float(correlation(rank_sums(x, y, np.ones(len(x), bool)).sum(0)))
    if len(set(x)) < 2 or len(set(y)) < 2:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(x, y).statistic, abs=1e-12)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30))
def test_macro_f1_is_the_mean_over_classes_that_occur_or_were_answered(pairs):
    true, said = np.array(pairs).T
    confusion = one_hot(true * 3 + said, 9, np.ones(len(true), bool)).sum(0)
    labels = sorted({*true, *said})
    expected = f1_score(true, said, labels=labels, average="macro", zero_division=0)
    assert float(macro_f1(confusion)) == pytest.approx(expected)


def test_ranks_are_centred():
    np.testing.assert_allclose(centred_ranks(np.array([5.0, 1.0, 5.0, 9.0])) * 4, [0, -1.5, 0, 1.5])


def test_a_side_needs_a_score_and_a_move():
    sums = sign_sums(np.array([1.0, -1.0, 0.0, 2.0, 3.0]), np.array([2.0, 1.0, 5.0, 0.0, np.nan]), np.ones(5, bool))
    assert sums.sum(0).tolist() == [1, 2]
    assert float(share(sums.sum(0))) == 0.5
    assert np.isnan(share(np.zeros(2)))


def test_no_forecast_of_the_mean_explains_anything(draw):
    came = draw.normal(3, 1, 50)
    assert float(r_squared(fit_sums(np.full(50, came.mean()), came).sum(0))) == pytest.approx(0)
    assert float(r_squared(fit_sums(came, came).sum(0))) == 1


def test_counts_made_ready_give_the_same_sums_to_the_bit_and_many_stay_bytes():
    draw = np.random.default_rng(5)
    counts, table = block_counts(300, 5, draw, 50), draw.normal(size=(300, 4))
    assert ready(counts).dtype == np.float64
    np.testing.assert_array_equal(resampled_sums(ready(counts), table), resampled_sums(counts, table))
    assert ready(np.zeros((2, AT_ONCE), dtype=np.uint8)).dtype == np.uint8


def test_resampled_sums_are_sums_of_the_rows_drawn():
    counts = block_counts(30, 5, np.random.default_rng(3), 4)
    again, table = np.random.default_rng(3), np.random.default_rng(4).normal(size=(30, 2))
    for each, found in zip(counts, resampled_sums(counts, table), strict=True):
        rows = block_indices(30, 5, again)
        np.testing.assert_array_equal(each, np.bincount(rows, minlength=30))
        np.testing.assert_allclose(found, table[rows].sum(0))


def test_pairs_of_one_moment_are_drawn_together(draw):
    """Two pairs with the same rows: the interval is that of one pair, and not narrower by a root of two."""
    hit = draw.random(300) < 0.5
    one = np.stack([hit, np.ones(300)], axis=1).astype(float)
    single = Judge(np.arange(300), 1, 5).interval(Figure("x", one, share))
    double = Judge(np.tile(np.arange(300), 2), 1, 5).interval(Figure("x", np.tile(one, (2, 1)), share))
    assert (single.low, single.high) == pytest.approx((double.low, double.high))
    assert single.high - single.low == pytest.approx(2 * 1.96 * 0.5 / np.sqrt(300), rel=0.15)


def test_fixed_ranks_give_nearly_the_interval_of_ranks_drawn_anew(draw):
    x = draw.normal(size=300)
    y = 0.3 * x + draw.normal(size=300)
    quick = Judge(np.arange(300), 1, 6).interval(Figure("ic", rank_sums(x, y, np.ones(300, bool)), correlation))
    again = np.random.default_rng(6)
    slow = [spearmanr(x[rows], y[rows]).statistic for rows in (block_indices(300, 1, again) for _ in range(400))]
    assert (quick.low, quick.high) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.03)


def test_a_figure_without_a_number_in_most_resamples_has_no_interval():
    found = percentiles(0.5, np.array([np.nan, np.nan, 0.4]))
    assert found.value == 0.5
    assert np.isnan(found.low)


def test_a_constant_score_has_no_ic(draw):
    forecast = Forecast(np.zeros((N, 4)), np.zeros((N, 4), int))
    assert not any(figure.name.startswith(("ic", "accuracy")) for figure in figures(forecast, outcomes_of(draw)))


def test_calibration_of_one_who_is_as_sure_as_right():
    said, right = np.repeat([0.25, 0.75], 8), np.array([1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0], bool)
    assert float(calibration_error(calibration_sums(said, right, np.ones(16, bool)).sum(0))) == pytest.approx(0)
