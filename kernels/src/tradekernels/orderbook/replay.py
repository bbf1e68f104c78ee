"""Trading inside a replayed feed, call by call. From: a feed, models, a strategy's calls. To: orders and fills."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from typing import NoReturn

import numpy as np

from ._engine import Engine
from .book import Book
from .feed import Feed
from .instrument import MOST_LOTS, MOST_TICKS, Instrument
from .models import Fees, TradingModels
from .records import Kind

# What the fields say: see `Replay.fills`; `trader` is the number of the grid in the fills of run_grids.
FILL = np.dtype(
    [
        ("exchange_time_ns", "<i8"), ("local_time_ns", "<i8"), ("submit_time_ns", "<i8"), ("request_time_ns", "<i8"),
        ("order_id", "<i8"), ("lots", "<i8"), ("tick", "<i8"), ("side", "<i8"), ("maker", "<i8"), ("trader", "<i8"),
    ]
)  # fmt: skip
TRADE = np.dtype([("time_ns", "<i8"), ("side", "<i8"), ("tick", "<i8"), ("lots", "<i8")])
FORCES = ("GTC", "IOC", "FOK", "GTX")
_SIDES = {"buy": 0, "sell": 1}
_CANCEL, _MODIFY = 2, 3


class Status(IntEnum):
    """What the trader knows of an order; a new one that got lost on its way ends as REJECTED."""

    SENT = 0
    WORKING = 1
    PARTLY_FILLED = 2
    FILLED = 3
    CANCELED = 4
    EXPIRED = 5
    REJECTED = 6

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to the order."""
        return self >= Status.FILLED


@dataclass(frozen=True)
class OwnOrder:
    """An own order as the trader knows it; `pending` says that a request about it is on its way."""

    id: int
    side: str
    tick: int
    lots: int
    leaves: int
    status: Status
    pending: bool
    submit_time_ns: int


@dataclass(frozen=True)
class Account:
    """Exact sums of the reported fills. `cash` is in ticks * lots, `fee_steps` in multiples of `fee_step`."""

    position_lots: int
    cash: int
    fee_steps: int
    n_fills: int
    volume_lots: int
    value: int
    n_submits: int
    n_cancels: int
    value_step: Fraction
    fee_step: Fraction

    @classmethod
    def of(cls, engine: Engine, trader: int, instrument: Instrument, fees: Fees) -> Account:
        """Read the account of a trader of an engine."""
        return cls(*engine.account(trader), instrument.tick * instrument.lot, fees.steps(instrument)[0])

    @property
    def balance(self) -> float:
        """Cash from trades in quote currency, before fees."""
        return float(self.cash * self.value_step)

    @property
    def fee(self) -> float:
        """Fees paid in quote currency; negative if rebates were larger."""
        return float(self.fee_steps * self.fee_step)

    def equity_at(self, mid_ticks: float) -> float:
        """Balance less fees, with the position at a mid price, quote currency."""
        return self.balance - self.fee + self.position_lots * mid_ticks * float(self.value_step)


