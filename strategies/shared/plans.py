"""What was decided at a trade's entry: remembered, stored with the trade, or worked out from its signal candle now.

From: a strategy that can work a plan out. To: its callbacks about open trades, which must agree with each other and
with themselves after a restart.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic, TypeVar

from freqtrade.persistence import Trade

Plan = TypeVar("Plan")
KEY = "plan"  # of Freqtrade's custom data


class Plans(Generic[Plan]):
    """One plan per open trade; Freqtrade holds one trade per pair (FTL-4).

    Parameters
    ----------
    kind : type
        A dataclass of numbers, made again from what was stored.
    make : callable
        Works a plan out; None while the signal candle is not there (a bot that restarts), so it is asked again later.
    stored : bool
        Whether plans are written to the trade, so that they survive the bot.
    """

    def __init__(self, kind: type[Plan], make: Callable[[Trade], Plan | None], stored: bool) -> None:
        self._kind, self._make, self._stored = kind, make, stored
        self._known: dict[str, tuple[datetime, Plan]] = {}

    def of(self, trade: Trade) -> Plan | None:
        """Return the trade's plan."""
        opened, known = self._known.get(trade.pair, (None, None))
        if opened == trade.open_date:
            return known
        values: dict[str, Any] | None = trade.get_custom_data(KEY) if self._stored else None
        plan = self._kind(**values) if values else self._make(trade)
        if plan is None:
            return None
        if self._stored and not values:
            trade.set_custom_data(KEY, vars(plan))
        self._known[trade.pair] = (trade.open_date, plan)
        return plan

    def renew(self, trade: Trade) -> None:
        """Work the plan out anew, now that the entry is filled: live, a partial fill may have had another price, and
        hyperopt trades the same candle again with other parameters. A stored plan stays if there is no candle for one.
        """
        self._known.pop(trade.pair, None)
        if self._stored and (plan := self._make(trade)) is not None:
            trade.set_custom_data(KEY, vars(plan))
