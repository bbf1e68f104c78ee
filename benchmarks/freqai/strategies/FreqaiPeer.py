"""A FreqAI strategy with the forty features of `base_40`, written with TA-Lib and pandas, and the return of an hour.

From: Freqtrade. To: trades by the rule of ServedPeer, and the predictions in the file that PEER_DUMP names.
"""

import os
import sys
from pathlib import Path

from freqtrade.strategy import IStrategy
from pandas import DataFrame, concat
from tradekernels.features import BASE_40

sys.path.insert(0, os.environ["PEER_FEATURES"])  # kernels/benchmarks, where the forty are written out
from peers.forty import as_a_strategy

HORIZON = 4  # candles of 15m
COST = 0.001  # of a round trip, ratio
OHLCV = ("date", "open", "high", "low", "close", "volume")


class FreqaiPeer(IStrategy):
    """Long while the forecast pays the cost."""

    timeframe = "15m"
    startup_candle_count = 100
    minimal_roi = {"0": 10}  # noqa: RUF012
    stoploss = -0.05
    process_only_new_candles = True

    def feature_engineering_standard(self, dataframe: DataFrame, metadata: dict, **kwargs) -> DataFrame:
        features = DataFrame(as_a_strategy(dataframe[list(OHLCV)]), dataframe.index, [f"%-{name}" for name in BASE_40])
        return concat([dataframe, features], axis=1)

    def set_freqai_targets(self, dataframe: DataFrame, metadata: dict, **kwargs) -> DataFrame:
        dataframe["&-return_1h"] = dataframe["close"].shift(-HORIZON) / dataframe["close"] - 1
        return dataframe

    def populate_indicators(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe = self.freqai.start(dataframe, metadata, self)
        dump = dataframe[["date", "close", "&-return_1h", "do_predict"]].rename(columns={"&-return_1h": "forecast"})
        dump.reset_index(drop=True).to_feather(
            Path(os.environ["PEER_DUMP"]) / f"{metadata['pair'].split('/')[0]}.feather"
        )
        return dataframe

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe.loc[(dataframe["&-return_1h"] > COST) & (dataframe["do_predict"] == 1), "enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe.loc[dataframe["&-return_1h"] < 0, "exit_long"] = 1
        return dataframe
