"""Follow a trend that breaks out on volume. Claims no edge: the rules that neural strategies are measured against."""

from datetime import datetime

from freqtrade.persistence import Trade
from freqtrade.strategy import BooleanParameter, DecimalParameter, IntParameter, IStrategy
from pandas import DataFrame

from strategies.engines import trend
from strategies.shared.columns import add_features
from strategies.shared.gates import GateRates
from strategies.shared.plans import Plans
from strategies.shared.signals import highest_close, live_mode, signal_candle
from strategies.shared.stops import stop_at


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
        self.plans, self.rates = Plans(trend.TradePlan, self._plan, stored=True), GateRates(live_mode(self.dp))

    def populate_indicators(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        return add_features(dataframe, trend.FEATURES, self.timeframe)

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        bounds = (self.rsi_low.value, self.rsi_high.value, self.volume_factor.value, self.atr_ceiling.value)
        opened = trend.gates(dataframe, *bounds)
        self.rates.count(metadata["pair"], "long", dataframe["date"], opened)
        enter = trend.enter_where(opened, {gate: getattr(self, f"use_{gate}").value for gate in opened})
        dataframe.loc[enter, ["enter_long", "enter_tag"]] = (1, "tf_breakout")
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe["exit_long"] = 0  # target and stop belong to a trade, not to a candle
        return dataframe

    def custom_stoploss(
        self, pair: str, trade: Trade, current_time: datetime, current_rate: float, current_profit: float,
        after_fill: bool, **kwargs,
    ) -> float | None:  # fmt: skip
        plan = self.plans.of(trade)
        if plan is None:
            return None
        best_close = highest_close(self.dp, pair, self.timeframe, trade.open_date_utc)
        return stop_at(plan.stop(max(plan.entry, best_close or plan.entry)), current_rate, trade)

    def custom_exit(
        self, pair: str, trade: Trade, current_time: datetime, current_rate: float, current_profit: float, **kwargs
    ) -> str | None:
        plan = self.plans.of(trade)
        return "tf_tp" if plan is not None and current_rate >= plan.target else None

    def _plan(self, trade: Trade) -> trend.TradePlan | None:
        candle = signal_candle(self.dp, trade.pair, self.timeframe, trade.open_date_utc, trend.PLAN_COLUMNS)
        return None if candle is None else trend.plan_trade(candle, trade.open_rate)