class Replay:
    """A feed that a strategy trades in: the clock moves when it is told to, and orders travel as the models say.

    Parameters
    ----------
    feed : Feed
    models : TradingModels, optional
        Latency, queue, fees and fills. Default: no latency, risk-averse queue, no fees, whole fills.

    Attributes
    ----------
    book : Book
        The trader's book: what has been received by now. It is live: only read it, and not while another thread is in
        `elapse`.
    now : int
        Time in ns, at first that of the first event.

    Notes
    -----
    Own orders never change the replayed book (LOB-12). `elapse` handles every event with time <= now + d, in the order
    trader's row, answer, venue's row, request. A replay belongs to one thread at a time: while time passes, calls from
    another one raise RuntimeError, but nothing guards its `book`. It cannot be copied or pickled.

    Examples
    --------
    >>> replay = Replay(feed)                                          # doctest: +SKIP
    >>> while replay.elapse(100_000_000):                              # doctest: +SKIP
    ...     if not replay.orders and replay.book.best("bid"):
    ...         replay.submit("buy", replay.book.best("bid")[0], 10, "GTX")
    """

    def __init__(self, feed: Feed, models: TradingModels | None = None) -> None:
        self.feed = feed
        self.models = models or TradingModels()
        self._engine = Engine(feed, 1)
        self._engine.set_up(0, *self.models.arguments(feed.instrument, feed.born is not None))
        self.book = Book(self._engine.view)
        self._slots: dict[int, int] = {}
        self._next_id = 1
        self._trades_from, self._trades_since = 0, feed.first_time_ns

    def __reduce__(self) -> NoReturn:
        """Refuse copies and pickles: two of them would share one clock."""
        raise TypeError("a Replay cannot be copied or pickled, expected a new Replay(feed, models) and the same calls")

    @property
    def now(self) -> int:
        """Time in ns."""
        return self._engine.now

    def elapse(self, duration_ns: int) -> bool:
        """Let time pass; return whether to go on.

        True while events of the feed are left or, for at most 60 s of the replay's clock behind the last of them,
        letters are on their way: `while replay.elapse(...)` ends whatever is sent in it, even if all of it gets lost.
        The clock can be moved on after the end, and what is still on its way then arrives.
        """
        return self._engine.elapse(self._until(duration_ns))

    def elapse_to_answer(self, duration_ns: int) -> bool:
        """Let time pass until the venue's next answer is received, or for `duration_ns` if that is shorter.

        Returns what `elapse` returns.
        """
        return self._engine.elapse_to_answer(self._until(duration_ns))

    def submit(self, side: str, tick: int | None, lots: int, force: str = "GTC", order_id: int | None = None) -> int:
        """Send a new order and return its id.

        Parameters
        ----------
        side : {"buy", "sell"}
        tick : int or None
            Limit price; None takes whatever is displayed (use "IOC" or "FOK" with it).
        lots : int
        force : {"GTC", "IOC", "FOK", "GTX"}
            GTX is post-only: it expires if it would trade at once.
        order_id : int, optional
            Any 64-bit integer that no order has which has not been forgotten. Default: one above the largest so far.

        Raises
        ------
        ValueError
            If a value is out of range or the id is taken.
        """
        if side not in _SIDES:
            raise ValueError(f"side is {side!r}, expected 'buy' or 'sell'")
        if force not in FORCES:
            raise ValueError(f"force is {force!r}, expected one of {FORCES}")
        if tick is None:
            if force not in ("IOC", "FOK"):
                raise ValueError(f"force is {force!r} without a tick, expected 'IOC' or 'FOK'")
            tick = MOST_TICKS if side == "buy" else 1
        if order_id is None:
            order_id = self._next_id
        _check_whole(order_id=order_id)
        if order_id in self._slots or not -(2**63) <= order_id < 2**63:
            raise ValueError(f"order_id is {order_id}, expected a 64-bit integer that no order has")
        _check_size(tick, lots)
        self._slots[order_id] = self._engine.submit(0, order_id, _SIDES[side], tick, lots, FORCES.index(force))
        self._next_id = max(self._next_id, order_id + 1)
        return order_id

    def cancel(self, order_id: int) -> None:
        """Ask the venue to take an order away; raises ValueError if it is finished or a request is pending."""
        slot = self._open(order_id)
        self._engine.ask(slot, _CANCEL, self._engine.order(slot)[2], 0)

    def modify(self, order_id: int, tick: int, lots: int) -> None:
        """Ask for another price or remaining size; priority stays only at the same price and no larger size."""
        _check_size(tick, lots)
        self._engine.ask(self._open(order_id), _MODIFY, tick, lots)

    def order(self, order_id: int) -> OwnOrder:
        """Return an order, finished or not; raises KeyError if it was never sent or has been forgotten."""
        id, side, tick, lots, leaves, status, pending, submitted = self._engine.order(self._slots[order_id])
        return OwnOrder(id, "sell" if side else "buy", tick, lots, leaves, Status(status), bool(pending), submitted)

    @property
    def orders(self) -> list[OwnOrder]:
        """Own orders that are not finished, oldest first."""
        return [order for order in map(self.order, self._slots) if not order.status.finished]

    def forget_finished(self) -> None:
        """Drop finished orders from memory: a long run of many orders wants this now and then."""
        self._slots = {id: slot for id, slot in self._slots.items() if not self._engine.release(slot)}

    def queue_ahead(self, order_id: int) -> float:
        """Return what rests before an own order at the venue, own orders not counted; NaN unless it rests.

        In base currency with the probability models, where it may lie below 0 (LOB-13); in lots with `risk` and `fifo`.
        """
        return self._engine.front(self._slots[order_id])

    @property
    def position_lots(self) -> int:
        """Bought less sold lots, of the fills reported so far."""
        return self._engine.account(0)[0]

    @property
    def account(self) -> Account:
        """Exact sums of the fills reported so far."""
        return Account.of(self._engine, 0, self.feed.instrument, self.models.fees)

    @property
    def fills(self) -> np.ndarray:
        """Fills reported so far, ndarray of FILL, shape (n_fills,), in the order in which they happened.

        `exchange_time_ns` is when it happened, `local_time_ns` when it was reported, `submit_time_ns` when the order
        was first sent, `request_time_ns` when the newest request about it was, a cancellation for one, by then:
        what hftbacktest and the worked answers call submit time. `side` is 1 bought, -1 sold; `maker` 1, or 0 as taker;
        `trader` 0.
        """
        return self._engine.fills(FILL, self.now)

    def trades(self) -> np.ndarray:
        """Return the market's trades received since the last call, ndarray of TRADE; side 1 bought, -1 sold."""
        first, self._trades_from = self._trades_from, self._engine.trader_at
        entries = self.feed.trader_stream[first : self._trades_from]
        starts = self.feed.messages["first_row"]
        parts = [self.feed.rows[starts[k] : starts[k + 1] if k + 1 < len(starts) else None] for k in entries]
        rows = np.concatenate(parts) if parts else self.feed.rows[:0]
        received = np.append(self._trades_since, self.feed.messages["local_time_ns"][entries])
        received = np.maximum.accumulate(received)  # what was late counts as known at the time of the one before it
        self._trades_since = int(received[-1])
        times = np.repeat(received[1:], [len(part) for part in parts])
        traded = (rows["kind"] == Kind.BUY_TRADE) | (rows["kind"] == Kind.SELL_TRADE)
        out = np.empty(int(traded.sum()), TRADE)
        out["time_ns"], out["tick"], out["lots"] = times[traded], rows["tick"][traded], rows["lots"][traded]
        out["side"] = np.where(rows["kind"][traded] == Kind.BUY_TRADE, 1, -1)
        return out

    def _until(self, duration_ns: int) -> int:
        _check_whole(duration_ns=duration_ns)
        if duration_ns < 0 or self.now + duration_ns >= 2**62:
            raise ValueError(f"duration_ns is {duration_ns}, expected at least 0 and an end before 2**62 ns")
        return self.now + int(duration_ns)

    def _open(self, order_id: int) -> int:
        if order_id not in self._slots:
            raise ValueError(f"order_id is {order_id}, expected that of an order of this replay")
        order = self.order(order_id)
        if order.status.finished or order.pending:
            state = order.status.name if order.status.finished else "waiting for an answer"
            raise ValueError(f"order {order_id} is {state}, expected a working order without a pending request")
        return self._slots[order_id]


def _check_whole(**values: int) -> None:
    for name, value in values.items():
        if not isinstance(value, (int, np.integer)):
            raise ValueError(f"{name} is {value!r}, expected a whole number")


def _check_size(tick: int, lots: int) -> None:
    _check_whole(tick=tick, lots=lots)
    if not 0 < tick <= MOST_TICKS:
        raise ValueError(f"tick is {tick}, expected 1 .. {MOST_TICKS}")
    if not 0 < lots <= MOST_LOTS:
        raise ValueError(f"lots is {lots}, expected 1 .. {MOST_LOTS}")
