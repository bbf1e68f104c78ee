"""GARCH weights: found again where they are known, and refused where there is nothing to fit (CAT-9)."""

import numpy as np
import pandas as pd
import pytest

from nn.data.garch import fit_garch


def simulated(n_rows, alpha, beta, seed, level=1e-5):
    """Return closes whose returns follow a GARCH(1,1) with these weights."""
    draw = np.random.default_rng(seed).normal(size=n_rows)
    variance, returns = level, np.empty(n_rows)
    for t in range(n_rows):
        returns[t] = np.sqrt(variance) * draw[t]
        variance = (1 - alpha - beta) * level + alpha * returns[t] ** 2 + beta * variance
    return pd.DataFrame({"close": 100 * np.exp(np.cumsum(returns))})


def test_known_weights_are_found_again():
    """Two pairs of very different volatility, the same law: within what 20,000 returns can tell."""
    frames = {"A": simulated(20_000, 0.08, 0.9, seed=1), "B": simulated(20_000, 0.08, 0.9, seed=2, level=1e-9)}
    found = fit_garch(frames)
    assert found["garch_alpha"] == pytest.approx(0.08, abs=0.01)
    assert found["garch_beta"] == pytest.approx(0.9, abs=0.015)
    assert found["garch_omega"] == 0.0
    assert found == fit_garch(frames)


def test_returns_without_memory_give_weights_that_stay_below_one():
    found = fit_garch({"A": simulated(3000, 0.0, 0.0, seed=3)})
    assert 0 <= found["garch_alpha"] < 0.1
    assert found["garch_alpha"] + found["garch_beta"] <= 0.999


def test_what_cannot_be_fitted_is_said_with_its_pair():
    short, still = simulated(100, 0.1, 0.8, seed=4), pd.DataFrame({"close": np.full(1000, 7.0)})
    with pytest.raises(ValueError, match="A: GARCH weights need 500 returns, there are 99"):
        fit_garch({"A": short})
    with pytest.raises(ValueError, match="B: GARCH weights need prices that move"):
        fit_garch({"A": simulated(1000, 0.1, 0.8, seed=5), "B": still})
