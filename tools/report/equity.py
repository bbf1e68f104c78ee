"""Equity marked to market at every candle close, and what buy-and-hold would have made of the same money.

From: the fills and trades of a `Backtest`, the closes of a `Market`.
To: curves in stake currency that begin with the starting balance and end on Freqtrade's own final balance.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from .market import Market
from .result import Backtest

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
CENT = 0.01


@dataclass(frozen=True)
class Curve:
    """Equity at the start of the backtest and at every candle close after it."""

    times: Times
    values: Floats


@dataclass(frozen=True)
class Reconciliation:
    """How far our account of the backtest is from Freqtrade's."""

    final_equity: float
    open_profit: float  # unrealised, of trades that the result leaves open
    freqtrade_final_balance: float
    difference: float  # realised equity minus Freqtrade's final balance
    largest_trade_gap: float  # worst |orders' cash flows - profit_abs| of a closed trade

    @property
    def to_the_cent(self) -> bool:
        """Say whether both agree."""
        return abs(self.difference) < CENT


def strategy_curve(backtest: Backtest, market: Market) -> tuple[Curve, Reconciliation]:
    """Mark the strategy's account to market.

    A fill counts from the close of the candle it happened in. Funding accrues evenly over the life of a trade
    (the result knows only its sum). When a trade closes, its value becomes Freqtrade's `profit_abs` exactly.
    A pair without candles counts only when its trades close.
    """
    trades, fills, close_times = backtest.trades, backtest.fills, market.close_times
    side = np.where(trades["is_short"], -1.0, 1.0)
    gaps = _gaps(trades, fills)
    left = np.bincount(fills["trade"], weights=fills["signed_amount"], minlength=len(trades)).astype(np.float64)
    profit = np.zeros(len(close_times))
    for pair, rows in trades.groupby("pair", sort=False):
        settled = rows[~rows["is_open"]]
        closed_at = _bucket(close_times, settled["close_time"].to_numpy(dtype=np.int64))
        if pair not in market.pairs:
            profit += _steps(closed_at, settled["profit"].to_numpy(), len(close_times))
            continue
        own = fills[fills["trade"].isin(rows.index)]
        at = _bucket(close_times, own["time"].to_numpy())
        amount, price = own["signed_amount"].to_numpy(), own["price"].to_numpy()
        fees = np.abs(amount) * price * own["fee_rate"].to_numpy()
        profit += _steps(at, -amount * price - fees, len(close_times))  # cash
        # What rounding leaves of a closed trade must not live on as a position.
        held = _steps(at, amount, len(close_times)) - _steps(closed_at, left[settled.index], len(close_times))
        profit += held * market.closes(str(pair))
        profit += _accrued_funding(rows, close_times)
        profit += _steps(closed_at, gaps[settled.index], len(close_times))
    start = backtest.number("starting_balance")
    curve = Curve(np.concatenate([[market.start], close_times]), np.concatenate([[start], start + profit]))
    closed_profit = float(trades.loc[~trades["is_open"], "profit"].sum())
    partial = _partial_profit(trades, fills, side)
    final_balance = backtest.number("final_balance")
    open_profit = float(curve.values[-1]) - start - closed_profit
    has_open = bool(trades["is_open"].any())
    return curve, Reconciliation(
        final_equity=float(curve.values[-1]),
        open_profit=open_profit if has_open else 0.0,
        freqtrade_final_balance=final_balance,
        difference=(start + closed_profit + partial if has_open else float(curve.values[-1])) - final_balance,
        largest_trade_gap=float(np.max(np.abs(gaps), initial=0.0)),
    )


def buy_and_hold(backtest: Backtest, market: Market) -> Curve | None:
    """Put the starting balance into all pairs equally at the first open and sell at the last close, fees paid."""
    if not market.pairs:
        return None
    start = backtest.number("starting_balance")
    fee = float(backtest.trades["fee_open"].mean()) if len(backtest.trades) else 0.0
    growth = [market.closes(pair) / candles.open[0] for pair, candles in market.pairs.items()]
    values = start / (1.0 + fee) * np.mean(growth, axis=0)
    values[-1] *= 1.0 - fee
    return Curve(np.concatenate([[market.start], market.close_times]), np.concatenate([[start], values]))


def fees_paid(backtest: Backtest) -> pd.Series:
    """Return the fee of every fill in stake currency."""
    fills = backtest.fills
    return fills["signed_amount"].abs() * fills["price"] * fills["fee_rate"]


def volume(backtest: Backtest) -> pd.Series:
    """Return the notional of every fill in stake currency."""
    return backtest.fills["signed_amount"].abs() * backtest.fills["price"]


def _gaps(trades: pd.DataFrame, fills: pd.DataFrame) -> Floats:
    """Return profit_abs minus what the orders of each closed trade add up to: Freqtrade's rounding, about 1e-8."""
    amount, price = fills["signed_amount"].to_numpy(), fills["price"].to_numpy()
    cash = -amount * price - np.abs(amount) * price * fills["fee_rate"].to_numpy()
    total = np.bincount(fills["trade"].to_numpy(), weights=cash, minlength=len(trades))
    gap = trades["profit"].to_numpy() - (total + trades["funding"].to_numpy())
    return np.where(trades["is_open"].to_numpy(), 0.0, gap)


def _partial_profit(trades: pd.DataFrame, fills: pd.DataFrame, side: Floats) -> float:
    """Return what open trades have realised by partial exits; Freqtrade's balance holds it already."""
    owner = fills["trade"].to_numpy()
    exits = ~fills["is_entry"].to_numpy() & trades["is_open"].to_numpy()[owner]
    owner = owner[exits]
    sold = np.abs(fills["signed_amount"].to_numpy()[exits])
    price, fee = fills["price"].to_numpy()[exits], fills["fee_rate"].to_numpy()[exits]
    entry, entry_fee = trades["open_rate"].to_numpy()[owner], trades["fee_open"].to_numpy()[owner]
    return float(np.sum(sold * (side[owner] * (price - entry) - price * fee - entry * entry_fee)))


def _accrued_funding(rows: pd.DataFrame, close_times: Times) -> Floats:
    """Return the funding so far, each trade's sum spread evenly: a line per trade, added up by its slope."""
    first = rows["open_time"].to_numpy(dtype=np.float64)
    until = rows["close_time"].fillna(close_times[-1]).to_numpy(dtype=np.float64)
    length = np.maximum(until - first, 1.0)
    funding = rows["funding"].to_numpy()
    n = len(close_times)
    begun, ended = _bucket(close_times, first), _bucket(close_times, until)
    running = _steps(begun, funding / length, n) - _steps(ended, funding / length, n)
    origin = _steps(begun, funding / length * first, n) - _steps(ended, funding / length * first, n)
    return running * close_times - origin + _steps(ended, funding, n)


def _bucket(close_times: Times, times: npt.NDArray[np.generic]) -> npt.NDArray[np.intp]:
    """Return the index of the candle that contains each time; what lies outside counts at the nearest end."""
    return np.minimum(np.searchsorted(close_times, times, side="right"), len(close_times) - 1)


def _steps(at: npt.NDArray[np.intp], jumps: Floats, length: int) -> Floats:
    return np.cumsum(np.bincount(at, weights=jumps, minlength=length).astype(np.float64))
