"""One bar at a time, and inside Freqtrade. From: candles and a feature set. To: table rows of features.py."""

import time
from typing import Any

import numpy as np
import pandas as pd

from tradekernels.features import CATALOG

CANDLE = ("open", "high", "low", "close", "volume")
BARS = 5000


def live_rows(features: Any, frame: pd.DataFrame) -> tuple[str, ...]:
    """Return a table row: median time of an update, of saving and restoring the stream, and the size of its state."""
    date = frame["date"].to_numpy(dtype="datetime64[ms]").astype(np.int64).tolist()
    bars = list(zip(date, *(frame[name].tolist() for name in CANDLE), strict=True))[:BARS]
    stream = features.stream()
    update = [timed(lambda bar=bar: stream.update(bar)) for bar in bars]
    state = stream.state()
    save = [timed(stream.state) for _ in range(200)]
    restore = [timed(lambda: features.stream(state)) for _ in range(200)]
    microseconds = (f"{np.median(times) * 1e6:,.1f}" for times in (update, save, restore))
    return f"{len(features.names)} features", *microseconds, f"{len(state) / 1024:,.0f}"


def timed(call: Any) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def strategy_seconds(frame: pd.DataFrame, rounds: int = 5) -> float | None:
    """Return the best time of `populate_indicators` with every feature; None where Freqtrade is not installed."""
    try:
        from freqtrade.strategy import IStrategy
        from strategies.shared.columns import add_features
    except ImportError:
        return None

    class EveryFeature(IStrategy):
        timeframe, stoploss, minimal_roi = "15m", -0.1, {"0": 1}

        def populate_indicators(self, dataframe, metadata):
            return add_features(dataframe, CATALOG, self.timeframe)

        def populate_entry_trend(self, dataframe, metadata):
            return dataframe

        populate_exit_trend = populate_entry_trend

    strategy = EveryFeature({"stake_currency": "USDT"})
    candles = frame[["date", *CANDLE]]
    return min(timed(lambda: strategy.populate_indicators(candles.copy(), {"pair": "BTC/USDT"})) for _ in range(rounds))
