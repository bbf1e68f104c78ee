"""The 24 targets: a slow twin in exact fractions, values worked out by hand, and the rows whose future is unknown."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from nn.data.candles import read_candles
from nn.data.quality import BadCandles
from nn.data.targets import (
    ACTIONS,
    DIRECTIONS,
    DOWN,
    FLAT,
    FORECAST_COLUMNS,
    HOLD,
    LONG,
    SHORT,
    TARGET_NAMES,
    TARGETS,
    UP,
    Labels,
    make_targets,
    max_horizon_bars,
)

from .naive_targets import naive_targets

HORIZONS = (1, 4, 16, 48, 1, 4, 16, 48, 16, 16, 48, 48, 16, 16, 48, 48, 4, 16, 4, 16, 16, 16, 16, 48)


def flat_then(closes, high=None, low=None, opens=None, n_rows=60, step_ms=900_000):
    """Candles at 100 whose bars 1, 2, .. close at the given prices and stay at the last."""
    close = np.full(n_rows, closes[-1] if len(closes) else 100.0)
    close[0], close[1 : 1 + len(closes)] = 100.0, closes
    opened = np.concatenate(([100.0], close[:-1]))
    for row, value in (opens or {}).items():
        opened[row] = value
    frame = pd.DataFrame({"date": 1_700_006_400_000 + step_ms * np.arange(n_rows), "open": opened, "close": close})
    frame["high"] = np.maximum(opened, close)
    frame["low"] = np.minimum(opened, close)
    for name, values in (("high", high or {}), ("low", low or {})):
        for row, value in values.items():
            frame.loc[row, name] = value
    return frame.assign(volume=1.0)


def label(frame, name, row=0, timeframe="15m"):
    return make_targets(frame, timeframe).values[row, TARGET_NAMES.index(name)]


def test_the_table_is_the_specification():
    """TGT-1..24, TGT-25"""
    assert [target.id for target in TARGETS] == [f"TGT-{n}" for n in range(1, 25)]
    assert make_targets(flat_then([]), "15m").horizons == HORIZONS
    assert TARGET_NAMES[:5] == (
        "future_return_15m",
        "future_return_1h",
        "future_return_4h",
        "future_return_12h",
        "direction_15m",
    )
    assert TARGET_NAMES[8:16] == tuple(
        f"{side}_will_reach_{level}"
        for side in ("long", "short")
        for level in ("1pct_4h", "2pct_4h", "3pct_12h", "5pct_12h")
    )
    assert TARGET_NAMES[16:20] == ("max_drawdown_1h", "max_drawdown_4h", "max_rally_1h", "max_rally_4h")
    assert TARGET_NAMES[20:] == ("best_action", "signal_strength", "risk_reward_ratio", "optimal_hold_time")
    assert [target.threshold for target in TARGETS[4:8]] == [0.0015, 0.003, 0.007, 0.01]
    assert (DIRECTIONS[UP], DIRECTIONS[DOWN], DIRECTIONS[FLAT]) == ("up", "down", "flat")
    assert (ACTIONS[LONG], ACTIONS[SHORT], ACTIONS[HOLD]) == ("long", "short", "hold")
    assert (UP, DOWN, FLAT) == (LONG, SHORT, HOLD) == (0, 1, 2)


def test_a_forecast_has_38_columns_in_wire_order():
    assert len(FORECAST_COLUMNS) == len(set(FORECAST_COLUMNS)) == 38
    assert FORECAST_COLUMNS[3:8] == (
        "future_return_12h",
        "direction_15m_up",
        "direction_15m_down",
        "direction_15m_flat",
        "direction_1h_up",
    )
    assert FORECAST_COLUMNS[28:34] == (
        "best_action_long",
        "best_action_short",
        "best_action_hold",
        "signal_strength",
        "risk_reward_ratio",
        "optimal_hold_time",
    )
    assert FORECAST_COLUMNS[34:] == ("confidence_15m", "confidence_1h", "confidence_4h", "confidence_12h")


@pytest.mark.parametrize("seed", range(4))
def test_a_naive_loop_reproduces_each_target(make_candles, seed):
    """TGT-28"""
    frame = make_candles(200, seed=seed, volatility=(0.0005, 0.002, 0.006, 0.02)[seed])
    targets = make_targets(frame, "15m")
    slow = naive_targets(frame)
    assert set(slow) == set(TARGET_NAMES)
    for column, name in enumerate(TARGET_NAMES):
        assert_array_equal(targets.mask[:, column], ~np.isnan(slow[name]), err_msg=name)
        np.testing.assert_allclose(targets.values[:, column], slow[name], rtol=2e-7, atol=1e-9, err_msg=name)
        if TARGETS[column].n_classes:
            assert_array_equal(targets.values[:, column], np.float32(slow[name]), err_msg=name)


def test_every_class_and_both_sides_of_every_reach_occur_in_the_comparison(make_candles):
    """TGT-28: a twin that agrees on nothing but HOLD would prove nothing."""
    seen = [set() for _ in TARGETS]
    for seed, volatility in enumerate((0.0005, 0.002, 0.006, 0.02)):
        values = make_targets(make_candles(200, seed=seed, volatility=volatility), "15m").values
        for column in range(24):
            seen[column] |= set(values[~np.isnan(values[:, column]), column].tolist())
    for target, values in zip(TARGETS, seen, strict=True):
        assert values == set(map(float, range(target.n_classes))) if target.n_classes else len(values) > 40


def test_values_worked_out_by_hand():
    """A rise to 103 in bar 2 with a dip to 99 on the way and a last close of 102."""
    frame = flat_then([101.0, 103.0, 102.0], high={2: 104.0}, low={1: 99.0})
    expected = {
        "future_return_15m": 0.01,
        "future_return_1h": 0.02,
        "future_return_12h": 0.02,
        "direction_15m": UP,
        "long_will_reach_1pct_4h": 1,
        "long_will_reach_2pct_4h": 1,
        "long_will_reach_3pct_12h": 1,
        "long_will_reach_5pct_12h": 0,
        "short_will_reach_1pct_4h": 1,
        "short_will_reach_2pct_4h": 0,
        "max_drawdown_1h": 100 / 99 - 1,
        "max_rally_4h": 0.04,
        "best_action": LONG,
        "signal_strength": (0.02 - 0.0022) / 0.02,
        "risk_reward_ratio": 4.0,  # +4% against -1%
        "optimal_hold_time": 2 / 48,
    }
    for name, value in expected.items():
        assert label(frame, name) == np.float32(value), name


def test_a_short_is_the_mirror_of_a_long():
    """TGT-13..16, TGT-21..24: a short's gain is measured from its own entry."""
    frame = flat_then([99.0, 97.0, 98.0], high={1: 101.0}, low={2: 96.0})
    assert label(frame, "best_action") == SHORT
    assert label(frame, "signal_strength") == np.float32((0.02 - 0.0022) / 0.02)
    assert label(frame, "risk_reward_ratio") == np.float32(4.0)
    assert label(frame, "optimal_hold_time") == np.float32(2 / 48)
    assert label(frame, "short_will_reach_3pct_12h") == 1
    assert label(frame, "short_will_reach_5pct_12h") == 0
    assert label(frame, "max_drawdown_4h") == np.float32(100 / 96 - 1)


