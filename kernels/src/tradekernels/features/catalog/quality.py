"""Quality family: squeezes, breakouts and agreement of signals. From: primitives. To: the catalogue."""

from ..expression import Node, named
from ..feature import Feature
from ..primitives import (
    C,
    H,
    V,
    clip,
    ema,
    highest,
    ln,
    lowest,
    quiet_ratio,
    ratio,
    run_length,
    sign,
    slope,
    sma,
    smaller,
    std,
    total,
    where,
)
from .indicators import (
    BODY_SIGN,
    LOG_RETURN,
    atr,
    before,
    donchian_break,
    middle,
    momentum,
    rsi,
    squared,
    squeeze,
    volume_ratio,
)
from .momentum import CCI, STOCH_K, WILLIAMS

INF = float("inf")


def _side(x: Node) -> Node:
    """Sign of x, 0 where x is a rounding: a close in the very middle of a range leans nowhere."""
    return where(abs(x) > 1e-9, sign(x), 0.0)


BREAK, LEVEL = donchian_break()
BROKEN = BREAK[5]  # five bars ago, so that the closes since are known
FAILED = (BROKEN > 0.0) * (lowest(C, 5) <= LEVEL[5]) + (BROKEN < 0.0) * (highest(C, 5) >= LEVEL[5])
OBV_STEP = named("OBV step", sign(C - C[1]) * V)
PRICE_SIDE, VOLUME_SIDE = sign(C - C[20]), sign(total(OBV_STEP, 20))
SLOPE, DEVIATION = slope(ln(C), 20), std(ln(C), 20)
# The least-squares line explains slope^2 x variance of the bar numbers, (20^2 - 1) / 12, of the variance of ln C.
TREND_R2 = named("trend_r2", smaller(ratio(squared(SLOPE) * (399 / 12), squared(DEVIATION)), 1.0))
TREND_AGREEMENT = named(
    "trend_agreement",
    (sign(C - ema(C, 20)) + sign(C - ema(C, 50)) + sign(C - ema(C, 200))
     + sign(ema(C, 20) - ema(C, 50)) + sign(ema(C, 50) - ema(C, 200))) / 5,
)  # fmt: skip
MOMENTUM_AGREEMENT = named(
    "momentum_agreement", (sign(momentum("1h")) + sign(momentum("4h")) + sign(momentum("24h"))) / 3
)

FEATURES = (
    Feature("squeeze", "FEA-97", "quality", squeeze(), "flag", (0, 1),
            "the Bollinger bands lie inside the Keltner channel", "Carter (2005)"),
    Feature("squeeze_length", "FEA-98", "quality", run_length(squeeze(), 20) / 20, "ratio", (0, 1),
            "bars that the squeeze has lasted, 1 from 20 on", "Carter (2005)"),
    Feature("squeeze_momentum", "FEA-99", "quality",
            quiet_ratio(C - (middle(20) + sma(C, 20)) / 2, atr(20), C), "ratio", (-INF, INF),
            "close against the middle of 20 bars, in average true ranges", "Carter (2005)"),
    Feature("rsi_bull_divergence", "FEA-100", "quality",
            (C <= lowest(C, 20)) * (rsi(14) > lowest(rsi(14), 20) + 3), "flag", (0, 1),
            "a 20-bar low of the close that RSI_14 does not confirm", "Wilder (1978)"),
    Feature("rsi_bear_divergence", "FEA-101", "quality",
            (C >= highest(C, 20)) * (rsi(14) < highest(rsi(14), 20) - 3), "flag", (0, 1),
            "a 20-bar high of the close that RSI_14 does not confirm", "Wilder (1978)"),
    Feature("obv_divergence", "FEA-102", "quality",
            where(abs(PRICE_SIDE - VOLUME_SIDE) > 0.0, PRICE_SIDE, 0.0), "sign", (-1, 1),
            "direction of 20 bars where on-balance volume went the other way", "Granville (1963)"),
    Feature("trend_agreement", "FEA-109", "quality", TREND_AGREEMENT, "ratio", (-1, 1),
            "mean sign of five comparisons of price and its means", "common practice"),
    Feature("momentum_agreement", "FEA-110", "quality", MOMENTUM_AGREEMENT, "ratio", (-1, 1),
            "mean sign of the returns of 1, 4 and 24 hours", "Moskowitz et al. (2012)"),
    Feature("oscillator_agreement", "FEA-111", "quality",
            (_side(rsi(14) - 50) + _side(STOCH_K - 0.5) + _side(CCI) + _side(WILLIAMS + 0.5)) / 4, "ratio", (-1, 1),
            "mean sign of four oscillators", "common practice"),
    Feature("volume_confirms", "FEA-112", "quality", sign(C - C[5]) * smaller(volume_ratio(), 3.0) / 3,
            "ratio", (-1, 1), "direction of five bars, weighted by volume", "Granville (1963)"),
    Feature("signal_to_noise", "FEA-113", "quality",
            ratio(abs(sma(LOG_RETURN, 20)) * 20**0.5, std(LOG_RETURN, 20)), "ratio", (0, INF),
            "size of the 20-bar move in its own deviations", "Sharpe (1966)"),
    Feature("trend_r2", "FEA-114", "quality", TREND_R2, "ratio", (0, 1),
            "how much of 20 log closes a straight line explains", "Galton (1886)"),
    Feature("trend_slope", "FEA-115", "quality", ratio(SLOPE * 20, std(LOG_RETURN, 20)), "ratio", (-INF, INF),
            "slope of that line over 20 bars, in deviations of the returns", "Clenow (2015)"),
    Feature("breakout_atr", "FEA-116", "quality",
            clip(quiet_ratio(C - before(H, 20, "max"), atr(14), C), -3.0, 3.0), "ratio", (-3, 3),
            "close above the 20-bar high before it, in average true ranges", "Donchian (1960)"),
    Feature("pullback_atr", "FEA-117", "quality", quiet_ratio(highest(H, 20) - C, atr(14), C), "ratio", (0, INF),
            "close below the 20-bar high, in average true ranges", "Donchian (1960)"),
    Feature("compression", "FEA-118", "quality", quiet_ratio(atr(5), atr(50), C), "ratio", (0, 10),
            "short average true range over the long one", "Crabel (1990)"),
    Feature("run_length", "FEA-121", "quality", run_length(BODY_SIGN, 100) / 10, "ratio", (-10, 10),
            "bars in a row that rose or fell, signed, in tens", "Wald and Wolfowitz (1940)"),
    Feature("failed_breaks", "FEA-122", "quality", ratio(total(FAILED, 50), total(abs(BROKEN), 50)), "ratio", (0, 1),
            "share of 50 bars' breaks that closed back inside within 5 bars", "Schabacker (1932)"),
    Feature("quality_score", "FEA-123", "quality",
            0.3 * abs(TREND_AGREEMENT) + 0.3 * abs(MOMENTUM_AGREEMENT) + 0.2 * TREND_R2
            + 0.2 * smaller(volume_ratio() / 2, 1.0), "ratio", (0, 1),
            "agreement, straightness and volume in one number", "common practice"),
)  # fmt: skip
