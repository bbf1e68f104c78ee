"""The rules a frame of candles must keep before anything is computed from it (DQ-1..DQ-7).

From: frames that store.py read, a service received or a strategy holds. To: candles.py, targets.py, windows.py.
Bars are only ever refused or counted here, never repaired: a gap stays a gap, an outlier stays in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .timeframe import timeframe_ms

PRICES = ("open", "high", "low", "close")
OHLCV = (*PRICES, "volume")
JUMP_BARS = 96  # bars before a return whose spread judges it (DQ-7)
JUMP_SIGMAS = 20.0
LAST_MS = 7_258_118_400_000  # 2200-01-01: a later time is in another unit


class BadCandles(ValueError):
    """Candles that may not be used; the message names the source, the row, the value and what was expected."""


@dataclass(frozen=True)
class Gap:
    """A hole between two rows that follow each other: their open times, and how many bars are missing between them."""

    after: datetime
    before: datetime
    missing: int


@dataclass(frozen=True)
class CandleReport:
    """What one frame of candles holds and what is odd about it; logged, stored with a run, shown by doctor (DQ-9)."""

    pair: str
    timeframe: str
    candle_type: str
    rows: int
    first: datetime | None
    last: datetime | None
    gaps: int
    missing_bars: int  # over all gaps
    zero_volume: int  # legal (DQ-5)
    filled: int  # of these, flat bars: the shape in which Freqtrade fills a hole (DQ-4)
    jumps: int  # returns beyond 20 standard deviations of the 96 before them (DQ-7)
    fingerprint: str  # SHA-256 of times and values, whatever the file format
    dropped: str | None = None  # "INCOMPLETE_BAR" if an unfinished last candle was left out (DQ-2)
    gap_list: tuple[Gap, ...] = ()

    def __str__(self) -> str:
        span = "no rows" if self.first is None else f"{self.first:%Y-%m-%d %H:%M} .. {self.last:%Y-%m-%d %H:%M}"
        return (
            f"{self.pair} {self.timeframe} {self.candle_type}: {self.rows} rows, {span}, {self.gaps} gaps "
            f"({self.missing_bars} bars), {self.zero_volume} without volume ({self.filled} filled), {self.jumps} jumps"
        )


def check_candles(frame: pd.DataFrame, pair: str, timeframe: str, candle_type: str = "auto") -> CandleReport:
    """Return the report of a frame of OHLCV candles.

    Parameters
    ----------
    frame : DataFrame
        Columns date (open time: UTC datetimes or int64 milliseconds), open, high, low, close, volume (base currency).
    pair, timeframe : str
        As Freqtrade writes them, such as BTC/USDT:USDT and 15m.
    candle_type : {"auto", "spot", "futures", "mark"}
        Mark candles have no volume of their own, so nothing is said about it.

    Raises
    ------
    BadCandles
        At the first row that breaks a rule, naming row, value and expectation.
    """
    candle_type = resolve_candle_type(pair, candle_type)
    source = f"{pair} {timeframe} {candle_type}"
    times = open_times(frame, source, timeframe)
    columns = {name: numbers(frame, name, source) for name in OHLCV}
    check_prices(columns, times, source)
    check_volume(columns["volume"], times, source)
    gaps = tuple(_gaps(times, timeframe))
    traded = candle_type != "mark"
    return CandleReport(
        pair=pair,
        timeframe=timeframe,
        candle_type=candle_type,
        rows=len(times),
        first=_moment(times[0]) if len(times) else None,
        last=_moment(times[-1]) if len(times) else None,
        gaps=len(gaps),
        missing_bars=sum(gap.missing for gap in gaps),
        zero_volume=int((columns["volume"] == 0).sum()) if traded else 0,
        filled=int(is_filled(frame).sum()) if traded else 0,
        jumps=count_jumps(columns["close"]),
        fingerprint=fingerprint(times, columns),
        gap_list=gaps,
    )


def check_funding(frame: pd.DataFrame, pair: str, timeframe: str) -> CandleReport:
    """Return the report of funding rates: any sign, times ascending but on no grid, since settlements drift."""
    source = f"{pair} {timeframe} funding_rate"
    times = open_times(frame, source, timeframe, on_grid=False)
    rate = numbers(frame, "funding_rate", source)
    _refuse(~np.isfinite(rate), rate, times, source, "funding_rate", "a finite number")
    return CandleReport(
        pair=pair,
        timeframe=timeframe,
        candle_type="funding_rate",
        rows=len(times),
        first=_moment(times[0]) if len(times) else None,
        last=_moment(times[-1]) if len(times) else None,
        gaps=0,
        missing_bars=0,
        zero_volume=0,
        filled=0,
        jumps=0,
        fingerprint=fingerprint(times, {"funding_rate": rate}),
    )


def resolve_candle_type(pair: str, candle_type: str) -> str:
    """Return the kind of candles meant: "auto" is futures for a pair with a settlement currency, else spot."""
    if candle_type not in ("auto", "spot", "futures", "mark", "funding_rate"):
        raise ValueError(f"candle_type is {candle_type!r}, expected auto, spot, futures, mark or funding_rate")
    if candle_type == "auto":
        return "futures" if ":" in pair else "spot"
    return candle_type


def open_times(
    frame: pd.DataFrame | Mapping[str, pd.Series], source: str, timeframe: str, on_grid: bool = True
) -> NDArray[np.int64]:
    """Return the open times in milliseconds since 1970: UTC, strictly ascending, on the timeframe's grid (DQ-1)."""
    step = timeframe_ms(timeframe)
    if "date" not in frame:
        raise BadCandles(f"{source}: column date is missing, found {', '.join(map(str, frame)) or 'none'}")
    times = _milliseconds(frame["date"], source)
    absurd = np.flatnonzero((times < 0) | (times > LAST_MS))
    if len(absurd):
        row = int(absurd[0])
        raise BadCandles(f"{source}: row {row} has date {times[row]}, expected milliseconds between 1970 and 2200")
    back = np.flatnonzero(np.diff(times) <= 0)
    if len(back):
        row = int(back[0]) + 1
        word = "repeats" if times[row] == times[row - 1] else "is earlier than"
        raise BadCandles(
            f"{source}: row {row} opens at {_moment(times[row]).isoformat()} and {word} row {row - 1} "
            f"({_moment(times[row - 1]).isoformat()}), expected ascending times without duplicates"
        )
    off = np.flatnonzero(times % step)
    if on_grid and len(off):
        row = int(off[0])
        raise BadCandles(
            f"{source}: row {row} opens at {_moment(times[row]).isoformat()}, expected a whole multiple of {timeframe}"
        )
    return times


