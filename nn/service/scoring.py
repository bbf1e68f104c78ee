"""The one as-of function: which version may score a candle, and the forecast that it gives (ASO-1, ASO-2).

From: checked candles of one or several pairs and the verified versions of one model line. To: `wire` and `arrow`.

A row's answer is the same to the last bit whatever else is asked: see `backends.batches`. Scaled rows and tokens exist
for one section of candles at a time, so that memory does not grow with them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.quality import OHLCV
from ..data.timeframe import timeframe_ms
from ..data.windows import first_start_without_hole

SECTION = 1024  # windows that are scaled and embedded together; no bit of an answer depends on it
REASONS = ("no_version", "warmup", "gap", "stale", "not_finite", "unclosed", "outlier")
NO_VERSION, WARMUP, GAP, STALE, NOT_FINITE, UNCLOSED, OUTLIER = range(len(REASONS))
NONE = -1
N_THREADS = len(os.sched_getaffinity(0))
FEATURE_THREADS = ThreadPoolExecutor(N_THREADS, "features")  # for all requests together


@dataclass(frozen=True)
class Features:
    """Features of a frame from the row `first` on: what comes before only warms them up."""

    first: int
    rows: NDArray[np.float32]


Candles = Mapping[str, NDArray[np.generic]]  # the columns of a frame as plain arrays
Known = dict[tuple[str, int], Features]  # by the digest of the features and the index of the frame


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
    def features(self, frame: Candles, first: int) -> NDArray[np.float32]: ...
    def scaled(self, features: NDArray[np.float32]) -> NDArray[np.float32]: ...
    def forecast(self, rows: NDArray[np.float32], ends: NDArray[np.int64]) -> NDArray[np.float32]: ...
    def outlying(self, rows: NDArray[np.float32], ends: NDArray[np.int64]) -> NDArray[np.bool_]: ...


@dataclass(frozen=True)
class Forecasts:
    """One row per candle that was asked for; `version` and `reason_codes` are NONE where there is none."""

    columns: tuple[str, ...]  # of values
    block: NDArray[np.int32]  # index of the block of candles that a row is of
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
    frames: Sequence[Candles | pd.DataFrame],
    timeframe: str,
    columns: tuple[str, ...],
    last_only: bool = False,
    between_batches: Callable[[], None] = lambda: None,
    known: Known | None = None,
) -> Forecasts:
    """Return the forecasts of closed candles, each by the version that was allowed at its close.

    Parameters
    ----------
    versions : sequence of Scorer
        Ascending by valid_from. A live request passes the champion alone.
    frames : sequence of mapping or DataFrame
        Checked candles of one pair each, oldest first: date (open time, int64 milliseconds), open, high, low, close,
        volume. The answer's rows are those of the first frame, then of the second, and so on.
    columns : tuple of str
        Of the line that the versions are of.
    last_only : bool
        Answer the newest candle of each frame only; the others are its context.
    between_batches : callable
        Called now and then; what it raises ends the work (deadline, client gone).
    known : Known, optional
        Features computed before from the same frames; new ones are added, so that a second line need not.
    """
    known = {} if known is None else known
    candles = [{name: np.asarray(frame[name]) for name in ("date", *OHLCV)} for frame in frames]
    step = timeframe_ms(timeframe)
    valid_from = np.array([each.valid_from_ms for each in versions], dtype=np.int64)
    heights = [len(each["date"]) for each in candles]
    rows = [np.arange(height - 1 if last_only else 0, height) for height in heights]  # asked for, by frame
    open_ms = [each["date"][mine] for each, mine in zip(candles, rows, strict=True)]
    allowed = [newest_allowed(valid_from, opened + step) for opened in open_ms]
    block = np.repeat(np.arange(len(frames), dtype=np.int32), [len(mine) for mine in rows])
    answer = Forecasts(
        columns=tuple(columns),
        block=block,
        open_ms=np.concatenate(open_ms),
        values=np.full((len(block), len(columns)), np.nan, dtype=np.float32),
        version=np.full(len(block), NONE, dtype=np.int32),
        versions=tuple(each.version for each in versions),
        reason_codes=np.full(len(block), NO_VERSION, dtype=np.int32),
    )
    offsets = np.cumsum([0, *(len(mine) for mine in rows)])
    for index in np.unique(np.concatenate(allowed)):
        if index == NONE:
            continue
        version, work = versions[index], Work(versions[index])
        todo: list[tuple[int, NDArray[np.int64], NDArray[np.int64]]] = []  # frame, ends in it, rows of the answer
        for k, each in enumerate(candles):
            chosen = np.flatnonzero(allowed[k] == index)
            mine, places = rows[k][chosen], offsets[k] + chosen
            usable = usable_rows(each, step, version)[mine]
            answer.reason_codes[places] = np.where(mine < version.warmup + version.context_length - 1, WARMUP, GAP)
            if usable.any():
                todo.append((k, mine[usable], places[usable]))
        compute_missing(version, candles, {k: int(ends[0]) - version.context_length + 1 for k, ends, _ in todo}, known)
        for k, ends, places in todo:
            work.add(known[version.feature_digest, k], ends, places)
        if not work.places:
            continue
        places = np.concatenate(work.places)
        values, outlying = run_sections(version, *work.joined(), len(columns), between_batches)
        finite = np.isfinite(values).all(1)
        good = finite & ~outlying
        answer.values[places[good]] = values[good]
        answer.version[places[good]] = index
        answer.reason_codes[places] = np.select([good, finite], [NONE, OUTLIER], NOT_FINITE)
    return answer


class Work:
    """What one version has to score: features of several frames below one another, and where windows end in them."""

    def __init__(self, version: Scorer) -> None:
        self.version = version
        self.features: list[NDArray[np.float32]] = []
        self.ends: list[NDArray[np.int64]] = []
        self.places: list[NDArray[np.int64]] = []  # rows of the answer
        self.height = 0

    def add(self, features: Features, ends: NDArray[np.int64], places: NDArray[np.int64]) -> None:
        start, stop = ends[0] - self.version.context_length + 1, ends[-1] + 1
        self.features.append(features.rows[start - features.first : stop - features.first])
        self.ends.append(ends - start + self.height)
        self.places.append(places)
        self.height += int(stop - start)

    def joined(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the features, of which nothing is copied where they are of one frame, and the ends in them."""
        features = self.features[0] if len(self.features) == 1 else np.concatenate(self.features)
        return features, np.concatenate(self.ends)


