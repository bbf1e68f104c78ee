"""Features bar by bar. From: closed candles as they arrive. To: the rows a batch would give, bit for bit.

A stream's memory is one block of doubles: `state()` copies it out with what it takes to refuse a wrong restore.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from .frame import bar_time, check_candles, read_bar

if TYPE_CHECKING:
    from .feature_set import FeatureSet

MAGIC = b"tradekernels.stream\n"
VERSION = 1
_HEAD = struct.Struct("<20sI32s32sQ")  # magic, version, digest, layout, doubles that follow; then SHA-256 of it all


class Stream:
    """The memory of one pair: made by `FeatureSet.stream()`, fed with `update`."""

    def __init__(self, features: FeatureSet, state: np.ndarray | None = None) -> None:
        self._features = features
        self._machine = features.program.machine(1, state)
        self._memory = np.asarray(self._machine.state)
        self._bar = np.empty((len(features.program.columns), 1))
        self._columns = tuple(self._bar)
        self._date = np.empty(1, dtype=np.int64)

    @property
    def bars(self) -> int:
        """Bars seen so far."""
        return int(self._memory[0])

    def update(self, bar: Any) -> np.ndarray:
        """Return the row of a new closed candle: float32 of shape (n_features,), NaN where not warm.

        Parameters
        ----------
        bar : Mapping or sequence of six
            date (open time; int milliseconds, datetime64 or a time with a zone), open, high, low, close, volume.

        Raises
        ------
        ValueError
            If the bar is no candle or not later than the last one; the stream then stays as it was.
        """
        date, *values = read_bar(bar)
        self._date[0] = time = bar_time(date)
        try:
            self._bar[:, 0] = values
        except (TypeError, ValueError):
            raise ValueError(f"bar is {values}, expected five numbers") from None
        check_candles(self._date, self._columns)
        last = self._memory[1]
        if time <= last:
            raise ValueError(f"date of the bar is {time}, expected a time after {int(last)} of the bar before it")
        row = np.empty((1, len(self._features.names)), dtype=np.float32)
        self._machine.run(self._date, self._columns, row)
        return row[0]

    def state(self) -> bytes:
        """Return the stream's memory as portable bytes."""
        digest, layout = bytes.fromhex(self._features.digest), self._features.program.layout
        head = _HEAD.pack(MAGIC, VERSION, digest, layout, len(self._memory))
        body = head + self._memory.astype("<f8").tobytes()
        return body + hashlib.sha256(body).digest()

    def restore(self, state: bytes) -> Stream:
        """Continue where `state` was taken, bit for bit, and return this stream.

        Raises
        ------
        ValueError
            If the bytes are damaged, of another version, or of another feature set.

        Notes
        -----
        A new release may lay memory out in another way; its streams then refuse the bytes and start from candles.
        """
        self._memory[:] = _unpack(state, self._features.digest, self._features.program.layout, len(self._memory))
        return self


def _unpack(state: bytes, digest: str, layout: bytes, size: int) -> np.ndarray:
    body, checksum = state[:-32], state[-32:]
    if len(body) < _HEAD.size or hashlib.sha256(body).digest() != checksum:
        raise ValueError(f"stream state of {len(state)} bytes is damaged: its checksum does not match")
    magic, version, of, laid_out, count = _HEAD.unpack_from(body)
    if magic != MAGIC or version != VERSION:
        raise ValueError(f"stream state has version {version}, expected {VERSION}")
    if of.hex() != digest:
        raise ValueError(f"stream state is of feature set {of.hex()[:12]}, expected {digest[:12]}")
    if laid_out != layout:
        raise ValueError(f"stream state has layout {laid_out.hex()[:12]}, expected {layout.hex()[:12]} of this release")
    if count != size or len(body) != _HEAD.size + 8 * size:
        raise ValueError(f"stream state holds {count} numbers, expected {size}")
    return np.frombuffer(body, dtype="<f8", offset=_HEAD.size)
