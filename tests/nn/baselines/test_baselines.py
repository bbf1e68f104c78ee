"""Each baseline against another library or a value by hand; all of them blind to what comes after (MOD-6)."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax as scipy_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as SklearnRidge

from nn.baselines.every import FITS, fit_baselines
from nn.baselines.linear import Standard, fit_ridge, logistic, ridge, softmax
from nn.baselines.naive import LastDirection, MovingAverage, fit_last_value, trailing_log_volatility
from nn.baselines.nlinear import closes_less_last, fit_nlinear
from nn.baselines.rows import PAST, Rows, training_rows
from nn.data.target_table import DOWN, FLAT, UP
from nn.evaluation.figures import correlation, rank_sums


def rows_with(past):
    return Rows(np.zeros((1, 1), np.float32), np.pad(past, (PAST - len(past), 0))[None].astype(np.float32))


def test_ridge_is_scikit_learns():
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(300, 5)), draw.normal(size=300)
    y[::7] = np.nan
    known = np.isfinite(y)
    theirs = SklearnRidge(alpha=0.1 * known.sum()).fit(x[known], y[known])
    ours = ridge(np.c_[x, np.ones(300)], y, 0.1)
    np.testing.assert_allclose(ours, [*theirs.coef_, theirs.intercept_], atol=1e-10)


def test_logistic_is_scikit_learns():
    draw = np.random.default_rng(1)
    x = draw.normal(size=(600, 4))
    label = (x @ draw.normal(size=(4, 3)) + draw.gumbel(size=(600, 3))).argmax(1)
    theirs = LogisticRegression(C=1 / (600 * 0.05), tol=1e-8, max_iter=2000).fit(x, label)
    weights = logistic(np.c_[x, np.ones(600)], label, 0.05)
    np.testing.assert_allclose(softmax(np.c_[x, np.ones(600)] @ weights), theirs.predict_proba(x), atol=2e-3)


def test_softmax_is_scipys_also_of_large_numbers():
    logits = np.array([[1000.0, 999.0, -5.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(softmax(logits), scipy_softmax(logits, -1))


def test_a_feature_that_never_varies_divides_nothing():
    standard = Standard.fit(np.array([[1.0, 2.0], [1.0, 4.0]]))
    np.testing.assert_array_equal(standard.inputs(np.array([[1.0, 5.0]])), [[0.0, 2.0, 1.0]])


def test_the_last_direction_repeats_the_horizons_last_move():
    found = LastDirection(np.zeros((2, 2))).forecast(rows_with([0.02] + [0.0] * 3))
    assert found.score[0] == pytest.approx([0, np.expm1(0.02), np.expm1(0.02), np.expm1(0.02)], abs=1e-6)
    assert found.classes[0].tolist() == [FLAT, UP, UP, UP]
    assert LastDirection(np.zeros((2, 2))).forecast(rows_with([-0.02])).classes[0].tolist() == [DOWN] * 4


def test_a_steady_climb_goes_on_by_the_moving_average():
    found = MovingAverage().forecast(rows_with([0.001] * PAST))
    np.testing.assert_allclose(found.score[0], np.expm1([0.001, 0.004, 0.016, 0.048]), rtol=1e-5)


def test_nlinear_reads_closes_less_the_last_one():
    closes = closes_less_last(rows_with([0.01, -0.03]))
    assert closes[0, -1] == pytest.approx(0.03)  # the close a quarter ago stood 3 % above the last
    assert closes[0, -2] == pytest.approx(0.02)
    assert closes.shape == (1, PAST)


def test_nlinear_finds_the_lean_of_the_next_step(data):
    """The market was made with steps that lean 0.4 on the last one: the IC of a quarter hour is about that."""
    values, masks = data.labels(data.validation)
    score = fit_nlinear(data, 0).forecast(training_rows(data, data.validation)).score[:, 0]
    assert correlation(rank_sums(score, values[:, 0], masks[:, 0]).sum(0)) == pytest.approx(0.38, abs=0.08)


def test_trailing_volatility_is_that_of_the_quarters_named():
    rows = rows_with([0.5, 0.03, 0.04])
    assert trailing_log_volatility(rows, 2)[0] == pytest.approx(np.log(0.05), abs=1e-6)


@pytest.fixture(scope="module")
def fitted(data):
    said = []
    return fit_baselines(data, 7, said.append), said


def test_every_baseline_answers_every_row_in_finite_numbers(fitted, data):
    found = fitted[0].forecasts(training_rows(data, data.validation))
    assert set(FITS) == set(found)
    for name, forecast in found.items():
        assert forecast.score.shape == forecast.classes.shape == (len(data.validation), 4), name
        for part in forecast.parts:
            assert part is None or np.isfinite(part).all(), name
        if forecast.probability is not None:
            np.testing.assert_allclose(forecast.probability.sum(-1), 1, atol=1e-6)
    assert len(fitted[1]) == len(FITS)
    assert fitted[1][0] == "  baseline 1/8: last_value"


def test_balanced_answers_name_rare_classes_more_often(fitted, data):
    found = fitted[0].forecasts(training_rows(data, data.validation))
    rare = int(data.class_shares[0].argmin())
    assert np.mean(found["logistic"].balanced[:, 0] == rare) > np.mean(found["logistic"].classes[:, 0] == rare)
    assert found["ridge"].balanced is None


def test_the_same_seed_gives_the_same_trees(fitted, data):
    rows = training_rows(data, data.validation)
    again = FITS["lightgbm"](data, 7).forecast(rows)
    np.testing.assert_array_equal(again.probability, fitted[0].forecasts(rows)["lightgbm"].probability)


def test_one_crash_does_not_turn_the_returns_of_ridge(data):
    """A return of -90 % in one row of thousands: squares of it would outweigh all others."""
    values = [np.array(np.asarray(each)) for each in data.values]
    row = data.train.every(2).ends[0]
    values[0][row, :4] = -0.9
    rows = training_rows(data, data.validation)
    ours, theirs = fit_ridge(data, 7).forecast(rows), fit_ridge(replace(data, values=tuple(values)), 7).forecast(rows)
    for horizon in range(4):
        assert np.corrcoef(ours.score[:, horizon], theirs.score[:, horizon])[0, 1] > 0.9


@pytest.mark.parametrize("name", FITS)
def test_labels_of_purged_rows_move_no_baseline(name, fitted, data):
    """LEK-3: what is learned comes from the rows that the network learns from, and no others."""
    values = []
    for pair, each in enumerate(data.values):
        ends = [part.ends[part.pairs == pair] for part in (data.train, data.validation)]
        other = np.array(each)
        other[ends[0].max() + 1 : ends[1].min()] = 1.0  # purge and embargo lie between the two
        values.append(other)
    rows = training_rows(data, data.train.every(16))
    changed = FITS[name](replace(data, values=tuple(values)), 7).forecast(rows)
    expected = fitted[0].forecasts(rows)[name]
    np.testing.assert_array_equal(changed.score, expected.score)
    np.testing.assert_array_equal(changed.classes, expected.classes)


def test_labels_of_train_rows_do_move_them(data, fitted):
    """The test above must be able to fail."""
    rows = training_rows(data, data.train.every(16))
    changed = replace(data, values=tuple(-np.asarray(labels) for labels in data.values))
    assert (FITS["ridge"](changed, 7).forecast(rows).score != fitted[0].forecasts(rows)["ridge"].score).any()


def test_har_learns_that_volatility_stays(data):
    weights = fit_last_value(data, 0).weights
    assert weights.shape == (4, 2)
    assert np.isfinite(weights).all()