def _milliseconds(date: pd.Series, source: str) -> NDArray[np.int64]:
    if date.dtype == np.int64:
        return date.to_numpy()
    if not isinstance(date.dtype, pd.DatetimeTZDtype) or str(date.dtype.tz) != "UTC":
        raise BadCandles(f"{source}: date has type {date.dtype}, expected UTC datetimes or int64 milliseconds")
    missing = np.flatnonzero(date.isna())
    if len(missing):
        raise BadCandles(f"{source}: row {missing[0]} has no date, expected a UTC time")
    moments = date.dt.tz_localize(None).to_numpy()
    times = moments.astype("datetime64[ms]")
    fine = np.flatnonzero(times != moments)
    if len(fine):
        raise BadCandles(f"{source}: row {fine[0]} opens at {moments[fine[0]]}, expected whole milliseconds")
    return times.astype(np.int64)


def check_prices(columns: dict[str, NDArray[np.float64]], times: NDArray[np.int64], source: str) -> None:
    """Refuse a price that is no price, and a bar whose high or low does not bound its open and close (DQ-3)."""
    for name in PRICES:
        price = columns[name]
        _refuse(~(np.isfinite(price) & (price > 0)), price, times, source, name, "a finite price above 0")
    high, low = columns["high"], columns["low"]
    _refuse(high < low, high, times, source, "high", "a high of at least the low", low)
    top = np.maximum(columns["open"], columns["close"])
    _refuse(high < top, high, times, source, "high", "at least open and close", top)
    bottom = np.minimum(columns["open"], columns["close"])
    _refuse(low > bottom, low, times, source, "low", "at most open and close", bottom)


def check_volume(volume: NDArray[np.float64], times: NDArray[np.int64], source: str) -> None:
    """Refuse a volume that is negative or not finite; zero is legal (DQ-3, DQ-5)."""
    _refuse(~(np.isfinite(volume) & (volume >= 0)), volume, times, source, "volume", "a finite volume of at least 0")