@pytest.mark.parametrize(
    ("price", "action"), [(100.22, HOLD), (100.23, LONG), (99.78, HOLD), (99.77, SHORT), (100.0, HOLD)]
)
def test_an_action_must_pay_the_round_trip(price, action):
    """TGT-21: the cost is 0.22%, and exactly the cost earns nothing."""
    frame = flat_then([price])
    assert label(frame, "best_action") == action
    if action == HOLD:
        for name in ("signal_strength", "risk_reward_ratio", "optimal_hold_time"):
            assert label(frame, name) == 0, name


@pytest.mark.parametrize(("price", "code"), [(100.15, FLAT), (100.16, UP), (99.85, FLAT), (99.84, DOWN)])
def test_a_move_of_exactly_the_band_is_flat(price, code):
    """TGT-5"""
    assert label(flat_then([price]), "direction_15m") == code


@pytest.mark.parametrize("scale", [1e-8, 0.003, 1.0, 317.0, 1e5])
@pytest.mark.parametrize(("percent", "hours"), [(1, "4h"), (2, "4h"), (3, "12h"), (5, "12h")])
def test_a_move_of_exactly_the_level_reaches_it(scale, percent, hours):
    """TGT-9..16: on a grid of prices a round number is hit exactly, whatever binary fractions make of it."""
    up = flat_then([], high={3: 100.0 + percent}, low={3: 100.0 - percent})
    frame = up.assign(**{name: up[name] * scale for name in ("open", "high", "low", "close")})
    assert label(frame, f"long_will_reach_{percent}pct_{hours}") == 1
    assert label(frame, f"short_will_reach_{percent}pct_{hours}") == 1


