"""SEA-3: spells are told by the past alone, and the objective is the mean of their Sortino ratios by weight."""

import itertools

import numpy as np
import pytest

from nn.search.spells import CHOPPY, FEWEST, MOST, NORMAL, TRENDING, SpellLimits, efficiency_ratio, sortino
from nn.search.spells import weighted_sortino as weighted

EVEN = {NORMAL: 1.0, CHOPPY: 1.0, TRENDING: 1.0}


def walk(n, seed=1):
    return 100 * np.exp(np.cumsum(0.002 * np.random.default_rng(seed).normal(size=n)))


def test_a_straight_way_is_trending_and_a_zigzag_is_choppy():
    limits = SpellLimits.fit([walk(20_000)], "15m")
    assert 0 < limits.choppy < limits.trending < 1
    straight = 100 * 1.001 ** np.arange(300)
    zigzag = 100 + np.arange(300) % 2
    assert set(limits.of(straight, "15m")[96:]) == {TRENDING}
    assert set(limits.of(zigzag, "15m")[96:]) == {CHOPPY}
    assert set(limits.of(straight, "15m")[:96]) == {NORMAL}  # no day lies before it
    shares = [np.mean(limits.of(walk(20_000, 2), "15m") == name) for name in EVEN]
    assert shares == pytest.approx([1 / 3] * 3, abs=0.06)


def test_the_ratio_is_kaufmans_loop():
    close = walk(200)
    found = efficiency_ratio(close, "15m")
    assert np.isnan(found[:96]).all()
    for t in (96, 150, 199):
        log = np.log(close[t - 96 : t + 1])
        gone = sum(abs(b - a) for a, b in itertools.pairwise(log))
        assert found[t] == pytest.approx(abs(log[-1] - log[0]) / gone)


def test_no_later_candle_changes_a_spell():
    limits, close = SpellLimits(0.05, 0.12), walk(600)
    changed = close.copy()
    changed[400:] *= np.linspace(1, 3, 200)
    assert np.array_equal(limits.of(close, "15m")[:400], limits.of(changed, "15m")[:400])
    assert not np.array_equal(limits.of(close, "15m"), limits.of(changed, "15m"))


def test_sortino_is_its_formula_and_never_without_end():
    growth = np.array([0.01, -0.02, 0.005, 0.0])
    downside = (0.02**2 / 4) ** 0.5
    assert sortino(growth, "1d") == pytest.approx(growth.mean() / downside * 365**0.5)
    assert sortino(np.zeros(9), "15m") == 0.0
    assert sortino(np.full(9, 0.01), "15m") == MOST
    assert sortino(np.array([0.01, -1e-9]), "15m") == MOST


def test_weights_of_spells_that_are_too_short_go_to_the_others():
    growth = 1e-4 * np.random.default_rng(3).normal(size=100)
    spells = np.repeat([NORMAL, CHOPPY, TRENDING], [50, 45, FEWEST // 4])
    value, found = weighted(growth, spells, {NORMAL: 3.0, CHOPPY: 1.0, TRENDING: 6.0}, "15m")
    assert set(found) == {NORMAL, CHOPPY}
    assert value == pytest.approx(0.75 * found[NORMAL] + 0.25 * found[CHOPPY])
    assert found[NORMAL] == sortino(growth[:50], "15m")
    with pytest.raises(ValueError, match="no spell of 20 candles"):
        weighted(growth[:9], spells[:9], EVEN, "15m")
