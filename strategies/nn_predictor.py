"""Trade what the model expects to move by more than a trade costs. Claims no edge: the edge is the model's to show."""

from datetime import datetime

from freqtrade.persistence import Order, Trade
from freqtrade.strategy import CategoricalParameter, DecimalParameter, IStrategy
from pandas import DataFrame, concat

from strategies.engines.forecast import STOP_COLUMNS, TREND_FEATURES, allowed_by_rules, entry, reversal, stop_distance
from strategies.shared.columns import add_features
from strategies.shared.forecasts import forecast_source
from strategies.shared.settings import Settings, short_allowed
from strategies.shared.signals import signal_candle
from strategies.shared.stops import stop_at


class NNPredictor(IStrategy):
    """Enter while the forecast pays the round trip, leave when it turns, stop beyond the drawdown foreseen (NNP-2)."""

    timeframe = "15m"
    startup_candle_count = 800  # warm-up 512 + context 96, and 200 candles of 1h (STR-2): a contract test adds them up
    process_only_new_candles = True
    minimal_roi = {"0": 10}  # noqa: RUF012  # none: the forecast decides
    stoploss = -0.05
    use_custom_stoploss = True  # in a backtest only from an entry's fill until its stop is set, see custom_stoploss
    order_types = {"entry": "limit", "exit": "limit", "stoploss": "market", "stoploss_on_exchange": False}  # noqa: RUF012

    horizon = CategoricalParameter(["1h", "4h", "12h"], default="4h", space="buy")
    edge = DecimalParameter(1.0, 4.0, default=1.5, decimals=1, space="buy")  # round trips that the expected return pays
    min_confidence = DecimalParameter(0.5, 0.9, default=0.55, decimals=2, space="buy")  # of the side, if it moves
    combine = CategoricalParameter(["nn_only", "and_ta", "veto"], default="nn_only", space="buy")
    stop_factor = DecimalParameter(1.0, 4.0, default=1.5, decimals=1, space="sell")  # predicted adverse moves
    min_stop = DecimalParameter(0.002, 0.02, default=0.005, decimals=3, space="sell")  # ratio of the price

    def __init__(self, config: dict) -> None:
        self.can_short = short_allowed(config)  # a class attribute would keep the strategy from loading in spot mode
        super().__init__(config)

    def bot_start(self, **kwargs) -> None:
        self.forecasts = forecast_source(self.config)  # live: the newest candle; else every candle as of its own time
        self.round_trip_cost = Settings.from_config(self.config).round_trip_cost
        self.use_custom_stoploss = self._live()

    def populate_indicators(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe = add_features(dataframe, TREND_FEATURES, self.timeframe)
        return concat([dataframe, self.forecasts.columns(metadata["pair"], self.timeframe, dataframe)], axis=1)

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        thresholds = (self.horizon.value, self.edge.value, self.min_confidence.value, self.round_trip_cost)
        dataframe[["enter_long", "enter_short"]] = 0
        for side in ("long", "short") if self.can_short else ("long",):
            worth_it = entry(dataframe, side, *thresholds) & allowed_by_rules(dataframe, side, self.combine.value)
            dataframe.loc[worth_it, [f"enter_{side}", "enter_tag"]] = (1, f"nn_{side}_{self.horizon.value}")
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe[["exit_long", "exit_short"]] = 0
        for side in ("long", "short") if self.can_short else ("long",):
            turned = reversal(dataframe, side, self.horizon.value)
            dataframe.loc[turned, [f"exit_{side}", "exit_tag"]] = (1, "nn_reversal")
        return dataframe

    def order_filled(self, pair: str, trade: Trade, order: Order, current_time: datetime, **kwargs) -> None:
        if order.ft_order_side != trade.entry_side:
            return
        self.use_custom_stoploss = True  # Freqtrade asks for the stop right after this callback
        if self._live() and (candle := signal_candle(self.dp, pair, self.timeframe, order.order_date_utc)) is not None:
            # ASO-8: which weights decided this trade, and what they said
            trade.set_custom_data("forecast", {name: str(value) for name, value in candle.items()})

    def custom_stoploss(
        self, pair: str, trade: Trade, current_time: datetime, current_rate: float, current_profit: float,
        after_fill: bool, **kwargs,
    ) -> float | None:  # fmt: skip
        # Freqtrade copies the whole trade for each question. In a backtest one per fill is enough, as the stop stays; a
        # live bot is asked in every loop, so that a stop that could not be set at the fill is set as soon as it can.
        self.use_custom_stoploss = self._live()
        stop = self._stop_price(trade)
        return None if stop is None else stop_at(stop, current_rate, trade)

    def _stop_price(self, trade: Trade) -> float | None:
        """Return the stop decided at entry: stored with the trade, or worked out from its signal candle now."""
        if self._live() and (stored := trade.get_custom_data("stop")):
            return float(stored)
        candle = signal_candle(self.dp, trade.pair, self.timeframe, trade.open_date_utc, STOP_COLUMNS)
        if candle is None:
            return None
        most = abs(self.stoploss) / trade.leverage
        side = "short" if trade.is_short else "long"
        distance = stop_distance(candle, side, self.stop_factor.value, self.min_stop.value, most)
        if distance is None:
            return None
        stop = trade.open_rate * (1 + distance if trade.is_short else 1 - distance)
        if self._live():
            trade.set_custom_data("stop", stop)
        return stop

    def _live(self) -> bool:
        return self.dp.runmode.value in ("live", "dry_run")
