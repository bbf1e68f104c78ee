"""The account's slots (OBS-21..26, OBS-61): by hand, against a naive window, and where they are filled in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from observation_twin import account as slots_of_account

from tradekernels.observation import AGENT_FIELDS, SLOTS, AgentWindow

#  cash, units, bought, sold, fills, spread sum, spread count, filled, placed     slots 21 to 26, at a price of 100
BY_HAND = [
    ((1000.0, 0.0, 0, 0, 0, 0, 0, 0, 0), (1, 0, 0, 0, 0, 0)),  # flat
    ((500.0, 5.0, 5.0, 0, 1, 0, 0, 5.0, 5.0), (0.5, 0.46211716, 0.76159416, 0.04995837, 0, 1)),  # half invested
    ((2000.0, -5.0, 0, 5.0, 2, -0.002, 2, 5.0, 20.0), (1, -0.32151273, -0.76159416, 0.09966799, -0.001, 0.25)),  # short
    ((-100.0, 1.0, 3.0, 1.0, 40, 5.0, 2, 4.0, 2.0), (1, 0, 0.46211716, 0.96402758, 0.1, 1)),  # worth nothing
    ((-500.0, 10.0, 1.0, 1.0, 0, -9.0, 1, 1.0, 0), (0, 0.96402758, 0, 0, -0.1, 0)),  # on credit
]


@pytest.mark.parametrize(("account", "expected"), BY_HAND)
def test_the_slots_of_an_account_by_hand(sets, observed_frame, account, expected):
    """OBS-21..26."""
    rows = sets().market(observed_frame(1))
    sets().fill_agent(rows, [account], [100.0])
    assert_allclose(rows[0, 21:27], expected, rtol=0, atol=1e-7)
    assert_allclose(slots_of_account(account, 100.0), expected, rtol=0, atol=1e-7)


def test_filling_in_observing_and_computing_agree(sets, observed_frame, accounts, bits):
    """OBS-61: one function, wherever the account becomes known."""
    frame, agent, observations = observed_frame(50, 41), accounts(50, 41), sets()
    whole, market = observations.compute(frame, agent), observations.market(frame)
    assert_array_equal(market[:, 21:27], np.tile([1, 0, 0, 0, 0, 0], (50, 1)))
    filled = market.copy()
    observations.fill_agent(filled, agent, frame["close"])
    assert_array_equal(bits(filled), bits(whole))
    for t in range(50):
        for shape in (tuple, list, np.asarray):
            row = observations.observe(market[t], shape(agent[t]), frame["close"][t])
            assert_array_equal(bits(row), bits(whole[t]))
    assert_array_equal(
        bits(observations.observe(np.repeat(market[3], 2)[::2], agent[3], frame["close"][3])), bits(whole[3])
    )
    exact = observations.market(frame, dtype=np.float64)
    observations.fill_agent(exact, agent, frame["close"])
    assert_array_equal(exact, observations.compute(frame, agent, dtype=np.float64))


FINITE = st.floats(allow_nan=False, allow_infinity=False)
SUM = st.floats(0, allow_infinity=False)


@given(
    st.tuples(FINITE, FINITE, SUM, SUM, SUM, FINITE, SUM, SUM, SUM),
    st.floats(0, exclude_min=True, allow_infinity=False),
)
@settings(max_examples=300, deadline=None)
def test_any_account_gives_finite_slots_in_range(sets, account, price):
    """OBS-56: the largest doubles included."""
    row = np.zeros(56, dtype=np.float32)
    slots = sets().observe(row, account, price)[21:27]
    assert np.isfinite(slots).all()
    for value, slot in zip(slots, SLOTS[21:27], strict=True):
        assert np.float32(slot.range[0]) <= value <= np.float32(slot.range[1]), slot.name


EVENT = st.one_of(
    st.tuples(st.just("place"), st.floats(0.01, 100)),
    st.tuples(st.just("fill"), st.sampled_from(["buy", "sell"]), st.floats(0.01, 100), st.floats(1, 200),
              st.one_of(st.none(), st.floats(1, 200))),
    st.tuples(st.just("next_bar"), st.integers(1, 25)),
)  # fmt: skip


@given(events=st.lists(EVENT, max_size=120))
@settings(max_examples=100, deadline=None)
def test_a_window_is_the_naive_sum_over_20_bars(events):
    """Nothing lingers that has left, and nothing is forgotten early."""
    window, bar, history = AgentWindow(), 0, []
    for name, *arguments in events:
        getattr(window, name)(*arguments)
        if name == "next_bar":
            bar += arguments[0]
        else:
            history.append((bar, name, arguments))
    recent = [(name, arguments) for at, name, arguments in history if at > bar - 20]
    fills = [arguments for name, arguments in recent if name == "fill"]
    spreads = [(1 if side == "buy" else -1) * (price - mid) / mid for side, _, price, mid in fills if mid is not None]
    expected = {
        "cash": 7.0, "units": -3.0,
        "bought_20": sum(amount for side, amount, *_ in fills if side == "buy"),
        "sold_20": sum(amount for side, amount, *_ in fills if side == "sell"),
        "fills_20": len(fills), "spread_sum_20": sum(spreads), "spread_count_20": len(spreads),
        "filled_20": sum(amount for _, amount, *_ in fills),
        "placed_20": sum(arguments[0] for name, arguments in recent if name == "place"),
    }  # fmt: skip
    fields = dict(zip(AGENT_FIELDS, window.fields(7.0, -3.0), strict=True))
    assert fields == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_a_window_that_has_emptied_is_exactly_empty():
    """No running sum: 0.1 + 0.2 - 0.3 never stays behind."""
    window = AgentWindow()
    for k in range(50):
        window.fill("sell", 0.1 * (k + 1), 10.0, 10.1)
        window.next_bar()
    window.next_bar(19)
    assert window.fields(1.0, 0.0)[2:] == (0.0,) * 7


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: w.fill("long", 1, 1), "side is 'long', expected 'buy' or 'sell'"),
        (lambda w: w.fill("buy", 0, 1), "amount is 0, expected a finite number above 0"),
        (lambda w: w.fill("buy", 1, np.nan), "price is nan, expected a finite number above 0"),
        (lambda w: w.fill("buy", 1, 1, np.inf), "mid is inf, expected a finite number above 0"),
        (lambda w: w.place(-1), "amount is -1, expected a finite number above 0"),
        (lambda w: w.next_bar(0), "bars is 0, expected a whole number from 1 on"),
    ],
)
def test_a_window_refuses_what_cannot_happen_and_stays_as_it_was(call, message):
    """OBS-56."""
    window = AgentWindow()
    with pytest.raises(ValueError, match=message):
        call(window)
    assert window.fields(1.0, 0.0)[2:] == (0.0,) * 7
