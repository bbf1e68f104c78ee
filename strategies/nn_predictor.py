"""Trade what two models agree pays more than a trade costs. Claims no edge: the edge is the models' to show."""

from datetime import datetime

from freqtrade.persistence import Order, Trade
from freqtrade.strategy import CategoricalParameter, DecimalParameter, IStrategy
from pandas import DataFrame, concat

from strategies.engines import forecast as engine
from strategies.shared.columns import add_features
from strategies.shared.decided_trades import DecidedTrades
from strategies.shared.forecasts import forecast_source
from strategies.shared.gates import GateRates
from strategies.shared.settings import Settings, short_allowed
from strategies.shared.signals import live_mode


class NNPredictor(IStrategy):
    """The direction model picks side and confidence, the unified one says whether it pays, how much and how far."""

    timeframe = "15m"
    startup_candle_count = 800  # warm-up 512 + context 168, and 200 candles of 1h (STR-2): a contract test adds them up
    process_only_new_candles = True
    minimal_roi = {"0": 10}  # noqa: RUF012  # none: forecast and target decide
    stoploss = -0.05
    use_custom_stoploss = True  # in a backtest only from an entry's fill until its stop is set, see custom_stoploss
    use_custom_roi = True
    order_types = {"entry": "limit", "exit": "limit", "stoploss": "market", "stoploss_on_exchange": False}  # noqa: RUF012

    horizon = CategoricalParameter(["1h", "4h", "12h"], default="4h", space="buy")
    edge = DecimalParameter(1.0, 4.0, default=1.5, decimals=1, space="buy")  # round trips that the expected return pays
    min_confidence = DecimalParameter(0.5, 0.9, default=0.55, decimals=2, space="buy")  # of the side, if it moves
    combine = CategoricalParameter(["nn_only", "and_ta", "veto"], default="nn_only", space="buy")
    stop_factor = DecimalParameter(1.0, 4.0, default=1.5, decimals=1, space="sell")  # typical adverse moves of 4h
    min_stop = DecimalParameter(0.002, 0.02, default=0.005, decimals=3, space="sell")  # ratio of the price
    target_factor = DecimalParameter(0.5, 4.0, default=1.0, decimals=1, space="sell")  # targets of the unified model

    def __init__(self, config: dict) -> None:
        self.can_short = short_allowed(config)  # a class attribute would keep the strategy from loading in spot mode
        super().__init__(config)

    def bot_start(self, **kwargs) -> None:
        self.use_custom_stoploss = self.live = live_mode(self.dp)
        self.round_trip_cost = Settings.from_config(self.config).round_trip_cost
        self.forecasts = forecast_source(self.config)  # live: the newest candle; else every candle as of its own time
        self.trades, self.rates = DecidedTrades(self.dp, self.timeframe, self.live, self.plan), GateRates(self.live)

    def bot_loop_start(self, current_time: datetime, **kwargs) -> None:
        self.forecasts.prefetch(self.dp, self.timeframe)

    def populate_indicators(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe = add_features(dataframe, engine.TREND_FEATURES, self.timeframe)
        return concat([dataframe, self.forecasts.columns(metadata["pair"], self.timeframe, dataframe)], axis=1)

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        thresholds = (self.horizon.value, self.edge.value, self.min_confidence.value, self.round_trip_cost)
        dataframe[["enter_long", "enter_short"]] = 0
        for side in ("long", "short") if self.can_short else ("long",):
            gates = engine.gates(dataframe, side, *thresholds)
            gates["rules"] = engine.allowed_by_rules(dataframe, side, self.combine.value)
            self.rates.count(metadata["pair"], side, dataframe["date"], gates)
            opens = concat(gates, axis=1).all(axis=1)
            tag = engine.tags(dataframe[opens], side, self.horizon.value)
            dataframe.loc[opens, f"enter_{side}"], dataframe.loc[opens, "enter_tag"] = 1, tag
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe[["exit_long", "exit_short"]] = 0
        for side in engine.SIDES if self.config.get("trading_mode") == "futures" else ("long",):  # can_short or not
            turned = engine.reversal(dataframe, side, self.horizon.value)
            dataframe.loc[turned, [f"exit_{side}", "exit_tag"]] = (1, "nn_reversal")
        return dataframe

    def custom_stake_amount(self, pair: str, current_time: datetime, proposed_stake: float, min_stake: float, **kwargs):
        return self.trades.stake(pair, current_time, proposed_stake, min_stake)

    def confirm_trade_entry(self, pair: str, current_time: datetime, **kwargs) -> bool:
        return self.trades.in_time(pair, current_time)

    def check_entry_timeout(self, trade: Trade, **kwargs) -> bool:
        return self.trades.timed_out(trade)  # Freqtrade asks in every loop until the order is filled

    def order_filled(self, pair: str, trade: Trade, order: Order, current_time: datetime, **kwargs) -> None:
        self.use_custom_stoploss |= self.trades.entered(trade, order)  # Freqtrade asks for the stop right after this

    def custom_stoploss(self, trade: Trade, current_rate: float, after_fill: bool, **kwargs) -> float | None:
        self.use_custom_stoploss = self.live  # each question copies the trade: in a backtest one per fill is enough
        return self.trades.stop(trade, current_rate)

    def custom_roi(self, trade: Trade, **kwargs) -> float | None:
        return self.trades.roi(trade)

    def min_roi_reached(self, trade: Trade, current_profit: float, current_time: datetime) -> bool:
        reachable = not self.trades.below_target(trade, current_profit)  # spares Freqtrade a copy of the trade
        return reachable and super().min_roi_reached(trade, current_profit, current_time)

    def plan(self, candle: dict[str, float], trade: Trade) -> engine.TradePlan | None:
        side, stops = "short" if trade.is_short else "long", (self.min_stop.value, -self.stoploss / trade.leverage)
        targets = (self.target_factor.value, self.edge.value * self.round_trip_cost)
        return engine.plan_trade(candle, trade.open_rate, side, self.stop_factor.value, stops, *targets)
