"""The candle that an order came from.

From: Freqtrade's data provider. To: callbacks that need what was known when the entry was decided.
"""

from datetime import datetime
from typing import Any

import pandas as pd


def signal_candle(dataprovider: Any, pair: str, timeframe: str, ordered_at: datetime) -> pd.Series | None:
    """Return the analysed row whose candle was the newest closed one at `ordered_at`; None if the frame lacks it."""
    frame, _ = dataprovider.get_analyzed_dataframe(pair, timeframe)
    if frame is None or frame.empty:
        return None
    length = pd.Timedelta(timeframe.replace("m", "min"))
    opened = pd.Timestamp(ordered_at).floor(length) - length
    row = int(frame["date"].searchsorted(opened))
    return frame.iloc[row] if row < len(frame) and frame["date"].iloc[row] == opened else None