def test_a_trade_without_adverse_move_has_the_highest_ratio():
    """TGT-23"""
    assert label(flat_then([101.0], opens={1: 100.5}), "risk_reward_ratio") == 10
    assert label(flat_then([100.5], low={1: 99.99}), "risk_reward_ratio") == 10  # 0.5% against 0.01%, clipped


def test_the_best_bar_is_the_first_of_equals_and_may_be_the_last():
    """TGT-24"""
    assert label(flat_then([101.0, 102.0, 101.0, 102.0]), "optimal_hold_time") == np.float32(2 / 48)
    rising = flat_then([100 + 0.1 * bar for bar in range(1, 60)])
    assert label(rising, "optimal_hold_time") == 1.0


def test_a_future_wholly_above_the_close_has_a_negative_drawdown():
    """TGT-17: the ratio of the specification, not floored."""
    frame = flat_then([101.0], opens={1: 100.5})
    assert label(frame, "max_drawdown_1h") == np.float32(100 / 100.5 - 1)


def test_the_tail_is_masked_and_never_zero(candles):
    """TGT-26"""
    targets = make_targets(candles, "15m")
    assert targets.values.dtype == np.float32
    assert targets.values.shape == targets.mask.shape == (200, 24)
    for column, horizon in enumerate(HORIZONS):
        assert targets.mask[: 200 - horizon, column].all()
        assert not targets.mask[200 - horizon :, column].any()
    assert_array_equal(np.isnan(targets.values), ~targets.mask)


@given(absent=st.sets(st.integers(1, 198), max_size=20))
@settings(max_examples=40)
def test_a_future_that_crosses_a_gap_is_masked_and_every_other_is_as_before(make_candles, absent):
    """TGT-26, DQ-4: a horizon counts bars, so the bars must all be there."""
    frame = make_candles(200)
    whole = make_targets(frame, "15m")
    kept = np.setdiff1d(np.arange(200), list(absent))
    holed = make_targets(frame.iloc[kept].reset_index(drop=True), "15m")
    for column, horizon in enumerate(HORIZONS):
        for row, t in enumerate(kept):
            complete = t + horizon < 200 and not absent & set(range(t + 1, t + horizon + 1))
            assert holed.mask[row, column] == complete
    assert_array_equal(holed.values[holed.mask], whole.values[kept][holed.mask])


@pytest.mark.parametrize("n_rows", [0, 1, 2, 47, 48, 49])
def test_few_rows_are_masked_not_refused(candles, n_rows):
    targets = make_targets(candles.iloc[:n_rows], "15m")
    assert targets.mask.sum() == sum(max(0, n_rows - horizon) for horizon in HORIZONS)


