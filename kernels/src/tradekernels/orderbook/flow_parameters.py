"""What a flow is made of. From: calibrate.py, or JSON. To: the loop of flow.py, packed; bad numbers are refused."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from ._flow import SIZES
from .matching import MAX_LOTS, MAX_TICK
from .observed import N_BINS, SECOND

N_KERNELS: int = SIZES["N_KERNELS"]
Row = tuple[float, ...]


@dataclass(frozen=True)
class FlowParameters:
    """What a flow is made of. Rates are a second, sizes in lots, prices in steps; bins are those of observed.N_BINS.

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
    tight, closed_to : int, tuple of float
        The usual spread: a wider one is open; and the spreads that orders into an open one have left.
    join : float
        Share of the limit orders near the best of their side that stand at it.
    retreats : tuple of float
        Steps from a best quote that has gone within which its side may be pulled.
    caution : float
        Chance that it is.
    alarm : float
        Chance that a market order of mean mark has the whole queue it hits pulled, where both queues are alike; twice
        that where its queue is next to nothing beside the other, none where it is the other way round.
    lean : float
        In [-1, 1]: how much rather an order at the best joins the longer queue.
    fade_rate : float
        Cancellations a second from the shorter best queue at full imbalance; they grow with its square.
    requotes, requote_power : float
        Limit orders that rebuild both best queues after a move of one step, and the power of its steps they grow by.
    elasticity : float
        Power of the market orders' intensity with which limit orders come faster.
    mark_power : float
        Power of its size by which a market order excites others more than one of another size.
    order_lots, order_span : tuple of float, one length
        Sizes of market orders, and how many steps beyond the best each may go.
    message_ns : int
        Time between depth messages; a millisecond at least.
    centre, step : int
        Price of the first quotes, in steps; and ticks a step.
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
    step: int = 1
    tight: int = 1
    closed_to: Row = (1.0,)
    retreats: Row = (1.0,)
    alarm: float = 0.0
    caution: float = 0.0
    join: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no flow can be made of."""
        for field in fields(self):
            _check(field.name, getattr(self, field.name), str(field.type))
        if len(self.order_lots) != len(self.order_span):
            raise ValueError(f"order_lots has {len(self.order_lots)} values, order_span {len(self.order_span)}")
        if sum(self.branching) >= 1:
            raise ValueError(f"branching adds up to {sum(self.branching)}, expected less than 1")
        if self.centre * self.step > MAX_TICK:
            raise ValueError(f"centre is {self.centre} steps of {self.step}, expected at most {MAX_TICK} ticks")

    def to_json(self) -> str:
        """Return the parameters as text; `from_json` gives them back bit for bit."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> FlowParameters:
        """Return the parameters of `to_json`; an unknown or missing key is an error."""
        given = json.loads(text)
        if not isinstance(given, dict):
            raise ValueError(f"parameters are a {type(given).__name__}, expected an object with a key a parameter")
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
                [self.elasticity, self.mean_rate, self.tight, self.join, MAX_TICK // self.step],
                [2.0 * SECOND / self.message_ns],  # half a depth message after a move the new queues stand
                [self.alarm, self.caution],
            ]
        ).astype(np.float64)  # fmt: skip

    def orders(self) -> np.ndarray:
        """Return sizes, spans and marks of market orders; marks have mean 1, so that branching keeps its meaning."""
        lots = np.array(self.order_lots, float)
        marks = np.maximum(lots, 1.0) ** self.mark_power
        return np.stack([lots, np.array(self.order_span, float), marks / marks.mean()])


MOST = 1e9  # of rates, times and powers: what is above is a slip, and would not end in a lifetime
LEAST, LARGEST = {  # where not 0 and MOST
    "mean_rate": 1e-9, "parent_tail": 1e-3, "parent_limit": 1.0, "lean": -1.0, "add_log_mean": -50.0,
    "centre": 1, "step": 1, "tight": 1, "closed_to": 1.0, "message_ns": 1_000_000, "order_lots": 0.0,
}, {
    "follow": 1.0, "parent_share": 1.0, "lean": 1.0, "join": 1.0, "alarm": 1.0, "caution": 1.0,
    "requote_power": 4.0, "elasticity": 4.0,
    "mark_power": 4.0, "add_log_mean": 50.0, "add_log_deviation": 50.0, "depth": 2.0**62, "order_lots": MAX_LOTS,
    "order_span": MAX_TICK // 2, "centre": MAX_TICK, "step": MAX_TICK, "tight": MAX_TICK // 4,
    "closed_to": MAX_TICK // 4, "retreats": MAX_TICK // 4, "message_ns": 3600 * SECOND,
}  # fmt: skip
LENGTHS = dict.fromkeys(("add_rate", "add_log_mean", "add_log_deviation", "life", "depth"), N_BINS)
LENGTHS |= dict.fromkeys(("branching", "decay"), N_KERNELS)


def _check(name: str, value: Any, kind: str) -> None:
    """Refuse a parameter of another type or length, or out of its range."""
    values = value if isinstance(value, tuple) else (value,)
    numbers = int if kind == "int" else (int, float)
    wrong = isinstance(value, tuple) != (kind == "Row") or not all(
        isinstance(v, numbers) and not isinstance(v, bool) for v in values
    )
    if wrong:
        raise ValueError(f"{name} is {value!r}, expected {'numbers in a row' if kind == 'Row' else f'one {kind}'}")
    if kind == "Row" and len(values) != LENGTHS.get(name, max(len(values), 1)):
        raise ValueError(f"{name} has {len(values)} values, expected {LENGTHS.get(name, 'at least 1')}")
    low, high = LEAST.get(name, 0.0), LARGEST.get(name, MOST)
    bad = [v for v in values if not low <= v <= high]
    if bad:
        raise ValueError(f"{name} is {bad[0]}, expected a number from {low:g} to {high:g}")
