"""The trend rules, worked out by hand (TRE-2, TRE-3, TRE-4)."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.engines import trend

OPEN = {"ema_20_50": 0.01, "bb_break_up": 1.0, "rsi_14": 0.65, "volume_ratio": 1.6, "atr_14_pct": 0.05}
BOUNDS = (30, 70, 1.5, 0.05)
ALL = dict.fromkeys(("cross", "band", "rsi", "volume", "atr"), True)


def enters(row, used=ALL):
    return bool(trend.enter_where(trend.gates(pd.DataFrame([row]), *BOUNDS), used)[0])


def test_all_gates_open_enters():
    assert enters(OPEN)


@pytest.mark.parametrize(
    ("gate", "shut"),
    [
        ("cross", {"ema_20_50": -0.01}),
        ("band", {"bb_break_up": 0.0}),
        ("rsi", {"rsi_14": 0.71}),
        ("rsi", {"rsi_14": 0.29}),
        ("volume", {"volume_ratio": 1.5}),
        ("atr", {"atr_14_pct": 0.051}),
    ],
)
def test_one_shut_gate_keeps_out_unless_it_is_not_in_use(gate, shut):
    assert not enters(OPEN | shut)
    assert enters(OPEN | shut, ALL | {gate: False})


@pytest.mark.parametrize("name", OPEN)
def test_a_feature_without_a_value_keeps_out(name):
    assert not enters(OPEN | {name: np.nan})


def test_without_any_gate_nothing_enters():
    assert not enters(OPEN, dict.fromkeys(ALL, False))


@pytest.mark.parametrize(
    ("strength", "take_profit", "stop_loss"), [(0.4, 1.2, 0.7), (0.5, 1.8, 1.0), (1.4, 1.8, 1.0), (1.5, 2.5, 1.0)]
)
def test_the_phase_decides_target_and_stop(strength, take_profit, stop_loss):
    candle = pd.Series({"atr_14_pct": 0.02, "close": 50.0, "ema_20_50": strength * 0.02 * (1 + 1e-12)})
    plan = trend.plan_trade(candle, 51.0)
    assert plan == trend.TradePlan(51.0, 1.0, take_profit, stop_loss)
    assert plan.target == 51.0 + take_profit


@pytest.mark.parametrize("atr", [np.nan, 0.0, np.inf])
def test_no_atr_no_plan(atr):
    assert trend.plan_trade(pd.Series({"atr_14_pct": atr, "close": 50.0, "ema_20_50": 0.1}), 51.0) is None


PLAN = trend.TradePlan(entry=100.0, atr=2.0, take_profit_atr=1.8, stop_loss_atr=1.0)


@pytest.mark.parametrize(
    ("best", "stop"), [(100.0, 98.0), (101.9, 98.0), (102.0, 100.0), (102.9, 100.0), (103.0, 102.0), (110.0, 109.0)]
)
def test_breakeven_at_one_atr_and_trailing_from_one_and_a_half(best, stop):
    assert PLAN.stop(best) == pytest.approx(stop)


@given(st.floats(90, 130), st.floats(0, 20))
def test_a_stop_only_tightens(best, more):
    assert PLAN.stop(best + more) >= PLAN.stop(best)
