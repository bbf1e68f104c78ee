"""Holds the grid to exact fractions, to ccxt and to Freqtrade (EXE-4)."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradekernels.execution import Quantiser

STEPS = ["0.00000001", "0.00001", "0.001", "0.01", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "1000"]
steps = st.sampled_from(STEPS)
prices = st.one_of(
    st.decimals(0, 1_000_000, places=8).map(float),
    st.floats(0, 1e6, allow_nan=False),
    st.integers(0, 10**9).map(lambda n: n / 1000),
)


def slow_steps(value, step, direction):
    """Return whole steps of the decimal text of a float, in fractions."""
    count = Fraction(Decimal(repr(value))) / Fraction(step)
    if direction == "down":
        return count.__floor__()
    return count.__ceil__() if direction == "up" else (count + Fraction(1, 2)).__floor__()


@given(value=prices, step=steps, direction=st.sampled_from(["down", "nearest", "up"]))
def test_ticks_are_those_of_exact_fractions(value, step, direction):
    assert Quantiser(tick_size=step).price_ticks(value, direction) == slow_steps(value, step, direction)


@given(n=st.integers(1, 10**14), step=steps)
def test_a_price_on_the_grid_stays_and_its_neighbouring_double_moves(n, step):
    """A price of n ticks is n ticks; the next double below it is n - 1 rounded down, the next above n + 1 up."""
    n = n % int(10**14 / max(Fraction(step).numerator, 1)) + 1
    price = float(Fraction(step) * n)
    grid = Quantiser(tick_size=step)
    for direction in ("down", "nearest", "up"):
        assert grid.price_ticks(price, direction) == n
        assert float(grid.price(price, direction)) == price
    assert grid.price_ticks(np.nextafter(price, 0), "down") == slow_steps(float(np.nextafter(price, 0)), step, "down")
    assert grid.price_ticks(np.nextafter(price, np.inf), "up") == slow_steps(
        float(np.nextafter(price, np.inf)), step, "up"
    )


@given(amount=st.floats(-1e9, 1e9, allow_nan=False), step=st.sampled_from(STEPS[1:]))
def test_an_amount_never_exceeds_what_was_asked(amount, step):
    on_grid = float(Quantiser(lot_size=step).amount(amount))
    assert abs(on_grid) <= abs(amount)
    assert on_grid * amount >= 0
    assert float(Quantiser(lot_size=step).amount(on_grid)) == on_grid


@settings(deadline=None)  # the first example imports ccxt
@given(price=prices, step=steps)
def test_prices_are_those_of_ccxt(price, step):
    """`price_to_precision` rounds to the nearest tick, half away from zero."""
    precision = pytest.importorskip("ccxt.base.decimal_to_precision")
    text = precision.decimal_to_precision(price, precision.ROUND, float(step), precision.TICK_SIZE)
    assert float(Quantiser(tick_size=step).price(price)) == float(text)


@settings(deadline=None)  # the first example imports ccxt
@given(amount=prices, step=steps)
def test_amounts_are_those_of_ccxt(amount, step):
    """`amount_to_precision` truncates."""
    precision = pytest.importorskip("ccxt.base.decimal_to_precision")
    text = precision.decimal_to_precision(amount, precision.TRUNCATE, float(step), precision.TICK_SIZE)
    assert float(Quantiser(lot_size=step).amount(amount)) == float(text)


@pytest.mark.parametrize("value", [0.1 + 0.2, 1 / 3, 29_999.995, 0.00001234, 123.456789, 50_000.005, 0.285, 1.005])
@pytest.mark.parametrize("step", [0.01, 0.00001, 0.5])
def test_prices_and_amounts_are_those_of_freqtrade(value, step):
    precision = pytest.importorskip("freqtrade.exchange.exchange_utils")
    tick = precision.TICK_SIZE
    grid = Quantiser(tick_size=step, lot_size=step)
    assert float(grid.amount(value)) == precision.amount_to_precision(value, step, tick)
    assert float(grid.price(value)) == precision.price_to_precision(value, step, tick)
    for direction, mode in (("up", precision.ROUND_UP), ("down", precision.ROUND_DOWN)):
        theirs = precision.price_to_precision(value, step, tick, rounding_mode=mode)
        assert float(grid.price(value, direction)) == theirs


def test_an_order_of_exactly_the_least_notional_is_accepted():
    grid = Quantiser(tick_size="0.01", lot_size="0.00001", min_notional="5")
    assert grid.accepts([50_000.0, 50_000.0, 49_999.99, 0.0], [0.0001, 0.00009, 0.0001, 1e9]).tolist() == [
        True, False, False, False,
    ]  # fmt: skip
    assert not Quantiser(min_notional=0).accepts(1.0, 0.000009)
    assert Quantiser(min_notional=0).accepts(1.0, -0.00001)


def test_what_is_no_number_is_refused_by_name():
    with pytest.raises(ValueError, match="tick_size is '0', expected a number above 0"):
        Quantiser(tick_size="0")
    with pytest.raises(ValueError, match="lot_size is nan, expected a finite number"):
        Quantiser(lot_size=float("nan"))
    with pytest.raises(ValueError, match="min_notional is -1, expected at least 0"):
        Quantiser(min_notional=-1)
    with pytest.raises(ValueError, match=r"price at \[1\] is nan, expected a finite number of at least 0"):
        Quantiser().price([1.0, float("nan")])
    with pytest.raises(ValueError, match="direction is 'sideways', expected one of down, nearest, up"):
        Quantiser().price(1.0, "sideways")
    with pytest.raises(ValueError, match=r"price is 1e\+20, expected less than 1e\+15 steps of 0.01"):
        Quantiser().price(1e20)
