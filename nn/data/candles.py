"""Candles as the rest of the project may use them: read from Freqtrade's store, checked, reported.

From: Freqtrade's data directory (store.py) through the rules of quality.py. To: features, targets, windows, training.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pandas as pd

from .quality import (
    OHLCV,
    BadCandles,
    CandleReport,
    Gap,
    check_candles,
    check_funding,
    drop_unfinished,
    resolve_candle_type,
    with_dropped,
)
from .store import CANDLE_COLUMNS, FUNDING_BEFORE_2026, FUNDING_COLUMNS, candle_path, list_pairs, read_columns
from .timeframe import timeframe_ms

__all__ = ["BadCandles", "CandleReport", "Gap", "check_candles", "list_pairs", "read_candles"]


def read_candles(
    datadir: Path | str, pair: str, timeframe: str, candle_type: str = "auto", now: datetime | None = None
) -> tuple[pd.DataFrame, CandleReport]:
    """Return the candles of a pair and the report about them.

    Parameters
    ----------
    datadir : path
        Freqtrade's data directory of one exchange, such as user_data/data/binance.
    pair, timeframe : str
        As Freqtrade writes them, such as BTC/USDT:USDT and 15m.
    candle_type : {"auto", "spot", "futures", "mark", "funding_rate"}
        "auto" is futures for a pair with a settlement currency, else spot.
    now : datetime, optional
        With a time zone. If given, a last candle still open then is left out and a later one refused (DQ-1, DQ-2).

    Returns
    -------
    frame : DataFrame
        date (open time, UTC), open, high, low, close, volume (float64); of funding rates date and funding_rate.
    report : CandleReport

    Raises
    ------
    BadCandles
        If the file is missing or unreadable or breaks a rule; the message names file, row, value and expectation.
    """
    timeframe_ms(timeframe)
    candle_type = resolve_candle_type(pair, candle_type)
    path = candle_path(datadir, pair, timeframe, candle_type)
    if candle_type == "funding_rate":
        frame = read_columns(path, FUNDING_COLUMNS, instead=FUNDING_BEFORE_2026)
    else:
        frame = read_columns(path, CANDLE_COLUMNS)
    try:
        if candle_type == "funding_rate":
            report = check_funding(frame, pair, timeframe)
        else:
            dropped = None
            if now is not None:
                frame, dropped = drop_unfinished(frame, pair, timeframe, now)
            report = with_dropped(check_candles(frame, pair, timeframe, candle_type), dropped)
    except BadCandles as fault:
        raise BadCandles(f"{path}: {fault}") from fault
    if report.rows == 0:
        raise BadCandles(f"{path}: holds no rows, expected at least one closed candle; download it again")
    numbers = ["funding_rate"] if candle_type == "funding_rate" else list(OHLCV)
    return _as_utc(frame).astype(dict.fromkeys(numbers, "float64")), report


def _as_utc(frame: pd.DataFrame) -> pd.DataFrame:
    if isinstance(frame["date"].dtype, pd.DatetimeTZDtype):
        return frame
    return frame.assign(date=pd.to_datetime(frame["date"], unit="ms", utc=True))
