"""The candles a backtest ran on, on one time grid.

From: `nn.data.candles.read_candles`, the pairs and the period of the result.
To: `Market`: prices per pair as the equity, the random entries and the price charts need them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from nn.data.candles import read_candles
from nn.data.quality import OHLCV
from nn.data.timeframe import timeframe_ms

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PairCandles:
    """One pair's candles inside the period; arrays of equal length, oldest first."""

    open_times: Times
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats  # base currency
    missing_bars: int
    fingerprint: str


@dataclass(frozen=True)
class Market:
    """Candles of every pair that has them, and why the others do not."""

    step: int  # ms a candle lasts
    start: int
    close_times: Times  # when the candles of the grid are known, ms
    pairs: Mapping[str, PairCandles]
    missing: Mapping[str, str]

    def closes(self, pair: str) -> Floats:
        """Return the pair's price at every close time; a gap keeps the last price."""
        candles = self.pairs[pair]
        newest = np.searchsorted(candles.open_times + self.step, self.close_times, side="right") - 1
        return candles.close[np.maximum(newest, 0)]


def read_market(datadir: Path, pairs: Iterable[str], timeframe: str, start: int, end: int) -> Market:
    """Read the candles that open between `start` and `end` (ms, both included)."""
    step = timeframe_ms(timeframe)
    found: dict[str, PairCandles] = {}
    missing: dict[str, str] = {}
    for pair in pairs:
        try:
            frame, report = read_candles(datadir, pair, timeframe)
        except (OSError, ValueError) as error:
            missing[pair] = str(error).splitlines()[0] if str(error) else type(error).__name__
            continue
        candles = _inside(frame, start, end, step, report.fingerprint)
        if candles is None:
            missing[pair] = "no candle in the period of the backtest"
        else:
            found[pair] = candles
    opens = [candles.open_times for candles in found.values()]
    grid = np.unique(np.concatenate(opens)) if opens else np.arange(start, end + 1, step, dtype=np.int64)
    return Market(step, start, grid + step, found, missing)


def _inside(frame: pd.DataFrame, start: int, end: int, step: int, fingerprint: str) -> PairCandles | None:
    times = frame["date"].dt.as_unit("ms").astype("int64").to_numpy()
    inside = (times >= start) & (times <= end)
    if not inside.any():
        return None
    open_times = times[inside]
    expected = (end - start) // step + 1
    columns = {name: frame[name].to_numpy(dtype=np.float64)[inside] for name in OHLCV}
    return PairCandles(open_times, **columns, missing_bars=int(expected - len(open_times)), fingerprint=fingerprint)
