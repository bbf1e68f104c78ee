"""The decision of two models, worked out by hand (NNP-1, NNP-2, ENS-1..3, CLT-5, CLT-6)."""

import numpy as np
import pandas as pd
import pytest

from strategies.engines.forecast import SIDES, allowed_by_rules, gates, plan_trade, reduced_stake, reversal, tags


def forecast(expected, up, down):
    return pd.DataFrame([{"expected_return_4h": expected, "probability_up_4h": up, "probability_down_4h": down}])


@pytest.mark.parametrize(
    ("row", "side", "enters"),
    [
        (forecast(0.004, 0.5, 0.2), "long", True),  # 0.4% > 1.5 x 0.22%
        (forecast(0.0033, 0.5, 0.2), "long", False),  # pays exactly, not more
        (forecast(0.004, 0.3, 0.4), "long", False),  # the direction disagrees
        (forecast(0.004, 0.3, 0.2), "long", True),  # 0.3 of 0.5: sure of the side, whatever stays flat
        (forecast(0.004, 0.29, 0.2), "long", False),  # 0.29 of 0.49: not sure enough
        (forecast(-0.004, 0.2, 0.5), "short", True),
        (forecast(-0.004, 0.2, 0.5), "long", False),
        (forecast(0.004, 0.5, 0.2), "short", False),
        (forecast(np.nan, 0.5, 0.2), "long", False),
        (forecast(0.004, np.nan, 0.2), "long", False),
        (forecast(0.004, 0.5, np.nan), "long", False),
        (forecast(np.nan, np.nan, np.nan), "short", False),
    ],
)
def test_an_entry_pays_the_round_trip_and_agrees(row, side, enters):
    assert pd.concat(gates(row, side, "4h", 1.5, 0.6, 0.0022), axis=1).all(axis=1).tolist() == [enters]


@pytest.mark.parametrize(
    ("expected", "agrees", "pays"), [(0.0021, False, False), (0.003, True, False), (0.004, True, True)]
)
@pytest.mark.parametrize("side", SIDES)
def test_a_loss_after_costs_is_a_disagreement_and_too_little_gain_is_none(side, expected, agrees, pays):
    """ENS-3: the direction is sure, the unified line decides which gate closes."""
    likely = (0.6, 0.2) if side == "long" else (0.2, 0.6)
    opened = gates(forecast(SIDES[side] * expected, *likely), side, "4h", 1.5, 0.6, 0.0022)
    assert {name: bool(gate[0]) for name, gate in opened.items()} == {
        "direction": True,
        "agreement": agrees,
        "edge": pays,
    }


@pytest.mark.parametrize(
    ("up", "down", "tag"), [(0.48, 0.32, "nn_long_60"), (0.479, 0.321, "nn_long_55"), (0.9, 0.0, "nn_long_100")]
)
def test_a_tag_names_side_and_bucket_of_confidence(up, down, tag):
    """ENS-2, STR-3; the wire's float32 does not push a round number into the bucket below."""
    row = forecast(0.01, up, down).astype("float32")
    assert tags(row, "long", "4h").tolist() == [tag]
    assert tags(forecast(0.01, down, up).astype("float32"), "short", "4h").tolist() == [tag.replace("long", "short")]
    assert tags(row.iloc[:0], "long", "4h").tolist() == []


@pytest.mark.parametrize(
    ("row", "leaves_long", "leaves_short"),
    [
        (forecast(-0.001, 0.2, 0.5), True, False),
        (forecast(0.001, 0.5, 0.2), False, True),
        (forecast(-0.001, 0.5, 0.2), False, False),
        (forecast(np.nan, np.nan, np.nan), False, False),
    ],
)
def test_a_reversal_needs_return_and_direction(row, leaves_long, leaves_short):
    assert reversal(row, "long", "4h").tolist() == [leaves_long]
    assert reversal(row, "short", "4h").tolist() == [leaves_short]


@pytest.mark.parametrize(
    ("cross", "rsi", "longs", "shorts"),
    [(0.01, 0.6, (True, True), (False, False)), (0.01, 0.4, (False, True), (False, True)),
     (-0.01, 0.4, (False, False), (True, True)), (np.nan, np.nan, (False, True), (False, True))],
)  # fmt: skip
def test_rules_agree_or_at_least_do_not_object(cross, rsi, longs, shorts):
    features = pd.DataFrame([{"ema_20_50": cross, "rsi_14": rsi}])
    for side, expected in (("long", longs), ("short", shorts)):
        assert tuple(bool(allowed_by_rules(features, side, combine)[0]) for combine in ("and_ta", "veto")) == expected
        assert allowed_by_rules(features, side, "nn_only")[0]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("stop", "target", "expected"),
    [
        (0.02, 0.03, (0.03, 0.045)),  # 1.5 typical moves each
        (0.0001, 0.0001, (0.005, 0.0033)),  # never nearer than min_stop, never a profit that does not pay
        (0.5, 0.9, (0.05, 1.35)),  # a stop never beyond the strategy's own (ENS-2)
        (np.nan, 0.01, None),
        (0.01, np.nan, None),
        (0.01, np.inf, None),
    ],
)
def test_stop_and_target_are_typical_moves_within_bounds(side, stop, target, expected):
    candle = {f"stop_{side}": stop, f"target_{side}": target}
    plan = plan_trade(candle, 200.0, side, 1.5, (0.005, 0.05), 1.5, 0.0033)
    if expected is None:
        assert plan is None
        return
    assert plan.stop == pytest.approx(200 * (1 - SIDES[side] * expected[0]))
    assert plan.target == pytest.approx(200 * (1 + SIDES[side] * expected[1]))


@pytest.mark.parametrize(
    ("multiplier", "least", "stake"),
    [
        (1.0, 10, 100),
        (0.3, 10, 30),
        (7.0, 10, 100),
        (-1.0, None, 0),
        (0.09, 10, 0),
        (np.nan, None, 0),
        (np.inf, None, 0),
    ],
)
def test_a_model_can_only_reduce_the_stake(multiplier, least, stake):
    """SIZ-4, SIZ-5."""
    assert reduced_stake(100.0, multiplier, least) == pytest.approx(stake)
