"""Hold what a reinforcement-learned policy wants to hold. Claims no edge: the edge is the policy's to show."""

from datetime import datetime

from freqtrade.persistence import Order, Trade
from freqtrade.strategy import DecimalParameter, IStrategy
from pandas import DataFrame, concat

from strategies.engines import weights
from strategies.shared.accounts import Accounts
from strategies.shared.gates import GateRates
from strategies.shared.policies import policy_source
from strategies.shared.settings import Settings, short_allowed
from strategies.shared.signals import live_mode
from strategies.shared.weighted_trades import WeightedTrades


class PPOAgent(IStrategy):
    """The policy answers each candle with a target weight of the pair's account; the difference is traded (PPA-1)."""

    timeframe = "15m"
    startup_candle_count = 2880  # 30 days, what an observation reads: a backtest's account begins flat where it begins
    process_only_new_candles = True
    minimal_roi = {"0": 10}  # noqa: RUF012  # none: the policy decides
    stoploss = -0.1  # always there, whatever the policy says
    position_adjustment_enable = False  # true: trades follow the weight; a backtest then copies them once per candle
    order_types = {"entry": "limit", "exit": "limit", "stoploss": "market", "stoploss_on_exchange": False}  # noqa: RUF012

    # Least difference that is traded: the training's to choose, not hyperopt's.
    dead_band = DecimalParameter(0.01, 0.5, default=0.05, decimals=2, space="buy", optimize=False)
    least_value = DecimalParameter(-0.1, 0.05, default=-0.1, decimals=3, space="buy")  # of the return; -0.1: any
    worst_cvar = DecimalParameter(-0.5, 0.0, default=-0.5, decimals=2, space="buy")  # of the return; -0.5: any

    def __init__(self, config: dict) -> None:
        self.can_short = short_allowed(config)  # a class attribute would keep the strategy from loading in spot mode
        super().__init__(config)

    def bot_start(self, **kwargs) -> None:
        live, fee = live_mode(self.dp), Settings.from_config(self.config).fee
        accounts = Accounts(self, self.timeframe)
        band = lambda: self.dead_band.value  # noqa: E731  # parameters are loaded later
        self.policy = policy_source(self.config, accounts, band)  # live: the newest candle; else a rollout over all
        self.trades = WeightedTrades(self.dp, self.timeframe, live, accounts, fee, band)
        self.rates = GateRates(live)

    def bot_loop_start(self, current_time: datetime, **kwargs) -> None:
        self.policy.begin_loop()

    def populate_indicators(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        return concat([dataframe, self.policy.columns(metadata["pair"], self.timeframe, dataframe)], axis=1)

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        asked = [each.value if each.value > each.low else float("-inf") for each in (self.least_value, self.worst_cvar)]
        dataframe[["enter_long", "enter_short"]] = 0
        for side in ("long", "short") if self.can_short else ("long",):
            gates = weights.gates(dataframe, side, self.dead_band.value, *asked)
            self.rates.count(metadata["pair"], side, dataframe["date"], gates)
            opens = concat(gates, axis=1).all(axis=1)
            tag = weights.tags(dataframe[opens], side)
            dataframe.loc[opens, f"enter_{side}"], dataframe.loc[opens, "enter_tag"] = 1, tag
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe[["exit_long", "exit_short"]] = 0
        for side in weights.SIDES if self.config.get("trading_mode") == "futures" else ("long",):  # can_short or not
            left = weights.leaves(dataframe, side, self.dead_band.value)
            dataframe.loc[left, [f"exit_{side}", "exit_tag"]] = (1, "ppo_target")
        return dataframe

    def custom_stake_amount(
        self, pair: str, current_time: datetime, current_rate: float, min_stake: float | None, max_stake: float,
        leverage: float, side: str, **kwargs,
    ) -> float:  # fmt: skip
        return self.trades.stake(pair, current_time, current_rate, side, min_stake, max_stake, leverage)

    def confirm_trade_entry(self, pair: str, current_time: datetime, **kwargs) -> bool:
        return self.trades.in_time(pair, current_time)

    def check_entry_timeout(self, trade: Trade, order: Order, current_time: datetime, **kwargs) -> bool:
        return self.trades.timed_out(trade, order, current_time)  # Freqtrade asks in every loop until it is filled

    def order_filled(self, trade: Trade, **kwargs) -> None:
        self.trades.record(trade)  # an order that is filled at once is never asked about

    def adjust_trade_position(
        self, trade: Trade, current_time: datetime, current_rate: float, min_stake: float | None, max_stake: float,
        **kwargs,
    ) -> float | None:  # fmt: skip
        return self.trades.adjustment(trade, current_time, current_rate, min_stake, max_stake)
