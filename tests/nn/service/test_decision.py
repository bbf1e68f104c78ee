"""Two lines, one decision: against a slow twin that reads row by row, and rows worked out by hand (ENS-1..3)."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nn.data.target_table import DIRECTION_COLUMNS, FORECAST_COLUMNS
from nn.service.decision import DECISION_COLUMNS, SIGNALS, decide
from nn.service.scoring import REASONS

CONTRACTS = Path(__file__).resolve().parents[3] / "configs" / "contracts"
COST = 0.0022
QUIET = {"max_drawdown_4h": 0.25, "max_rally_4h": 0.06, "signal_strength": 0.25, "confidence_4h": 0.64}
UP_AT_4H = {"direction_4h_up": 0.5, "direction_4h_down": 0.25, "direction_4h_flat": 0.25}


def unified(**values: float) -> np.ndarray:
    row = dict.fromkeys(FORECAST_COLUMNS, 0.5) | QUIET | {"risk_reward_ratio": 0.25} | values
    return np.array([[row[name] for name in FORECAST_COLUMNS]], dtype=np.float32)


def direction(**values: float) -> np.ndarray:
    row = dict.fromkeys(DIRECTION_COLUMNS, 1 / 3) | values
    return np.array([[row[name] for name in DIRECTION_COLUMNS]], dtype=np.float32)


def decision(forecast: np.ndarray, way: np.ndarray) -> dict[str, object]:
    found = decide(forecast, way)
    row = dict(zip(DECISION_COLUMNS, found.values[0].tolist(), strict=True))
    return row | {
        "signal": SIGNALS[found.signal[0]],
        "signal_probability": float(found.signal_probability[0]),
        "disagree": bool(found.disagree[0]),
    }


def slow_twin(forecast: np.ndarray, way: np.ndarray) -> list[float | str | bool]:
    """One row in plain Python, straight from the documented formulas."""
    u = dict(zip(FORECAST_COLUMNS, (float(value) for value in forecast), strict=True))
    p = dict(zip(DIRECTION_COLUMNS, (float(value) for value in way), strict=True))
    d, rise, reward = u["max_drawdown_4h"], u["max_rally_4h"], u["risk_reward_ratio"]
    nothing = [math.nan] * 17 + ["HOLD", math.nan, False]
    row = []
    for horizon in ("15m", "1h", "4h", "12h"):
        row += [p[f"direction_{horizon}_up"], p[f"direction_{horizon}_down"], u[f"future_return_{horizon}"]]
    used = [*row, *p.values(), d, rise, reward, u["signal_strength"], u["confidence_4h"]]
    if not all(math.isfinite(value) for value in used) or d <= 0 or rise <= 0:
        return nothing
    fall = d / (1 + d)
    row.append(math.sqrt(min(max(u["signal_strength"], 0), 1) * min(max(u["confidence_4h"], 0), 1)))
    row += [fall, rise, max(min(rise, reward * fall), COST), max(min(fall, reward * rise), COST)]
    up, down, flat = (p[f"direction_4h_{word}"] for word in ("up", "down", "flat"))
    expected, signal, probability, disagree = u["future_return_4h"], "HOLD", flat, False
    if up > max(down, flat):
        signal, probability, disagree = "BUY", up, expected < float(np.float32(COST))
    elif down > max(up, flat):
        signal, probability, disagree = "SELL", down, -expected < float(np.float32(COST))
    return [*row, "HOLD", flat, True] if disagree else [*row, signal, probability, disagree]


NUMBERS = st.floats(0, 1, width=32) | st.sampled_from([np.float32(x) for x in (np.nan, 0, -0.5, COST, 0.5, 20)])


def rows(n: int):
    return st.tuples(*(arrays(np.float32, (n, k), elements=NUMBERS, fill=st.nothing()) for k in (38, 12)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3).flatmap(rows))
def test_the_columns_are_those_of_a_slow_twin(rows):
    forecast, way = rows
    found = decide(forecast, way)
    for k in range(len(forecast)):
        expected = slow_twin(forecast[k], way[k])
        np.testing.assert_array_equal(found.values[k], np.array(expected[:17], dtype=np.float32))
        assert (SIGNALS[found.signal[k]], found.disagree[k]) == (expected[17], expected[19])
        np.testing.assert_equal(found.signal_probability[k], np.float32(expected[18]))


def test_a_row_by_hand():
    """A drawdown of 25 % is a fall of 20 %: 125 to 100. The stake is the root of a quarter of 0.64."""
    row = decision(unified(future_return_4h=0.01), direction(**UP_AT_4H))
    assert (row["signal"], row["signal_probability"], row["disagree"]) == ("BUY", 0.5, False)
    assert row["stake_multiplier"] == pytest.approx(0.4)
    assert row["stop_long"] == pytest.approx(0.2)
    assert row["stop_short"] == pytest.approx(0.06)
    assert row["target_long"] == pytest.approx(0.05)  # a quarter of the risk of 20 %, nearer than the rise of 6 %
    assert row["target_short"] == pytest.approx(0.015)  # a quarter of the risk of 6 %
    assert row["probability_up_4h"] == 0.5
    assert row["probability_down_4h"] == 0.25
    assert row["expected_return_4h"] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("expected_return", "up", "down", "signal", "disagree"),
    [
        (0.01, 0.5, 0.3, "BUY", False),
        (0.0021, 0.5, 0.3, "HOLD", True),  # less than the round trip
        (-0.01, 0.5, 0.3, "HOLD", True),
        (-0.01, 0.3, 0.5, "SELL", False),
        (-0.0021, 0.3, 0.5, "HOLD", True),
        (0.01, 0.3, 0.5, "HOLD", True),
        (0.01, 0.4, 0.4, "HOLD", False),  # equals lean nowhere
        (-0.5, 0.2, 0.3, "HOLD", False),  # nothing to disagree about
    ],
)
def test_an_expected_loss_on_that_side_holds_and_keeps_the_numbers(expected_return, up, down, signal, disagree):
    """ENS-3."""
    way = direction(direction_4h_up=up, direction_4h_down=down, direction_4h_flat=1 - up - down)
    row = decision(unified(future_return_4h=expected_return), way)
    assert (row["signal"], row["disagree"]) == (signal, disagree)
    chance = {"BUY": up, "SELL": down, "HOLD": 1 - up - down}[signal]
    assert row["signal_probability"] == pytest.approx(chance, abs=1e-6)
    assert all(math.isfinite(row[name]) for name in DECISION_COLUMNS)


@settings(max_examples=100, deadline=None)
@given(
    arrays(np.float32, 38, elements=st.floats(-100, 100, width=32)),
    arrays(np.float32, 12, elements=st.floats(0, 1, width=32)),
)
def test_a_model_can_only_reduce_the_stake(forecast, way):
    """ENS-2: the multiplier lies in 0..1 and levels are above 0, or there is no decision."""
    row = decision(forecast[None], way[None])
    assert math.isnan(row["stake_multiplier"]) or 0 <= row["stake_multiplier"] <= 1
    for name in ("stop_long", "stop_short", "target_long", "target_short"):
        assert math.isnan(row[name]) or row[name] > 0


@pytest.mark.parametrize("name", DIRECTION_COLUMNS)
def test_any_missing_probability_is_no_decision(name):
    row = decision(unified(future_return_4h=0.01), direction(**UP_AT_4H | {name: math.nan}))
    assert row["signal"] == "HOLD"
    assert all(math.isnan(row[column]) for column in (*DECISION_COLUMNS, "signal_probability"))


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"shapes \(1, 12\) and \(1, 38\), expected \(1, 38\), \(1, 12\)"):
        decide(direction(), unified())


def test_the_contracts_name_these_columns_and_reasons():
    """SRV-7."""
    row = json.loads((CONTRACTS / "decision_reply.v1.json").read_text())["properties"]["rows"]["items"]
    head = ["date", "close_time", "signal", "signal_probability", "model_version", "direction_version", "reason"]
    assert row["required"] == list(row["properties"]) == [*head, *DECISION_COLUMNS]
    assert {*REASONS, "unclosed", "disagree", None} == set(row["properties"]["reason"]["enum"])
    row = json.loads((CONTRACTS / "direction_reply.v1.json").read_text())["properties"]["rows"]["items"]
    assert row["required"] == list(row["properties"])
    assert row["required"][4:] == list(DIRECTION_COLUMNS)
    assert {*REASONS, "unclosed", None} == set(row["properties"]["reason"]["enum"])


@pytest.mark.parametrize(("way", "side"), [("up", 1), ("down", -1)])
def test_a_return_of_exactly_the_cost_is_no_loss(way, side):
    """ENS-3, at its border: the float32 just below it disagrees."""
    leaning = direction(**{f"direction_4h_{word}": 0.5 if word == way else 0.25 for word in ("up", "down", "flat")})
    cost = np.float32(COST)
    at, below = (
        decision(unified(future_return_4h=side * float(value)), leaning) for value in (cost, np.nextafter(cost, 0))
    )
    assert (at["signal"], at["disagree"]) == ({1: "BUY", -1: "SELL"}[side], False)
    assert (below["signal"], below["disagree"]) == ("HOLD", True)


SHARES, MOVES = st.floats(0, 1, width=32), st.floats(0.0009765625, 0.5, width=32)


@settings(max_examples=80, deadline=None)
@given(strength=SHARES, confidence=SHARES, drawdown=MOVES, rally=MOVES, reward=st.floats(0, 8, width=32), more=MOVES)
def test_levels_keep_their_laws(strength, confidence, drawdown, rally, reward, more):
    """More of what is good never makes a stake or a target smaller, and mirrored moves give mirrored levels."""

    def of(**changes) -> dict[str, float]:
        row = {
            "signal_strength": strength, "confidence_4h": confidence, "max_drawdown_4h": drawdown,
            "max_rally_4h": rally, "risk_reward_ratio": reward,
        }  # fmt: skip
        return decision(unified(**(row | changes)), direction(**UP_AT_4H))

    row = of()
    assert 0 <= row["stake_multiplier"] <= 1
    assert row["stake_multiplier"] == pytest.approx(math.sqrt(strength * confidence), rel=1e-6, abs=1e-30)
    for name, value in (("signal_strength", strength), ("confidence_4h", confidence)):
        assert of(**{name: min(1, value + more)})["stake_multiplier"] >= row["stake_multiplier"]
    assert of(max_drawdown_4h=drawdown + more)["stop_long"] > row["stop_long"]
    assert of(max_rally_4h=rally + more)["stop_short"] > row["stop_short"]
    assert row["stop_long"] < 1  # a price cannot fall by more than all of it
    for changes in ({"risk_reward_ratio": reward + more}, {"max_rally_4h": rally + more}):
        assert of(**changes)["target_long"] >= row["target_long"]
        assert of(**changes)["target_short"] >= row["target_short"]
    cost = np.float32(COST)
    assert cost <= row["target_long"] <= max(row["stop_short"], cost)
    assert cost <= row["target_short"] <= max(row["stop_long"], cost)
    fall = drawdown / (1 + drawdown)  # mirrored: the rise becomes the fall, and the fall the rise
    if rally < 0.5:
        mirrored = of(max_drawdown_4h=rally / (1 - rally), max_rally_4h=fall)
        for mine, other in (("stop_long", "stop_short"), ("target_long", "target_short")):
            assert mirrored[mine] == pytest.approx(row[other], rel=1e-5)
            assert mirrored[other] == pytest.approx(row[mine], rel=1e-5)
