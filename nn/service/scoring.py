"""The one as-of function: which version may score a candle, and the forecast that it gives (ASO-1, ASO-2).

From: checked candles of one pair and the verified versions of one model line. To: `wire` and `arrow`.

A row's answer is the same to the last bit whatever else is asked: every version runs in batches of one fixed shape, and
a candle's place in its batch comes from its absolute number since 1970, not from where the request happens to begin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ..data.timeframe import timeframe_ms
from ..data.windows import usable_ends

BATCH = 16  # windows in one run of a model; the answer's last bits depend on it
REASONS = ("no_version", "warmup", "gap", "stale", "not_finite")
NO_VERSION, WARMUP, GAP, STALE, NOT_FINITE = range(len(REASONS))
NONE = -1


class Scorer(Protocol):
    """What scoring needs of a loaded version; `versions.ServedVersion` is the real one."""

    @property
    def version(self) -> str: ...
    @property
    def valid_from_ms(self) -> int: ...
    @property
    def feature_digest(self) -> str: ...
    @property
    def warmup(self) -> int: ...
    @property
    def context_length(self) -> int: ...
    def features(self, frame: pd.DataFrame) -> NDArray[np.float32]: ...
    def scaled(self, features: NDArray[np.float32]) -> NDArray[np.float32]: ...
    def forecast(self, windows: torch.Tensor) -> torch.Tensor: ...


@dataclass(frozen=True)
class Forecasts:
    """One row per candle that was asked for; `version` and `reason_codes` are NONE where there is none."""

    open_ms: NDArray[np.int64]
    values: NDArray[np.float32]  # (rows, columns), NaN where not scored
    version: NDArray[np.int32]  # index into versions
    versions: tuple[str, ...]
    reason_codes: NDArray[np.int32]  # index into reason_words
    reason_words: tuple[str, ...] = REASONS

    @property
    def reasons(self) -> list[str | None]:
        return [None if code == NONE else self.reason_words[code] for code in self.reason_codes]

    @property
    def scored(self) -> NDArray[np.bool_]:
        return self.version != NONE


def newest_allowed(valid_from_ms: NDArray[np.int64], close_ms: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return for each close time the index of the version with the newest valid_from <= it, NONE if there is none.

    `valid_from_ms` ascends. This is the whole of the as-of rule; nothing else chooses a version.
    """
    return (np.searchsorted(valid_from_ms, close_ms, side="right") - 1).astype(np.int32)


def score(
    versions: Sequence[Scorer],
    frame: pd.DataFrame,
    timeframe: str,
    n_columns: int,
    last_only: bool = False,
    between_batches: Callable[[], None] = lambda: None,
) -> Forecasts:
    """Return the forecasts of closed candles, each by the version that was allowed at its close.

    Parameters
    ----------
    versions : sequence of Scorer
        Ascending by valid_from. A live request passes the champion alone.
    frame : DataFrame
        Checked candles, oldest first: date (open time, int64 milliseconds), open, high, low, close, volume.
    last_only : bool
        Answer the newest candle only; the others are its context.
    between_batches : callable
        Called now and then; what it raises ends the work (deadline, client gone).
    """
    step = timeframe_ms(timeframe)
    open_ms = frame["date"].to_numpy()
    n_rows = len(open_ms)
    first = n_rows - 1 if last_only else 0
    allowed = newest_allowed(np.array([each.valid_from_ms for each in versions], dtype=np.int64), open_ms + step)
    values = np.full((n_rows, n_columns), np.nan, dtype=np.float32)
    scored_by = np.full(n_rows, NONE, dtype=np.int32)
    reasons = np.full(n_rows, NO_VERSION, dtype=np.int32)
    features: dict[str, NDArray[np.float32]] = {}
    for index in np.unique(allowed[first:]):
        if index == NONE:
            continue
        version = versions[index]
        mine = np.flatnonzero(allowed == index)
        mine = mine[mine >= first]
        usable = usable_rows(frame, timeframe, version)
        reasons[mine] = np.where(mine < version.warmup + version.context_length - 1, WARMUP, GAP)
        ends = mine[usable[mine]]
        if not len(ends):
            continue
        if version.feature_digest not in features:
            features[version.feature_digest] = version.features(frame)
        start, stop = ends[0] - version.context_length + 1, ends[-1] + 1
        scaled = version.scaled(features[version.feature_digest][start:stop])
        answers = run_aligned(version, scaled, ends - start, open_ms[ends] // step, n_columns, between_batches)
        finite = np.isfinite(answers).all(1)
        values[ends[finite]] = answers[finite]
        scored_by[ends[finite]] = index
        reasons[ends] = np.where(finite, NONE, NOT_FINITE)
    names = tuple(each.version for each in versions)
    return Forecasts(open_ms[first:], values[first:], scored_by[first:], names, reasons[first:])


def usable_rows(frame: pd.DataFrame, timeframe: str, version: Scorer) -> NDArray[np.bool_]:
    """Tell at which rows a window may end: warmed up, and no hole of more than 3 bars in it (DQ-4)."""
    usable = np.zeros(len(frame), dtype=bool)
    usable[usable_ends(frame, timeframe, version.warmup, version.context_length)] = True
    return usable


def run_aligned(
    version: Scorer,
    scaled: NDArray[np.float32],
    ends: NDArray[np.int64],
    slots: NDArray[np.int64],
    n_columns: int,
    between_batches: Callable[[], None],
) -> NDArray[np.float32]:
    """Return the forecasts of the windows that end at `ends`, whose candles have the absolute numbers `slots`.

    Only one batch of windows is ever copied together; places that no window takes stay zero.
    """
    length = version.context_length
    windows = torch.from_numpy(scaled).unfold(0, length, 1).transpose(1, 2)  # (rows - L + 1, L, C), a view
    out = np.empty((len(ends), n_columns), dtype=np.float32)
    groups = slots // BATCH
    starts = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1))
    with torch.inference_mode():
        for start, stop in zip(starts, [*starts[1:], len(ends)], strict=True):
            between_batches()
            places = torch.from_numpy(slots[start:stop] % BATCH)
            batch = torch.zeros(BATCH, length, scaled.shape[1])
            batch[places] = windows[torch.from_numpy(ends[start:stop] - (length - 1))]
            out[start:stop] = version.forecast(batch)[places].numpy()
    return out


def stale(answer: Forecasts) -> Forecasts:
    """Return the answer with every forecast withdrawn, because its candle is too old to trade on (DQ-6)."""
    none = np.full_like(answer.version, NONE)
    values = np.full_like(answer.values, np.nan)
    return Forecasts(answer.open_ms, values, none, answer.versions, np.full_like(none, STALE))
