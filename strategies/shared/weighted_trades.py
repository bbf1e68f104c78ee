"""What a target weight means for a trade: its stake, its changes, and a record of why (PPA-1, ASO-7, ASO-8).

From: the signal candle in Freqtrade's data provider, the pair's account. To: the callbacks of `ppo_agent`. Orders are
sized at the candle's close, never above what account or Freqtrade allow; one below the exchange's least is none.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pandas as pd
from freqtrade.persistence import Order, Trade

from strategies.engines.weights import SIDES, affordable, missing_units
from strategies.shared.accounts import Accounts, filled_at
from strategies.shared.lateness import LateSignals
from strategies.shared.policies import COLUMNS
from strategies.shared.refusal import refuse_on_error
from strategies.shared.signals import signal_candle

RECORD = "action"  # of Freqtrade's custom data
DECIDED = ("date", "close", "target_weight")


class WeightedTrades:
    """The trades of one bot.

    Parameters
    ----------
    dataprovider : DataProvider
        Freqtrade's.
    timeframe : str
        Of the candles that are acted on.
    live : bool
        Whether time passes between a signal and its order, and a record is kept.
    accounts : Accounts
        What each pair is worth.
    fee : float
        Ratio per side that a purchase leaves cash for.
    dead_band : callable
        Returns the least difference of weights that is traded.
    """

    def __init__(
        self,
        dataprovider: Any,
        timeframe: str,
        live: bool,
        accounts: Accounts,
        fee: float,
        dead_band: Callable[[], float],
    ) -> None:
        self._dp, self._timeframe, self._live, self._accounts = dataprovider, timeframe, live, accounts
        self._fee, self._dead_band = fee, dead_band
        self._bar, self._late = pd.Timedelta(timeframe.replace("m", "min")), LateSignals()

    @refuse_on_error(0.0)
    def stake(
        self, pair: str, now: datetime, rate: float, side: str, least: float | None, most: float, leverage: float
    ) -> float:
        """Return the stake of an entry; 0, no trade, without an action that wants this side."""
        candle = signal_candle(self._dp, pair, self._timeframe, now, DECIDED)
        if candle is None or not candle["target_weight"] * SIDES[side] >= self._dead_band():
            return 0.0
        account = self._accounts.at(pair, self._closed(candle), float(candle["close"]))
        units = abs(float(candle["target_weight"])) * max(account.worth, 0.0) / account.price
        if side == "long":
            units = affordable(units, account.worth, rate, self._fee)
        return self._within(units * rate / leverage, least, most)

    @refuse_on_error(None)
    def adjustment(self, trade: Trade, now: datetime, rate: float, least: float | None, most: float) -> float | None:
        """Return what to add to a trade's stake, below 0 to take away, in the form of `adjust_trade_position`.

        One order a candle, as in training: a trade that has had one since the candle's close waits for the next. So
        does one whose earlier order was filled since: the account at the close lacks it, and it would come twice.
        A target within the dead band or on the other side is the exit signal's to close, whole.
        """
        candle = signal_candle(self._dp, trade.pair, self._timeframe, now, DECIDED)
        sign = -1.0 if trade.is_short else 1.0
        if candle is None or not candle["target_weight"] * sign >= self._dead_band():
            return None
        closed = self._closed(candle)
        if trade.has_open_orders or any(
            max(order.order_date_utc, filled_at(order)) >= closed for order in trade.orders
        ):
            return None
        account = self._accounts.at(trade.pair, closed, float(candle["close"]))
        units = sign * missing_units(float(candle["target_weight"]), account, self._dead_band())
        if units > 0:
            if self._live and self._late.refuses(self._dp, trade.pair, self._timeframe, now):
                return None
            if not trade.is_short:
                units = affordable(units, account.cash, rate, self._fee)
            return self._within(units * rate / trade.leverage, least, most) or None
        if units == 0 or -units * rate < (least or 0.0):
            return None
        return units / abs(account.units) * trade.stake_amount  # a share of the stake is read as one of the amount

    @refuse_on_error(False)
    def in_time(self, pair: str, now: datetime) -> bool:
        """Tell whether the signal is still young enough to be traded on."""
        return not self._live or not self._late.refuses(self._dp, pair, self._timeframe, now)

    def timed_out(self, trade: Trade, order: Order, now: datetime) -> bool:
        """Tell whether an entry order is of an earlier candle, in the form of `check_entry_timeout`.

        In training an order is filled in the candle after its decision, or never: one that waits longer would be filled
        for a target that is no longer wanted. Orders that leave wait on: nothing ends an exit but its fill.
        """
        self.record(trade)
        return order.order_date_utc < pd.Timestamp(now).floor(self._bar)

    def record(self, trade: Trade) -> None:
        """Live, write down once what decided this trade: while its order waits, or at a fill that did not wait."""
        if self._live and not trade.get_custom_data(RECORD):
            candle = signal_candle(self._dp, trade.pair, self._timeframe, trade.open_date_utc)
            if candle is not None and isinstance(candle.get("model_version"), str):
                trade.set_custom_data(RECORD, {name: str(candle[name]) for name in ("date", *COLUMNS)})

    def _closed(self, candle: dict[str, Any]) -> datetime:
        return (candle["date"] + self._bar).to_pydatetime()

    @staticmethod
    def _within(stake: float, least: float | None, most: float) -> float:
        """Return the stake, cut to the most; 0 if it is below the least (SIZ-5: refused, not rounded up)."""
        stake = min(stake, most)
        return stake if stake > 0 and stake >= (least or 0.0) else 0.0
