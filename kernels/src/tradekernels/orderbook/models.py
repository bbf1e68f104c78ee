"""What a replay assumes about the venue: latency, queue, fills, fees. From: the user. To: replay.py and grid.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from math import gcd, lcm
from typing import Any

import numpy as np

from .instrument import Instrument

QUEUES = ("risk", "power", "log", "power2", "log2", "power3", "fifo")
FILLS = ("whole", "partial")
BASES = ("value", "quantity", "fill")
_HOURS = 168


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
        _at_least_zero(entry_ns=self.entry_ns, response_ns=self.response_ns)
        return _latency(0, entry=int(self.entry_ns), response=int(self.response_ns))


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
            1, entry=int(self.entry_ns), response=int(self.response_ns),
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
        table = [np.ascontiguousarray(getattr(self, name), np.int64) for name in columns]
        for name, times in zip(columns, table, strict=True):
            if times.ndim != 1 or len(times) != len(table[0]) or not len(times):
                raise ValueError(f"{name} has shape {times.shape}, request_time_ns has {table[0].shape}")
            if (times[1:] <= times[:-1]).any():
                raise ValueError(f"{name} does not increase, expected one order after the other")
        return _latency(2, table=table)


@dataclass(frozen=True)
class DrawnLatency:
    """(base + U(0, jitter)), sometimes a multiple, times one of 168 multipliers; a request too slow is sent again.

    Parameters
    ----------
    base_ns, jitter_ns : float
    spike_probability, spike_multiple : float
        How often a letter takes how much longer.
    timeout_ns : int
        A request that would take longer is given up after it, and sent again up to `retries` times; then it is lost
        and the trader learns so. Answers are never lost.
    retries : int
    hour_of_week : tuple of 168 float
        Multipliers from Monday 00:00 UTC on.
    seed : int
        The same seed draws the same latencies; every trader of one run draws its own.
    """

    base_ns: float = 250e6
    jitter_ns: float = 50e6
    spike_probability: float = 0.01
    spike_multiple: float = 5.0
    timeout_ns: int = 2_500_000_000
    retries: int = 1
    hour_of_week: tuple[float, ...] = field(default=(1.0,) * _HOURS, repr=False)
    seed: int = 0

    def parameters(self) -> dict[str, Any]:
        """Return what the compiled loop reads."""
        _at_least_zero(
            base_ns=self.base_ns, jitter_ns=self.jitter_ns, spike_probability=self.spike_probability,
            spike_multiple=self.spike_multiple, timeout_ns=self.timeout_ns, retries=self.retries, seed=self.seed,
        )  # fmt: skip
        if len(self.hour_of_week) != _HOURS:
            raise ValueError(f"hour_of_week has {len(self.hour_of_week)} multipliers, expected {_HOURS}")
        _at_least_zero(**{f"hour_of_week[{k}]": value for k, value in enumerate(self.hour_of_week)})
        return _latency(
            3, draw=(self.base_ns, self.jitter_ns, self.spike_probability, self.spike_multiple),
            timeout=int(self.timeout_ns), retries=int(self.retries), hours=tuple(self.hour_of_week),
            seed=int(self.seed) * 0x9E3779B97F4A7C15 % 2**64,
        )  # fmt: skip


Latency = ConstantLatency | FeedLatency | TableLatency | DrawnLatency


@dataclass(frozen=True)
class Fees:
    """Fees as exact decimals; negative is a rebate. All sums of a replay are whole multiples of one step.

    Parameters
    ----------
    maker, taker : str
        Decimal strings: a share of the value, quote currency per unit of quantity, or quote currency per fill.
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
        maker, taker = (Fraction(Decimal(rate)) * unit for rate in (self.maker, self.taker))
        if self.rounding is not None:
            step = Fraction(Decimal(self.rounding))
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
        `whole`: an order fills at once, a taker whole at the best price. `partial`: fills at its price are limited to
        what a trade leaves after the queue, a taker walks the displayed levels.
    """

    latency: Latency = field(default_factory=ConstantLatency)
    queue: Queue = field(default_factory=Queue)
    fees: Fees = field(default_factory=Fees)
    fills: str = "whole"

    def arguments(self, instrument: Instrument, trader: int, order_level: bool) -> tuple[Any, ...]:
        """Return the arguments of `Engine.set_up`, checked."""
        if self.fills not in FILLS:
            raise ValueError(f"fills is {self.fills!r}, expected one of {FILLS}")
        if self.queue.model == "fifo" and not order_level:
            raise ValueError("queue model is 'fifo', expected an order-level feed (read_orders, read_lobster) for it")
        latency = self.latency.parameters()
        latency["seed"] = (latency["seed"] + trader * 0xD1342543DE82EF95) % 2**64
        lot = instrument.lot
        in_lots = self.queue.model in ("risk", "fifo")  # exact in whole lots; the others are defined in base units
        units = (1.0, 1.0) if in_lots else (float(lot.numerator), float(lot.denominator))
        _, rates = self.fees.steps(instrument)
        return (
            QUEUES.index(self.queue.model), float(self.queue.n), units, self.fills == "partial",
            BASES.index(self.fees.per), rates, latency,
        )  # fmt: skip


def _latency(kind: int, **given: Any) -> dict[str, Any]:
    empty = {
        "entry": 0, "response": 0, "factors": (0.0, 0.0), "draw": (0.0, 0.0, 0.0, 1.0), "timeout": 0, "retries": 0,
        "hours": (1.0,) * _HOURS, "seed": 0, "table": None,
    }  # fmt: skip
    return empty | given | {"kind": kind}


def _at_least_zero(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < 2**62:
            raise ValueError(f"{name} is {value}, expected a finite number of at least 0")
