"""Holds the planners to hand values and laws (ALG-1)."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tradekernels.execution import Quantiser, mid_offset, pov, twap, vwap

parents = st.integers(-(10**9), 10**9).filter(bool)
least = st.integers(1, 1000)
volumes = st.lists(st.floats(0, 1e7, allow_nan=False), min_size=1, max_size=40)


def holds_together(plan, lots, minimum):
    """Check what every plan must be: children on the parent's side, in order of time, none below the minimum."""
    assert (np.sign(plan["lots"]) == np.sign(lots)).all()
    assert (np.diff(plan["time_ms"]) >= 0).all()
    assert len(plan) <= 1 or np.abs(plan["lots"]).min() >= min(minimum, abs(lots))


@given(lots=parents, parts=st.integers(1, 50), minimum=least)
@example(lots=438_940_689, parts=11, minimum=1)
@example(lots=10**15, parts=49, minimum=1)
def test_children_of_a_twap_add_up_and_are_equal(lots, parts, minimum):
    plan = twap(lots, 1000, 60_000, parts, minimum)
    holds_together(plan, lots, minimum)
    assert plan["lots"].sum() == lots
    assert np.ptp(plan["lots"]) <= 1
    assert plan["time_ms"][0] == 1000
    assert plan["time_ms"][-1] < 61_000


@given(lots=parents, profile=volumes.filter(lambda it: sum(it) > 0), minimum=least)
def test_children_of_a_vwap_add_up(lots, profile, minimum):
    plan = vwap(lots, 0, 3_600_000, profile, minimum)
    holds_together(plan, lots, minimum)
    assert plan["lots"].sum() == lots


@given(lots=parents, volume=volumes, participation=st.floats(0.01, 1), minimum=least)
def test_a_pov_never_exceeds_its_share_and_adds_up_with_what_is_left(lots, volume, participation, minimum):
    plan, left = pov(lots, 0, volume, participation, 60_000, minimum)
    assert plan["lots"].sum() + left == lots
    assert (np.sign(plan["lots"]) == np.sign(lots)).all()
    sent = np.abs(np.cumsum(plan["lots"]))
    traded = np.cumsum(volume)[plan["time_ms"] // 60_000 - 1]
    assert (sent <= traded * participation + 1e-6).all()
    holds_together(plan, lots, minimum)


def test_plans_by_hand():
    assert twap(60, 0, 60_000).tolist() == [(k * 10_000, 10) for k in range(6)]
    assert twap(-5, 0, 60_000, parts=6, min_child_lots=2).tolist() == [(0, -2), (30_000, -3)]
    assert twap(1, 0, 60_000, min_child_lots=5).tolist() == [(0, 1)]
    assert vwap(100, 0, 4000, [1, 2, 3, 4]).tolist() == [(0, 10), (1000, 20), (2000, 30), (3000, 40)]
    assert vwap(10, 0, 4000, [1, 0, 0, 9], 2).tolist() == [(3000, 10)]
    plan, left = pov(50, 0, [100, 0, 200, 5], min_child_lots=12)
    assert plan.tolist() == [(180_000, 30)]
    assert left == 20
    plan, left = pov(25, 0, [100, 100, 100], min_child_lots=10)  # 10, then 10, would leave a child of 5
    assert plan.tolist() == [(60_000, 10), (180_000, 15)]
    assert left == 0
    assert vwap(10, 0, 100, [1e308, 1e308]).tolist() == [(0, 5), (50, 5)]  # whose sum is no double


@given(mid=st.floats(1, 1e5), offset=st.floats(0, 500))
def test_an_offset_price_lies_on_the_grid_and_never_nearer_than_asked(mid, offset):
    grid = Quantiser(tick_size="0.01")
    buy, sell = (float(mid_offset(side, mid, offset, grid)) for side in ("buy", "sell"))
    assert buy <= mid * (1 - offset * 1e-4)
    assert sell >= mid * (1 + offset * 1e-4)
    assert float(grid.price(buy)) == buy


def test_what_is_no_plan_is_refused_by_name():
    with pytest.raises(ValueError, match="lots is 0, expected a whole number not 0"):
        twap(0, 0, 1)
    with pytest.raises(ValueError, match=r"lots is 10{19}, expected a whole number from -10+ to 10+"):
        twap(10**19, 0, 1)
    with pytest.raises(ValueError, match=r"start_ms is 0\.5, expected a whole number"):
        twap(1, 0.5, 1)
    with pytest.raises(ValueError, match="parts is 0, expected a whole number from 1 to"):
        twap(1, 0, 1, parts=0)
    with pytest.raises(ValueError, match="expected volumes in one dimension, not all 0"):
        vwap(1, 0, 1, [0.0, 0.0])
    with pytest.raises(ValueError, match="participation is 0, expected a share"):
        pov(1, 0, [1.0], participation=0)
    with pytest.raises(ValueError, match="side is 'hold', expected 'buy' or 'sell'"):
        mid_offset("hold", 1.0, 1.0, Quantiser())
