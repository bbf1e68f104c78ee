"""The trades of the strategies inside Freqtrade's classes: stops, targets, stakes; restarts, partial fills."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from loaded import PAIR, analysed, load, trade_at

from strategies.engines import forecast as engine
from strategies.engines.trend import TradePlan
from strategies.shared import metrics
from strategies.shared.replies import COLUMNS

pytestmark = pytest.mark.usefixtures("no_database")


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
        plan = one.plans.of(trade)
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
    strategy.plans._known[trade.pair] = (now, TradePlan(entry=100.0, atr=2.0, take_profit_atr=2.5, stop_loss_atr=1.0))
    assert 0 < strategy.custom_stoploss(trade.pair, trade, now, 97.0, 0.0, after_fill=False) < 1e-5


def test_the_trail_follows_closes_and_not_the_high_of_a_running_candle(make_candles):
    """TRE-4: a high that the same candle may have reached after its low moves no stop."""
    strategy = load("TrendFollower")
    frame = analysed(strategy, make_candles(900))
    opened = frame["date"].iloc[-1]  # the trade's own candle is the last one of the frame
    known = {"until": -1}
    strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: (frame.iloc[: known["until"]], None)
    trade = trade_at(100.0, opened)
    strategy.plans._known[trade.pair] = (
        opened,
        TradePlan(entry=100.0, atr=2.0, take_profit_atr=2.5, stop_loss_atr=1.0),
    )

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
    assert strategy._ft_stop_uses_after_fill  # Freqtrade reads it off the signature, and asks later without it
    assert not strategy.use_custom_stoploss
    for side in ("sell", "buy"):
        order = SimpleNamespace(order_date_utc=now.to_pydatetime(), ft_order_side=side)
        strategy.order_filled(trade.pair, trade, order, now)
        assert strategy.use_custom_stoploss is (side == "buy")
    distance = strategy.custom_stoploss(trade=trade, current_rate=trade.open_rate, after_fill=True)
    assert distance == pytest.approx(1.5 * float(frame["stop_long"].iloc[-1]))
    assert not strategy.use_custom_stoploss
    assert trade.stored == {}  # plan and record are for live trades: a backtest's are its columns


def entered_live(stub, make_candles, late=0.0):
    """Return a dry-run strategy, its frame, and a trade that it opened on the newest candle."""
    strategy = load("NNPredictor", stub.url, runmode="dry_run")
    frame = analysed(strategy, make_candles(900))
    strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: (frame, None)
    now = frame["date"].iloc[-1] + pd.Timedelta("15min") + pd.Timedelta(late, "s")
    return strategy, frame, trade_at(float(frame["close"].iloc[-1]), now), now


def test_the_profit_target_is_the_unified_models_after_fees(stub, make_candles):
    """ENS-2: worked out once per trade; another trade on the same pair has its own."""
    strategy = load("NNPredictor", stub.url)
    frame = analysed(strategy, make_candles(900))
    strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: (frame, None)
    for row in (-1, -2):
        now = frame["date"].iloc[row] + pd.Timedelta("15min")
        trade = trade_at(float(frame["close"].iloc[row]), now)
        expected = float(frame["target_long"].iloc[row]) - 0.001
        assert strategy.custom_roi(trade=trade) == pytest.approx(expected)
        strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: (pd.DataFrame(), None)
        assert strategy.custom_roi(trade=trade) == pytest.approx(expected)
        strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: (frame, None)


def test_other_parameters_plan_the_same_trade_anew(stub, make_candles):
    """Hyperopt fills the same candle in every epoch with the same strategy object."""
    strategy = load("NNPredictor", stub.url)
    frame = analysed(strategy, make_candles(900))
    strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: (frame, None)
    now = frame["date"].iloc[-1] + pd.Timedelta("15min")
    trade = trade_at(float(frame["close"].iloc[-1]), now)
    found = []
    for factor in (1.0, 2.0):
        strategy.stop_factor.value = strategy.target_factor.value = factor
        order = SimpleNamespace(order_date_utc=now.to_pydatetime(), ft_order_side="buy")
        strategy.order_filled(trade.pair, trade, order, now)
        found.append((strategy.custom_stoploss(trade=trade, current_rate=trade.open_rate, after_fill=True),
                      strategy.custom_roi(trade=trade) + 0.001))  # fmt: skip
    assert found[1] == pytest.approx([2 * value for value in found[0]])


def test_the_models_only_ever_reduce_the_stake(stub, make_candles):
    """ENS-2, SIZ-4, SIZ-5: without a decision, or below the exchange's least order, there is no trade."""
    strategy = load("NNPredictor", stub.url)
    frame = analysed(strategy, make_candles(900))
    strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: (frame, None)

    def stake(row, least=5.0):
        now = frame["date"].iloc[row] + pd.Timedelta("15min")
        return strategy.custom_stake_amount(
            pair="BTC/USDT:USDT", current_time=now, proposed_stake=1000.0, min_stake=least, max_stake=5000.0,
            current_rate=100.0, leverage=1.0, entry_tag="nn_long_60", side="long",
        )  # fmt: skip

    assert stake(-1) == pytest.approx(1000 * float(frame["stake_multiplier"].iloc[-1]))
    assert 0 < stake(-1) < 1000
    assert stake(-1, least=999.0) == 0
    assert stake(600) == 0  # before the first decision
    strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: 1 / 0
    assert stake(-1) == 0  # Freqtrade would take the full stake for an error


