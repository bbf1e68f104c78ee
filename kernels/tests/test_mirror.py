"""A falling market is a rising one in the mirror. From: seeds that hypothesis picks. To: features and their mirrors.

Two mirrors: prices turned over, P -> K - P, for what is made of differences; and 1 / P for what is made of log returns.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from tradekernels.features import feature_set

SEEDS = st.integers(0, 2**32 - 1)

# name: (its partner in the mirror, a, b), where partner = a + b * name
TURNED_OVER = {
    **{f"rsi_{n}": (f"rsi_{n}", 1, -1) for n in (7, 14, 21)},
    **{name: (name, 1, -1) for name in ("stoch_k", "stoch_d", "bb_position", "donchian_position", "ultimate")},
    **{name: (name, 0, -1) for name in (
        "stoch_kd", "rsi_14_change", "body_ratio", "close_location", "cci_20", "di_diff", "aroon_diff", "run_length",
        "donchian_break", "psar_side", "cmf_20", "obv_change", "flow_imbalance", "directed_volume", "keltner_position",
        "obv_divergence", "volume_confirms",
    )},
    **{name: (name, 0, 1) for name in (
        "adx_14", "squeeze", "squeeze_length", "toxicity", "failed_breaks", "efficiency_ratio",
    )},
    "williams_14": ("williams_14", -1, -1),
    "plus_di": ("minus_di", 0, 1), "minus_di": ("plus_di", 0, 1),
    "aroon_up": ("aroon_down", 0, 1), "aroon_down": ("aroon_up", 0, 1),
    "upper_wick": ("lower_wick", 0, 1), "lower_wick": ("upper_wick", 0, 1),
    "since_high_96": ("since_low_96", 0, 1), "since_low_96": ("since_high_96", 0, 1),
    "bb_break_up": ("bb_break_down", 0, 1), "bb_break_down": ("bb_break_up", 0, 1),
    "spring": ("upthrust", 0, 1), "upthrust": ("spring", 0, 1),
}  # fmt: skip
INVERTED = {
    **{name: (name, 0, -1) for name in (
        "log_return", "momentum_1h", "momentum_4h", "momentum_24h", "acceleration", "skew", "jump", "trend_slope",
        "trix_15", "momentum_agreement",
    )},
    **{name: (name, 0, 1) for name in (
        "realised_vol_1h", "realised_vol_1d", "hurst", "fractal_dimension", "autocorr_1", "autocorr_5", "autocorr_10",
        "kurtosis", "variance_ratio", "jump_share", "trend_r2", "garch_24h", "ewma_vol", "spread_roll", "vol_of_vol",
        "spread_corwin_schultz", "parkinson_24h", "rogers_satchell_24h", "garman_klass_24h", "yang_zhang_24h",
        "price_impact", "signal_to_noise", "kyle_lambda",
    )},
}  # fmt: skip


def check(pairs, frame, mirrored, absolute):
    names = list(pairs)
    features = feature_set(names)
    one, other = (dict(zip(names, features.compute(x, dtype=np.float64).T, strict=True)) for x in (frame, mirrored))
    for name, (partner, a, b) in pairs.items():
        assert_allclose(
            other[partner][features.warmup :],
            a + b * one[name][features.warmup :],
            rtol=1e-7,
            atol=absolute,
            err_msg=name,
        )


@given(seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_prices_turned_over_turn_the_features_over(candles, seed):
    """Highs become lows, rises falls; volume is what it was."""
    frame = candles(1100, seed, volatility=0.002)
    over = 4 * max(frame["high"])
    mirrored = frame | {
        "open": over - frame["open"], "high": over - frame["low"], "low": over - frame["high"],
        "close": over - frame["close"],
    }  # fmt: skip
    check(TURNED_OVER, frame, mirrored, absolute=1e-9)


@given(seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_inverted_prices_invert_the_returns(candles, seed):
    """The pair quoted the other way round: log returns change their sign, and what is even in them stays."""
    frame = candles(1100, seed)
    frame["quote_volume"] = frame["volume"] * 100.0  # money is what it was, whichever way the price is quoted
    mirrored = frame | {
        "open": 1 / frame["open"], "high": 1 / frame["low"], "low": 1 / frame["high"], "close": 1 / frame["close"],
    }  # fmt: skip
    check(INVERTED, frame, mirrored, absolute=1e-10)


def test_a_feature_that_leans_is_caught(candles):
    """Planted: a partner with the wrong sign."""
    frame = candles(1100, 1)
    mirrored = frame | {
        "open": 1 / frame["open"], "high": 1 / frame["low"], "low": 1 / frame["high"], "close": 1 / frame["close"],
    }  # fmt: skip
    with pytest.raises(AssertionError, match="skew"):
        check({"skew": ("skew", 0, 1)}, frame, mirrored, absolute=1e-10)