def is_filled(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which bars look like those Freqtrade fills into holes: flat, without volume (DQ-4)."""
    opened, high, low, close, volume = (frame[name].to_numpy() for name in OHLCV)
    return (volume == 0) & (opened == high) & (high == low) & (low == close)


def count_jumps(close: NDArray[np.float64]) -> int:
    """Count log returns beyond 20 standard deviations of the 96 before them (DQ-7).

    The return itself is left out of its own yardstick: among 96 values none can be 20 of their deviations away.
    """
    if len(close) < JUMP_BARS + 2:
        return 0
    returns = pd.Series(np.diff(np.log(close)))
    spread = returns.rolling(JUMP_BARS).std(ddof=0).shift(1)
    return int((returns.abs() > JUMP_SIGMAS * spread).sum())


def fingerprint(times: NDArray[np.int64], columns: dict[str, NDArray[np.float64]]) -> str:
    """Return the SHA-256 of times and values, little-endian, column by column; -0.0 counts as 0.0."""
    digest = hashlib.sha256(f"{len(times)} date {' '.join(columns)}\n".encode())
    digest.update(times.astype("<i8").tobytes())
    for values in columns.values():
        digest.update((values + 0.0).astype("<f8").tobytes())
    return digest.hexdigest()


def drop_unfinished(frame: pd.DataFrame, pair: str, timeframe: str, now: datetime) -> tuple[pd.DataFrame, str | None]:
    """Return the frame without a last candle that is still open at `now` (DQ-2), and why; future rows are refused."""
    times = open_times(frame, f"{pair} {timeframe}", timeframe)
    if now.tzinfo is None:
        raise ValueError(f"now is {now.isoformat()}, expected a time with a time zone")
    now_ms = int(now.timestamp() * 1000)
    future = np.flatnonzero(times > now_ms)
    if len(future):
        row = int(future[0])
        raise BadCandles(
            f"{pair} {timeframe}: row {row} opens at {_moment(times[row]).isoformat()}, after {now.isoformat()}; "
            "expected no candle from the future"
        )
    if len(times) and times[-1] + timeframe_ms(timeframe) > now_ms:
        return frame.iloc[:-1], "INCOMPLETE_BAR"
    return frame, None


def with_dropped(report: CandleReport, dropped: str | None) -> CandleReport:
    """Return the report with the reason for which the last candle was left out."""
    return replace(report, dropped=dropped)


def _gaps(times: NDArray[np.int64], timeframe: str) -> Iterable[Gap]:
    step = timeframe_ms(timeframe)
    for row in np.flatnonzero(np.diff(times) != step):
        yield Gap(_moment(times[row]), _moment(times[row + 1]), int((times[row + 1] - times[row]) // step) - 1)


def numbers(frame: pd.DataFrame, name: str, source: str) -> NDArray[np.float64]:
    """Return a column as float64; a missing one, or one that holds no numbers, is refused by name."""
    if name not in frame:
        raise BadCandles(f"{source}: column {name} is missing, found {', '.join(map(str, frame))}")
    if not pd.api.types.is_numeric_dtype(frame[name].dtype) or pd.api.types.is_bool_dtype(frame[name].dtype):
        raise BadCandles(f"{source}: column {name} has type {frame[name].dtype}, expected numbers")
    return frame[name].to_numpy(dtype=np.float64, na_value=np.nan)


def _refuse(
    wrong: NDArray[np.bool_],
    values: NDArray[np.float64],
    times: NDArray[np.int64],
    source: str,
    name: str,
    expected: str,
    bound: NDArray[np.float64] | None = None,
) -> None:
    if not wrong.any():
        return
    row = int(np.argmax(wrong))
    limit = "" if bound is None else f" ({float(bound[row])!r})"
    more = f"; {int(wrong.sum())} rows like it" if wrong.sum() > 1 else ""
    raise BadCandles(
        f"{source}: row {row} ({_moment(times[row]).isoformat()}) has {name} {float(values[row])!r}, "
        f"expected {expected}{limit}{more}"
    )


def _moment(ms: int | np.int64) -> datetime:
    return pd.Timestamp(int(ms), unit="ms", tz="UTC").to_pydatetime()
