"""What a replay assumes about the venue: latency, queue, fills, fees. From: the user. To: replay.py and grid.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import gcd, lcm
from typing import Any

import numpy as np

from ..execution.latency import HOURS, CounterRandom
from .instrument import Instrument

QUEUES = ("risk", "power", "log", "power2", "log2", "power3", "fifo")
FILLS = ("whole", "partial")
BASES = ("value", "quantity", "fill")
_LONGEST_NS = 2**60  # 36 years


@dataclass(frozen=True)
class Queue:
    """How much of a level is taken to rest before an own order (LOB-13).

    Parameters
    ----------
    model : {"risk", "power", "log", "power2", "log2", "power3", "fifo"}
        `risk`: only trades move the order forward. `power` (f = x^n) and `log` (f = ln(1 + x)): a cancellation was
        behind the order with probability f(back) / (f(back) + f(front)). `power2`, `log2`: f(back) / f(back + front).
        `power3`: 1 - (front / (front + back))^n. `fifo`: exact, for order-level feeds.
    n : float
        Exponent of the power models.

    Notes
    -----
    `cum`, the trades at the tick since its last SET row, is kept for each order, from when the venue accepted it.
    """

    model: str = "risk"
    n: float = 2.0

    def __post_init__(self) -> None:
        if self.model not in QUEUES:
            raise ValueError(f"queue model is {self.model!r}, expected one of {QUEUES}")
        if not 0 < self.n < np.inf:
            raise ValueError(f"queue exponent is {self.n}, expected a finite number above 0")


@dataclass(frozen=True)
class ConstantLatency:
    """Every request takes `entry_ns` to the venue, every answer `response_ns` back."""

    entry_ns: int = 0
    response_ns: int = 0

    def parameters(self) -> dict[str, Any]:
        """Return what the compiled loop reads."""
        return _latency(
            0, entry=_nanoseconds("entry_ns", self.entry_ns), response=_nanoseconds("response_ns", self.response_ns)
        )


@dataclass(frozen=True)
class FeedLatency:
    """A letter takes a multiple of what the newest message of the feed took, plus a constant; never less than 0."""

    entry_factor: float = 1.0
    response_factor: float = 1.0
    entry_ns: int = 0
    response_ns: int = 0

    def parameters(self) -> dict[str, Any]:
        """Return what the compiled loop reads."""
        _at_least_zero(entry_factor=self.entry_factor, response_factor=self.response_factor)
        return _latency(
            1, entry=_nanoseconds("entry_ns", self.entry_ns, -_LONGEST_NS),
            response=_nanoseconds("response_ns", self.response_ns, -_LONGEST_NS),
            factors=(float(self.entry_factor), float(self.response_factor)),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class TableLatency:
    """Latencies of real orders, interpolated over time; the first and the last hold outside.

    Parameters
    ----------
    request_time_ns, exchange_time_ns, response_time_ns : array_like of int, shape (n_orders,)
        When each order was sent, reached the matching engine, and was answered; each increasing.
    """

    request_time_ns: Any
    exchange_time_ns: Any
    response_time_ns: Any

    def parameters(self) -> dict[str, Any]:
        """Return what the compiled loop reads."""
        columns = ("request_time_ns", "exchange_time_ns", "response_time_ns")
        table = []
        for name in columns:
            times = np.asarray(getattr(self, name))
            if times.dtype.kind not in "iu":
                raise ValueError(f"{name} has dtype {times.dtype}, expected whole nanoseconds")
            table.append(np.ascontiguousarray(times, np.int64))
        for name, times in zip(columns, table, strict=True):
            if times.ndim != 1 or times.shape != table[0].shape or not len(times):
                raise ValueError(f"{name} has shape {times.shape}, request_time_ns has {table[0].shape}")
            if abs(times[0]) > 2**62 or abs(times[-1]) > 2**62:
                raise ValueError(f"{name} is {times[0]} .. {times[-1]}, expected within 2**62 of 1970")
            if (times[1:] <= times[:-1]).any():
                raise ValueError(f"{name} does not increase, expected one order after the other")
        return _latency(2, table=table)


@dataclass(frozen=True)
class DrawnLatency:
    """(base + U(0, jitter)), sometimes a multiple, times one of 168 multipliers; a request too slow is sent again.

    The draws of `tradekernels.execution.Latency`, in nanoseconds: the latency of a letter depends on the seed, on how
    many orders its trader sent before this one, and on how many letters about it went the same way before. The first
    request of order number n, counted from 0, draws what `Latency.draw` draws with `CounterRandom(seed)` and counter n.

    Parameters
    ----------
    base_ns, jitter_ns : float
    spike_probability, spike_multiple : float
        How often a letter takes how much longer.
    timeout_ns : float
        A request that would take longer is given up after it, and sent again up to `retries` times; then it is lost
        and the trader learns so: a new order ends as Status.REJECTED. Answers are never lost.
    retries : int
    hour_of_week : tuple of 168 float
        Multipliers from Monday 00:00 UTC on, of the hour in which a letter is first sent.
    seed : int
        The same seed draws the same latencies, whoever else trades in the replay.
    """

    base_ns: float = 250e6
    jitter_ns: float = 50e6
    spike_probability: float = 0.01
    spike_multiple: float = 5.0
    timeout_ns: float = 2_500_000_000
    retries: int = 1
    hour_of_week: tuple[float, ...] = field(default=(1.0,) * HOURS, repr=False)
    seed: int = 0

    def parameters(self) -> dict[str, Any]:
        """Return what the compiled loop reads."""
        draw = {name: getattr(self, name) for name in ("base_ns", "jitter_ns", "spike_probability", "spike_multiple")}
        _at_least_zero(**draw, timeout_ns=self.timeout_ns)
        if self.spike_probability > 1:
            raise ValueError(f"spike_probability is {self.spike_probability}, expected at most 1")
        if not isinstance(self.retries, (int, np.integer)) or not 0 <= self.retries <= 1000:
            raise ValueError(f"retries is {self.retries!r}, expected a whole number from 0 to 1000")
        if len(self.hour_of_week) != HOURS:
            raise ValueError(f"hour_of_week has {len(self.hour_of_week)} multipliers, expected {HOURS}")
        _at_least_zero(**{f"hour_of_week[{k}]": value for k, value in enumerate(self.hour_of_week)})
        return _latency(
            3, draw=tuple(map(float, draw.values())), timeout=float(self.timeout_ns), retries=int(self.retries),
            hours=tuple(self.hour_of_week), seed=int(CounterRandom(self.seed).seed),
        )  # fmt: skip


Latency = ConstantLatency | FeedLatency | TableLatency | DrawnLatency


@dataclass(frozen=True)
class Fees:
    """Fees as exact decimals; negative is a rebate. All sums of a replay are whole multiples of one step.

    Parameters
    ----------
    maker, taker : str
        Decimal strings: a share of the value, quote currency per unit of quantity, or quote currency per fill. An order
        that is filled in pieces pays, and is rounded, piece by piece.
    per : {"value", "quantity", "fill"}
    rounding : str, optional
        Every fee is rounded to a multiple of this, half away from zero, such as "0.00000001". Default: none.
    """

    maker: str = "0"
    taker: str = "0"
    per: str = "value"
    rounding: str | None = None

    def steps(self, instrument: Instrument) -> tuple[Fraction, tuple[int, int, int, int]]:
        """Return the fee step in quote currency, and maker and taker fee as steps * basis, as two fractions."""
        if self.per not in BASES:
            raise ValueError(f"per is {self.per!r}, expected one of {BASES}")
        unit = {"value": instrument.tick * instrument.lot, "quantity": instrument.lot, "fill": Fraction(1)}[self.per]
        maker, taker = (_exact(name, getattr(self, name)) * unit for name in ("maker", "taker"))
        if self.rounding is not None:
            step = _exact("rounding", self.rounding)
            if step <= 0:
                raise ValueError(f"rounding is {self.rounding!r}, expected a decimal above 0")
        else:  # the largest step of which both are whole multiples
            bottom = lcm(maker.denominator, taker.denominator)
            step = Fraction(gcd(int(maker * bottom), int(taker * bottom)) or 1, bottom)
        numbers = (*(maker / step).as_integer_ratio(), *(taker / step).as_integer_ratio())
        if max(map(abs, numbers)) > 10**12:
            raise ValueError(f"fees {self.maker} and {self.taker} need steps of {float(step)}, expected fewer digits")
        return step, numbers


@dataclass(frozen=True)
class TradingModels:
    """Everything a replay assumes about the venue, for one trader.

    Parameters
    ----------
    latency : ConstantLatency, FeedLatency, TableLatency or DrawnLatency
    queue : Queue
    fees : Fees
    fills : {"whole", "partial"}
        `whole`: an order fills at once, a taker whole at the best price. `partial`: at the trade's own price, an order
        gets what the trade leaves after the queue before it, less what the trader's older orders at the tick get of
        it; together never more than the trade. A trade through the order's price fills it whole, and a taker walks
        the displayed levels.
    """

    latency: Latency = field(default_factory=ConstantLatency)
    queue: Queue = field(default_factory=Queue)
    fees: Fees = field(default_factory=Fees)
    fills: str = "whole"

    def arguments(self, instrument: Instrument, order_level: bool) -> tuple[Any, ...]:
        """Return the arguments of `Engine.set_up`, checked."""
        if self.fills not in FILLS:
            raise ValueError(f"fills is {self.fills!r}, expected one of {FILLS}")
        if self.queue.model == "fifo" and not order_level:
            raise ValueError("queue model is 'fifo', expected an order-level feed (read_orders, read_lobster) for it")
        lot = instrument.lot
        in_lots = self.queue.model in ("risk", "fifo")  # exact in whole lots; the others are defined in base units
        units = (1.0, 1.0) if in_lots else (float(lot.numerator), float(lot.denominator))
        _, rates = self.fees.steps(instrument)
        return (
            QUEUES.index(self.queue.model), float(self.queue.n), units, self.fills == "partial",
            BASES.index(self.fees.per), rates, self.latency.parameters(),
        )  # fmt: skip


def _latency(kind: int, **given: Any) -> dict[str, Any]:
    empty = {
        "entry": 0, "response": 0, "factors": (0.0, 0.0), "draw": (0.0, 0.0, 0.0, 1.0), "timeout": 0.0, "retries": 0,
        "hours": (1.0,) * HOURS, "seed": 0, "table": None,
    }  # fmt: skip
    return empty | given | {"kind": kind}


def _at_least_zero(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value <= _LONGEST_NS:
            raise ValueError(f"{name} is {value}, expected a finite number from 0 to 2**60")


def _nanoseconds(name: str, value: float, least: int = 0) -> int:
    if not least <= value <= _LONGEST_NS or int(value) != value:
        raise ValueError(f"{name} is {value}, expected whole nanoseconds from {least} to 2**60")
    return int(value)


def _exact(name: str, value: str | Decimal) -> Fraction:
    try:
        return Fraction(Decimal(value))
    except (InvalidOperation, TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} is {value!r}, expected a decimal such as '0.0004'") from None
