"""Features as columns: aligned, NaN where they cannot be known, mistakes named."""

import numpy as np
import pandas as pd
import pytest
from tradekernels.features import BASE_40, feature_set

from strategies.shared.columns import add_features
from strategies.shared.signals import signal_candle


def test_columns_are_the_features_on_the_frames_index(make_candles):
    frame = make_candles(600)
    frame.index = frame.index + 5
    answer = add_features(frame, ("rsi_14", "ema_20_50"), "15m")
    assert answer.index.equals(frame.index)
    assert list(answer.columns) == [*frame.columns, "rsi_14", "ema_20_50"]
    expected = feature_set(("rsi_14", "ema_20_50"), timeframe="15m").compute(frame)
    np.testing.assert_array_equal(answer[["rsi_14", "ema_20_50"]].to_numpy(), expected)


@pytest.mark.parametrize("rows", [0, 1, 100])
def test_a_short_frame_gives_nan(make_candles, rows):
    answer = add_features(make_candles(600).iloc[:rows], ("ema_20_50",), "15m")
    assert len(answer) == rows
    assert answer["ema_20_50"].isna().all()


def test_an_unknown_or_taken_name_is_an_error_that_names_it(make_candles):
    with pytest.raises(ValueError, match=r"rsi_41.*nearest"):
        add_features(make_candles(20), ("rsi_41",), "15m")
    with pytest.raises(ValueError, match="'rsi_14' already"):
        add_features(add_features(make_candles(20), ("rsi_14",), "15m"), ("rsi_14",), "15m")


def test_candles_that_are_none_give_nan_and_a_warning(make_candles, caplog):
    """An exception in populate_indicators would leave the previous candle's signals tradable."""
    frame = make_candles(600)
    frame.loc[300, "close"] = np.nan
    assert add_features(frame, ("rsi_14",), "15m")["rsi_14"].isna().all()
    assert "rsi_14" in caplog.text
    assert "close in row 300" in caplog.text


@pytest.mark.parametrize("name", ["NNPredictor", "TrendFollower"])
def test_the_startup_covers_warmup_and_context_and_200_hours(name):
    """STR-2 and the strategy's own columns, added up."""
    from freqtrade.resolvers.strategy_resolver import StrategyResolver

    strategy = StrategyResolver.load_strategy({"strategy": name, "strategy_path": "strategies", "runmode": "backtest",
                                               "user_data_dir": __import__("pathlib").Path("user_data")})  # fmt: skip
    context_length = 96  # of the model that is served
    base = feature_set(BASE_40, timeframe=strategy.timeframe).warmup
    assert strategy.startup_candle_count >= base + (context_length if name == "NNPredictor" else 0)
    assert strategy.startup_candle_count * pd.Timedelta(strategy.timeframe.replace("m", "min")) >= pd.Timedelta("200h")
    assert strategy.process_only_new_candles


class Provider:
    def __init__(self, frame):
        self.frame = frame

    def get_analyzed_dataframe(self, pair, timeframe):
        return self.frame, None


@pytest.mark.parametrize(("seconds", "row"), [(0, 9), (1, 9), (899, 9), (-1, 8), (900, None), (-9000, None)])
def test_the_signal_candle_is_the_newest_closed_one(make_candles, seconds, row):
    frame = make_candles(10)
    ordered_at = frame["date"].iloc[-1] + pd.Timedelta("15min") + pd.Timedelta(seconds=seconds)
    found = signal_candle(Provider(frame), "BTC/USDT", "15m", ordered_at.to_pydatetime())
    assert found is None if row is None else found["close"] == frame["close"].iloc[row]
    assert signal_candle(Provider(frame.iloc[:0]), "BTC/USDT", "15m", ordered_at.to_pydatetime()) is None
