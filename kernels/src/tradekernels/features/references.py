"""Other pairs that a pair's features look at. From: their frames, or their bars. To: closes as of each bar's close.

A reference bar counts from its own close time on, so an hour is seen only when it is over. Before the first close, and
when the newest close is two of the reference's bars old or more, the pair is not known: NaN.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .engine import as_of
from .frame import check_timeframe, read_numbers, read_times
from .span import milliseconds

NEVER = -(2**62)  # ms: before any bar
Key = str | tuple[str, str]  # a pair on the timeframe of the set, or (pair, timeframe)


@dataclass(frozen=True)
class References:
    """Frames of other pairs, and which of them are peers of the pair's own sector.

    Parameters
    ----------
    frames : Mapping of (str or (str, str)) to frame
        Candles by pair, or by (pair, timeframe) where the timeframe is not that of the feature set; `date` and `close`
        are read. All of them are the market; the first whose base is BTC is bitcoin.
    sector : sequence of keys, optional
        The pair's sector peers among them; by default all but bitcoin.
    """

    frames: Mapping[Any, Any]  # keys are `Key`s; a Mapping of str alone would not be one of Key to mypy
    sector: Sequence[Key] | None = None


@dataclass(frozen=True)
class Roster:
    """Who plays which part: references by position, and the columns that a program reads of them."""

    keys: tuple[Key, ...]
    btc: int | None
    sector: tuple[int, ...]

    @property
    def pairs(self) -> dict[str, int]:
        """How many pairs there are in each group that features average over."""
        return {"market": len(self.keys), "sector": len(self.sector)}

    def position(self, column: str) -> int | None:
        """Return which reference a program's column is, None where there is none."""
        group, _, k = column.partition(".")
        if group == "btc":
            return self.btc
        return int(k) if group == "market" else self.sector[int(k)]

    def reference(self, key: Key) -> int:
        """Return the position of a reference."""
        if key not in self.keys:
            raise ValueError(
                f"no reference is called {key!r}, expected one of {', '.join(map(repr, self.keys)) or 'none'}"
            )
        return self.keys.index(key)


NOBODY = Roster((), None, ())


def roster_of(keys: Sequence[Key], sector: Sequence[Key] | None) -> Roster:
    """Return the parts that these references play."""
    if isinstance(keys, str) or isinstance(sector, str):
        raise ValueError(f"references are {keys!r}, sector is {sector!r}, expected lists of pairs")
    keys = tuple(keys)
    for key in keys:
        if not isinstance(key, str) and not (isinstance(key, tuple) and len(key) == 2):
            raise ValueError(f"reference is {key!r}, expected a pair such as 'BTC/USDT' or a (pair, timeframe)")
    bitcoins = [k for k, key in enumerate(keys) if _pair(key).split("/")[0].upper() == "BTC"]
    btc = bitcoins[0] if bitcoins else None
    peers = [key for k, key in enumerate(keys) if k not in bitcoins] if sector is None else list(sector)
    if len(set(peers)) < len(peers):
        raise ValueError(f"sector is {peers}, expected every peer once")
    unknown = [key for key in peers if key not in keys]
    if unknown:
        raise ValueError(
            f"sector peer {unknown[0]!r} is not among the references {', '.join(map(repr, keys)) or 'none'}"
        )
    return Roster(keys, btc, tuple(keys.index(key) for key in peers))


def _pair(key: Key) -> str:
    return key if isinstance(key, str) else key[0]


def bar_length(key: Key, own_ms: int) -> int:
    """Return the length of a reference's bars in ms: the set's own unless its key names another timeframe."""
    return own_ms if isinstance(key, str) else milliseconds(key[1])


@dataclass(frozen=True)
class Closes:
    """One reference's closes by the time they were known."""

    known_at: np.ndarray  # int64 ms: close times
    close: np.ndarray
    max_age: int  # ms

    def at(self, times: np.ndarray) -> np.ndarray:
        """Return the close known at each of the ascending times, NaN where none is."""
        first = max(int(np.searchsorted(self.known_at, times[0], side="right")) - 1, 0) if len(times) else 0
        out = np.empty(len(times))
        as_of(self.known_at[first:], self.close[first:], times, self.max_age, out)
        return out


def read_closes(key: Key, frame: Any, own_ms: int) -> Closes:
    """Return a reference's closes, checked.

    Raises
    ------
    ValueError
        If date or close is missing or wrong, or the bars are plainly not of the timeframe that the key says: an hour
        taken for a quarter would be seen 45 minutes early.
    """
    bar_ms = bar_length(key, own_ms)
    for name in ("date", "close"):
        if name not in frame:
            raise ValueError(f"reference {key!r} has no column {name!r}")
    date = read_times(frame["date"])
    close = read_numbers("close", frame["close"], len(date))
    bad = ~(np.isfinite(close) & (close > 0))
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"reference {key!r}: close in row {row} is {close[row]}, expected a finite price above 0")
    cells = date // bar_ms
    if (cells[1:] <= cells[:-1]).any():
        row = int((cells[1:] <= cells[:-1]).argmax()) + 1
        times = " and ".join(str(date[k].astype("datetime64[ms]")) for k in (row - 1, row))
        raise ValueError(
            f"reference {key!r}: rows {row - 1} and {row} open at {times}, expected ascending bars of {bar_ms} ms"
        )
    check_timeframe(
        date, bar_ms, f"reference {key!r}, which is named by (pair, timeframe) where its timeframe is another,"
    )
    return Closes(date + bar_ms, close, 2 * bar_ms)


class LiveClose:
    """One reference bar by bar: the newest close known, and closes that lie ahead of the pair's own bars."""

    def __init__(self, bar_ms: int) -> None:
        self.bar_ms = bar_ms
        self.waiting: deque[tuple[int, float]] = deque()
        self.known_at, self.close = NEVER, float("nan")

    def add(self, key: Key, opened: int, close: float) -> None:
        """Take a closed bar of the reference."""
        if not (np.isfinite(close) and close > 0):
            raise ValueError(f"reference {key!r}: close is {close}, expected a finite price above 0")
        known_at = opened + self.bar_ms
        newest = self.waiting[-1][0] if self.waiting else self.known_at
        if known_at // self.bar_ms <= newest // self.bar_ms:
            raise ValueError(
                f"reference {key!r}: bar opened at {opened}, expected a bar after that of {newest - self.bar_ms}"
            )
        self.waiting.append((known_at, close))

    def at(self, time: int) -> float:
        """Return the close known at `time`, NaN if none is; times must not go back."""
        while self.waiting and self.waiting[0][0] <= time:
            self.known_at, self.close = self.waiting.popleft()
        return self.close if time - self.known_at < 2 * self.bar_ms else float("nan")

    def state(self) -> list[float]:
        """Return what must be remembered, as numbers."""
        return [float(self.known_at), self.close, float(len(self.waiting)), *(x for pair in self.waiting for x in pair)]

    def restore(self, numbers: list[float]) -> list[float]:
        """Take back what `state` gave and return the numbers that follow it."""
        self.known_at, self.close, count = int(numbers[0]), numbers[1], int(numbers[2])
        if not 0 <= count <= (len(numbers) - 3) // 2:
            raise ValueError(f"stream state holds {count} waiting bars of a reference, expected fewer")
        tail = numbers[3 : 3 + 2 * count]
        self.waiting = deque((int(tail[k]), tail[k + 1]) for k in range(0, 2 * count, 2))
        return numbers[3 + 2 * count :]
