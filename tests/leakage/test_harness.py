"""The harness itself: it catches planted leaks, and passes what is honest. A check that cannot fail proves nothing."""

import numpy as np
import pandas as pd
import pytest
from harness import assert_past_is_unchanged, assert_same_bits, perturb_after
from hypothesis import given, settings
from hypothesis import strategies as st
from market import random_market

from nn.data.candles import check_candles
from nn.data.windows import RobustScaler

FRAME = random_market(300, seed=5)


@given(cut=st.integers(0, 298), seed=st.integers(0, 1000))
@settings(max_examples=50)
def test_noise_is_valid_candles_and_only_after_the_cut(cut, seed):
    noisy = perturb_after(FRAME, cut, seed)
    assert check_candles(noisy, "BTC/USDT", "15m").rows == 300
    pd.testing.assert_frame_equal(noisy.iloc[: cut + 1], FRAME.iloc[: cut + 1])
    assert (noisy["close"].iloc[cut + 1 :] != FRAME["close"].iloc[cut + 1 :]).all()
    assert (noisy["date"] == FRAME["date"]).all()


def test_a_mean_of_the_past_is_honest():
    assert_past_is_unchanged(lambda frame: frame["close"].rolling(5).mean(), FRAME, cut=100)


LEAKS = {
    "a centred window": lambda frame: frame["close"].rolling(5, center=True).mean(),
    "a shift from the future": lambda frame: frame["close"].shift(-1),
    "a gap filled backward": lambda frame: frame["close"].where(frame["volume"] > 100).bfill(),
    "a z-score over the whole sample": lambda frame: (frame["close"] - frame["close"].mean()) / frame["close"].std(),
    "a rank over the whole sample": lambda frame: frame["close"].rank(),
    "a scaler fitted on all rows": lambda frame: RobustScaler.fit(frame[["close"]].to_numpy()).transform(
        frame[["close"]].to_numpy()
    ),
    "an extreme that later bars confirm": lambda frame: frame["high"] == frame["high"].rolling(7, center=True).max(),
    "a version chosen by the last price": lambda frame: pd.DataFrame(
        {"score": frame["close"], "model_version": [f"v{frame['close'].iloc[-1]:.2f}"] * len(frame)}
    ),
    "columns that depend on the data": lambda frame: {f"close against {frame['close'].iloc[-1]:.2f}": frame["close"]},
}


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS.keys())
@pytest.mark.parametrize("way", ["noise", "removed"])
def test_a_planted_leak_is_caught(leak, way):
    """CAT-3, LEK-1, LEK-3"""
    with pytest.raises(AssertionError, match=r"the past moved at row|the columns depend on the future"):
        assert_past_is_unchanged(leak, FRAME, cut=range(100, 200, 3), seed=3, ways=[way])


def test_a_leak_of_a_single_bit_is_caught():
    def one_bit(frame):
        close = frame["close"].to_numpy(copy=True)
        close[7] = close[7] if frame["close"].iloc[-1] == FRAME["close"].iloc[-1] else np.nextafter(close[7], np.inf)
        return close

    with pytest.raises(
        AssertionError, match=r"value, later candles .*: the past moved at row 7: .*\(1 of 151 values\)"
    ):
        assert_past_is_unchanged(one_bit, FRAME, cut=150)


def test_a_label_is_compared_up_to_its_horizon():
    def later_close(frame):
        return frame["close"].shift(-4)

    assert_past_is_unchanged(later_close, FRAME, cut=150, horizon=4)
    with pytest.raises(AssertionError, match="the past moved at row 147"):
        assert_past_is_unchanged(later_close, FRAME, cut=150, horizon=3)


def test_a_result_that_says_nothing_is_no_evidence():
    """A service that is down answers NaN everywhere, and NaN agrees with everything."""
    with pytest.raises(AssertionError, match="nothing was compared"):
        assert_past_is_unchanged(lambda frame: np.full(len(frame), np.nan), FRAME, cut=150)


def test_a_result_has_one_row_per_candle():
    with pytest.raises(AssertionError, match="value has 299 rows, the frame 300"):
        assert_past_is_unchanged(lambda frame: frame["close"].iloc[1:], FRAME, cut=150)


def test_bits_are_compared_and_not_only_values():
    assert_same_bits([1.0, np.nan], [1.0, np.nan])
    assert_same_bits(np.array(["a", None, np.nan], object), np.array(["a", None, np.nan], object))
    for before, after in (
        ([0.0], [-0.0]),
        ([1.0], [np.nan]),
        (np.array(["a", None], object), np.array(["a", "b"], object)),
        ([True], [False]),
        (np.zeros((2, 3, 4), np.float32), np.full((2, 3, 4), 1e-45, np.float32)),
    ):
        with pytest.raises(AssertionError, match="the past moved"):
            assert_same_bits(before, after)
    with pytest.raises(AssertionError, match="type float64 became float32"):
        assert_same_bits(np.zeros(2), np.zeros(2, np.float32))
    with pytest.raises(AssertionError, match="shape"):
        assert_same_bits(np.zeros(2), np.zeros(3))


def test_a_cut_without_a_future_is_refused():
    with pytest.raises(ValueError, match="expected one with rows after it"):
        perturb_after(FRAME, 299, 0)