@pytest.mark.parametrize(
    ("late", "enters"), [(0.0, True), (9.5, True), (10.5, False), (600.0, False), (-0.5, False), (-900.0, False)]
)
def test_a_late_signal_enters_nothing_and_is_counted(stub, make_candles, caplog, late, enters):
    """ASO-7, GUA-7: 20 % of 15 minutes is above the 10 s that are the most. A candle of the future is as bad: the clock
    has jumped back, and the stake would be read from another candle than the signal.
    """
    caplog.set_level("INFO")
    strategy, _, trade, now = entered_live(stub, make_candles, late)
    before = metrics.REGISTRY.get_sample_value("rejected_entries_total", {"reason": "TTL"}) or 0
    for _ in range(3):  # Freqtrade offers a signal in every loop
        asked = strategy.confirm_trade_entry(pair=trade.pair, current_time=now, order_type="limit", amount=1.0,
                                             rate=1.0, time_in_force="GTC", entry_tag="x", side="long")  # fmt: skip
        assert asked is enters
    after = metrics.REGISTRY.get_sample_value("rejected_entries_total", {"reason": "TTL"}) or 0
    assert after - before == (0 if enters else 1)
    assert caplog.text.count("reason TTL") == (0 if enters else 1)


def test_a_gate_that_fails_says_no(stub, make_candles, caplog):
    """Freqtrade takes an exception for a yes."""
    strategy, _, trade, now = entered_live(stub, make_candles)
    strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: 1 / 0
    assert strategy.confirm_trade_entry(pair=trade.pair, current_time=now) is False
    assert "ZeroDivisionError" in caplog.text


def test_a_live_bot_is_asked_in_every_loop_until_the_stop_stands(stub, make_candles):
    strategy, frame, trade, _ = entered_live(stub, make_candles)
    strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: (pd.DataFrame(), None)
    assert strategy.custom_stoploss(trade=trade, current_rate=trade.open_rate, after_fill=True) is None
    assert strategy.custom_roi(trade=trade) is None
    assert strategy.use_custom_stoploss
    strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: (frame, None)
    first = strategy.custom_stoploss(trade=trade, current_rate=trade.open_rate, after_fill=False)
    assert trade.stored["plan"]["stop"] == pytest.approx(trade.open_rate * (1 - first))
    restarted = load("NNPredictor", runmode="dry_run")  # the trade knows, the service is away
    restarted.dp.get_analyzed_dataframe = lambda pair, timeframe: (pd.DataFrame(), None)
    assert restarted.custom_stoploss(trade=trade, current_rate=trade.open_rate, after_fill=False) == first
    assert restarted.custom_roi(trade=trade) == strategy.custom_roi(trade=trade)


