"""Features bar by bar. From: closed candles as they arrive. To: the rows a batch would give, bit for bit.

A stream's memory is one block of doubles: `state()` copies it out with what it takes to refuse a wrong restore.
"""

from __future__ import annotations

import hashlib
import math
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from .frame import check_candles, read_bar, read_bar_time
from .memory import check_memory
from .primitives import COLUMNS
from .references import Key, LiveClose, Roster, bar_length

if TYPE_CHECKING:
    from .feature_set import FeatureSet

MAGIC = b"tradekernels.stream\n"
VERSION = 2
_HEAD = struct.Struct("<20sI32s32sQ")  # magic, version, digest, layout, doubles that follow; then SHA-256 of it all


class Stream:
    """The memory of one pair: made by `FeatureSet.stream()`, fed with `update`."""

    def __init__(self, features: FeatureSet, roster: Roster) -> None:
        self._features = features
        self._program = features.program(roster)
        self._machine = self._program.machine(1)
        self._push = self._machine.push
        self._memory = np.asarray(self._machine.state)
        self._bar = np.asarray(self._machine.bar)
        self._row = np.asarray(self._machine.row)[0]
        self._roster = roster
        self._closes = [LiveClose(bar_length(key, features.bar_ms)) for key in roster.keys]
        names = self._program.columns[len(COLUMNS) + len(features.optional) :]
        self._parts = [roster.position(name) for name in names]
        self._alone = not roster.keys
        identity = self._program.layout + repr((features.names, roster)).encode()
        self._layout = hashlib.sha256(identity).digest()

    @property
    def bars(self) -> int:
        """Bars seen so far."""
        return int(self._memory[0])

    @property
    def missing_bars(self) -> int:
        """Bars of the timeframe that were missing between those seen."""
        return int(self._memory[2])

    def update(self, bar: Any) -> np.ndarray:
        """Return the row of a new closed candle: float32 of shape (n_features,), NaN where not warm.

        Parameters
        ----------
        bar : Mapping or sequence of six
            date (open time; int milliseconds, datetime64 or a time with a zone), open, high, low, close, volume; a
            mapping may also hold values of the columns of `OPTIONAL`.

        Raises
        ------
        ValueError
            If the bar is no candle or not later than the last one; the stream then stays as it was.
        """
        if self._alone:
            try:
                if self._push(bar):  # a tuple of numbers: the way of a live bot
                    return self._row.copy()
            except (TypeError, IndexError, OverflowError):
                pass  # not a tuple, or not of numbers: read with care below
        candle, optional = read_bar(bar)
        candle = self._checked(candle)
        for k, name in enumerate(self._features.optional, start=len(COLUMNS)):
            self._bar[k] = optional.get(name, math.nan)
        closes = [live.at(candle[0] + self._features.bar_ms) for live in self._closes]
        for k, part in enumerate(self._parts, start=len(COLUMNS) + len(self._features.optional)):
            self._bar[k] = math.nan if part is None else closes[part]
        self._push(candle)
        self._bar[len(COLUMNS) :] = math.nan  # what the next bar does not bring is not known
        return self._row.copy()

    def refer(self, key: Key, bar: Any) -> None:
        """Take a closed bar of a reference; it is seen by the first `update` whose bar closes at its close or later.

        Parameters
        ----------
        key : str or (str, str)
            One of the references that the stream was made with.
        bar : Mapping or sequence of six
            As in `update`; date and close are read.

        Raises
        ------
        ValueError
            If there is no such reference, the bar is not later than the last one, or its close is no price.
        """
        live = self._closes[self._roster.reference(key)]
        candle, _ = read_bar(bar)
        live.add(key, read_bar_time(candle[0]), float(candle[4]))

    def _checked(self, candle: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the bar as a tuple of numbers, or say what is wrong with it."""
        date, *values = candle
        time = read_bar_time(date)
        try:
            numbers = np.array(values, dtype=np.float64).reshape(5, 1)
        except (TypeError, ValueError):
            raise ValueError(f"bar is {values}, expected five numbers") from None
        check_candles(np.array([time]), list(numbers), self._features.bar_ms)
        last, bar_ms = self._memory[1], self._features.bar_ms
        if time // bar_ms <= last // bar_ms:
            raise ValueError(f"date of the bar is {time}, expected a time after {int(last)} of the bar before it")
        return (time, *map(float, values))

    def __copy__(self) -> Stream:
        return Stream(self._features, self._roster).restore(self.state())

    def __deepcopy__(self, memo: dict) -> Stream:
        return self.__copy__()

    def state(self) -> bytes:
        """Return the stream's memory as portable bytes."""
        closes = [number for live in self._closes for number in live.state()]
        numbers = np.concatenate([self._memory, closes])
        head = _HEAD.pack(MAGIC, VERSION, bytes.fromhex(self._features.digest), self._layout, len(numbers))
        body = head + numbers.astype("<f8").tobytes()
        return body + hashlib.sha256(body).digest()

    def restore(self, state: bytes) -> Stream:
        """Continue where `state` was taken, bit for bit, and return this stream.

        Raises
        ------
        ValueError
            If the bytes are damaged, of another version, of another feature set or of other references.

        Notes
        -----
        A new release may lay memory out in another way; its streams then refuse the bytes and start from candles.
        """
        numbers = _unpack(state, self._features.digest, self._layout)
        size = len(self._memory)
        if len(numbers) < size + 3 * len(self._closes):
            raise ValueError(f"stream state holds {len(numbers)} numbers, expected {size} and the references'")
        check_memory(self._program, numbers[:size])
        rest = numbers[size:].tolist()
        for live in self._closes:
            rest = live.restore(rest)
        self._memory[:] = numbers[:size]
        return self


def _unpack(state: bytes, digest: str, layout: bytes) -> np.ndarray:
    body, checksum = state[:-32], state[-32:]
    if len(body) < _HEAD.size or hashlib.sha256(body).digest() != checksum:
        raise ValueError(f"stream state of {len(state)} bytes is damaged: its checksum does not match")
    magic, version, of, laid_out, count = _HEAD.unpack_from(body)
    if magic != MAGIC or version != VERSION:
        raise ValueError(f"stream state has version {version}, expected {VERSION}")
    if of.hex() != digest:
        raise ValueError(f"stream state is of feature set {of.hex()[:12]}, expected {digest[:12]}")
    if laid_out != layout:
        raise ValueError(
            f"stream state has layout {laid_out.hex()[:12]}, expected {layout.hex()[:12]}: other references"
        )
    if len(body) != _HEAD.size + 8 * count:
        raise ValueError(f"stream state of {len(state)} bytes holds no {count} numbers")
    return np.frombuffer(body, dtype="<f8", offset=_HEAD.size)
