"""The columns of both strategies inside Freqtrade's classes: causal to the bit, tagged, zeroed when forecasts fail."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from harness import assert_past_is_unchanged
from loaded import PAIR, analysed, load, trade_at
from stub_service import decision_columns

from strategies.shared.policies import COLUMNS as POLICY_COLUMNS
from strategies.shared.replies import COLUMNS

pytestmark = pytest.mark.usefixtures("no_database")

SIGNALS = ["enter_long", "enter_short", "exit_long", "exit_short"]


@pytest.mark.parametrize("name", ["NNPredictor", "TrendFollower"])
@pytest.mark.parametrize("cut", [700, 1100, 1398])
def test_nothing_at_or_before_the_cut_moves_when_the_future_becomes_noise(stub, make_candles, name, cut):
    """LEK-1 for strategy columns, signals and tags."""
    strategy = load(name, stub.url)
    columns = [column for column in analysed(strategy, make_candles(700)) if column != "date"]
    assert name != "NNPredictor" or set(COLUMNS) <= set(columns)  # the decision of both models, end to end
    assert_past_is_unchanged(lambda frame: analysed(strategy, frame)[columns], make_candles(1400), cut, seed=cut)


@pytest.mark.parametrize("cut", [2990, 3300])
def test_no_action_moves_when_the_future_becomes_noise(stub, make_candles, cut):
    """LEK-1 for PPOAgent: a rollout's columns, signals and tags."""
    stub.policy_can_short = True
    strategy = load("PPOAgent", stub.url)
    columns = [column for column in analysed(strategy, make_candles(3000)) if column != "date"]
    assert set(POLICY_COLUMNS) | set(SIGNALS) <= set(columns)
    assert_past_is_unchanged(lambda frame: analysed(strategy, frame)[columns], make_candles(3400), cut, seed=cut)


@pytest.mark.parametrize("mode", ["spot", "futures"])
def test_every_action_has_its_tag(stub, make_candles, mode):
    """STR-3, STR-7, PPA-1: and spot never shorts, whatever the policy wants."""
    stub.policy_can_short = True
    frame = analysed(load("PPOAgent", stub.url, mode), make_candles(3400), mode)
    assert frame["enter_long"].sum() > 10
    assert frame["exit_long"].sum() > 10
    for signal in ("enter_short", "exit_short"):
        assert (frame[signal].sum() > 10) == (mode == "futures")
    for kind in ("enter", "exit"):
        signalled = frame[[f"{kind}_long", f"{kind}_short"]].any(axis=1)
        tagged = frame[f"{kind}_tag"].fillna("").astype(str) != ""
        assert (signalled == tagged).all()
    entered = frame["enter_long"] == 1
    assert (frame["target_weight"][entered] >= 0.05).all()
    assert (frame["exit_long"][entered] == 0).all()


@pytest.mark.parametrize("name", ["PPOAgent", "NNPredictor"])
def test_a_short_that_is_open_can_be_left_after_shorts_were_forbidden(stub, make_candles, name):
    """STR-4: `can_short` false, set while a short is open, forbids entries alone."""
    stub.policy_can_short = True
    frame = analysed(load(name, stub.url, can_short=False), make_candles(3400))
    assert frame["enter_short"].sum() == 0
    assert frame["exit_short"].sum() > 10


def test_an_agents_fill_that_did_not_wait_is_written_down(stub, make_candles):
    """ASO-8: Freqtrade asks `check_entry_timeout` about orders that wait, and tells of fills."""
    strategy = load("PPOAgent", stub.url)
    frame, stored = analysed(strategy, make_candles(2900)), {}
    strategy.trades._live, strategy.dp.get_analyzed_dataframe = True, lambda pair, timeframe: (frame, None)
    opened = (frame["date"].iloc[-1] + pd.Timedelta("15min")).to_pydatetime()
    trade = SimpleNamespace(
        pair=PAIR["futures"], open_date_utc=opened, get_custom_data=stored.get, set_custom_data=stored.__setitem__
    )
    strategy.order_filled(pair=trade.pair, trade=trade, order=None, current_time=opened)
    assert set(stored["action"]) == {"date", *POLICY_COLUMNS}
    assert stored["action"]["target_weight"] == str(frame["target_weight"].iloc[-1])


