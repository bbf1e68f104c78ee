"""Decimal text reads back as the same float: the reason why a downloaded candle equals its source."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.exchange.wire.numbers import decimal, step


@settings(derandomize=True)
@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_text_and_back_is_the_same_float(value):
    text = decimal(value)
    assert float(text) == value
    assert "e" not in text


@pytest.mark.parametrize(("decimals", "text"), [(0, "1"), (1, "0.1"), (5, "0.00001"), (8, "0.00000001")])
def test_a_step_is_written_out(decimals, text):
    assert step(decimals) == text
