"""Replies as columns of a frame: every answer on its own candle, NaN on every other (ASO-4).

From: a reply whose dates have been checked, or the answers of earlier live candles. To: `history` and `live`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from strategies.shared.forms import DECISION, Form
from strategies.shared.model_lines import Ensemble

AGE = "candle_to_signal_seconds"  # live: from the candle's close to its decision; NaN over history
COLUMNS = (*DECISION.numbers, AGE, *DECISION.texts)


@dataclass(frozen=True)
class LiveAnswer:
    """One live decision: the candle that was asked about, its numbers and texts, and how old it was when it came."""

    candle: tuple[float, ...]
    numbers: np.ndarray
    texts: tuple[str, ...]
    age: float


def scored_columns(
    table: pa.Table, dates: np.ndarray, lines: Ensemble, timeframe: str, form: Form = DECISION
) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """Return the columns and what is wrong with the reply, as (cause, words).

    A row is whole, finite, inside its ranges and by listed versions of all lines that existed when its candle closed,
    or it is missing whole (CLT-4, ASO-1, ENS-1).

    Parameters
    ----------
    table : pyarrow.Table
        As `wire.decode` returns it.
    dates : ndarray of int64
        Open times in ms, one per row.
    lines : Ensemble
        The lines, as the model list tells them.
    timeframe : str
        Length of a candle.
    form : Form
        What was asked.
    """
    values = np.empty((len(dates), len(form.numbers)), dtype=np.float32)
    for position, name in enumerate(form.numbers):
        values[:, position] = table[name].to_numpy(zero_copy_only=False)
    texts = {name: pd.Series(table[name].to_numpy(zero_copy_only=False), dtype="str") for name in form.texts}
    usable = np.logical_and.reduce([texts[name].notna().to_numpy() for name in form.versions])
    faults = []
    with np.errstate(invalid="ignore"):
        sound = form.sound(dict(zip(form.numbers, values.T, strict=True))) & np.isfinite(values).all(axis=1)
    if (broken := usable & ~sound).any():
        words = f"{broken.sum()} rows name their versions but hold numbers that are missing or out of range"
        faults.append(("mismatch", words))
        usable &= sound
    close_times = dates + candle_ms(timeframe)
    for name, valid_from in zip(form.versions, lines.valid_from, strict=True):
        codes, versions = pd.factorize(texts[name])
        for code, version in enumerate(versions):
            rows = usable & (codes == code)
            if version not in valid_from:
                faults.append(("mismatch", f"{name} {version} of the reply is not one that /models lists"))
                usable &= ~rows
            elif (early := rows & (close_times < valid_from[version])).any():
                faults.append(("leak", f"{name} {version} scored {early.sum()} candles from before its valid_from"))
                usable &= ~early
    values[~usable] = np.nan
    answer = pd.DataFrame(values, columns=list(form.numbers), copy=False)
    answer[AGE] = np.float32(np.nan)
    for name in form.texts:
        answer[name] = texts[name].where(usable)
    return answer, faults


def own_columns(dates: np.ndarray, answered: dict[int, LiveAnswer], form: Form = DECISION) -> pd.DataFrame:
    """Return the live answers so far, each on its own candle; `answered` is by open time in ms."""
    values = np.full((len(dates), len(form.numbers) + 1), np.nan, dtype=np.float32)
    texts: list[tuple[str | None, ...]] = [(None,) * len(form.texts)] * len(dates)
    for row, date in enumerate(dates.tolist()):
        if (found := answered.get(date)) is not None:
            values[row, :-1], values[row, -1], texts[row] = found.numbers, found.age, found.texts
    answer = pd.DataFrame(values, columns=[*form.numbers, AGE], copy=False)
    for position, name in enumerate(form.texts):
        answer[name] = pd.Series([each[position] for each in texts], dtype="str")
    return answer


def empty_columns(index: pd.Index, form: Form = DECISION) -> pd.DataFrame:
    """Return the columns of a frame without any forecast."""
    answer = own_columns(np.zeros(len(index), dtype=np.int64), {}, form)
    answer.index = index
    return answer


def candle_ms(timeframe: str) -> int:
    """Return the length of a candle in ms."""
    return int(pd.Timedelta(timeframe.replace("m", "min")).total_seconds() * 1000)