def test_the_filters_of_an_agent_refuse_entries_and_no_exits(stub, make_candles):
    strategy, frame = load("PPOAgent", stub.url), make_candles(3400)
    before = analysed(strategy, frame)
    strategy.least_value.value, strategy.worst_cvar.value = 0.005, -0.01
    after = analysed(strategy, frame)
    assert 0 < after["enter_long"].sum() < before["enter_long"].sum()
    assert (after["value"][after["enter_long"] == 1] >= 0.005).all()
    assert (after["exit_long"] == before["exit_long"]).all()


@pytest.mark.parametrize("runmode", ["backtest", "dry_run"])
@pytest.mark.parametrize(("placed", "now", "ends"), [(2, 899, False), (2, 901, True), (899, 901, True), (0, 0, False)])
def test_an_entry_order_of_an_agent_lives_for_one_candle(runmode, placed, now, ends):
    """ENV-3: as in training, however long `unfilledtimeout` is. Asked as Freqtrade asks; an exit waits on."""
    strategy = load("PPOAgent", runmode=runmode)
    strategy.config["unfilledtimeout"] = {"entry": 45, "exit": 45, "unit": "minutes"}
    strategy.dp.get_analyzed_dataframe = lambda pair, timeframe: (pd.DataFrame(), None)
    opened = pd.Timestamp("2025-03-01 12:15", tz="UTC")
    at, moment = (opened + pd.Timedelta(seconds, "s") for seconds in (placed, now))
    trade = trade_at(100.0, at.to_pydatetime())
    trade.exit_side = "sell"
    for side, expected in (("buy", ends), ("sell", False)):
        order = SimpleNamespace(ft_order_side=side, status="open", order_date_utc=at.to_pydatetime())
        assert strategy.ft_check_timed_out(trade, order, moment.to_pydatetime()) is expected


def test_a_service_that_looks_ahead_is_caught(stub, make_candles):
    """Planted: a forecast that is the future itself."""
    answer = stub.answer

    def leaking(request):
        import pyarrow as pa

        table = answer(request)
        close = request["close"].to_numpy()
        future = np.append(close[1:] / close[:-1] - 1, 0.0).astype("f4")
        return table.set_column(table.column_names.index("expected_return_4h"), "expected_return_4h", pa.array(future))

    stub.answer = leaking
    strategy = load("NNPredictor", stub.url)
    with pytest.raises(AssertionError, match="the past moved"):
        assert_past_is_unchanged(
            lambda frame: analysed(strategy, frame)[["expected_return_4h"]], make_candles(1400), 1100, seed=1
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
    expected = decision_columns(*(frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume")))
    entered = frame["enter_long"] == 1
    assert (expected["expected_return_4h"][entered] > 1.5 * cost).all()


def test_a_failing_service_leaves_zeroed_signals_and_nan_columns(make_candles, caplog):
    """STR-4: every column is there, nothing is signalled, nothing raises."""
    frame = analysed(load("NNPredictor"), make_candles(900))
    assert (frame[SIGNALS] == 0).all(axis=None)
    assert frame["expected_return_4h"].isna().all()
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


@pytest.mark.parametrize("name", ["NNPredictor", "TrendFollower"])
def test_the_share_of_candles_that_pass_each_gate_is_told_once(stub, make_candles, caplog, name):
    """STR-9: per pair and side, with what the later gates refused."""
    caplog.set_level("INFO")
    strategy = load(name, stub.url)
    frame = analysed(strategy, make_candles(900))
    analysed(strategy, make_candles(900))  # hyperopt asks again and again
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Gates of")]
    assert len(told) == (2 if name == "NNPredictor" else 1)
    entries = frame["enter_long"].fillna(0).eq(1)
    assert f"over 900 candles: {'direction' if name == 'NNPredictor' else 'cross'}" in told[0]
    assert f"all {entries.mean():.1%}; refused by" in told[0]
