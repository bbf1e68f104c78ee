"""A generator of order flow over the matching engine (LOB-30). From: FlowParameters and a seed. To: the rows of a feed.

    parameters = calibrate(rows)                  # or FlowParameters.from_json(text)
    flow = OrderFlow(parameters, seed=7)
    rows = flow.run(3600.0)                       # an hour: trades at once, changed levels every 50 ms or so

Market orders excite each other (a Hawkes process, so that they cluster; large ones more so) and come from hidden parent
orders with a Pareto number of children, so that their signs remember. Limit orders fall at a distance from the opposite
best drawn from a table; each is reviewed after a random life, which depends on where the market has left it. A short
queue at the best fades, the queues are rebuilt after a move, and while the spread is open somebody closes it, rather
after the move than against it. Sizes are those of the feed.

Every draw is a function of the seed and a count of draws: however a run is cut into pieces, the rows are the same.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from ._flow import SIZES, Simulation
from .facts import FEED, N_BINS, SECOND, SET_ASK

N_KERNELS: int = SIZES["N_KERNELS"]
WARM_UP = 30.0  # seconds: what a new book is filled with has mostly been replaced
Row = tuple[float, ...]


@dataclass(frozen=True)
class FlowParameters:
    """What a flow is made of. Rates are a second, sizes in lots, prices in ticks; bins are those of facts.N_BINS.

    Parameters
    ----------
    mean_rate, base_rate : float
        Market orders a second, and those of them that no other has excited.
    branching, decay : tuple of float, length N_KERNELS
        Children of a market order by exponential kernel, and how fast each fades.
    parent_share, parent_tail, parent_limit : float
        Share of market orders that take their parent's side, the others toss a coin; tail exponent of its children,
        and the most it has.
    add_rate, add_log_mean, add_log_deviation : tuple of float, length N_BINS
        Limit orders by distance, both sides together, and their lognormal sizes.
    life : tuple of float, length N_BINS
        Mean seconds until an order there is cancelled.
    depth : tuple of float, length N_BINS
        Lots of a side that a new book starts with.
    gap_rate, follow : float
        Limit orders into an open spread, and the share of them that follow the move.
    lean : float
        In [-1, 1]: how much rather an order at the best joins the longer queue.
    fade_rate : float
        Cancellations a second from the shorter best queue at full imbalance; they grow with its square.
    requotes : float
        Limit orders that rebuild both best queues after a move.
    elasticity : float
        Power of the market orders' intensity with which limit orders come faster.
    mark_power : float
        Power of its size by which a market order excites others more than one of another size.
    order_lots, order_span : tuple of float, one length
        Sizes of market orders, and how many ticks beyond the best each may go.
    message_ns : int
        Time between depth messages.
    centre : int
        Price of the first quotes.
    """

    mean_rate: float
    base_rate: float
    branching: Row
    decay: Row
    parent_share: float
    parent_tail: float
    parent_limit: float
    add_rate: Row
    add_log_mean: Row
    add_log_deviation: Row
    life: Row
    depth: Row
    gap_rate: float
    follow: float
    lean: float
    fade_rate: float
    requotes: float
    requote_power: float
    elasticity: float
    mark_power: float
    order_lots: Row
    order_span: Row
    message_ns: int
    centre: int

    def __post_init__(self) -> None:
        """Refuse what no flow can be made of."""
        for field in fields(self):
            value = np.asarray(getattr(self, field.name), dtype=float)
            if not np.isfinite(value).all() or (
                field.name != "lean" and not field.name.startswith("add_log") and (value < 0).any()
            ):
                raise ValueError(f"{field.name} is {getattr(self, field.name)}, expected finite numbers of at least 0")
        bins = ("add_rate", "add_log_mean", "add_log_deviation", "life", "depth")
        for name, length in [*((name, N_BINS) for name in bins), ("branching", N_KERNELS), ("decay", N_KERNELS)]:
            if len(getattr(self, name)) != length:
                raise ValueError(f"{name} has {len(getattr(self, name))} values, expected {length}")
        if len(self.order_lots) != len(self.order_span) or not self.order_lots:
            raise ValueError(f"order_lots has {len(self.order_lots)} values, order_span {len(self.order_span)}")
        if sum(self.branching) >= 1:
            raise ValueError(f"branching adds up to {sum(self.branching)}, expected less than 1")
        for name in ("mean_rate", "parent_tail", "parent_limit", "message_ns", "centre"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected more than 0")
        if not (-1 <= self.lean <= 1 and self.follow <= 1 and self.parent_share <= 1):
            raise ValueError("lean, follow and parent_share are shares, expected at most 1")

    def to_json(self) -> str:
        """Return the parameters as text; `from_json` gives them back bit for bit."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> FlowParameters:
        """Return the parameters of `to_json`; an unknown or missing key is an error."""
        given = json.loads(text)
        names = {field.name for field in fields(cls)}
        if set(given) != names:
            wrong = sorted(set(given) ^ names)
            raise ValueError(f"parameters have or lack {', '.join(wrong)}, expected exactly {', '.join(sorted(names))}")
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
        return cls(**values)

    def packed(self) -> np.ndarray:
        """Return the numbers in the order of the loop's struct."""
        return np.concatenate(
            [
                [self.base_rate], self.branching, self.decay,
                [self.parent_share, self.parent_tail, self.parent_limit], self.add_rate, self.add_log_mean,
                self.add_log_deviation, self.life, [self.gap_rate, self.follow, self.lean],
                [self.fade_rate, self.requotes, self.requote_power],
                [self.elasticity, self.mean_rate],
            ]
        ).astype(np.float64)  # fmt: skip

    def orders(self) -> np.ndarray:
        """Return sizes, spans and marks of market orders; marks have mean 1, so that branching keeps its meaning."""
        lots = np.array(self.order_lots, float)
        marks = np.maximum(lots, 1.0) ** self.mark_power
        return np.stack([lots, np.array(self.order_span, float), marks / marks.mean()])


