"""Words for features: columns, windows, means, ratios. From: the catalogue. To: `Node`s (expression.py).

The names are the specification's: O H L C V, SMA, EMA, Wilder, population deviation, x[k] for k bars earlier.
"""

from __future__ import annotations

from .expression import Node, column, named, whole

O = column("open", "O")  # noqa: E741 - the field's own letter
H = column("high", "H")
L = column("low", "L")
C = column("close", "C")
V = column("volume", "V")
CLOSE_TIME = Node.make("close_time", label="close_time")  # ms since 1970, UTC

COLUMNS = ("open", "high", "low", "close", "volume")


def total(x: Node, n: int) -> Node:
    """Sum of the last n values."""
    return Node.make("sum", x, n=whole(n))


def sma(x: Node, n: int) -> Node:
    """Mean of the last n values."""
    return total(x, n) / n


def std(x: Node, n: int) -> Node:
    """Population standard deviation of the last n values, exactly 0 where they are equal."""
    return Node.make("std", x, n=whole(n))


def mean_deviation(x: Node, n: int) -> Node:
    """Mean absolute deviation of the last n values from their mean."""
    return Node.make("mean_deviation", x, n=whole(n))


def highest(x: Node, n: int) -> Node:
    """Largest of the last n values."""
    return Node.make("max", x, n=whole(n))


def lowest(x: Node, n: int) -> Node:
    """Smallest of the last n values."""
    return Node.make("min", x, n=whole(n))


def since_highest(x: Node, n: int) -> Node:
    """Bars since the largest of the last n values; of equals the latest."""
    return Node.make("since_max", x, n=whole(n))


def since_lowest(x: Node, n: int) -> Node:
    """Bars since the smallest of the last n values; of equals the latest."""
    return Node.make("since_min", x, n=whole(n))


def ema(x: Node, n: int) -> Node:
    """Exponential mean with weight 2/(n+1), begun with the mean of the first n values."""
    return Node.make("recursive_mean", x, n=whole(n), value=2.0 / (n + 1))


def wilder(x: Node, n: int) -> Node:
    """Wilder's mean, weight 1/n, begun with the mean of the first n values."""
    return Node.make("recursive_mean", x, n=whole(n), value=1.0 / n)


def ratio(a: Node | float, b: Node | float) -> Node:
    """a / b, and 0 where b is 0."""
    return Node.make("ratio", a, b)


def quiet_ratio(a: Node, b: Node, scale: Node) -> Node:
    """a / b, and 0 where b is below 1e-12 of `scale`: there a recursive b has faded, and a is rounding."""
    return where(b > 1e-12 * scale, ratio(a, b), 0.0)


def where(test: Node, yes: Node | float, no: Node | float) -> Node:
    """`yes` where the test holds, else `no`."""
    return Node.make("select", test, yes, no)


def larger(a: Node | float, b: Node | float) -> Node:
    """The larger of two values of one bar."""
    return Node.make("maximum", a, b)


def smaller(a: Node | float, b: Node | float) -> Node:
    """The smaller of two values of one bar."""
    return Node.make("minimum", a, b)


def clip(x: Node, low: float, high: float) -> Node:
    """X held between low and high."""
    return smaller(larger(x, low), high)


def sign(x: Node) -> Node:
    """-1, 0 or 1."""
    return Node.make("sign", x)


def sqrt(x: Node) -> Node:
    """Square root."""
    return Node.make("square_root", x)


def ln(x: Node) -> Node:
    """Natural logarithm."""
    return Node.make("logarithm", x)


def sin_turns(x: Node) -> Node:
    """Sine of x whole turns, sin(2 pi x)."""
    return Node.make("sine_of_turns", x)


def cos_turns(x: Node) -> Node:
    """Cosine of x whole turns, cos(2 pi x): the sine a quarter turn on."""
    return Node.make("sine_of_turns", x + 0.25)


def floor(x: Node) -> Node:
    """Largest whole number not above x."""
    return Node.make("round_down", x)


def true_range() -> Node:
    """Range of the bar together with the close before it, Wilder (1978)."""
    return named("TR", larger(H, C[1]) - smaller(L, C[1]))