def test_what_follows_the_horizon_changes_nothing(make_candles):
    """TGT-28"""
    frame, other = make_candles(200, seed=1), make_candles(200, seed=2)
    before = make_targets(frame, "15m")
    for cut in (1, 60, 120, 180):
        mixed = pd.concat([frame.iloc[: cut + 1], other.iloc[cut + 1 :]], ignore_index=True)
        mixed["high"] = mixed[["open", "high", "close"]].max(axis=1)
        mixed["low"] = mixed[["open", "low", "close"]].min(axis=1)
        after = make_targets(mixed, "15m")
        for column, horizon in enumerate(HORIZONS):
            known = max(0, cut + 1 - horizon)
            assert before.values[:known, column].tobytes() == after.values[:known, column].tobytes()


@pytest.mark.parametrize(("timeframe", "longest"), [("15m", 48), ("5m", 144), ("3m", 240), ("1m", 720)])
def test_a_horizon_is_a_time_so_shorter_bars_make_it_more_bars(timeframe, longest):
    """DAT-10"""
    assert max_horizon_bars(timeframe) == longest
    step = int(timeframe[:-1]) * 60_000
    frame = flat_then([101.0], n_rows=longest + 2, step_ms=step)
    targets = make_targets(frame, timeframe)
    assert targets.horizons[3] == longest
    assert targets.mask[0].all()
    assert label(frame, "optimal_hold_time", timeframe=timeframe) == np.float32(1 / longest)


@pytest.mark.parametrize("timeframe", ["1h", "30m", "10m", "4h"])
def test_a_timeframe_without_whole_horizons_is_refused(candles, timeframe):
    """DAT-10"""
    with pytest.raises(ValueError, match=f"not a whole number of {timeframe} bars"):
        make_targets(candles, timeframe)


def test_bad_candles_get_no_labels(candles):
    with pytest.raises(BadCandles, match=r"row 9 .*has close nan"):
        make_targets(candles.assign(close=candles["close"].where(candles.index != 9)), "15m")
    with pytest.raises(BadCandles, match="ascending"):
        make_targets(candles.iloc[::-1], "15m")


@pytest.mark.real_data
def test_a_naive_loop_reproduces_each_target_on_recorded_candles(market_data):
    """TGT-28, and every label of recorded candles lies in its range"""
    frame, _ = read_candles(market_data, "BTC/USDT:USDT", "15m")
    targets = make_targets(frame, "15m")
    part = frame.iloc[20_000:20_248].reset_index(drop=True)
    slow = naive_targets(part)
    for column, target in enumerate(TARGETS):
        quick = targets.values[20_000:20_200, column]
        np.testing.assert_allclose(quick, slow[target.name][:200], rtol=2e-7, atol=1e-9, err_msg=target.name)
        values = targets.values[targets.mask[:, column], column]
        if target.n_classes:
            assert set(values.tolist()) == set(map(float, range(target.n_classes)))
        if target.kind == "unit":
            assert values.min() == 0
            assert values.max() == target.maximum


def test_labels_of_some_rows_are_those_of_the_whole_table(make_candles):
    """In any order, more than once, and across the blocks in which a long request is answered."""
    frame = make_candles(9000, seed=3).drop(index=[700, 701, 4500]).reset_index(drop=True)
    labels, whole = Labels(frame, "15m"), make_targets(frame, "15m").values
    draw = np.random.default_rng(4)
    for rows in (draw.integers(0, len(frame), 5000), np.array([8996, 0, 0, 4098]), np.zeros(0, dtype=np.int64)):
        assert_array_equal(labels[rows], whole[rows])
    assert_array_equal(labels.columns(np.arange(20), range(4, 8)), whole[:20, 4:8])


def test_labels_are_no_view_of_something(make_candles):
    with pytest.raises(ValueError, match="always a copy"):
        np.asarray(Labels(make_candles(60), "15m"), copy=False)