def test_a_live_fill_records_which_weights_decided(stub, make_candles):
    """ASO-8: both versions, probabilities, the candle and how long its decision took."""
    strategy, frame, trade, now = entered_live(stub, make_candles)
    order = SimpleNamespace(order_date_utc=now.to_pydatetime(), ft_order_side="buy")
    strategy.order_filled(trade.pair, trade, order, now)
    record = trade.stored["forecast"]
    assert set(record) == {"date", *COLUMNS}
    assert (record["model_version"], record["direction_version"]) == ("v1", "d2")
    assert record["date"] == str(frame["date"].iloc[-1])
    for name in ("probability_up_4h", "expected_return_4h", "stake_multiplier", "candle_to_signal_seconds"):
        assert float(record[name]) == pytest.approx(float(frame[name].iloc[-1]))
    assert float(record["candle_to_signal_seconds"]) > 0


def filled(strategy, trade, side=None):
    """Tell the strategy of a fill as Freqtrade does."""
    order = SimpleNamespace(ft_order_side=side or trade.entry_side)
    strategy.order_filled(trade.pair, trade, order, trade.open_date)


def levels(strategy, trade, rate=None):
    """Return stop price and profit ratio at the target, asked at a rate."""
    rate = rate or trade.open_rate
    distance = strategy.custom_stoploss(trade=trade, current_rate=rate, after_fill=False)
    sign = -1 if trade.is_short else 1
    return None if distance is None else rate * (1 - sign * distance), strategy.custom_roi(trade=trade)


@pytest.mark.parametrize("short", [False, True])
def test_a_live_trade_ends_where_its_backtest_ends(stub, make_candles, short):
    """ENS-2, PPA-3: the same candles through both; live, each loop asks again, at whatever rate."""
    candles = make_candles(760)
    backtest, live = load("NNPredictor", stub.url), load("NNPredictor", stub.url, runmode="dry_run")
    whole = analysed(backtest, candles)
    for row in (720, 731, 745):
        seen = analysed(live, candles.iloc[: row + 1])  # a live bot knows no more
        backtest.dp.get_analyzed_dataframe = lambda *_, row=row: (whole.iloc[: row + 1], None)
        live.dp.get_analyzed_dataframe = lambda *_, seen=seen: (seen, None)
        opened = candles["date"].iloc[row + 1]
        stake = {"pair": PAIR["futures"], "current_time": opened, "proposed_stake": 1000.0, "min_stake": 5.0}
        assert backtest.custom_stake_amount(**stake) == live.custom_stake_amount(**stake) > 0
        entry = float(candles["open"].iloc[row + 1])
        found = {}
        for name, strategy in (("backtest", backtest), ("live", live)):
            trade = trade_at(entry, opened, short)
            filled(strategy, trade)
            found[name] = levels(strategy, trade)
            for later in range(row + 2, row + 10):
                if strategy is live:  # the frame moves on, and older decisions may be gone
                    nothing = analysed(live, candles.iloc[: later + 1]).assign(stop_long=np.nan, stop_short=np.nan)
                    live.dp.get_analyzed_dataframe = lambda *_, nothing=nothing: (nothing, None)
                rate = float(candles["close"].iloc[later])
                if (found[name][0] - rate) * (-1 if short else 1) < 0:  # not past the stop
                    assert levels(strategy, trade, rate) == pytest.approx(found[name])
        assert found["live"] == pytest.approx(found["backtest"])


