"""Quality family: squeezes, breakouts and agreement of signals. From: primitives. To: the catalogue."""

from ..feature import Feature
from ..primitives import C, H, clip, ema, highest, lowest, quiet_ratio, ratio, sign, sma, smaller, std
from .indicators import atr, bands, before, middle, rsi, volume_ratio
from .momentum import CCI, STOCH_K, WILLIAMS
from .price import LOG_RETURN

INF = float("inf")
UP, LOW = bands()
SQUEEZE_TOP = ema(C, 20) + 1.5 * atr(20)
SQUEEZE_BOTTOM = ema(C, 20) - 1.5 * atr(20)

FEATURES = (
    Feature("squeeze", "FEA-97", "quality", (UP <= SQUEEZE_TOP) * (LOW >= SQUEEZE_BOTTOM), "flag", (0, 1),
            "the Bollinger bands lie inside the Keltner channel", "Carter (2005)"),
    Feature("squeeze_momentum", "FEA-99", "quality",
            quiet_ratio(C - (middle(20) + sma(C, 20)) / 2, atr(20), C), "ratio", (-INF, INF),
            "close against the middle of 20 bars, in average true ranges", "Carter (2005)"),
    Feature("rsi_bull_divergence", "FEA-100", "quality",
            (C <= lowest(C, 20)) * (rsi(14) > lowest(rsi(14), 20) + 3), "flag", (0, 1),
            "a 20-bar low of the close that RSI_14 does not confirm", "Wilder (1978)"),
    Feature("rsi_bear_divergence", "FEA-101", "quality",
            (C >= highest(C, 20)) * (rsi(14) < highest(rsi(14), 20) - 3), "flag", (0, 1),
            "a 20-bar high of the close that RSI_14 does not confirm", "Wilder (1978)"),
    Feature("trend_agreement", "FEA-109", "quality",
            (sign(C - ema(C, 20)) + sign(C - ema(C, 50)) + sign(C - ema(C, 200))
             + sign(ema(C, 20) - ema(C, 50)) + sign(ema(C, 50) - ema(C, 200))) / 5, "ratio", (-1, 1),
            "mean sign of five comparisons of price and its means", "common practice"),
    Feature("oscillator_agreement", "FEA-111", "quality",
            (sign(rsi(14) - 50) + sign(STOCH_K - 0.5) + sign(CCI) + sign(WILLIAMS + 0.5)) / 4, "ratio", (-1, 1),
            "mean sign of four oscillators", "common practice"),
    Feature("volume_confirms", "FEA-112", "quality", sign(C - C[5]) * smaller(volume_ratio(), 3.0) / 3,
            "ratio", (-1, 1), "direction of five bars, weighted by volume", "Granville (1963)"),
    Feature("signal_to_noise", "FEA-113", "quality",
            ratio(abs(sma(LOG_RETURN, 20)) * 20**0.5, std(LOG_RETURN, 20)), "ratio", (0, INF),
            "size of the 20-bar move in its own deviations", "Sharpe (1966)"),
    Feature("breakout_atr", "FEA-116", "quality",
            clip(quiet_ratio(C - before(H, 20, "max"), atr(14), C), -3.0, 3.0), "ratio", (-3, 3),
            "close above the 20-bar high before it, in average true ranges", "Donchian (1960)"),
    Feature("pullback_atr", "FEA-117", "quality", quiet_ratio(highest(H, 20) - C, atr(14), C), "ratio", (0, INF),
            "close below the 20-bar high, in average true ranges", "Donchian (1960)"),
    Feature("compression", "FEA-118", "quality", quiet_ratio(atr(5), atr(50), C), "ratio", (0, 10),
            "short average true range over the long one", "Crabel (1990)"),
)  # fmt: skip
