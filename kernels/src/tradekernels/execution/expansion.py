"""Candles become trades again (LOB-32). From: candles, exact in ticks and lots, and a seed. To: prints, or messages.

    candles = Candles.from_prices(frame, tick_size=0.1, lot_size=0.001, duration_ns=60_000_000_000)
    prints, first = expand(candles, seed=7)      # candle k is prints[first[k] : first[k + 1]]
    engine.process(as_messages(prints), tape)    # a matching engine prints them all

The prints of a candle open at its open, touch its high and its low, never leave them, close at its close and add up to
its volume, to the tick and to the lot. Between these prices they follow Brownian bridges whose noise fits the candle's
range; sides follow the tick rule; sizes are heavy-tailed; times lie strictly inside the candle and ascend.

**What it looks at.** A print knows its own candle, high, low, close and volume included: a strategy may act on the
prints so far, never on the candle. Of other candles only the one before is read: its close decides the side of the
first print, its volume how busy the candle is. The same seed, candle and candle before give the same prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..features.frame import read_times
from ..orderbook.matching import MAX_TICK, MESSAGE, Kind, Policy
from . import _expansion

PRINT = np.dtype([("time", "<i8"), ("lots", "<i8"), ("tick", "<i4"), ("side", "<i4")])  # ns; the side is the taker's
MAX_VOLUME = 2**53  # lots of a candle: sums of sizes are exact up to here
MAX_TIME = 2**62  # ns since 1970, and of a candle: int64 holds their sum
OFF_GRID = 1e-3  # of a step: what a decimal number may lose on its way through a float,
ROUNDED = 4  # or so many of its last binary places, once it has 10**13 steps and more


@dataclass(frozen=True)
class Candles:
    """Candles on the grid of their market, oldest first: int64 arrays of one length.

    Parameters
    ----------
    time : ndarray of int64
        Open times, ns.
    open, high, low, close : ndarray of int64
        Prices in ticks.
    volume : ndarray of int64
        Lots.
    duration_ns : int
        Length of a candle.
    """

    time: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    duration_ns: int

    def __post_init__(self) -> None:
        """Refuse the first candle that is none."""
        names = ("time", "open", "high", "low", "close", "volume")
        for name in names:
            column = getattr(self, name)
            if np.asarray(column).dtype.kind not in "iu" or np.ndim(column) != 1:
                raise ValueError(f"{name} has dtype {np.asarray(column).dtype}, expected a row of whole numbers")
            if len(column) != len(self.time):
                raise ValueError(f"{name} has {len(column)} values, time has {len(self.time)}")
            object.__setattr__(self, name, np.ascontiguousarray(column, dtype=np.int64))
        if not 1 <= self.duration_ns <= MAX_TIME:
            raise ValueError(f"duration_ns is {self.duration_ns}, expected 1 to {MAX_TIME}")
        low, high = np.minimum(self.open, self.close), np.maximum(self.open, self.close)
        _refuse((self.time < 0) | (self.time > MAX_TIME), "time", self.time, f"0 to {MAX_TIME} ns")
        _refuse(self.low < 1, "low", self.low, "at least 1 tick")
        _refuse(self.high > MAX_TICK, "high", self.high, f"at most {MAX_TICK} ticks")
        _refuse(self.low > low, "low", self.low, "no price of its candle below it")
        _refuse(self.high < high, "high", self.high, "no price of its candle above it")
        _refuse((self.volume < 0) | (self.volume > MAX_VOLUME), "volume", self.volume, f"0 to {MAX_VOLUME} lots")
        late = np.concatenate([[False], np.diff(self.time) < self.duration_ns])
        _refuse(late, "time", self.time, f"at least {self.duration_ns} ns after the candle before")

    def __len__(self) -> int:
        """Return the number of candles."""
        return len(self.time)

    @classmethod
    def from_prices(cls, frame: Mapping[str, Any], tick_size: float, lot_size: float, duration_ns: int) -> Candles:
        """Return candles from a frame with date (datetime64 or int64 ms), open, high, low, close, volume.

        Raises
        ------
        ValueError
            If a column is missing, a price is no multiple of `tick_size`, a volume none of `lot_size` (NaN is none), or
            one has more than MAX_VOLUME steps; the message names the row.
        """
        missing = [name for name in ("date", "open", "high", "low", "close", "volume") if name not in frame]
        if missing:
            raise ValueError(f"frame has no {missing[0]}, expected date, open, high, low, close and volume")
        time = read_times(frame["date"]) * 1_000_000
        names = ("open", "high", "low", "close")
        open_, high, low, close = (to_steps(name, frame[name], tick_size) for name in names)
        return cls(time, open_, high, low, close, to_steps("volume", frame["volume"], lot_size), duration_ns)


def _refuse(wrong: np.ndarray, name: str, values: np.ndarray, expected: str) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"{name} in row {row} is {values[row]}, expected {expected}")


def to_steps(name: str, values: Any, step: float) -> np.ndarray:
    """Return decimal numbers as whole multiples of a step, int64; refuse what lies between two."""
    numbers = np.asarray(values, dtype=np.float64)
    if not (np.isfinite(step) and step > 0):
        raise ValueError(f"step of {name} is {step}, expected a finite number above 0")
    with np.errstate(invalid="ignore", over="ignore"):
        exact = numbers / step
        steps = np.rint(exact)
        off = ~(np.abs(exact - steps) <= np.maximum(OFF_GRID, ROUNDED * np.spacing(np.abs(exact))))
    _refuse(off, name, numbers, f"a multiple of {step}")
    _refuse(np.abs(steps) > MAX_VOLUME, name, numbers, f"at most {MAX_VOLUME} steps of {step}")
    return steps.astype(np.int64)


def expand(candles: Candles, seed: int, prints_per_candle: float = 50.0) -> tuple[np.ndarray, np.ndarray]:
    """Return the prints of every candle.

    Parameters
    ----------
    candles : Candles
        A candle without volume gives no print.
    seed : int
        0 .. 2**64 - 1.
    prints_per_candle : float
        Mean number for a candle as busy as the one before; fewer where there are fewer lots. At least the prices that
        must print.

    Returns
    -------
    ndarray of PRINT, ndarray of int64 of shape (n_candles + 1,)
        Prints by time, and where those of each candle start.

    Raises
    ------
    ValueError
        If a candle has fewer lots than prices that must print, or a number is out of its range. It must print open, an
        extreme, the other extreme and close, each by a lot of its own; one that repeats the one before needs none: 1
        lot where all are equal, 2 where it only rises or falls, 3 or 4 else.
    """
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed is {seed}, expected 0 to 2**64 - 1")
    if not 1 <= prints_per_candle <= candles.duration_ns / 32:
        raise ValueError(f"prints_per_candle is {prints_per_candle}, expected 1 to {candles.duration_ns / 32}")
    columns = (candles.time, candles.open, candles.high, candles.low, candles.close, candles.volume)
    table, first = np.stack(columns), np.zeros(len(candles) + 1, np.int64)
    wrong = _expansion.count(table, seed, prints_per_candle, first)
    if wrong >= 0:
        values = ", ".join(
            f"{name} {column[wrong]}"
            for name, column in zip(("open", "high", "low", "close"), columns[1:5], strict=True)
        )
        raise ValueError(f"volume in row {wrong} is {columns[5][wrong]} lots, expected one for each price: {values}")
    prints = np.empty(first[-1], PRINT)
    _expansion.expand(table, seed, prints_per_candle, candles.duration_ns, first, prints.view(np.int8))
    return prints, first


def as_messages(prints: np.ndarray, first_id: int = 1) -> np.ndarray:
    """Return two messages a print: an order that rests at its price, and one that takes it at once.

    In an empty matching engine the trades are the prints. With other orders in the book those that stand at a print's
    price, or better, are filled first, as they would have been.
    """
    messages = np.zeros(2 * len(prints), MESSAGE)
    for name in ("time", "lots", "tick"):
        messages[name] = np.repeat(prints[name], 2)
    messages["kind"] = Kind.LIMIT
    messages["side"][0::2], messages["side"][1::2] = -prints["side"], prints["side"]
    messages["policy"][1::2] = Policy.IOC
    messages["id"] = first_id + np.arange(len(messages))
    return messages
