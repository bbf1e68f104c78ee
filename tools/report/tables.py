"""Break a backtest down by pair, month, entry tag and exit reason.

From: trades, fills and curves. To: lists of rows for the JSON and the page; every sum equals the headline's.
"""

from typing import Any

import numpy as np
import pandas as pd

from . import metrics
from .equity import Curve, fees_paid, volume
from .market import Market
from .result import Backtest


def group_row(trades: pd.DataFrame) -> dict[str, Any]:
    """Return what a group of trades did; money of trades still open is not in it."""
    profits = trades.loc[~trades["is_open"], "profit"].to_numpy()
    ended = trades[~trades["is_open"]]
    hours = (ended["close_time"].astype("int64") - ended["open_time"]) / 3_600_000
    return {
        "trades": len(trades),
        "long": int((~trades["is_short"]).sum()),
        "short": int(trades["is_short"].sum()),
        "profit": float(profits.sum()),
        "mean_profit_ratio": float(ended["profit_ratio"].mean()) if len(ended) else None,
        "win_rate": metrics.win_rate(profits),
        "profit_factor": metrics.profit_factor(profits),
        "mean_hours": float(hours.mean()) if len(ended) else None,
    }


def per_pair(backtest: Backtest, market: Market) -> list[dict[str, Any]]:
    """Return a row per pair of the pair list, also for those that never traded."""
    owner = backtest.trades["pair"].to_numpy()[backtest.fills["trade"].to_numpy()]
    fees = fees_paid(backtest).groupby(owner).sum()
    traded = volume(backtest).groupby(owner).sum()
    rows = []
    for pair in dict.fromkeys([*map(str, backtest["pairlist"]), *backtest.trades["pair"]]):
        own = backtest.trades[backtest.trades["pair"] == pair]
        candles = market.pairs.get(pair)
        rows.append(
            {
                "pair": pair,
                **group_row(own),
                "fees": float(fees.get(pair, 0.0)),
                "funding": float(own["funding"].sum()),
                "volume": float(traded.get(pair, 0.0)),
                "market_ratio": float(candles.close[-1] / candles.open[0] - 1.0) if candles else None,
                "candles": len(candles.open) if candles else 0,
                "missing_candles": candles.missing_bars if candles else None,
                "without_candles": market.missing.get(pair),
            }
        )
    return rows


def per_tag(trades: pd.DataFrame, column: str) -> list[dict[str, Any]]:
    """Return a row per value of `enter_tag` or `exit_reason`, most trades first."""
    rows = [{"tag": str(tag), **group_row(own)} for tag, own in trades.groupby(column, sort=True)]
    return sorted(rows, key=lambda row: -row["trades"])


def monthly(backtest: Backtest, curve: Curve, hold: Curve | None) -> list[dict[str, Any]]:
    """Return the marked-to-market change of equity of every UTC month, and what was opened and paid in it."""
    label = _month(curve.times[1:] - 1)  # a close at midnight of the 1st ends the month before
    opened = _month(backtest.trades["open_time"].to_numpy())
    ended = backtest.trades["close_time"].dropna().to_numpy(dtype=np.int64)
    filled = _month(backtest.fills["time"].to_numpy())
    fees = fees_paid(backtest).to_numpy()
    rows = []
    for month in dict.fromkeys(label):
        inside = np.flatnonzero(label == month)
        first, last = inside[0], inside[-1] + 1
        begin, final = float(curve.values[first]), float(curve.values[last])
        rows.append(
            {
                "month": str(month),
                "profit": final - begin,
                "profit_ratio": final / begin - 1.0 if begin > 0 else None,
                "buy_and_hold_ratio": float(hold.values[last] / hold.values[first] - 1.0) if hold else None,
                "max_drawdown": float(metrics.drawdown(curve.values[first : last + 1]).max()),
                "opened": int((opened == month).sum()),
                "closed": int((_month(ended) == month).sum()),
                "fees": float(fees[filled == month].sum()),
            }
        )
    return rows


def _month(times: np.ndarray) -> np.ndarray:
    return np.asarray(times, dtype="datetime64[ms]").astype("datetime64[M]").astype(str)
