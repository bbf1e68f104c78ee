"""Holds the fit of the slippage to fills whose k is known (EXE-8)."""

import numpy as np
import pytest

from tradekernels.execution import Slippage, calibrate_slippage


def make_fills(n_fills, seed=0, k=0.8, spread_bps=3.0, noise_bps=2.0):
    """Return fills of random orders that slipped as stated."""
    random = np.random.default_rng(seed)
    fills = {
        "side": random.choice([-1, 1], n_fills),
        "mid_price": random.uniform(100, 200, n_fills),
        "size": random.lognormal(0, 1, n_fills),
        "liquidity": random.lognormal(5, 1, n_fills),
        "volatility_bps": random.uniform(10, 60, n_fills),
    }
    paid = Slippage(k, spread_bps).bps(fills["size"], fills["liquidity"], fills["volatility_bps"])
    paid = paid + random.normal(0, noise_bps, n_fills)
    return fills | {"fill_price": fills["mid_price"] * (1 + fills["side"] * paid * 1e-4)}


def test_a_fit_without_noise_is_exact():
    fit = calibrate_slippage(make_fills(50, noise_bps=0.0))
    assert fit.k == pytest.approx(0.8, abs=1e-9)
    assert fit.half_spread_bps == pytest.approx(1.5, abs=1e-9)
    assert fit.n_fills == 50
    assert fit.slippage().bps(1.0, 100.0, 50.0) == pytest.approx(1.5 + 0.8 * 50 * 0.1)


@pytest.mark.parametrize("seed", range(5))
def test_estimates_and_errors_are_those_of_the_textbook(seed):
    """Least squares by NumPy's solver, and HC3 by its matrix formula; orders that hardly differ cost no digits."""
    fills = make_fills(60, seed)
    fit = calibrate_slippage(fills)
    paid = fills["side"] * (fills["fill_price"] / fills["mid_price"] - 1) * 1e4
    X = np.column_stack([np.ones(60), fills["volatility_bps"] * np.sqrt(fills["size"] / fills["liquidity"])])
    beta = np.linalg.lstsq(X, paid, rcond=None)[0]
    bread, residual = np.linalg.inv(X.T @ X), paid - X @ beta
    leverage = np.einsum("ij,jk,ik->i", X, bread, X)
    errors = np.sqrt(np.diag(bread @ (X.T * (residual / (1 - leverage)) ** 2) @ X @ bread))
    assert (fit.half_spread_bps, fit.k) == pytest.approx(tuple(beta), rel=1e-9)
    assert (fit.half_spread_error, fit.k_error) == pytest.approx(tuple(errors), rel=1e-9)
    shifted = fills | {"size": 1e4 * (1 + 1e-6 * np.random.default_rng(seed).random(60)), "liquidity": np.ones(60)}
    shifted["volatility_bps"] = np.ones(60)
    paid = 1.5 + 0.8 * np.sqrt(shifted["size"])
    shifted["fill_price"] = fills["mid_price"] * (1 + fills["side"] * paid * 1e-4)
    assert calibrate_slippage(shifted).k == pytest.approx(0.8, abs=1e-4)


def test_the_stated_errors_are_those_of_repeated_fits():
    """95% intervals hold the truth in about 95 of 100 samples, and the errors are the spread of the estimates."""
    fits = [calibrate_slippage(make_fills(200, seed)) for seed in range(400)]
    k, error = np.array([fit.k for fit in fits]), np.array([fit.k_error for fit in fits])
    assert abs(k.mean() - 0.8) < 0.01
    assert 0.85 < error.mean() / k.std() < 1.15
    assert 0.92 < (np.abs(k - 0.8) < 1.96 * error).mean() < 0.98


def test_too_few_fills_or_fills_alike_are_refused():
    with pytest.raises(ValueError, match="fills has 29 rows, expected at least 30"):
        calibrate_slippage(make_fills(29))
    alike = make_fills(40) | {name: np.ones(40) for name in ("size", "liquidity", "volatility_bps")}
    with pytest.raises(ValueError, match="expected orders that differ"):
        calibrate_slippage(alike)
    with pytest.raises(ValueError, match="fills has no column 'mid_price'"):
        calibrate_slippage({name: column for name, column in make_fills(40).items() if name != "mid_price"})
    with pytest.raises(ValueError, match=r"side is 0, expected 1 or -1|side is 0.0, expected 1 or -1"):
        calibrate_slippage(make_fills(40) | {"side": np.zeros(40)})
    with pytest.raises(ValueError, match=r"volatility_bps at \[0\] is -1.0, expected a finite number of at least 0"):
        calibrate_slippage(make_fills(40) | {"volatility_bps": np.full(40, -1.0)})
    with pytest.raises(ValueError, match=r"differs in fill 7 alone, expected it in more of them"):
        calibrate_slippage(alike | {"size": np.where(np.arange(40) == 7, 9.0, 1.0)})
    with pytest.raises(ValueError, match=r"size at \[0\] is nan, expected a finite number"):
        calibrate_slippage(make_fills(40) | {"size": np.full(40, np.nan)})
