"""The account of each pair, read from Freqtrade: what a policy sees of itself (PPA-2, OBS-21 to OBS-26, OBS-61).

From: Freqtrade's wallets, trades and orders, in live, dry-run and backtests. To: `actions`, which fills the agent's
slots, and `weighted_trades`, which sizes orders.

A policy learned with an account of one pair, so each pair has one here: it opens with the tradable balance divided by
max_open_trades (with a fixed `stake_amount`: with that) and keeps the profits of its own trades. Everything is as of a
candle's close and follows from stored trades, so that a restarted bot sees what it saw before.
"""

from datetime import datetime
from typing import Any

import pandas as pd
from freqtrade.persistence import LocalTrade, Order, Trade
from tradekernels.observation import AgentWindow

from strategies.engines.weights import Account

WINDOW = 20  # bars of OBS-23 to OBS-26


class Accounts:
    """All pairs of one bot.

    Parameters
    ----------
    strategy : IStrategy
        Its wallets, data provider, config and max_open_trades are read at each call.
    timeframe : str
        Length of a bar.
    """

    def __init__(self, strategy: Any, timeframe: str) -> None:
        self._strategy, self._bar = strategy, pd.Timedelta(timeframe.replace("m", "min"))
        self._settled: dict[str, tuple[datetime, float]] = {}  # profit of the trades closed by then
        self._pairs = 1  # the most that the whitelist has had: one that shrinks, or is empty, enlarges no account
        self._book: Any = None  # of which history `_settled` is: hyperopt begins another one each epoch

    def opening(self) -> float:
        """Return the quote currency with which every pair's account began."""
        strategy = self._strategy
        stake = strategy.config["stake_amount"]
        if stake != "unlimited":
            return float(stake)
        total = strategy.wallets.get_starting_balance()
        if "available_capital" not in strategy.config:  # else profits taken from open trades are not in it
            taken = sum(trade.realized_profit or 0.0 for trade in Trade.get_trades_proxy(is_open=True))
            total -= taken * strategy.config["tradable_balance_ratio"]
        slots = strategy.max_open_trades
        if not 0 < slots < float("inf"):
            slots = self._pairs = max(self._pairs, len(strategy.dp.current_whitelist()))
        return float(total) / slots

    def at(self, pair: str, closed: datetime, price: float) -> Account:
        """Return the account as of a candle's close, a unit being worth `price`."""
        cash, trades = self._before(pair, closed)
        units = 0.0
        for trade in trades:
            cash += trade.funding_fees or 0.0
            for order in trade.orders:
                if not order.safe_filled or filled_at(order) >= closed:
                    continue
                side = 1.0 if side_of(order) == "buy" else -1.0
                notional = order.safe_filled * order.safe_price
                units += side * order.safe_filled - order.safe_fee_base
                fee = trade.fee_open if order.ft_order_side == trade.entry_side else trade.fee_close
                cash -= side * notional + (0.0 if order.ft_fee_base else (fee or 0.0) * notional)
        return Account(cash, units, price)

    def fields(self, pair: str, frame: pd.DataFrame) -> tuple[Account, tuple[float, ...]]:
        """Return account and `tradekernels.observation.AGENT_FIELDS` at the close of a frame's newest candle.

        A fill's mid is the open of its candle, as it is in training; without that candle it is not known.
        """
        opened = frame["date"].iloc[-1]
        closed = (opened + self._bar).to_pydatetime()
        account = self.at(pair, closed, float(frame["close"].iloc[-1]))
        opens = dict(zip(frame["date"].iloc[-WINDOW:], frame["open"].iloc[-WINDOW:], strict=True))
        sums = self._sums(pair, opened, closed)
        window = AgentWindow()
        for age in reversed(range(WINDOW)):
            for side in ("buy", "sell"):
                placed, filled, paid = sums.get((age, side), (0.0, 0.0, 0.0))
                if placed:
                    window.place(placed)
                if filled:
                    window.fill(side, filled, paid / filled, opens.get(opened - age * self._bar))
            if age:
                window.next_bar()
        return account, window.fields(account.cash, account.units)

    def _sums(
        self, pair: str, opened: pd.Timestamp, closed: datetime
    ) -> dict[tuple[int, str], tuple[float, float, float]]:
        """Return base currency placed and filled and quote currency paid, by age in bars and side.

        The environment sends one order a bar: a reversal, which is two orders of one side here, counts as one.
        """
        sums: dict[tuple[int, str], tuple[float, float, float]] = {}

        def add(when: datetime, order: Order, *amounts: float) -> None:
            age = (opened - pd.Timestamp(when).floor(self._bar)) // self._bar
            if 0 <= age < WINDOW:
                known = sums.get((age, side_of(order)), (0.0, 0.0, 0.0))
                sums[age, side_of(order)] = tuple(a + b for a, b in zip(known, amounts, strict=True))  # type: ignore[assignment]

        for trade in self._before(pair, closed)[1]:
            for order in trade.orders:
                filled = order.safe_filled
                if filled:
                    add(filled_at(order), order, 0.0, filled, filled * order.safe_price)
                if filled or order.ft_order_side != "stoploss":  # a stop that only rests is no order of the policy
                    add(order.order_date_utc, order, order.safe_amount or 0.0, 0.0, 0.0)
        return sums

    def _before(self, pair: str, closed: datetime) -> tuple[float, list[LocalTrade]]:
        """Return cash with all trades settled that ended before the window, and the trades that did not."""
        since, (known, profit) = closed - (WINDOW + 1) * self._bar, self._settled.get(pair, (None, 0.0))
        if self._book is not LocalTrade.bt_trades or (known is not None and known > since):
            self._settled.clear()
            self._book, known, profit = LocalTrade.bt_trades, None, 0.0
        ended = Trade.get_trades_proxy(pair=pair, is_open=False, close_date=known and naive_if_stored(known))
        recent = [trade for trade in ended if trade.close_date_utc > since]
        profit += sum(trade.close_profit_abs or 0.0 for trade in ended if trade.close_date_utc <= since)
        self._settled[pair] = (since, profit)
        return self.opening() + profit, [*recent, *Trade.get_trades_proxy(pair=pair, is_open=True)]


def side_of(order: Order) -> str:
    """Return buy or sell, for a stop on the exchange as well."""
    return str(order.side or order.ft_order_side)


def filled_at(order: Order) -> datetime:
    """Return when an order was filled, UTC; one that is filled in part and goes on, when it was placed."""
    return order.order_filled_utc or order.order_date_utc


def naive_if_stored(when: datetime) -> datetime:
    """Return the time as the trades of this mode keep it: the database without a zone, a backtest with one."""
    return when.replace(tzinfo=None) if Trade.use_db else when
