"""The one as-of function: which version may score a candle, and the forecast that it gives (ASO-1, ASO-2).

From: checked candles of one or several pairs and the verified versions of one model line. To: `wire` and `arrow`.

A row's answer is the same to the last bit whatever else is asked: see `backends.batches`. Features, scaled rows and
tokens exist for one section of candles at a time: of what grows with them there is the answer alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tradekernels.features import Reader

from ..data.quality import OHLCV
from ..data.timeframe import timeframe_ms
from ..data.windows import first_start_without_hole
from .feature_rows import FeatureRows

SECTION = 1024  # windows that are read, scaled and embedded together; no bit of an answer depends on it
REASONS = ("no_version", "warmup", "gap", "stale", "not_finite", "unclosed", "outlier")
NO_VERSION, WARMUP, GAP, STALE, NOT_FINITE, UNCLOSED, OUTLIER = range(len(REASONS))
NONE = -1
N_THREADS = len(os.sched_getaffinity(0))
FEATURE_THREADS = ThreadPoolExecutor(N_THREADS, "features")  # for all requests together


Candles = Mapping[str, NDArray[np.generic]]  # the columns of a frame as plain arrays
Known = dict[tuple[str, int], FeatureRows]  # by the digest of the features and the index of the frame


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
    def reader(self, frame: Candles) -> Reader: ...
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
        Features read before from the same frames; new ones are added, so that a second live line finds them.
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
        version = versions[index]
        pieces = []
        for k, each in enumerate(candles):
            chosen = np.flatnonzero(allowed[k] == index)
            if not len(chosen):
                continue
            mine, places = rows[k][chosen], offsets[k] + chosen
            usable = usable_rows(each, step, version, int(mine[0]))[mine - mine[0]]
            answer.reason_codes[places] = np.where(mine < version.warmup + version.context_length - 1, WARMUP, GAP)
            if usable.any():
                pieces.append(Piece(k, mine[usable], places[usable]))
        for section in sections(pieces):
            between_batches()
            values, outlying = run_section(version, *read_section(version, candles, section, known))
            places = np.concatenate([piece.places for piece in section])
            finite = np.isfinite(values).all(1)
            good = finite & ~outlying
            answer.values[places[good]] = values[good]
            answer.version[places[good]] = index
            answer.reason_codes[places] = np.select([good, finite], [NONE, OUTLIER], NOT_FINITE)
    return answer


@dataclass(frozen=True)
class Piece:
    """What one version has to score of one frame."""

    frame: int
    ends: NDArray[np.int64]  # rows of the frame at which the windows end, ascending
    places: NDArray[np.int64]  # rows of the answer

    def split(self, count: int) -> tuple[Piece, Piece]:
        """Return the first `count` windows and the others."""
        here, later = slice(None, count), slice(count, None)
        return (
            Piece(self.frame, self.ends[here], self.places[here]),
            Piece(self.frame, self.ends[later], self.places[later]),
        )


def sections(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Yield the pieces in order, in sections of at most SECTION windows."""
    section: list[Piece] = []
    room = SECTION
    for piece in pieces:
        rest = piece
        while len(rest.ends):
            here, rest = rest.split(room)
            section.append(here)
            room -= len(here.ends)
            if not room:
                yield section
                section, room = [], SECTION
    if section:
        yield section


def usable_rows(candles: Candles, step: int, version: Scorer, first: int = 0) -> NDArray[np.bool_]:
    """Tell from row `first` on where a window may end: warmed up, and no hole of more than 3 bars in it (DQ-4).

    The same rule as `nn.data.windows.usable_ends`, for candles that were checked already.
    """
    before = version.context_length - 1
    begin = max(first - before, 0)  # of a hole counts what lies inside the window
    opened, high, low, close, volume = (candles[name][begin:] for name in OHLCV)
    filled = (volume == 0) & (opened == high) & (high == low) & (low == close)
    date = candles["date"][begin:].astype(np.int64, copy=False)
    whole = date[-1] - date[0] == (len(date) - 1) * step and not filled.any()
    earliest = begin if whole else first_start_without_hole(date, filled, step) + begin
    return (np.arange(begin, begin + len(filled)) - before >= np.maximum(earliest, version.warmup))[first - begin :]


def read_section(
    version: Scorer, candles: Sequence[Candles], section: Sequence[Piece], known: Known
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the features of a section, frames below one another, and the rows of them at which its windows end.

    Several frames are computed at a time: the kernels free the interpreter's lock.
    """
    found: list[NDArray[np.float32]] = [np.empty((0, 0), dtype=np.float32)] * len(section)
    for piece in section:
        read = partial(version.reader, candles[piece.frame])
        known.setdefault((version.feature_digest, piece.frame), FeatureRows(read))

    def read_some(numbers: Sequence[int]) -> None:
        for number in numbers:
            piece = section[number]
            start, stop = int(piece.ends[0]) - version.context_length + 1, int(piece.ends[-1]) + 1
            found[number] = known[version.feature_digest, piece.frame].read(start, stop)

    shares = [range(len(section))[k::N_THREADS] for k in range(N_THREADS)]
    for _ in (map if len(section) < 2 else FEATURE_THREADS.map)(read_some, shares):
        continue  # what was raised there is raised here
    heights = np.cumsum([0, *(len(rows) for rows in found)])
    ends = [piece.ends - piece.ends[0] + version.context_length - 1 + heights[k] for k, piece in enumerate(section)]
    return found[0] if len(found) == 1 else np.concatenate(found), np.concatenate(ends)


def run_section(
    version: Scorer, features: NDArray[np.float32], ends: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the forecasts (len(ends), columns) of the windows that end at `ends`, and which are outliers (SRV-11).

    Outliers are few: to leave them out of the batches would save nothing.
    """
    rows = version.scaled(features)
    return version.forecast(rows, ends), version.outlying(rows, ends)


def withdrawn(answer: Forecasts, rows: NDArray[np.bool_], reason: int) -> Forecasts:
    """Return the answer without the forecasts of these rows, and with the reason in their place."""
    if not rows.any():
        return answer
    values = np.where(rows[:, None], np.float32(np.nan), answer.values)
    version = np.where(rows, np.int32(NONE), answer.version)
    return replace(
        answer, values=values, version=version, reason_codes=np.where(rows, np.int32(reason), answer.reason_codes)
    )
