"""A generator of order flow over the matching engine (LOB-30). From: FlowParameters and a seed. To: the rows of a feed.

    parameters = calibrate(rows)                  # or FlowParameters.from_json(text)
    flow = OrderFlow(parameters, seed=7)
    rows = flow.run(3600.0)                       # an hour: trades at once, changed levels every 50 ms or so

Market orders excite each other (a Hawkes process, so that they cluster; large ones more so) and come from hidden parent
orders with a Pareto number of children, so that their signs remember. Limit orders fall at a distance from the opposite
best drawn from a table; each is reviewed after a random life, which depends on where the market has left it. A short
queue at the best fades, and a market order may scare a whole one away. With a best quote goes what stood near it, as
far as in the feed: makers move together. While the spread is open somebody closes it, rather after the move than
against it, and the queues are rebuilt. Sizes are those of the feed. Where spreads are wide, "open" means wider than
usual, and what is quoted inside, or joins the best, does so as often as in the feed.

Every draw is a function of the seed and a count of draws: however a run is cut into pieces, the rows are the same.
"""

from __future__ import annotations

import numpy as np

from ._flow import SIZES, Simulation
from .flow_parameters import FlowParameters
from .matching import MAX_CAPACITY
from .observed import FEED, SECOND, SET_ASK

__all__ = ["WARM_UP", "FlowParameters", "OrderFlow"]
MAX_START, LONGEST = 1 << 62, 1e9  # ns since 1970, seconds: int64 holds their sum
WARM_UP = 30.0  # seconds: what a new book is filled with has mostly been replaced


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
        if not 0 <= start_ns <= MAX_START:
            raise ValueError(f"start_ns is {start_ns}, expected 0 to {MAX_START}")
        if not 1 <= capacity <= MAX_CAPACITY:
            raise ValueError(f"capacity is {capacity}, expected 1 to {MAX_CAPACITY}")
        self.start_ns = self.now_ns = start_ns
        self.step = parameters.step
        self._loop = Simulation(
            parameters.packed(),
            parameters.orders(),
            np.array(parameters.closed_to, float),
            np.array(parameters.retreats, float),
            seed,
            parameters.centre,
            parameters.step,
            start_ns,
            parameters.message_ns,
            capacity,
            window,
        )
        self._loop.fill(np.array(parameters.depth, float))

    def run(self, seconds: float) -> np.ndarray:
        """Go on for some time, to the nanosecond, and return the FEED rows of it, by time.

        Raises
        ------
        RuntimeError
            If more than a million events a second have come: the parameters explode.
        """
        if not 0 <= seconds <= LONGEST:
            raise ValueError(f"seconds is {seconds}, expected 0 to {LONGEST:g}")
        if self.now_ns + seconds * SECOND > MAX_START + LONGEST * SECOND:
            raise ValueError(f"seconds is {seconds}, expected less: {LONGEST:g} have passed")
        self.now_ns += round(seconds * SECOND)
        rows, sound = self._loop.run(self.now_ns)
        if not sound:
            raise RuntimeError(
                f"more than {SIZES['MOST_EVENTS']} events a second in {self.now_ns - self.start_ns} ns: "
                "the parameters excite too much, or their rates are too high"
            )
        return np.frombuffer(rows, FEED)

    def feed(self, seconds: float, warm_up: float = WARM_UP) -> np.ndarray:
        """Return the FEED rows of some time after a warm-up, the book set out in full at their beginning."""
        early = self.run(warm_up)
        early = early[early["kind"] <= SET_ASK]
        early["time"] = self.now_ns
        return np.concatenate([early, self.run(seconds)])

    def levels(self, side: int, n_levels: int = 10) -> np.ndarray:
        """Return (tick, lots, orders) of the best levels of a side as they are now, int64 of shape (<= n_levels, 3)."""
        if side not in (1, -1):
            raise ValueError(f"side is {side}, expected 1 for bids or -1 for asks")
        out = np.zeros((n_levels, 3), np.int64)
        out = out[: self._loop.depth(side, out)]
        out[:, 0] *= self.step
        return out

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
