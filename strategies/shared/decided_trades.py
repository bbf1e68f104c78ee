"""What a decision means for its trade: stake, time to live, stop, target, and a record of why (ENS-2, ASO-7, ASO-8).

From: the signal candle in Freqtrade's data provider, and the strategy's plan for it. To: the strategy's callbacks. A
decision can only reduce what risk allows: the stake shrinks, the stop comes nearer, the profit is taken earlier.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from freqtrade.persistence import Order, Trade

from strategies.engines.forecast import PLAN_COLUMNS, TradePlan, reduced_stake
from strategies.shared.lateness import LateSignals
from strategies.shared.plans import Plans
from strategies.shared.refusal import refuse_on_error
from strategies.shared.replies import COLUMNS
from strategies.shared.signals import signal_candle
from strategies.shared.stops import stop_at

RECORD = "forecast"  # of Freqtrade's custom data
Planner = Callable[[dict[str, float], Trade], TradePlan | None]


class DecidedTrades:
    """The open trades of one bot.

    Parameters
    ----------
    dataprovider : DataProvider
        Freqtrade's.
    timeframe : str
        Of the candles that are decided on.
    live : bool
        Whether time passes between a signal and its order, and plans and records must survive the bot.
    plan : callable
        Returns where a trade ends, from PLAN_COLUMNS of its signal candle.
    """

    def __init__(self, dataprovider: Any, timeframe: str, live: bool, plan: Planner) -> None:
        self._dp, self._timeframe, self._live, self._plan = dataprovider, timeframe, live, plan
        self._plans = Plans(TradePlan, self._make, stored=live)
        self._roi: dict[str, tuple[datetime, float]] = {}
        self._late = LateSignals()

    @refuse_on_error(0.0)
    def stake(self, pair: str, now: datetime, proposed: float, least: float | None) -> float:
        """Return the part of the proposed stake that the decision wants; 0, no trade, without one."""
        candle = signal_candle(self._dp, pair, self._timeframe, now, ("stake_multiplier",))
        return 0.0 if candle is None else reduced_stake(proposed, float(candle["stake_multiplier"]), least)

    @refuse_on_error(False)
    def in_time(self, pair: str, now: datetime) -> bool:
        """Tell whether the signal is still young enough to be traded on."""
        return not self._live or not self._late.refuses(self._dp, pair, self._timeframe, now)

    def timed_out(self, trade: Trade) -> bool:
        """Return False, in the form of `check_entry_timeout`; a trade is written down as soon as there is one.

        A bot that restarts before the fill has no other way to know where its stop belongs.
        """
        self._record(trade)
        return False

    def entered(self, trade: Trade, order: Order) -> bool:
        """Plan the trade by the price of its first entry, and tell whether the order was an entry.

        More entries, of an operator, change the profit ratio at the target and not the plan.
        """
        if order.ft_order_side != trade.entry_side:
            return False
        self._roi.pop(trade.pair, None)
        self._record(trade)
        if trade.nr_of_successful_entries <= 1:
            self._plans.renew(trade)
        return True

    def stop(self, trade: Trade, current_rate: float) -> float | None:
        """Return the stop in the form of `custom_stoploss`."""
        plan = self._plans.of(trade)
        return None if plan is None else stop_at(plan.stop, current_rate, trade)

    def roi(self, trade: Trade) -> float | None:
        """Return the profit ratio at the target, after fees, in the form of `custom_roi`."""
        opened, roi = self._roi.get(trade.pair, (None, None))
        if opened == trade.open_date:
            return roi
        plan = self._plans.of(trade)
        if plan is None:
            return None
        roi = trade.calc_profit_ratio(plan.target)
        self._roi[trade.pair] = (trade.open_date, roi)
        return roi

    def below_target(self, trade: Trade, profit: float) -> bool:
        """Tell whether the target is known and the profit ratio not above it, so that `custom_roi` need not be asked.

        Freqtrade copies the whole trade for each `custom_roi`; False changes nothing but the time it takes.
        """
        opened, roi = self._roi.get(trade.pair, (None, None))
        return roi is not None and opened == trade.open_date and profit <= roi

    def _make(self, trade: Trade) -> TradePlan | None:
        if self._live and (record := trade.get_custom_data(RECORD)):
            return self._plan({name: float(record[name]) for name in PLAN_COLUMNS}, trade)
        candle = signal_candle(self._dp, trade.pair, self._timeframe, trade.open_date_utc, PLAN_COLUMNS)
        return None if candle is None else self._plan(candle, trade)

    def _record(self, trade: Trade) -> None:
        """Live, write down once which weights decided this trade and what they said."""
        if not self._live or trade.get_custom_data(RECORD):
            return
        candle = signal_candle(self._dp, trade.pair, self._timeframe, trade.open_date_utc)
        if candle is not None and isinstance(candle.get("model_version"), str):
            trade.set_custom_data(RECORD, {name: str(candle[name]) for name in ("date", *COLUMNS) if name in candle})