def test_a_bot_that_restarts_before_the_fill_still_knows_the_stop(stub, make_candles):
    """The decision is written down while the order waits; the new bot has never seen the forecast."""
    strategy, frame, trade, _ = entered_live(stub, make_candles)
    expected = engine.plan_trade(frame.iloc[-1], trade.open_rate, "long", 1.5, (0.005, 0.05), 1.0, 0.0033)
    assert strategy.check_entry_timeout(pair=trade.pair, trade=trade, order=None, current_time=None) is False
    assert set(trade.stored) == {"forecast"}
    restarted = load("NNPredictor", runmode="dry_run")
    restarted.dp.get_analyzed_dataframe = lambda *_: (frame.assign(**dict.fromkeys(COLUMNS)), None)
    filled(restarted, trade)
    assert levels(restarted, trade)[0] == pytest.approx(expected.stop)
    assert trade.stored["plan"] == pytest.approx(vars(expected))


def test_a_partial_fill_plans_by_the_price_of_the_whole(stub, make_candles):
    """Freqtrade asks for the stop of what is filled so far; the average price is known when the order is done."""
    strategy, _, trade, _ = entered_live(stub, make_candles)
    before, _ = levels(strategy, trade)
    trade.open_rate *= 1.01
    filled(strategy, trade)
    assert levels(strategy, trade)[0] == pytest.approx(1.01 * before)


@pytest.mark.parametrize("runmode", ["backtest", "dry_run"])
def test_a_second_entry_moves_no_stop_and_keeps_the_record(stub, make_candles, runmode):
    """An operator averages down: what the first entry was decided on stands, alike in both worlds."""
    strategy = load("NNPredictor", stub.url, runmode=runmode)
    frame = analysed(strategy, make_candles(900))
    strategy.dp.get_analyzed_dataframe = lambda *_: (frame, None)
    trade = trade_at(float(frame["close"].iloc[-1]), frame["date"].iloc[-1] + pd.Timedelta("15min"))
    filled(strategy, trade)
    stop, roi = levels(strategy, trade)
    record = trade.stored.get("forecast")
    trade.nr_of_successful_entries, rate = 2, trade.open_rate
    trade.open_rate *= 0.995
    trade.calc_profit_ratio = lambda at: at / trade.open_rate - 1 - 0.001
    filled(strategy, trade)
    assert strategy.use_custom_stoploss
    assert levels(strategy, trade) == (pytest.approx(stop), pytest.approx((1.001 + roi) / 0.995 - 1.001))
    assert trade.stored.get("forecast") == record
    assert rate > trade.open_rate > stop


def test_a_trade_without_any_forecast_keeps_freqtrades_own_stop(stub, make_candles):
    """Opened by hand or by another strategy: no plan from candles of hours ago, no record, no exception."""
    strategy, frame, trade, now = entered_live(stub, make_candles)
    for opened in (now + pd.Timedelta("5h"), now - pd.Timedelta("30min")):  # no candle; a candle without a decision
        trade.open_date = trade.open_date_utc = opened
        filled(strategy, trade)
        assert levels(strategy, trade) == (None, None)
        assert trade.stored == {}
        assert not strategy.min_roi_reached(trade, 0.2, opened + pd.Timedelta("1h"))
    assert strategy.stoploss == -0.05
    assert len(frame)


def test_the_target_is_asked_for_only_where_it_may_be_reached(stub, make_candles, monkeypatch):
    """Freqtrade copies the trade for each question: below the target there is none, and the verdict is the same."""
    strategy, _, trade, now = entered_live(stub, make_candles)
    roi, asked = strategy.custom_roi(trade=trade), []
    monkeypatch.setattr(strategy, "custom_roi", lambda **_: asked.append(1) or roi)
    for profit in (-0.5, 0.0, roi * 0.999, roi, roi * 1.001, 0.5):
        assert strategy.min_roi_reached(trade, profit, current_time=now) is (profit > roi)
    assert len(asked) == 2
