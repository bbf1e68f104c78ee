"""The border: candles come in, checked columns go on. From: a mapping, a DataFrame or one bar. To: the compiled loops.

Checked here and nowhere later: columns, dtypes, lengths, time order, the timeframe's grid, finite values, prices above
0, the candle's shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .engine import FAULTS, first_fault
from .primitives import COLUMNS, OPTIONAL

ENOUGH = 10  # rows from which on their distances tell the timeframe
EARLIEST, LATEST = -(10**15), 10**15  # ms: beyond them a time is in another unit; 2001 is 10**15 microseconds
_EXPECTED = dict.fromkeys(COLUMNS, "a finite price above 0") | {"volume": "a finite volume of at least 0"}


def read_frame(frame: Any, bar_ms: int, optional: tuple[str, ...] = ()) -> tuple[np.ndarray, list[np.ndarray | None]]:
    """Return (open times in ms, columns), contiguous and checked, from a mapping or a DataFrame of candles.

    Parameters
    ----------
    frame : Mapping or pandas.DataFrame
        `date` (open time: datetime64, tz-aware UTC, or int64 milliseconds since 1970), open, high, low, close, volume.
        float64 columns are read in place; float32 and integers are converted.
    bar_ms : int
        Length of a bar: every candle opens in another cell of this grid.
    optional : tuple of str
        Columns to read where the frame has them; NaN in them means not known.

    Returns
    -------
    tuple of ndarray of int64 and list of ndarray of float64
        In the order of `COLUMNS`, then `optional` with None for a column that the frame does not have.

    Raises
    ------
    ValueError
        If a column is missing, has the wrong type or length, or a row is no candle; the message names the row.
    """
    missing = [name for name in ("date", *COLUMNS) if name not in frame]
    if missing:
        raise ValueError(f"frame has no column {missing[0]!r}, expected date, {', '.join(COLUMNS)}")
    date = read_times(frame["date"])
    columns = [read_numbers(name, frame[name], len(date)) for name in COLUMNS]
    check_candles(date, columns, bar_ms)
    check_timeframe(date, bar_ms, "frame")
    return date, columns + [_read_optional(name, frame, len(date)) for name in optional]


def check_timeframe(date: np.ndarray, bar_ms: int, whose: str) -> None:
    """Refuse bars that are plainly of a slower timeframe: an hour taken for a quarter would be seen too early."""
    step = int(np.gcd.reduce(np.diff(date))) if len(date) >= ENOUGH else bar_ms
    if step > bar_ms and step % bar_ms == 0:
        raise ValueError(f"{whose} has bars {step} ms apart, or multiples of that, expected bars of {bar_ms} ms")


def check_candles(date: np.ndarray, columns: list[np.ndarray], bar_ms: int) -> None:
    """Refuse the first row that is no candle, by row, column and value."""
    row, fault = first_fault(bar_ms, date, *columns)
    if row < 0:
        return
    values = {name: float(column[row]) for name, column in zip(COLUMNS, columns, strict=True)}
    what = FAULTS[fault]
    if what in values:
        raise ValueError(f"{what} in row {row} is {values[what]}, expected {_EXPECTED[what]}")
    if fault in (1, 10):
        now, was = (str(date[k].astype("datetime64[ms]")) for k in (row, row - 1))
        if fault == 10:
            raise ValueError(
                f"date in row {row} is {now}, expected a bar of {bar_ms} ms later than {was} of row {row - 1}"
            )
        raise ValueError(f"date in row {row} is {now}, expected a time after {was} of row {row - 1}")
    prices = ", ".join(f"{name} {values[name]}" for name in COLUMNS[:4])
    raise ValueError(f"row {row} has {what}: {prices}; expected low <= open, close <= high")


def read_times(values: Any) -> np.ndarray:
    """Return open times as contiguous int64 milliseconds, UTC."""
    dtype = getattr(values, "dtype", None)
    if getattr(dtype, "tz", None) is not None:  # a tz-aware pandas Series or Index; to_numpy gives its UTC instants
        values = values.to_numpy(dtype="datetime64[ms]")
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"date has {array.ndim} dimensions, expected 1")
    if array.dtype.kind == "M":
        if np.isnat(array).any():
            raise ValueError(f"date in row {int(np.isnat(array).argmax())} is NaT, expected a time")
        array = array.astype("datetime64[ms]").view(np.int64)
    elif array.dtype.kind not in "iu" and len(array):
        raise ValueError(f"date has dtype {array.dtype}, expected datetime64 or int64 milliseconds")
    if len(array) and not (array.min() > EARLIEST and array.max() < LATEST):
        row = int(((array <= EARLIEST) | (array >= LATEST)).argmax())
        raise ValueError(f"date in row {row} is {array[row]}, expected milliseconds since 1970, UTC")
    return np.ascontiguousarray(array, dtype=np.int64)


def read_numbers(name: str, values: Any, length: int) -> np.ndarray:
    """Return a column as contiguous float64, the very array where it is that already."""
    if np.ma.is_masked(values):
        raise ValueError(f"{name} has masked values, expected numbers, or NaN where not known")
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name} has {array.ndim} dimensions, expected 1")
    if array.dtype.kind not in "fiu" and len(array):
        raise ValueError(f"{name} has dtype {array.dtype}, expected a real number type")
    if len(array) != length:
        raise ValueError(f"{name} has {len(array)} values, date has {length}")
    return np.ascontiguousarray(array, dtype=np.float64)


def _read_optional(name: str, frame: Any, length: int) -> np.ndarray | None:
    if name not in frame:
        return None
    values = read_numbers(name, frame[name], length)
    if np.isinf(values).any():
        row = int(np.isinf(values).argmax())
        raise ValueError(
            f"{name} in row {row} is {values[row]}, expected a finite number, or NaN where it is not known"
        )
    return values


def read_bar(bar: Any) -> tuple[tuple[Any, ...], dict[str, float]]:
    """Return (date, open, high, low, close, volume) and the optional values of a mapping or a sequence of six."""
    if isinstance(bar, Mapping) or hasattr(bar, "keys"):  # a pandas row is no Mapping
        try:
            candle = (bar["date"], bar["open"], bar["high"], bar["low"], bar["close"], bar["volume"])
        except KeyError as missing:
            raise ValueError(f"bar has no {missing}, expected date, {', '.join(COLUMNS)}") from None
        return candle, {name: _number(name, bar[name]) for name in OPTIONAL if name in bar.keys()}  # noqa: SIM118
    candle = tuple(bar)
    if len(candle) != 6:
        raise ValueError(f"bar has {len(candle)} values, expected date, {', '.join(COLUMNS)}")
    return candle, {}


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} of the bar is {value!r}, expected a number, or NaN where it is not known") from None
    if np.isinf(number):
        raise ValueError(f"{name} of the bar is {number}, expected a finite number, or NaN where it is not known")
    return number


def read_bar_time(date: Any) -> int:
    """Return the open time of one bar in milliseconds, from an integer, a datetime64 or a pandas Timestamp."""
    time: int | None = None
    if isinstance(date, (int, np.integer)) and not isinstance(date, bool):
        time = int(date)
    elif isinstance(date, np.datetime64) and not np.isnat(date):
        time = int(date.astype("datetime64[ms]").astype(np.int64))
    elif getattr(date, "tzinfo", None) is not None and hasattr(date, "timestamp"):
        time = round(date.timestamp() * 1000)
    if time is not None and EARLIEST < time < LATEST:
        return time
    raise ValueError(f"date of the bar is {date!r}, expected int milliseconds, datetime64 or a time with a zone")
