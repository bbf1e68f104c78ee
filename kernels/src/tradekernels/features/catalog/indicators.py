"""Indicators that several features share. From: primitives. To: the family modules; computed once per set."""

from functools import cache

from ..expression import Node, named
from ..primitives import (
    C,
    H,
    L,
    O,
    V,
    ema,
    highest,
    larger,
    lowest,
    ratio,
    sign,
    sma,
    std,
    total,
    true_range,
    where,
    wilder,
)

TYPICAL = named("TP", (H + L + C) / 3)
RANGE = named("HL", H - L)
BODY_SIGN = named("s", sign(C - O))


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
