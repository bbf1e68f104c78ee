"""Follow a trend that breaks out on volume. Claims no edge: the rules that neural strategies are measured against."""

from datetime import datetime

from freqtrade.persistence import Order, Trade
from freqtrade.strategy import BooleanParameter, DecimalParameter, IntParameter, IStrategy, stoploss_from_absolute
from pandas import DataFrame

from strategies.engines import trend
from strategies.shared.columns import add_features
from strategies.shared.signals import signal_candle


class TrendFollower(IStrategy):
    """Long breakouts of an uptrend with an ATR target and a trailing ATR stop (TRE-1..4).

    The target exits as tf_tp. Freqtrade names a hit stop itself: its stop_loss is tf_sl, trailing_stop_loss tf_trail.
    """

    timeframe = "1h"
    startup_candle_count = 800  # warm-up of the averages 510, and 200 candles of 1h on any shorter timeframe (STR-2)
    process_only_new_candles = True
    minimal_roi = {"0": 10}  # noqa: RUF012  # none: target and stop decide
    stoploss = -0.1
    use_custom_stoploss = True
    order_types = {"entry": "limit", "exit": "limit", "stoploss": "market", "stoploss_on_exchange": False}  # noqa: RUF012

    use_cross = BooleanParameter(default=True, space="buy")
    use_band = BooleanParameter(default=True, space="buy")
    use_rsi = BooleanParameter(default=True, space="buy")
    use_volume = BooleanParameter(default=True, space="buy")
    use_atr = BooleanParameter(default=True, space="buy")
    rsi_low = IntParameter(10, 50, default=30, space="buy")
    rsi_high = IntParameter(60, 95, default=70, space="buy")  # above the band RSI is rarely below it
    volume_factor = DecimalParameter(1.0, 3.0, default=1.5, decimals=1, space="buy")  # means of 20 bars
    atr_ceiling = DecimalParameter(0.01, 0.1, default=0.05, decimals=2, space="buy")  # ratio of the price

    def bot_start(self, **kwargs) -> None:
        self.plans: dict[str, tuple[datetime, trend.TradePlan]] = {}

    def populate_indicators(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        return add_features(dataframe, trend.FEATURES, self.timeframe)

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        bounds = (self.rsi_low.value, self.rsi_high.value, self.volume_factor.value, self.atr_ceiling.value)
        opened = trend.gates(dataframe, *bounds)
        enter = trend.enter_where(opened, {gate: getattr(self, f"use_{gate}").value for gate in opened})
        dataframe.loc[enter, ["enter_long", "enter_tag"]] = (1, "tf_breakout")
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe["exit_long"] = 0  # target and stop belong to a trade, not to a candle
        return dataframe

    def order_filled(self, pair: str, trade: Trade, order: Order, current_time: datetime, **kwargs) -> None:
        if order.ft_order_side != trade.entry_side:
            return
        candle = signal_candle(self.dp, pair, self.timeframe, order.order_date_utc, trend.PLAN_COLUMNS)
        plan = None if candle is None else trend.plan_trade(candle, trade.open_rate)
        if plan is not None:
            self.plans[pair] = (trade.open_date, plan)
            trade.set_custom_data("plan", vars(plan))  # a restarted bot reads it again

    def custom_stoploss(
        self, pair: str, trade: Trade, current_time: datetime, current_rate: float, current_profit: float,
        after_fill: bool, **kwargs,
    ) -> float | None:  # fmt: skip
        plan = self._plan(trade)
        if plan is None:
            return None
        best_price = plan.entry if after_fill else max(trade.max_rate, current_rate)
        return stoploss_from_absolute(plan.stop(best_price), current_rate, leverage=trade.leverage) or None

    def custom_exit(
        self, pair: str, trade: Trade, current_time: datetime, current_rate: float, current_profit: float, **kwargs
    ) -> str | None:
        plan = self._plan(trade)
        return "tf_tp" if plan is not None and current_rate >= plan.target else None

    def _plan(self, trade: Trade) -> trend.TradePlan | None:
        opened, plan = self.plans.get(trade.pair, (None, None))
        if opened != trade.open_date:
            stored = trade.get_custom_data("plan")
            plan = None if stored is None else trend.TradePlan(**stored)
        return plan
