"""How numbers look on the page. From: values of the document. To: sections.py."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

Format = Callable[[Any], str]


def money(value: float) -> str:
    """Return an amount with its sign only when negative."""
    return f"{value:,.2f}" if abs(value) >= 0.01 or value == 0 else f"{value:.2g}"


def percent(value: float) -> str:
    """Return a ratio as percent; the yearly growth of a lucky week keeps its size readable."""
    return f"{value:,.0%}" if abs(value) >= 10 else f"{value:.2%}"


def number(value: float) -> str:
    """Return a pure number."""
    return f"{value:,.2f}"


def count(value: float) -> str:
    """Return a whole number."""
    return f"{value:,.0f}"


def moment(value: int) -> str:
    """Return UTC milliseconds as people write them."""
    return f"{datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d %H:%M}"


def figure(value: float) -> str:
    """Return a figure of a forecast: an error of returns may be a thousandth, and still has its digits."""
    return f"{value:.3f}" if abs(value) >= 0.01 or value == 0 else f"{value:.3g}"


def probability(value: float) -> str:
    """Return a p-value."""
    return f"{value:.3f}"
