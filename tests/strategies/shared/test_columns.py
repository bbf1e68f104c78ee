"""Features as columns: aligned, NaN where they cannot be known, mistakes named."""

import numpy as np
import pandas as pd
import pytest
from tradekernels.features import BASE_40, feature_set

from strategies.shared.columns import add_features, add_slower_features, pairs_of
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
    context_length = 168  # of the direction model, the longer of the two that are served
    base = feature_set(BASE_40, timeframe=strategy.timeframe).warmup
    assert strategy.startup_candle_count >= base + (context_length if name == "NNPredictor" else 0)
    assert strategy.startup_candle_count * pd.Timedelta(strategy.timeframe.replace("m", "min")) >= pd.Timedelta("200h")
    assert strategy.process_only_new_candles


class Provider:
    def __init__(self, frame):
        self.frame = frame

    def get_analyzed_dataframe(self, pair, timeframe):
        return self.frame, None


@pytest.mark.parametrize(
    ("seconds", "row"), [(0, 9), (1, 9), (899, 9), (-1, 8), (1200, 9), (1201, None), (-9000, None)]
)
def test_the_signal_candle_is_the_newest_closed_one(make_candles, seconds, row):
    """And none that Freqtrade itself would not act on: an order on a candle of hours ago has another cause."""
    frame = make_candles(10)
    ordered_at = frame["date"].iloc[-1] + pd.Timedelta("15min") + pd.Timedelta(seconds=seconds)
    found = signal_candle(Provider(frame), "BTC/USDT", "15m", ordered_at.to_pydatetime())
    assert found is None if row is None else found["close"] == frame["close"].iloc[row]
    assert signal_candle(Provider(frame.iloc[:0]), "BTC/USDT", "15m", ordered_at.to_pydatetime()) is None


def test_other_pairs_are_read_as_of_the_close(make_candles):
    """ENR-1: bitcoin's hour is seen when it is over, and not a bar before."""
    frame, hourly = make_candles(600), make_candles(150)
    hourly["date"] = frame["date"].iloc[0].floor("h") + pd.to_timedelta(np.arange(150), unit="h")
    references = {("BTC/USDT", "1h"): hourly}
    before = add_features(frame, ("btc_return_1h",), "15m", references)["btc_return_1h"]
    assert before.notna().sum() > 500
    late = hourly.copy()
    late.loc[100:, "close"] *= 2
    after = add_features(frame, ("btc_return_1h",), "15m", {("BTC/USDT", "1h"): late})["btc_return_1h"]
    closed = frame["date"] + pd.Timedelta("15min") >= hourly["date"].iloc[100] + pd.Timedelta("1h")
    pd.testing.assert_series_equal(before[~closed], after[~closed])
    assert before[closed].iloc[0] != after[closed].iloc[0]


def test_a_feature_without_its_data_is_nan_and_said_once(make_candles, caplog):
    """CAT-4: never a silent NaN column."""
    frame = make_candles(300)
    for _ in range(3):
        assert add_features(frame, ("rsi_7", "funding_rate"), "15m")["funding_rate"].isna().all()
    assert caplog.text.count("funding_rate needs funding_rate") == 1


def test_slower_features_are_seen_from_the_close_of_their_candle(make_candles):
    """DESIGN: a 1h value is seen only from the close of its hour on; a planted shift of an hour is found."""
    frame, hourly = make_candles(800), make_candles(200)
    start = frame["date"].iloc[0].floor("h")
    hourly["date"] = start + pd.to_timedelta(np.arange(200), unit="h")
    answer = add_slower_features(frame, "15m", hourly, "1h", ("roc_5",), prefix="btc_")["btc_roc_5_1h"]
    values = feature_set(("roc_5",), "1h").compute(hourly)[:, 0]
    for row in (100, 101, 102, 103, 104, 399):
        closed = frame["date"].iloc[row] + pd.Timedelta("15min")
        newest = int((closed - start) // pd.Timedelta("1h")) - 1  # the last hour that was over
        assert answer.iloc[row] == values[newest]
        assert answer.iloc[row] != values[newest + 1]
    assert add_slower_features(frame, "15m", hourly.iloc[:0], "1h", ("roc_5",))["roc_5_1h"].isna().all()
    stale = add_slower_features(frame, "15m", hourly.iloc[:50], "1h", ("roc_5",))["roc_5_1h"]
    last = int(((hourly["date"].iloc[49] + pd.Timedelta("3h")) - frame["date"].iloc[0]) / pd.Timedelta("15min"))
    assert stale.iloc[last - 2] == values[49]
    assert stale.iloc[last:].isna().all()


def test_pairs_of_the_data_provider_become_references(make_candles, caplog):
    class Pairs:
        def get_pair_dataframe(self, pair, timeframe):
            return make_candles(100) if pair != "XRP/USDT" else pd.DataFrame()

    pairs = ["BTC/USDT", "ETH/USDT", "XRP/USDT"]
    references = pairs_of(Pairs(), "ADA/USDT", pairs, "15m", sector=["ETH/USDT", "XRP/USDT"])
    assert list(references.frames) == ["BTC/USDT", "ETH/USDT"]
    assert references.sector == ("ETH/USDT",)
    assert "No 15m candles of XRP/USDT" in caplog.text
    columns = add_features(make_candles(300), ("sector_return_1d", "breadth"), "15m", references)
    assert columns["sector_return_1d"].notna().any()
    assert pairs_of(Pairs(), "ETH/USDT", pairs, "15m", sector=["ETH/USDT"]).sector == ()  # never its own peer
    assert pairs_of(Pairs(), "ADA/USDT", pairs, "15m").sector == ("ETH/USDT",)


def test_slower_candles_that_are_none_give_nan_and_a_warning(make_candles, caplog):
    frame = make_candles(50)
    for slower in (None, frame.iloc[:0], frame.drop(columns="date"), frame.assign(date=pd.NaT)):
        answer = add_slower_features(frame, "15m", slower, "1h", ("roc_5",))
        assert answer["roc_5_1h"].isna().all()
    assert "No features roc_5_1h" in caplog.text
    quarters = add_slower_features(frame, "15m", frame.iloc[::4].reset_index(drop=True), "15m", ("roc_5",))
    assert quarters["roc_5_15m"].isna().all()  # hours called quarters would be seen 45 minutes early


def test_a_feature_that_is_a_column_already_is_left_as_it_is(make_candles):
    frame = make_candles(100).assign(funding_rate=1e-4)
    answer = add_features(frame, ("funding_rate", "funding_year"), "15m")
    assert list(answer.columns) == [*frame.columns, "funding_year"]
    with pytest.raises(ValueError, match="names is 'rsi_14', expected a list"):
        add_features(frame, "rsi_14", "15m")
