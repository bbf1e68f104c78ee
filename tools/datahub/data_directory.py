"""Candles that Freqtrade downloaded. From: its data directory, read as nn.data reads it. To: `hub`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pandas as pd

from nn.data.candles import BadCandles
from nn.data.store import candle_path, read_columns
from nn.data.timeframe import timeframe_ms

from .source import COLUMNS, BadAnswer, NoSuchPair, Price


class DataDirectory:
    """As old as the last download: `hub` asks it last, and says so in the answer."""

    name = "datadir"

    def __init__(self, folder: Path, timeframe: str) -> None:
        self.folder, self.timeframe = folder, timeframe

    async def candles(self, pair: str, timeframe: str, limit: int) -> pd.DataFrame:
        return await asyncio.to_thread(self._read, pair, timeframe, limit)

    async def price(self, pair: str) -> Price:
        frame = await self.candles(pair, self.timeframe, 1)
        return Price(float(frame["close"].iloc[-1]), int(frame["date"].iloc[-1]) + timeframe_ms(self.timeframe))

    async def close(self) -> None:
        """Nothing is kept open."""

    def _read(self, pair: str, timeframe: str, limit: int) -> pd.DataFrame:
        try:
            path = candle_path(self.folder, pair, timeframe)
        except BadCandles as fault:  # its text names files, which is for the log of the caller alone
            raise NoSuchPair(f"the data directory has no {timeframe} candles of {pair}") from fault
        try:
            frame = read_columns(path, COLUMNS).tail(limit).reset_index(drop=True)
            if isinstance(frame["date"].dtype, pd.DatetimeTZDtype):
                frame["date"] = frame["date"].dt.as_unit("ms").astype("int64")
            if frame.empty:
                raise NoSuchPair(f"the data directory has no {timeframe} candles of {pair}")
            return frame.astype({"date": "int64"} | dict.fromkeys(COLUMNS[1:], "float64"))
        except (BadCandles, ValueError, TypeError) as fault:
            raise BadAnswer(f"the {timeframe} candles of {pair} in the data directory cannot be read") from fault
