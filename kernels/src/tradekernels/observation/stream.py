"""The observation bar by bar. From: closed candles and accounts. To: the rows a batch would give, bit for bit."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..features.frame import check_candles, read_bar, read_bar_time
from ..features.memory import check_memory
from . import _observation
from .agent import read_agent
from .market import INPUTS

if TYPE_CHECKING:
    from .observation_set import ObservationSet

MAGIC = b"tradekernels.observe"
VERSION = 1
_HEAD = struct.Struct("<20sI32s32sQ")  # magic, version, digest, layout, doubles that follow; then SHA-256 of it all


class Stream(_observation.Feed):
    """The memory of one pair: made by `ObservationSet.stream()`, fed with `update` (see `_observation.Feed`)."""

    def __init__(self, observations: ObservationSet, token: int) -> None:
        self._observations = observations
        self._program = observations._program
        machine = self._program.machine(1)
        self._memory = np.asarray(machine.state)
        bounds = np.array([INPUTS[name] for name in observations.inputs]).reshape(-1, 2)
        bounds = np.clip(bounds, -_LARGEST, _LARGEST)  # an infinite input is out of bounds
        row = np.zeros(len(observations.slots), dtype=np.float32)
        needs_inputs = observations.statistics.source != "candles"
        super().__init__(observations._assembler, machine, bounds, needs_inputs, token, row)

    @property
    def bars(self) -> int:
        """Bars seen so far."""
        return int(self._memory[0])

    def _read_with_care(self, bar: Any, agent: Any) -> tuple[tuple[Any, ...], tuple[float, ...] | None]:
        """Return a bar and an account as tuples of plain numbers, or say what is wrong with them."""
        candle, optional = self._read_bar(bar)
        date, *values = candle
        time, bar_ms = read_bar_time(date), self._observations.bar_ms
        try:
            numbers = np.array(values, dtype=np.float64).reshape(5, 1)
        except (TypeError, ValueError):
            raise ValueError(f"bar is {values}, expected five numbers") from None
        check_candles(np.array([time]), list(numbers), bar_ms)
        last = self._memory[1]
        if time // bar_ms <= last // bar_ms:
            raise ValueError(f"date of the bar is {time}, expected a time after {int(last)} of the bar before it")
        for name, value in zip(self._observations.inputs, optional, strict=True):
            low, high = INPUTS[name]
            if math.isinf(value) or value < low or value > high:
                raise ValueError(f"{name} of the bar is {value}, expected a number from {low:g} to {high:g}, or NaN")
        account = None if agent is None else tuple(read_agent(np.asarray(agent)[None], 1)[0].tolist())
        return (time, *map(float, values), *optional), account

    def _read_bar(self, bar: Any) -> tuple[tuple[Any, ...], tuple[float, ...]]:
        """Return the candle and the values of the set's inputs, NaN where they are not known."""
        inputs = self._observations.inputs
        if isinstance(bar, Mapping) or hasattr(bar, "keys"):  # a pandas row is no Mapping
            self._observations.check_source(bar)
            candle, _ = read_bar(bar)
            optional = [bar.get(name, math.nan) for name in inputs]
        else:
            values = tuple(bar)
            candle, optional = values[:6], list(values[6:])
            if not optional and self._observations.statistics.source == "candles":
                optional = [math.nan] * len(inputs)
            if len(candle) != 6 or len(optional) != len(inputs):
                named = ", ".join(inputs) or "no more"
                raise ValueError(f"bar has {len(values)} values, expected a candle's 6 and {named}")
        try:
            return candle, tuple(map(float, optional))
        except (TypeError, ValueError):
            raise ValueError(f"bar has {optional} for {', '.join(inputs)}, expected numbers, or NaN") from None

    def state(self) -> bytes:
        """Return the stream's memory as portable bytes; accounts are not part of it."""
        digest, layout = bytes.fromhex(self._observations.digest), self._program.layout
        body = _HEAD.pack(MAGIC, VERSION, digest, layout, len(self._memory)) + self._memory.astype("<f8").tobytes()
        return body + hashlib.sha256(body).digest()

    def restore(self, state: bytes) -> Stream:
        """Continue where `state` was taken, bit for bit, and return this stream.

        Raises
        ------
        ValueError
            If the bytes are damaged, of another version or of another observation.
        """
        body, checksum = state[:-32], state[-32:]
        if len(body) < _HEAD.size or hashlib.sha256(body).digest() != checksum:
            raise ValueError(f"stream state of {len(state)} bytes is damaged: its checksum does not match")
        magic, version, digest, layout, count = _HEAD.unpack_from(body)
        if magic != MAGIC or version != VERSION:
            raise ValueError(f"stream state has version {version}, expected {VERSION} of an observation")
        if digest.hex() != self._observations.digest:
            raise ValueError(
                f"stream state is of observation {digest.hex()[:12]}, expected {self._observations.digest[:12]}"
            )
        if layout != self._program.layout or len(body) != _HEAD.size + 8 * count or count != len(self._memory):
            raise ValueError(f"stream state holds {count} numbers of layout {layout.hex()[:12]}, expected "
                             f"{len(self._memory)} of {self._program.layout.hex()[:12]}")  # fmt: skip
        numbers = np.frombuffer(body, dtype="<f8", offset=_HEAD.size)
        check_memory(self._program, numbers)
        self._memory[:] = numbers
        return self


_LARGEST = np.finfo(np.float64).max