def usable_rows(candles: Candles, step: int, version: Scorer) -> NDArray[np.bool_]:
    """Tell at which rows a window may end: warmed up, and no hole of more than 3 bars in it (DQ-4).

    The same rule as `nn.data.windows.usable_ends`, for candles that were checked already.
    """
    opened, high, low, close, volume = (candles[name] for name in OHLCV)
    filled = (volume == 0) & (opened == high) & (high == low) & (low == close)
    earliest = np.maximum(
        first_start_without_hole(candles["date"].astype(np.int64, copy=False), filled, step), version.warmup
    )
    return np.arange(len(filled)) - (version.context_length - 1) >= earliest


def compute_missing(version: Scorer, candles: Sequence[Candles], wanted: Mapping[int, int], known: Known) -> None:
    """Compute features that are not known yet, several frames at a time: the kernels free the interpreter's lock.

    `wanted` has the first row that is read of each frame.
    """
    digest = version.feature_digest

    def compute(frames: Sequence[int]) -> None:
        for k in frames:
            known[digest, k] = Features(wanted[k], version.features(candles[k], wanted[k]))

    missing = [k for k, first in wanted.items() if (digest, k) not in known or known[digest, k].first > first]
    shares = [missing[k::N_THREADS] for k in range(N_THREADS)]
    for _ in (map if len(missing) < 2 else FEATURE_THREADS.map)(compute, shares):
        continue  # what was raised there is raised here


def run_sections(
    version: Scorer,
    features: NDArray[np.float32],
    ends: NDArray[np.int64],
    n_columns: int,
    between_batches: Callable[[], None],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the forecasts (len(ends), n_columns) of the windows that end at `ends`, and which are outliers (SRV-11).

    Outliers are few: to leave them out of the batches would save nothing.
    """
    out = np.empty((len(ends), n_columns), dtype=np.float32)
    outlying = np.zeros(len(ends), dtype=np.bool_)
    for start in range(0, len(ends), SECTION):
        between_batches()
        part = ends[start : start + SECTION]
        first = part[0] - version.context_length + 1
        rows = version.scaled(features[first : part[-1] + 1])
        out[start : start + len(part)] = version.forecast(rows, part - first)
        outlying[start : start + len(part)] = version.outlying(rows, part - first)
    return out, outlying


def withdrawn(answer: Forecasts, rows: NDArray[np.bool_], reason: int) -> Forecasts:
    """Return the answer without the forecasts of these rows, and with the reason in their place."""
    if not rows.any():
        return answer
    values = np.where(rows[:, None], np.float32(np.nan), answer.values)
    version = np.where(rows, np.int32(NONE), answer.version)
    return replace(
        answer, values=values, version=version, reason_codes=np.where(rows, np.int32(reason), answer.reason_codes)
    )
