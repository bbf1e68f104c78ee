"""Latency (EXE-3) and the counter-based random numbers it is drawn from. From: order times. To: milliseconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import _costs
from .decimals import as_numbers

HOURS = 168  # of a week, from Monday 00:00 UTC


@dataclass(frozen=True)
class CounterRandom:
    """Philox4x64-10 (Salmon et al., 2011): the words of a counter depend on nothing but seed, stream and counter.

    The words of counter c are those of `numpy.random.Philox(key=[seed, stream], counter=c - 1).random_raw(4)`.
    """

    seed: int
    stream: int = 0

    def __post_init__(self) -> None:
        for name in ("seed", "stream"):
            value = getattr(self, name)
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not 0 <= value < 2**64:
                raise ValueError(f"{name} is {value!r}, expected a whole number from 0 to 2^64 - 1")

    def words(self, counter: Any) -> np.ndarray:
        """Return uint64 of shape (n, 4) for n counters."""
        counters = np.atleast_1d(np.asarray(counter))
        if counters.dtype.kind not in "iu" or counters.ndim != 1 or (counters.size and counters.min() < 0):
            raise ValueError(f"counter is {counter!r}, expected whole numbers of at least 0 in one dimension")
        out = np.empty((len(counters), 4), dtype=np.uint64)
        _costs.random_words(int(self.seed), int(self.stream), np.ascontiguousarray(counters, dtype=np.uint64), out)
        return out


def hour_of_week(time_ms: Any) -> np.ndarray:
    """Return 0 for Monday 00:00 UTC to 167, of int64 milliseconds since 1970."""
    times = np.asarray(time_ms)
    if times.dtype.kind not in "iu":
        raise ValueError(f"time_ms has dtype {times.dtype}, expected int64 milliseconds")
    return (times.astype(np.int64) // 3_600_000 + 72) % HOURS  # 1970 began on a Thursday


@dataclass(frozen=True)
class Latency:
    """(base + U(0, jitter)) ms, sometimes a multiple of it, times one of 168 multipliers; too long is a timeout.

    Parameters
    ----------
    base_ms, jitter_ms : float
    spike_probability, spike_multiple : float
        How often an order takes how much longer.
    timeout_ms : float
        What takes longer has failed, after exactly this long.
    retries : {0, 1}
        Attempts after a timeout.
    hour_of_week : tuple of 168 float
        From Monday 00:00 UTC.
    """

    base_ms: float = 250.0
    jitter_ms: float = 50.0
    spike_probability: float = 0.01
    spike_multiple: float = 5.0
    timeout_ms: float = 2500.0
    retries: int = 1
    hour_of_week: tuple[float, ...] = field(default=(1.0,) * HOURS, repr=False)

    def __post_init__(self) -> None:
        for name in ("base_ms", "jitter_ms", "spike_probability", "spike_multiple", "timeout_ms"):
            as_numbers(name, getattr(self, name), 0.0)
        if self.spike_probability > 1:
            raise ValueError(f"spike_probability is {self.spike_probability}, expected at most 1")
        if self.retries not in (0, 1):
            raise ValueError(f"retries is {self.retries!r}, expected 0 or 1")
        if as_numbers("hour_of_week", self.hour_of_week, 0.0).shape != (HOURS,):
            raise ValueError(f"hour_of_week has {len(self.hour_of_week)} multipliers, expected {HOURS}")

    def numbers(self) -> np.ndarray:
        """Return the six numbers of `_costs.Latency`, without the multipliers."""
        names = ("base_ms", "jitter_ms", "spike_probability", "spike_multiple", "timeout_ms", "retries")
        return np.array([getattr(self, name) for name in names], dtype=np.float64)

    def draw(self, time_ms: Any, random: CounterRandom, counter: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return (milliseconds, attempt that arrived) of orders sent at `time_ms`; attempt 0 means none did.

        Parameters
        ----------
        time_ms : array_like of int64, shape (n_orders,)
        random : CounterRandom
        counter : array_like of int, shape (n_orders,)
            One number per order: the same number draws the same latency.
        """
        hours, words = np.atleast_1d(hour_of_week(time_ms)), random.words(counter)
        if hours.shape != (len(words),):
            raise ValueError(f"time_ms has shape {hours.shape}, counter {(len(words),)}")
        out, attempts = np.empty(len(hours)), np.empty(len(hours), dtype=np.int32)
        _costs.latencies(self.numbers(), np.array(self.hour_of_week, dtype=np.float64), hours, words, out, attempts)
        return out, attempts
