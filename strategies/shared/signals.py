"""What was known when an order was decided, and what has been known since.

From: Freqtrade's data provider. To: callbacks that read the signal candle after a fill, or move a stop.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pandas as pd

GRACE = pd.Timedelta("5min")  # Freqtrade's outdated_offset


def live_mode(dataprovider: Any) -> bool:
    """Tell whether time passes on its own: live and dry-run."""
    return dataprovider.runmode.value in ("live", "dry_run")


def signal_candle(
    dataprovider: Any, pair: str, timeframe: str, ordered_at: datetime, columns: Iterable[str] | None = None
) -> dict[str, Any] | None:
    """Return columns (all by default) of the newest candle closed at `ordered_at`; None if the frame has none.

    That is the candle whose signal Freqtrade acts on, with an exchange that is late as well. One that opened more than
    two of its lengths and five minutes before the order is none: Freqtrade acts on no older one, so the order had
    another cause, and what was expected hours ago says nothing about it.
    """
    frame, _ = dataprovider.get_analyzed_dataframe(pair, timeframe)
    if frame is None or frame.empty:
        return None
    length = pd.Timedelta(timeframe.replace("m", "min"))
    opened = pd.Timestamp(ordered_at).floor(length) - length
    row = int(frame["date"].searchsorted(opened, side="right")) - 1
    if row < 0 or pd.Timestamp(ordered_at) - frame["date"].iat[row] > 2 * length + GRACE:
        return None
    # Column by column: a row of a frame of mixed types is a slow thing to take, and this runs once per trade.
    return {name: frame[name].iat[row] for name in (frame.columns if columns is None else columns)}


def highest_close(dataprovider: Any, pair: str, timeframe: str, since: datetime) -> float | None:
    """Return the highest close of the candles that opened at or after the one of `since`; None if none has closed.

    A backtest asks a stop with the high of a candle that is still running; a stop moved by that high is then met by the
    low of the same candle, though the low may have come first. Closes of finished candles are known in both worlds.
    """
    frame, _ = dataprovider.get_analyzed_dataframe(pair, timeframe)
    if frame is None or frame.empty:
        return None
    opened = pd.Timestamp(since).floor(pd.Timedelta(timeframe.replace("m", "min")))
    closes = frame["close"].to_numpy()[int(frame["date"].searchsorted(opened)) :]
    return float(closes.max()) if len(closes) else None
