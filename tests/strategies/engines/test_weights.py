"""Target weights as entries, exits and orders (PPA-1)."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.engines.weights import Account, affordable, gates, leaves, missing_units, tags

NAN = float("nan")


def actions(*targets, value=0.01, cvar=-0.02):
    return pd.DataFrame({"target_weight": np.array(targets, dtype="f4"), "value": value, "cvar": cvar})


def opens(action, side, band=0.05, least=-np.inf, worst=-np.inf):
    return list(pd.concat(gates(action, side, band, least, worst), axis=1).all(axis=1))


def test_entries_need_a_target_beyond_the_dead_band_on_their_side():
    frame = actions(0.0, 0.04, 0.06, 1.0, -0.06, NAN)
    assert opens(frame, "long") == [False, False, True, True, False, False]
    assert opens(frame, "short") == [False, False, False, False, True, False]


def test_value_and_cvar_refuse_what_is_worse():
    frame = pd.concat(
        [actions(0.5, value=v, cvar=c) for v, c in ((0.02, -0.1), (0.0, -0.1), (0.02, -0.4), (NAN, -0.1))]
    )
    assert opens(frame, "long", least=0.01, worst=-0.2) == [True, False, False, False]
    assert opens(frame, "long") == [True, True, True, False]


def test_exits_follow_the_last_known_target():
    """STR-4: a missing action opens nothing, and the target before it may still close."""
    frame = actions(NAN, 0.5, NAN, 0.04, NAN, -0.5, 0.5)
    assert list(leaves(frame, "long", 0.05)) == [False, False, False, True, True, True, False]
    assert list(leaves(frame, "short", 0.05)) == [False, True, True, True, True, False, True]


def test_tags_tell_the_weight():
    assert list(tags(actions(0.05, 0.6, 0.649, -1.0), "long")) == [f"ppo_long_{n}" for n in (5, 60, 60, 100)]


@pytest.mark.parametrize(
    ("target", "units", "expected"),
    [
        (0.5, 0.0, 5.0),  # worth 1000 at a price of 100
        (0.54, 5.0, 0.0),  # within the band
        (0.56, 5.0, 0.6),
        (0.44, 5.0, -0.6),
        (0.0, 0.4, -0.4),  # 0 is always gone to
        (-0.5, 5.0, -10.0),
        (NAN, 5.0, 0.0),
    ],
)
def test_the_difference_is_traded(target, units, expected):
    account = Account(1000.0 - 100 * units, units, 100.0)
    assert account.worth == 1000
    assert missing_units(target, account, 0.05) == pytest.approx(expected)


def test_an_account_that_is_worth_nothing_orders_nothing():
    account = Account(-500.0, 5.0, 100.0)
    assert (account.weight, missing_units(1.0, account, 0.05)) == (0.0, 0.0)


@given(st.floats(0, 100), st.floats(-10, 1e5), st.floats(0.01, 1e5), st.floats(0, 0.01))
def test_what_is_bought_is_paid_for(units, cash, rate, fee):
    bought = affordable(units, cash, rate, fee)
    assert 0 <= bought <= units
    assert bought * rate * (1 + fee) <= max(cash, 0) * (1 + 1e-12) + 1e-300  # below, floats have few digits
