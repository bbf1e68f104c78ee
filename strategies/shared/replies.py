"""Replies as columns of a frame: every answer on its own candle, NaN on every other (ASO-4).

From: a reply whose dates have been checked, or the answers of earlier live candles. To: the forecast source.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from strategies.shared.wire import FORECAST_COLUMNS

# Open time in ms: the candle that was asked about, its forecast, the version that made it.
Answered = dict[int, tuple[tuple[float, ...], np.ndarray, str]]


def scored_columns(
    table: pa.Table, dates: np.ndarray, versions: Iterable[Mapping[str, Any]], timeframe: str
) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """Return the columns and what is wrong with the reply, as (cause, words).

    A row is whole, finite and by a listed version that existed when its candle closed, or it is missing (CLT-4, ASO-1).

    Parameters
    ----------
    table : pyarrow.Table
        As `wire.decode` returns it.
    dates : ndarray of int64
        Open times in ms, one per row.
    versions : iterable of mapping
        Of the model list, with `version` and `valid_from`.
    timeframe : str
        Length of a candle.
    """
    values = np.empty((len(dates), len(FORECAST_COLUMNS)), dtype=np.float32)
    for position, name in enumerate(FORECAST_COLUMNS):
        values[:, position] = table[name].to_numpy(zero_copy_only=False)
    version = pd.Series(table["model_version"].to_numpy(zero_copy_only=False), dtype="str")
    usable = version.notna().to_numpy(copy=True)
    valid_from = {item["version"]: milliseconds(item["valid_from"]) for item in versions}
    close_times = dates + int(pd.Timedelta(timeframe.replace("m", "min")).total_seconds() * 1000)
    faults = []
    if (broken := usable & ~np.isfinite(values).all(axis=1)).any():
        faults.append(("mismatch", f"{broken.sum()} rows name a version but hold numbers that are missing or infinite"))
        usable &= ~broken
    codes, names = pd.factorize(version)
    for code, name in enumerate(names):
        rows = usable & (codes == code)
        if name not in valid_from:
            faults.append(("mismatch", f"version {name} of the reply is not one that /models lists"))
            usable &= ~rows
        elif (early := rows & (close_times < valid_from[name])).any():
            faults.append(("leak", f"version {name} scored {early.sum()} candles from before its valid_from"))
            usable &= ~early
    values[~usable] = np.nan
    answer = pd.DataFrame(values, columns=list(FORECAST_COLUMNS), copy=False)
    answer["model_version"] = version.where(usable)
    return answer, faults


def own_columns(dates: np.ndarray, answered: Answered) -> pd.DataFrame:
    """Return the live answers so far, each on its own candle."""
    answer = empty_columns(pd.RangeIndex(len(dates)))
    values = np.full((len(dates), len(FORECAST_COLUMNS)), np.nan, dtype=np.float32)
    version: list[str | None] = [None] * len(dates)
    for row, date in enumerate(dates.tolist()):
        if date in answered:
            _, values[row], version[row] = answered[date]
    answer[list(FORECAST_COLUMNS)] = values
    answer["model_version"] = pd.Series(version, dtype="str")
    return answer


def empty_columns(index: pd.Index) -> pd.DataFrame:
    """Return the columns of a frame without any forecast."""
    values = np.full((len(index), len(FORECAST_COLUMNS)), np.nan, dtype=np.float32)
    answer = pd.DataFrame(values, columns=list(FORECAST_COLUMNS), index=index)
    answer["model_version"] = pd.Series(None, index=index, dtype="str")
    return answer


def milliseconds(iso: str) -> int:
    """Return a time of the model list in ms; the list speaks UTC, said or not."""
    time = datetime.fromisoformat(iso)
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
