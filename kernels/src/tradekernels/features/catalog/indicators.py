"""Indicators that several features share. From: primitives. To: the family modules; computed once per set."""

from functools import cache

from ..expression import Node, column, named
from ..primitives import (
    UNKNOWN,
    C,
    H,
    L,
    O,
    V,
    count,
    earlier,
    ema,
    first_known,
    highest,
    known,
    larger,
    ln,
    lowest,
    parameter,
    ratio,
    sign,
    sma,
    span,
    sqrt,
    std,
    total,
    true_range,
    where,
    wilder,
)
from ..span import Span

TYPICAL = named("TP", (H + L + C) / 3)
RANGE = named("HL", H - L)
BODY_SIGN = named("s", sign(C - O))
LOG_RETURN = named("r", ln(C / C[1]))
TAKER = column("taker_buy_volume", "taker")
QUOTE = named("Q", first_known(column("quote_volume"), V * TYPICAL))
ROUNDING = named("ROUNDING", 1e-14 * C)  # prices equal in decimals may differ by this in binary


def squared(x: Node) -> Node:
    """x times itself."""
    return x * x


def at_least_zero(x: Node) -> Node:
    """The larger of x and 0; NaN where x is NaN."""
    return where(known(x), larger(x, 0.0), UNKNOWN)


@cache
def rsi(n: int) -> Node:
    """Relative strength index, 0..100, Wilder (1978); 0 where no price has moved."""
    gain = wilder(larger(C - C[1], 0.0), n)
    loss = wilder(larger(C[1] - C, 0.0), n)
    return named(f"RSI_{n}", 100 * ratio(gain, gain + loss))


@cache
def atr(n: int) -> Node:
    """Average true range, begun with the mean of the first n true ranges, Wilder (1978)."""
    return named(f"ATR_{n}", wilder(true_range(), n))


@cache
def directional(n: int) -> tuple[Node, Node, Node]:
    """Plus and minus directional indicator and their average index, 0..1, Wilder (1978)."""
    up, down = H - H[1], L[1] - L
    plus_move = where(up > down, larger(up, 0.0), 0.0)
    minus_move = where(down > up, larger(down, 0.0), 0.0)
    plus = named(f"PLUS_DI_{n}", ratio(wilder(plus_move, n), atr(n)))
    minus = named(f"MINUS_DI_{n}", ratio(wilder(minus_move, n), atr(n)))
    index = wilder(ratio(abs(plus - minus), plus + minus), n)
    return plus, minus, named(f"ADX_{n}", index)


@cache
def bands() -> tuple[Node, Node]:
    """Upper and lower Bollinger band, 20 bars, 2 deviations, Bollinger (2001)."""
    middle, width = sma(C, 20), 2 * std(C, 20)
    return named("up", middle + width), named("low", middle - width)


@cache
def macd_line() -> Node:
    """EMA_12 - EMA_26 of the close, Appel (2005)."""
    return named("MACD", ema(C, 12) - ema(C, 26))


@cache
def stochastic(x: Node, high: Node, low: Node, n: int) -> Node:
    """Place of x between the extremes of n bars, 0..1, Lane (1984)."""
    bottom = lowest(low, n)
    return ratio(x - bottom, highest(high, n) - bottom)


@cache
def money_flow_volume() -> Node:
    """Volume signed and weighted by the close's place in the bar, Chaikin."""
    return named("MFV", ratio((C - L) - (H - C), H - L) * V)


@cache
def volume_share(signed_volume: Node, n: int) -> Node:
    """Sum of a signed volume over the sum of volume, -1..1."""
    return ratio(total(signed_volume, n), total(V, n))


@cache
def volume_ratio() -> Node:
    """Volume against its 20-bar mean."""
    return named("volume_ratio", ratio(V, sma(V, 20)))


@cache
def before(x: Node, n: int, side: str) -> Node:
    """MAX'_n or MIN'_n: the extreme of the n bars before this one."""
    return named(f"{side.upper()}'_{n}({x})", (highest if side == "max" else lowest)(x, n)[1])


@cache
def middle(n: int) -> Node:
    """Middle of the range of n bars."""
    return (highest(H, n) + lowest(L, n)) / 2


@cache
def donchian_break() -> tuple[Node, Node]:
    """Side on which the close leaves the range of the 20 bars before it, and the level it broke, Donchian (1960)."""
    top, bottom = before(H, 20, "max"), before(L, 20, "min")
    side = named("BREAK", where(C > top, 1.0, where(C < bottom, -1.0, 0.0)))
    return side, named("LEVEL", where(side > 0.0, top, bottom))


@cache
def squeeze() -> Node:
    """1 where the Bollinger bands lie inside Keltner(20, 1.5 ATR_20), Carter (2005)."""
    (up, low), middle_line, width = bands(), ema(C, 20), 1.5 * atr(20)
    return named("SQUEEZE", (up <= middle_line + width + ROUNDING) * (low >= middle_line - width - ROUNDING))


@cache
def momentum(time: str) -> Node:
    """Log return over a stretch of clock time."""
    return named(f"momentum_{time}", ln(C / earlier(C, time)))


@cache
def realised_variance(time: str) -> Node:
    """Sum of squared log returns over a stretch of clock time, Andersen et al. (2003)."""
    return named(f"RV_{time}", total(squared(LOG_RETURN), time))


@cache
def rogers_satchell() -> Node:
    """Variance of one bar with drift, Rogers and Satchell (1991), eq. 2."""
    return named("RS", ln(H / C) * ln(H / O) + ln(L / C) * ln(L / O))


@cache
def yang_zhang(time: Span) -> Node:
    """Volatility per bar from opens, highs, lows and closes, Yang and Zhang (2000), eq. 7, 10."""
    n = named(f"n_{time}", count(time))
    sample = n / (n - 1)
    overnight = named(f"V_overnight_{time}", squared(std(ln(O / C[1]), time)) * sample)
    open_close = named(f"V_open_close_{time}", squared(std(ln(C / O), time)) * sample)
    k = named(f"k_{time}", 0.34 / (1.34 + (n + 1) / (n - 1)))
    steady = sma(rogers_satchell(), time)
    whole = overnight + k * open_close + (1 - k) * steady
    return named(f"YZ_{time}", sqrt(where(n > 1.0, whole, steady)))


@cache
def parkinson(time: Span) -> Node:
    """Volatility per bar from ranges, Parkinson (1980), eq. 4; NaN where fewer than 80% of the window's bars exist."""
    n = count(time)
    enough = n >= 0.8 * Node.make("cells", span=time)
    return where(enough, sqrt(sma(squared(ln(H / L)), time) / (4 * 0.6931471805599453)), UNKNOWN)


def garch(time: str | Span) -> Node:
    """Volatility of the next bar, GARCH(1,1) over a stretch of time, Bollerslev (1986); short ones: CAT-9."""
    weights = (parameter(f"garch_{name}") for name in ("omega", "alpha", "beta"))
    return Node.make("timed_garch", LOG_RETURN, *weights, span=span(time))


def bucket_imbalance(buys: Node, volume: Node, n: int) -> Node:
    """Mean one-sidedness of 50 buckets of equal volume, Easley et al. (2012), eq. 5."""
    return Node.make("bucket_imbalance", buys, volume, n=n)
