"""How often each condition of an entry is true, so that a gate that never opens is seen (STR-9), and which one refused
an entry that the gates before it wanted (STR-3).

From: a strategy's gates, one Series of truths per condition. To: the log, and in a live bot the metrics.
"""

import logging
from collections import Counter
from collections.abc import Mapping

import pandas as pd

from strategies.shared import metrics

logger = logging.getLogger(__name__)


class GateRates:
    """Counts candles per pair and side: in a backtest all at once, live the newest of each frame.

    Parameters
    ----------
    live : bool
        Count the newest candle alone, and tell the shares once per day of candles.
    """

    def __init__(self, live: bool) -> None:
        self.live = live
        self._counts: dict[tuple[str, str], Counter[str]] = {}
        self._newest: dict[tuple[str, str], pd.Timestamp] = {}

    def count(self, pair: str, side: str, dates: pd.Series, gates: Mapping[str, pd.Series]) -> None:
        """Add a frame's gates; a backtest's frame is counted and told the first time only."""
        key = (pair, side)
        if not len(dates):
            return
        newest = pd.Timestamp(dates.iloc[-1])
        if newest == self._newest.get(key) or (not self.live and key in self._newest):
            return
        new_day = key in self._newest and self._newest[key].date() != newest.date()
        self._newest[key] = newest
        last = {name: gate.iloc[-1:] if self.live else gate for name, gate in gates.items()}
        counts = self._counts.setdefault(key, Counter())
        counts["candles"] += 1 if self.live else len(dates)
        wanted = None
        for name, gate in last.items():
            counts[name] += int(gate.sum())
            metrics.passed(pair, side, name, counts[name] / counts["candles"])
            refused = 0 if wanted is None else int((wanted & ~gate).sum())
            counts[f"refused by {name}"] += refused
            metrics.rejected(name, refused if self.live else 0)
            wanted = gate if wanted is None else wanted & gate
        counts["all"] += int(wanted.sum()) if wanted is not None else 0
        if new_day or not self.live:
            shares = ", ".join(f"{name} {counts[name] / counts['candles']:.1%}" for name in (*gates, "all"))
            refusals = ", ".join(f"{name} {counts[name]}" for name in counts if name.startswith("refused"))
            logger.info("Gates of %s %s over %d candles: %s; %s.", pair, side, counts["candles"], shares, refusals)
