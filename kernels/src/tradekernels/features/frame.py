"""The border: candles come in, checked columns go on. From: a mapping, a DataFrame or one bar. To: the compiled loops.

Checked here and nowhere later: columns, dtypes, lengths, time order, finite values, prices above 0, the candle's shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .engine import FAULTS, first_fault
from .primitives import COLUMNS

_EXPECTED = dict.fromkeys(COLUMNS, "a finite price above 0") | {"volume": "a finite volume of at least 0"}


def read_frame(frame: Any) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Return (open times in ms, columns), contiguous and checked, from a mapping or a DataFrame of candles.

    Parameters
    ----------
    frame : Mapping or pandas.DataFrame
        `date` (open time: datetime64, tz-aware UTC, or int64 milliseconds since 1970), open, high, low, close, volume.
        float64 columns are read in place; float32 and integers are converted.

    Returns
    -------
    tuple of ndarray of int64 and tuple of ndarray of float64
        In the order of `COLUMNS`.

    Raises
    ------
    ValueError
        If a column is missing, has the wrong type or length, or a row is no candle; the message names the row.
    """
    missing = [name for name in ("date", *COLUMNS) if name not in frame]
    if missing:
        raise ValueError(f"frame has no column {missing[0]!r}, expected date, {', '.join(COLUMNS)}")
    date = _times(frame["date"])
    columns = tuple(_numbers(name, frame[name]) for name in COLUMNS)
    for name, values in zip(COLUMNS, columns, strict=True):
        if len(values) != len(date):
            raise ValueError(f"{name} has {len(values)} values, date has {len(date)}")
    check_candles(date, columns)
    return date, columns


def check_candles(date: np.ndarray, columns: tuple[np.ndarray, ...]) -> None:
    """Refuse the first row that is no candle, by row, column and value."""
    row, fault = first_fault(date, *columns)
    if row < 0:
        return
    values = {name: float(column[row]) for name, column in zip(COLUMNS, columns, strict=True)}
    what = FAULTS[fault]
    if what in values:
        raise ValueError(f"{what} in row {row} is {values[what]}, expected {_EXPECTED[what]}")
    if fault == 1:
        now, was = (str(date[k].astype("datetime64[ms]")) for k in (row, row - 1))
        raise ValueError(f"date in row {row} is {now}, expected a time after {was} of row {row - 1}")
    prices = ", ".join(f"{name} {values[name]}" for name in COLUMNS[:4])
    raise ValueError(f"row {row} has {what}: {prices}; expected low <= open, close <= high")


def _times(values: Any) -> np.ndarray:
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
    return np.ascontiguousarray(array, dtype=np.int64)


def _numbers(name: str, values: Any) -> np.ndarray:
    """Return a column as contiguous float64, the very array where it is that already."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name} has {array.ndim} dimensions, expected 1")
    if array.dtype.kind not in "fiu" and len(array):
        raise ValueError(f"{name} has dtype {array.dtype}, expected a real number type")
    return np.ascontiguousarray(array, dtype=np.float64)


def read_bar(bar: Any) -> tuple[Any, ...]:
    """Return (date, open, high, low, close, volume) of a mapping or a sequence of six."""
    if isinstance(bar, Mapping) or hasattr(bar, "keys"):  # a pandas row is no Mapping
        try:
            return (bar["date"], bar["open"], bar["high"], bar["low"], bar["close"], bar["volume"])
        except KeyError as missing:
            raise ValueError(f"bar has no {missing}, expected date, {', '.join(COLUMNS)}") from None
    bar = tuple(bar)
    if len(bar) != 6:
        raise ValueError(f"bar has {len(bar)} values, expected date, {', '.join(COLUMNS)}")
    return bar


def bar_time(date: Any) -> int:
    """Return the open time of one bar in milliseconds, from an integer, a datetime64 or a pandas Timestamp."""
    if isinstance(date, (int, np.integer)) and not isinstance(date, bool):
        return int(date)
    if isinstance(date, np.datetime64) and not np.isnat(date):
        return int(date.astype("datetime64[ms]").astype(np.int64))
    if getattr(date, "tzinfo", None) is not None and hasattr(date, "timestamp"):
        return round(date.timestamp() * 1000)
    raise ValueError(f"date of the bar is {date!r}, expected int milliseconds, datetime64 or a time with a zone")
