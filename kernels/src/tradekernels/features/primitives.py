"""Words for features: columns, windows, means, ratios. From: the catalogue. To: `Node`s (expression.py).

The names are the specification's: O H L C V, SMA, EMA, Wilder, population deviation, x[k] for k bars earlier.
"""

from __future__ import annotations

import math

from .expression import Node, column, constant, named, whole
from .span import Span

O = column("open", "O")  # noqa: E741 - the field's own letter
H = column("high", "H")
L = column("low", "L")
C = column("close", "C")
V = column("volume", "V")
CLOSE_TIME = Node.make("close_time", label="close_time")  # ms since 1970, UTC

OPEN_TIME = Node.make("open_time", label="open_time")
BAR = named("bar", CLOSE_TIME - OPEN_TIME)  # length of the bar, ms
BTC = column("btc", "BTC")  # close of bitcoin, as of the close of the bar
UNKNOWN = constant(math.nan)

COLUMNS = ("open", "high", "low", "close", "volume")
# What a frame may have besides: NaN where it is not known. Volumes and sizes in base currency unless said.
OPTIONAL = (
    "taker_buy_volume", "quote_volume",  # of the bar; the latter in quote currency
    "funding_rate", "mark_price", "open_interest",  # in force, or known, at the close
    "best_bid", "best_ask", "best_bid_size", "best_ask_size", "bid_size_5", "ask_size_5",  # the book at the close
    "order_flow_imbalance", "mean_top_depth",  # over the bar: sum (Cont et al., 2014), mean size at the best quotes
)  # fmt: skip


def total(x: Node, n: int | str | Span) -> Node:
    """Sum of the last n values, or of those of a stretch of clock time."""
    return Node.make("sum", x, n=n) if isinstance(n, int) and whole(n) else Node.make("timed_sum", x, span=span(n))


def count(n: str | Span) -> Node:
    """How many bars closed in a stretch of clock time."""
    return total(constant(1.0), n)


def sma(x: Node, n: int | str | Span) -> Node:
    """Mean of the last n values, or of those of a stretch of clock time."""
    return total(x, n) / (n if isinstance(n, int) else count(n))


def std(x: Node, n: int | str | Span) -> Node:
    """Population standard deviation of the last n values, or of a stretch of time; exactly 0 where they are equal."""
    return Node.make("std", x, n=n) if isinstance(n, int) and whole(n) else Node.make("timed_std", x, span=span(n))


def earlier(x: Node, time: str | Span) -> Node:
    """The value that was known a stretch of clock time ago."""
    return Node.make("timed_lag", x, span=span(time))


def span(time: object) -> Span:
    """Check a stretch of clock time."""
    if isinstance(time, str):
        return Span(time)
    if isinstance(time, Span):
        return time
    raise ValueError(f"a window is a whole number of bars from 1 on or a time such as '24h', got {time!r}")


def covariance(a: Node, b: Node, n: int) -> Node:
    """Population covariance over the last n bars."""
    return Node.make("covariance", a, b, n=whole(n))


def correlation(a: Node, b: Node, n: int) -> Node:
    """Pearson correlation over the last n bars, 0 where one of the two does not vary."""
    return clip_known(ratio(covariance(a, b, n), std(a, n) * std(b, n)), -1.0, 1.0)


def slope(x: Node, n: int) -> Node:
    """Least-squares slope on the bar number over the last n bars."""
    return Node.make("slope", x, n=whole(n))


def run_length(x: Node, n: int) -> Node:
    """How many bars in a row have had this sign, signed, at most n; 0 where x is 0."""
    return Node.make("run_length", x, n=whole(n))


def mean_over(group: str, body: Node) -> Node:
    """Mean over the pairs of a group, `market` or `sector`, of an expression in `PEER`, where it is known."""
    return Node.make("mean_over", body, value=group)


def parameter(name: str) -> Node:
    """A number that the set is given (feature.DEFAULTS)."""
    return Node.make("parameter", value=name)


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


def quiet_ratio(a: Node, b: Node, scale: Node | float) -> Node:
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
    """X held between low and high; low where x is NaN."""
    return smaller(larger(x, low), high)


def clip_known(x: Node, low: float, high: float) -> Node:
    """X held between low and high; NaN where x is NaN."""
    return where(known(x), clip(x, low, high), UNKNOWN)


def known(x: Node) -> Node:
    """1 where x is a number, 0 where it is NaN."""
    return Node.make("known", x)


def first_known(x: Node, other: Node | float) -> Node:
    """X where it is a number, else the other."""
    return Node.make("first_known", x, other)


def sign(x: Node) -> Node:
    """-1, 0 or 1."""
    return Node.make("sign", x)


def sqrt(x: Node) -> Node:
    """Square root."""
    return Node.make("square_root", x)


def ln(x: Node) -> Node:
    """Natural logarithm."""
    return Node.make("logarithm", x)


def exp(x: Node) -> Node:
    """Exponential function."""
    return Node.make("exponential", x)


def normal_cdf(x: Node) -> Node:
    """Distribution function of the standard normal law."""
    return Node.make("normal_cdf", x)


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