class OrderFlow:
    """A running flow.

    Parameters
    ----------
    parameters : FlowParameters
    seed : int
        0 .. 2**64 - 1.
    start_ns : int
        Time of the first moment.
    capacity, window : int
        As of MatchingEngine; beyond `capacity` live orders new ones are turned away.
    """

    def __init__(
        self, parameters: FlowParameters, seed: int, start_ns: int = 0, capacity: int = 1 << 16, window: int = 1 << 14
    ) -> None:
        if not 0 <= seed < 2**64:
            raise ValueError(f"seed is {seed}, expected 0 to 2**64 - 1")
        self.seconds, self.start_ns = 0.0, start_ns
        self._loop = Simulation(
            parameters.packed(),
            parameters.orders(),
            seed,
            parameters.centre,
            start_ns,
            parameters.message_ns,
            capacity,
            window,
        )
        self._loop.fill(np.array(parameters.depth, float))

    def run(self, seconds: float) -> np.ndarray:
        """Go on for some time and return the FEED rows of it, by time."""
        if not 0 <= seconds < 1e9:
            raise ValueError(f"seconds is {seconds}, expected 0 or more")
        self.seconds += seconds
        return np.frombuffer(self._loop.run(self.seconds), FEED)

    def feed(self, seconds: float, warm_up: float = WARM_UP) -> np.ndarray:
        """Return the FEED rows of some time after a warm-up, the book set out in full at their beginning."""
        early, rows = self.run(warm_up), self.run(seconds)
        early = early[early["kind"] <= SET_ASK].copy()
        early["time"] = self.start_ns + int(warm_up * SECOND)
        return np.concatenate([early, rows])

    def levels(self, side: int, n_levels: int = 10) -> np.ndarray:
        """Return (tick, lots, orders) of the best levels of a side as they are now, int64 of shape (<= n_levels, 3)."""
        if side not in (1, -1):
            raise ValueError(f"side is {side}, expected 1 for bids or -1 for asks")
        out = np.zeros((n_levels, 3), np.int64)
        return out[: self._loop.depth(side, out)]

    @property
    def events(self) -> int:
        """Events drawn so far."""
        return int(self._loop.events)

    @property
    def market_orders(self) -> int:
        """Market orders so far; those of one millisecond and side look like one in the rows."""
        return int(self._loop.market_orders)

    @property
    def resting(self) -> int:
        """Orders in the book."""
        return int(self._loop.resting)
