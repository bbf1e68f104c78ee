"""The account as the observation sees it. From: wallets, fills and orders, live or simulated. To: slots 21 to 26.

A strategy keeps an `AgentWindow` per pair; an environment keeps the same ring of bars in C and calls the same functions
of `_observation.pxd` (OBS-61).
"""

from __future__ import annotations

import math

import numpy as np

from . import _observation

# cash: free quote currency. units: base currency held, negative when short. The rest are sums over the last 20 bars,
# the newest included: bought and sold base currency, number of fills, sum of side x (fill price - mid)/mid over the
# fills whose mid is known and their number, filled and placed base currency of own orders.
AGENT_FIELDS: tuple[str, ...] = (
    "cash", "units", "bought_20", "sold_20", "fills_20", "spread_sum_20", "spread_count_20", "filled_20", "placed_20",
)  # fmt: skip
WINDOW = 20  # bars
_BOUGHT, _SOLD, _FILLS, _SPREAD_SUM, _SPREAD_COUNT, _FILLED, _PLACED = range(len(AGENT_FIELDS) - 2)
_BAR = 8  # numbers that a bar takes in the ring, one more than its fields: whole lanes
SIDES = {"buy": 1.0, "sell": -1.0}


class AgentWindow:
    """Own fills and orders of one pair over the last 20 bars.

    Record what happens as it does, call `fields` at the close of a bar, then `next_bar`:

    >>> window = AgentWindow()
    >>> window.place(2.0)
    >>> window.fill("buy", 2.0, price=100.1, mid=100.0)
    >>> window.fields(cash=800.0, units=2.0)[2:5]
    (2.0, 0.0, 1.0)
    >>> window.next_bar()
    """

    def __init__(self) -> None:
        self._bars = np.zeros((WINDOW, _BAR))
        self._newest = 0

    def place(self, amount: float) -> None:
        """Record an order of `amount` base currency, as it is placed."""
        self._bars[self._newest, _PLACED] += _positive("amount", amount)

    def fill(self, side: str, amount: float, price: float, mid: float | None = None) -> None:
        """Record a fill of an own order, or a part of one.

        Parameters
        ----------
        side : {"buy", "sell"}
            What was done; closing a short is a buy.
        amount : float
            Base currency.
        price : float
            Quote currency.
        mid : float, optional
            Middle of the best quotes at that moment; without it the fill does not count for the realised spread.

        Raises
        ------
        ValueError
            If the side is neither, or a number is not finite and above 0.
        """
        if side not in SIDES:
            raise ValueError(f"side is {side!r}, expected 'buy' or 'sell'")
        amount, price = _positive("amount", amount), _positive("price", price)
        mid = None if mid is None else _positive("mid", mid)
        bar = self._bars[self._newest]
        bar[_BOUGHT if side == "buy" else _SOLD] += amount
        bar[_FILLED] += amount
        bar[_FILLS] += 1
        if mid is not None:
            bar[_SPREAD_SUM] += SIDES[side] * (price - mid) / mid
            bar[_SPREAD_COUNT] += 1

    def next_bar(self, bars: int = 1) -> None:
        """Begin a new bar: what is 20 bars old leaves. `bars` is more than 1 where bars are missing between."""
        if not isinstance(bars, int) or bars < 1:
            raise ValueError(f"bars is {bars!r}, expected a whole number from 1 on")
        for _ in range(min(bars, WINDOW)):
            self._newest = (self._newest + 1) % WINDOW
            self._bars[self._newest] = 0.0

    def fields(self, cash: float, units: float) -> tuple[float, ...]:
        """Return `AGENT_FIELDS` for an account that holds this much quote and base currency now."""
        return (cash, units, *_observation.window_of(self._bars, self._newest))


def read_agent(agent: object, n_rows: int) -> np.ndarray:
    """Return accounts as float64 of shape (n_rows, 9), contiguous and checked: the border of `compute`.

    Raises
    ------
    ValueError
        If the shape is another, cash or units are not finite, or a sum is one that cannot be (OBS-56).
    """
    fields = np.asarray(agent)
    if fields.dtype.kind not in "fiu" or fields.shape != (n_rows, len(AGENT_FIELDS)):
        expected = (n_rows, len(AGENT_FIELDS))
        raise ValueError(f"agent has shape {fields.shape} of {fields.dtype}, expected numbers of shape {expected}")
    fields = np.ascontiguousarray(fields, dtype=np.float64)
    row, field = _observation.first_agent_fault(fields)
    if row >= 0:
        name = AGENT_FIELDS[field]
        least = "" if name in ("cash", "units", "spread_sum_20") else " of at least 0"
        raise ValueError(f"{name} in row {row} is {fields[row, field]}, expected a finite number{least}")
    return fields


def read_prices(prices: object, n_rows: int) -> np.ndarray:
    """Return prices as contiguous float64 of shape (n_rows,), each finite and above 0."""
    values = np.asarray(prices)
    if values.dtype.kind not in "fiu" or values.shape != (n_rows,):
        raise ValueError(f"prices have shape {values.shape} of {values.dtype}, expected numbers of shape {(n_rows,)}")
    values = np.ascontiguousarray(values, dtype=np.float64)
    bad = ~(np.isfinite(values) & (values > 0))
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"price in row {row} is {values[row]}, expected a finite price above 0")
    return values


def _positive(name: str, value: float) -> float:
    number = float(value)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{name} is {value!r}, expected a finite number above 0")
    return number
