"""The columns of both strategies inside Freqtrade's classes: causal to the bit, tagged, zeroed when forecasts fail."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from freqtrade.persistence import disable_database_use, enable_database_use
from freqtrade.resolvers.strategy_resolver import StrategyResolver
from harness import assert_past_is_unchanged
from stub_service import forecast_columns

from strategies.engines.trend import TradePlan

ROOT = Path(__file__).resolve().parents[2]

PAIR = {"futures": "BTC/USDT:USDT", "spot": "BTC/USDT"}
SIGNALS = ["enter_long", "enter_short", "exit_long", "exit_short"]


def load(name, url="http://127.0.0.1:9", mode="futures", timeframe="15m"):
    config = {
        "strategy": name, "strategy_path": str(ROOT / "strategies"), "user_data_dir": ROOT / "user_data",
        "trading_mode": mode, "runmode": "backtest", "timeframe": timeframe, "candlewright": {"service_url": url},
    }  # fmt: skip
    strategy = StrategyResolver.load_strategy(config)
    strategy.dp = SimpleNamespace(runmode=SimpleNamespace(value="backtest"))
    strategy.ft_bot_start()
    return strategy


def analysed(strategy, frame, mode="futures"):
    metadata = {"pair": PAIR[mode]}
    return strategy.ft_advise_signals(strategy.advise_indicators(frame.copy(), metadata), metadata)


@pytest.mark.parametrize("name", ["NNPredictor", "TrendFollower"])
@pytest.mark.parametrize("cut", [700, 1100, 1398])
def test_nothing_at_or_before_the_cut_moves_when_the_future_becomes_noise(stub, make_candles, name, cut):
    """LEK-1 for strategy columns, signals and tags."""
    strategy = load(name, stub.url)
    columns = [column for column in analysed(strategy, make_candles(700)) if column != "date"]
    assert_past_is_unchanged(lambda frame: analysed(strategy, frame)[columns], make_candles(1400), cut, seed=cut)


def test_a_service_that_looks_ahead_is_caught(stub, make_candles):
    """Planted: a forecast that is the future itself."""
    answer = stub.answer

    def leaking(request):
        import pyarrow as pa

        table = answer(request)
        close = request["close"].to_numpy()
        future = np.append(close[1:] / close[:-1] - 1, 0.0).astype("f4")
        return table.set_column(table.column_names.index("future_return_4h"), "future_return_4h", pa.array(future))

    stub.answer = leaking
    strategy = load("NNPredictor", stub.url)
    with pytest.raises(AssertionError, match="the past moved"):
        assert_past_is_unchanged(
            lambda frame: analysed(strategy, frame)[["future_return_4h"]], make_candles(1400), 1100, seed=1
        )


@pytest.mark.parametrize("mode", ["spot", "futures"])
def test_every_signal_has_its_tag(stub, make_candles, mode):
    """STR-3, STR-7: and spot never shorts."""
    frame = analysed(load("NNPredictor", stub.url, mode), make_candles(2000), mode)
    assert frame["enter_long"].sum() > 10
    assert (frame["enter_short"].sum() > 10) == (mode == "futures")
    for kind in ("enter", "exit"):
        signalled = frame[[f"{kind}_long", f"{kind}_short"]].any(axis=1)
        tagged = frame[f"{kind}_tag"].fillna("").astype(str) != ""
        assert (signalled == tagged).all()
    cost = 2 * (0.0006 + 0.0005)
    expected = forecast_columns(*(frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume")))
    entered = frame["enter_long"] == 1
    assert (expected["future_return_4h"][entered] > 1.5 * cost).all()


def test_a_failing_service_leaves_zeroed_signals_and_nan_columns(make_candles, caplog):
    """STR-4: every column is there, nothing is signalled, nothing raises."""
    frame = analysed(load("NNPredictor"), make_candles(900))
    assert (frame[SIGNALS] == 0).all(axis=None)
    assert frame["future_return_4h"].isna().all()
    assert "No entries will be made" in caplog.text


def test_a_parameter_changes_what_is_traded(stub, make_candles):
    strategy = load("NNPredictor", stub.url)
    frame = make_candles(2000)
    entries = {}
    for combine in ("nn_only", "and_ta", "veto"):
        strategy.combine.value = combine
        entries[combine] = int(analysed(strategy, frame)[["enter_long", "enter_short"]].sum(axis=None))
    strategy.combine.value = "nn_only"
    strategy.min_confidence.value = 0.96
    assert analysed(strategy, frame)[["enter_long", "enter_short"]].sum(axis=None) == 0
    assert entries["and_ta"] < entries["veto"] < entries["nn_only"]


def trade_at(rate, opened):
    stored = {}
    return SimpleNamespace(
        pair="BTC/USDT:USDT", open_rate=rate, open_date=opened, open_date_utc=opened, is_short=False, leverage=1.0,
        entry_side="buy", set_custom_data=stored.__setitem__, get_custom_data=stored.get, stored=stored,
    )  # fmt: skip


def test_the_target_exits_and_survives_a_restart(make_candles):
    """TRE-3, TRE-5: ATR at entry is stored with the trade."""
    strategy = load("TrendFollower")
    frame = analysed(strategy, make_candles(900))
    strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: (frame, None)
    now = frame["date"].iloc[-1] + pd.Timedelta("15min")
    trade = trade_at(float(frame["close"].iloc[-1]), now)
    assert strategy.custom_stoploss(trade.pair, trade, now, trade.open_rate, 0.0, after_fill=True) is not None
    assert set(trade.stored) == {"plan"}
    restarted = load("TrendFollower")
    restarted.dp.get_analyzed_dataframe = lambda pair, timeframe: (pd.DataFrame(), None)
    for one in (strategy, restarted):
        plan = one._plan(trade)
        assert plan.atr == pytest.approx(float(frame["atr_14_pct"].iloc[-1] * frame["close"].iloc[-1]))
        assert one.custom_exit(trade.pair, trade, now, plan.target, 0.0) == "tf_tp"
        assert one.custom_exit(trade.pair, trade, now, plan.target * 0.999, 0.0) is None
        distance = one.custom_stoploss(trade.pair, trade, now, trade.open_rate, 0.0, after_fill=True)
        assert trade.open_rate * (1 - distance) == pytest.approx(plan.stop(trade.open_rate))


def test_a_plan_that_could_not_be_made_at_the_fill_is_made_as_soon_as_it_can(make_candles):
    """A bot restarts, an order has filled meanwhile, and no candle is there yet: the stop must not be lost."""
    strategy = load("TrendFollower")
    frame = analysed(strategy, make_candles(900))
    now = frame["date"].iloc[-1] + pd.Timedelta("15min")
    trade = trade_at(float(frame["close"].iloc[-1]), now)
    strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: (pd.DataFrame(), None)
    assert strategy.custom_stoploss(trade.pair, trade, now, trade.open_rate, 0.0, after_fill=True) is None
    strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: (frame, None)
    assert strategy.custom_stoploss(trade.pair, trade, now, trade.open_rate, 0.0, after_fill=False) > 0


def test_a_price_that_is_past_the_stop_already_still_gets_one(make_candles):
    """Freqtrade reads a distance of 0 as "keep the old stop", which is far away."""
    strategy = load("TrendFollower")
    now = pd.Timestamp("2025-03-01", tz="UTC")
    strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: (pd.DataFrame(), None)
    trade = trade_at(100.0, now)
    strategy.plans[trade.pair] = (now, TradePlan(entry=100.0, atr=2.0, take_profit_atr=2.5, stop_loss_atr=1.0))
    assert 0 < strategy.custom_stoploss(trade.pair, trade, now, 97.0, 0.0, after_fill=False) < 1e-5


def test_the_trail_follows_closes_and_not_the_high_of_a_running_candle(make_candles):
    """TRE-4: a high that the same candle may have reached after its low moves no stop."""
    strategy = load("TrendFollower")
    frame = analysed(strategy, make_candles(900))
    opened = frame["date"].iloc[-1]  # the trade's own candle is the last one of the frame
    known = {"until": -1}
    strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: (frame.iloc[: known["until"]], None)
    trade = trade_at(100.0, opened)
    strategy.plans[trade.pair] = (opened, TradePlan(entry=100.0, atr=2.0, take_profit_atr=2.5, stop_loss_atr=1.0))

    def stop(high, after_fill=False):
        distance = strategy.custom_stoploss(trade.pair, trade, opened, high, 0.0, after_fill=after_fill)
        return high * (1 - distance)

    assert stop(100.0, after_fill=True) == pytest.approx(98.0)
    assert stop(109.0) == pytest.approx(98.0)  # still running: its high counts for nothing
    known["until"] = None
    frame.loc[frame.index[-1], "close"] = 104.0
    assert stop(109.0) == pytest.approx(103.0)
    assert stop(109.0, after_fill=True) == pytest.approx(103.0)  # a partial exit does not loosen it


def test_the_predictors_stop_is_asked_for_once_per_fill(stub, make_candles):
    """One question after the fill; Freqtrade copies the trade for each, so not one per candle."""
    strategy = load("NNPredictor", stub.url)
    frame = analysed(strategy, make_candles(900))
    strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: (frame, None)
    now = frame["date"].iloc[-1] + pd.Timedelta("15min")
    trade = trade_at(float(frame["close"].iloc[-1]), now)
    assert not strategy.use_custom_stoploss
    for side in ("sell", "buy"):
        order = SimpleNamespace(order_date_utc=now.to_pydatetime(), ft_order_side=side)
        strategy.order_filled(trade.pair, trade, order, now)
        assert strategy.use_custom_stoploss is (side == "buy")
    distance = strategy.custom_stoploss(trade.pair, trade, now, trade.open_rate, 0.0, after_fill=True)
    drawdown = float(frame["max_drawdown_4h"].iloc[-1])
    assert distance == pytest.approx(1.5 * drawdown / (1 + drawdown))
    assert not strategy.use_custom_stoploss
    assert trade.stored == {}  # the audit record is for live trades: a backtest's is its columns


def test_a_live_bot_is_asked_in_every_loop_until_the_stop_stands(stub, make_candles):
    strategy = load("NNPredictor", stub.url)
    frame = analysed(strategy, make_candles(900))
    strategy.dp.runmode.value = "dry_run"
    now = frame["date"].iloc[-1] + pd.Timedelta("15min")
    trade = trade_at(float(frame["close"].iloc[-1]), now)
    strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: (pd.DataFrame(), None)
    assert strategy.custom_stoploss(trade.pair, trade, now, trade.open_rate, 0.0, after_fill=True) is None
    assert strategy.use_custom_stoploss
    strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: (frame, None)
    first = strategy.custom_stoploss(trade.pair, trade, now, trade.open_rate, 0.0, after_fill=False)
    assert trade.stored["stop"] == pytest.approx(trade.open_rate * (1 - first))
    strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: (pd.DataFrame(), None)  # restarted: the trade knows
    assert strategy.custom_stoploss(trade.pair, trade, now, trade.open_rate, 0.0, after_fill=False) == first


def test_a_live_fill_records_which_weights_decided(stub, make_candles):
    """ASO-8."""
    strategy = load("NNPredictor", stub.url)
    frame = analysed(strategy, make_candles(900))
    strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: (frame, None)
    strategy.dp.runmode.value = "dry_run"
    now = frame["date"].iloc[-1] + pd.Timedelta("15min")
    trade = trade_at(100.0, now)
    order = SimpleNamespace(order_date_utc=now.to_pydatetime(), ft_order_side="buy")
    strategy.order_filled(trade.pair, trade, order, now)
    assert trade.stored["forecast"]["model_version"] == "v1"
    assert float(trade.stored["forecast"]["future_return_4h"]) == pytest.approx(
        float(frame["future_return_4h"].iloc[-1])
    )


@pytest.fixture(autouse=True)
def no_database():
    """Freqtrade's trades live in memory, as in a backtest."""
    disable_database_use("15m")
    yield
    enable_database_use()
