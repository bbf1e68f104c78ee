"""A signal is good for a short while after its candle's close; an entry on an older one is refused (ASO-7, GUA-7).

From: Freqtrade's data provider and the time of an order. To: `confirm_trade_entry`. Freqtrade offers a candle's signal
in every loop until the next candle, and one of a frame that could not be refreshed for longer still.
"""

import logging
from datetime import datetime
from typing import Any

import pandas as pd

from strategies.shared import metrics

logger = logging.getLogger(__name__)

SHARE = 0.2  # of the timeframe
LONGEST_SECONDS = 10.0


def time_to_live(timeframe: str) -> float:
    """Return for how many seconds after its candle's close a signal may be acted on."""
    return min(SHARE * pd.Timedelta(timeframe.replace("m", "min")).total_seconds(), LONGEST_SECONDS)


class LateSignals:
    """Refuses late entries, counts them and says so once per pair and candle."""

    def __init__(self) -> None:
        self._told: dict[str, pd.Timestamp] = {}

    def refuses(self, dataprovider: Any, pair: str, timeframe: str, now: datetime) -> bool:
        """Tell whether an entry at `now` is too late for the newest analysed candle, or before its close."""
        frame, _ = dataprovider.get_analyzed_dataframe(pair, timeframe)
        if frame is None or frame.empty:
            return True
        opened = frame["date"].iat[-1]
        age = (pd.Timestamp(now) - opened).total_seconds() - pd.Timedelta(timeframe.replace("m", "min")).total_seconds()
        limit = time_to_live(timeframe)
        if 0 <= age <= limit:  # Freqtrade closes candles by this very clock: below 0 it has jumped back
            return False
        if self._told.get(pair) != opened:
            self._told[pair] = opened
            metrics.rejected("TTL")
            logger.info("Entry of %s refused, reason TTL: its signal is %.1f s old, 0 to %g s pass.", pair, age, limit)
        return True
