"""The GARCH recursion against `arch` (Sheppard), with the same parameters, once both starts have died out (CAT-9)."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from twins import TWINS, Market

from tradekernels.features import feature_set

arch = pytest.importorskip("arch", reason="arch is not installed")

ALPHA, BETA, OMEGA = 0.12, 0.80, 8e-6
WINDOW = 672  # bars of 15m in 7 days; a start weighs 0.8^672 at its end


def forecast(returns, omega):
    """Return the volatility that arch expects of the bar after the last, with nothing fitted."""
    model = arch.arch_model(returns, mean="Zero", vol="GARCH", p=1, q=1, rescale=False)
    return np.sqrt(model.fix([omega, ALPHA, BETA]).forecast(horizon=1).variance.iloc[-1, 0])


def of_engine(frame, options):
    features = feature_set(["garch_vol"], timeframe="15m", parameters=options)
    return features.compute(frame, dtype=np.float64)[-1, 0]


def of_twin(frame, options):
    return TWINS["garch_vol"](Market(frame, parameters=options))[-1]


@pytest.fixture(params=[of_engine, of_twin], ids=["engine", "twin"])
def garch_vol(request):
    return lambda frame, omega: request.param(frame, {"garch_alpha": ALPHA, "garch_beta": BETA, "garch_omega": omega})


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_garch_vol_is_what_arch_forecasts(candles, garch_vol, seed):
    """Over the same 672 returns, and over all returns there are: older ones no longer matter."""
    frame = candles(1500, seed=seed)
    returns = np.diff(np.log(frame["close"]))
    assert_allclose(garch_vol(frame, OMEGA), forecast(returns[-WINDOW:], OMEGA), rtol=1e-9)
    assert_allclose(garch_vol(frame, OMEGA), forecast(returns, OMEGA), rtol=1e-9)


def test_variance_targeting_sets_the_long_run_variance(candles, garch_vol):
    """With omega 0 it is (1 - alpha - beta) times the mean square of the window: arch, given that, says the same."""
    frame = candles(1500, seed=14)
    returns = np.diff(np.log(frame["close"]))[-WINDOW:]
    targeted = (1 - ALPHA - BETA) * np.mean(returns**2)
    assert_allclose(garch_vol(frame, 0.0), forecast(returns, targeted), rtol=1e-9)
