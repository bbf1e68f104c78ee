"""Regimes are known at the row; the stability index is 0 for the same population and by hand for another (EVA-5)."""

import json

import numpy as np
import pytest

from nn.baselines.rows import PAST, Rows
from nn.evaluation.drift import TrainBins, counts_of, drifted, population_stability, stability_by_input
from nn.evaluation.regimes import CHOP, HIGH_VOLATILITY, TREND, RegimeLimits, efficiency_ratio


def rows_of(past):
    return Rows(np.zeros((len(past), 1), np.float32), np.asarray(past, np.float32))


def test_regimes_by_hand():
    straight, back_and_forth = np.full(PAST, 0.001), np.tile([0.001, -0.001], PAST // 2)
    rows = rows_of([straight, back_and_forth, 10 * straight])
    assert efficiency_ratio(rows) == pytest.approx([1, 0, 1], abs=1e-6)
    limits = RegimeLimits(float(np.log(0.02)), 0.5)
    assert limits.of(rows).tolist() == [TREND, CHOP, HIGH_VOLATILITY]


def test_limits_are_quantiles_of_train_rows():
    past = np.random.default_rng(0).normal(0, 0.01, (2000, PAST)) * np.linspace(0.5, 2, 2000)[:, None]
    share = np.bincount(RegimeLimits.fit(rows_of(past)).of(rows_of(past)), minlength=3) / 2000
    assert share[HIGH_VOLATILITY] == pytest.approx(0.2, abs=0.01)
    assert share[TREND] == pytest.approx(0.8 * 0.3, abs=0.03)


def test_the_same_population_is_stable_and_a_moved_one_is_not():
    draw = np.random.default_rng(1)
    train = draw.normal(size=20_000)
    assert population_stability(train, train) == 0
    assert population_stability(train, draw.normal(size=20_000)) < 0.01
    assert population_stability(train, draw.normal(1, 1, 20_000)) > 0.25


def test_by_hand():
    """Deciles of 1..100 hold a tenth each; all of the test lies in the last."""
    q, p = np.array([1e-4] * 9 + [1.0]), np.full(10, 0.1)
    found = population_stability(np.arange(1.0, 101), np.full(7, 1000.0))
    assert found == pytest.approx(((q - p) * np.log(q / p)).sum(), rel=1e-6)


@pytest.mark.parametrize("values", [(0.0, 1.0), (1.0, 0.0)])
def test_an_input_of_two_values_has_two_bins(values):
    train, test = np.repeat(values, [95, 5]), np.repeat(values, [50, 50])
    expected = -0.45 * np.log(50 / 95) + 0.45 * np.log(10)
    assert population_stability(train, test) == pytest.approx(expected)


def test_the_flag_needs_more_than_a_tenth_of_the_inputs():
    assert not drifted(dict.fromkeys("abcdefghi", 0.1) | {"z": 9.0})
    assert drifted({"a": 0.3, "b": 0.1})
    names = ("a", "b")
    table = np.random.default_rng(2).normal(size=(500, 2))
    assert stability_by_input(names, table, table) == {"a": 0, "b": 0}
    with pytest.raises(ValueError, match="0 test values are finite"):
        population_stability(np.ones(3), np.array([np.nan]))


def test_bins_kept_without_the_rows_say_the_same_as_the_rows():
    """MET-17: the service has the manifest's bins and no train rows."""
    draw = np.random.default_rng(3)
    train = np.stack([draw.normal(size=900), draw.integers(0, 2, 900), np.zeros(900)], axis=1)
    test = np.stack([draw.normal(0.5, 2, 300), np.ones(300), draw.normal(size=300)], axis=1)
    bins = TrainBins.from_dict(json.loads(json.dumps(TrainBins.fit(train).to_dict())))
    found = bins.stability(counts_of(bins.of(test)))
    assert found == pytest.approx([population_stability(train[:, k], test[:, k]) for k in range(3)])
    assert bins.stability(counts_of(bins.of(train))) == pytest.approx(0)


@pytest.mark.parametrize(
    "wrong",
    [{}, {"edges": [[0.0]], "shares": []}, {"edges": [[1.0, 0.0]], "shares": [[0.1] * 10]},
     {"edges": [list(range(10))], "shares": [[0.1] * 10]}, {"edges": [[float("nan")]], "shares": [[0.1] * 10]},
     {"edges": [[0.0]], "shares": [[0.1] * 9]}, {"edges": [[0.0]], "shares": [[2.0] * 10]}],
)  # fmt: skip
def test_bins_that_are_none_are_refused(wrong):
    with pytest.raises(ValueError, match=r"bins have|ascend|shares have"):
        TrainBins.from_dict(wrong)
