"""The decision on forecasts, worked out by hand (NNP-1, NNP-2, CLT-5, CLT-6)."""

import numpy as np
import pandas as pd
import pytest

from strategies.engines.forecast import allowed_by_rules, entry, reversal, stop_distance


def forecast(expected, up, down):
    values = {
        "future_return_4h": expected,
        "direction_4h_up": up,
        "direction_4h_down": down,
    }
    return pd.DataFrame([values])


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
    assert entry(row, side, "4h", 1.5, 0.6, 0.0022).tolist() == [enters]


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


@pytest.mark.parametrize(
    ("side", "move", "expected"),
    [
        ("long", 0.02, 1.5 * 0.02 / 1.02),  # TGT-18 is the rise that would bring the price back
        ("short", 0.02, 0.03),
        ("long", 0.0001, 0.005),
        ("short", 0.5, 0.05),
        ("long", np.nan, None),
        ("short", np.nan, None),
    ],
)
def test_the_stop_is_beyond_the_predicted_move_and_within_bounds(side, move, expected):
    candle = pd.Series({"max_drawdown_4h": move, "max_rally_4h": move})
    assert stop_distance(candle, side, 1.5, 0.005, 0.05) == (None if expected is None else pytest.approx(expected))
