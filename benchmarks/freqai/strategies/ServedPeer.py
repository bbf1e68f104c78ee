"""The served forecast of an hour's return. From: nn.service by strategies.shared. To: trades by the rule of FreqaiPeer.

The predictions go to the file that PEER_DUMP names.
"""

import os
from pathlib import Path

from freqtrade.strategy import IStrategy
from pandas import DataFrame

from strategies.shared.forecasts import forecast_source

COST = 0.001  # of a round trip, ratio


class ServedPeer(IStrategy):
    """Long while the forecast pays the cost."""

    timeframe = "15m"
    startup_candle_count = 800
    minimal_roi = {"0": 10}  # noqa: RUF012
    stoploss = -0.05
    process_only_new_candles = True

    def bot_start(self, **kwargs) -> None:
        self.forecasts = forecast_source(self.config)

    def populate_indicators(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        columns = self.forecasts.columns(metadata["pair"], self.timeframe, dataframe)
        dataframe["forecast"] = columns.get("expected_return_1h", columns.get("future_return_1h"))
        dump = dataframe[["date", "close", "forecast"]].assign(do_predict=dataframe["forecast"].notna().astype(int))
        dump.reset_index(drop=True).to_feather(
            Path(os.environ["PEER_DUMP"]) / f"{metadata['pair'].split('/')[0]}.feather"
        )
        return dataframe

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe.loc[dataframe["forecast"] > COST, "enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe.loc[dataframe["forecast"] < 0, "exit_long"] = 1
        return dataframe
