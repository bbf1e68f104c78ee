"""Volatility family: how wide price swings, and where it is in the swing. From: primitives. To: the catalogue."""

from ..expression import Node, named
from ..feature import Feature
from ..primitives import C, H, L, O, clip, ema, highest, larger, ln, lowest, quiet_ratio, ratio, sma, sqrt
from ..span import Span
from .indicators import (
    LOG_RETURN,
    ROUNDING,
    atr,
    bands,
    donchian_break,
    garch,
    parkinson,
    realised_variance,
    rogers_satchell,
    squared,
    stochastic,
    yang_zhang,
)

INF = float("inf")
UP, LOW = bands()
REALISED_1H = named("realised_vol_1h", sqrt(realised_variance("1h")))
REALISED_1D = named("realised_vol_1d", sqrt(realised_variance("24h")))
EWMA = Node.make("recursive_mean", squared(LOG_RETURN), n=16, value=0.06)
GARMAN_KLASS = 0.5 * squared(ln(H / L)) - (2 * 0.6931471805599453 - 1) * squared(ln(C / O))
FEW_BARS = "NaN where fewer than 80% of the window's bars exist; a missing column is refused"
CHANNEL = named("CHANNEL", highest(H, 20) - lowest(L, 20))

FEATURES = (
    Feature("bb_width", "FEA-25", "volatility", (UP - LOW) / C, "ratio", (0, INF),
            "width of the Bollinger bands against the close", "Bollinger (2001)"),
    Feature("bb_position", "FEA-26", "volatility", clip(ratio(C - LOW, UP - LOW), -1.0, 2.0), "ratio", (-1, 2),
            "place of the close between the bands", "Bollinger (2001)"),
    Feature("bb_break_up", "FEA-27", "volatility", C > UP + ROUNDING, "flag", (0, 1),
            "the close is above the upper band", "Bollinger (2001)"),
    Feature("bb_break_down", "FEA-28", "volatility", C < LOW - ROUNDING, "flag", (0, 1),
            "the close is below the lower band", "Bollinger (2001)"),
    *(
        Feature(f"atr_{n}_pct", f"FEA-{k}", "volatility", atr(n) / C, "ratio", (0, INF),
                f"average true range of {n} bars against the close", "Wilder (1978)")
        for k, n in enumerate((7, 14, 28), start=29)
    ),
    Feature("atr_ratio", "FEA-32", "volatility", ratio(atr(14), sma(atr(14), 50)), "ratio", (0, 50),
            "average true range against its own 50-bar mean", "Wilder (1978)"),
    Feature("keltner_position", "FEA-48", "volatility", quiet_ratio(C - ema(C, 20), 2 * atr(10), C),
            "ratio", (-INF, INF), "distance from EMA_20 in halves of the Keltner channel", "Keltner (1960)"),
    Feature("keltner_width", "FEA-49", "volatility", 4 * atr(10) / ema(C, 20), "ratio", (0, INF),
            "width of the Keltner channel against its middle", "Keltner (1960)"),
    Feature("donchian_position", "FEA-50", "volatility", stochastic(C, H, L, 20), "ratio", (0, 1),
            "place of the close in the range of 20 bars", "Donchian (1960)"),
    Feature("donchian_width", "FEA-51", "volatility", CHANNEL / C, "ratio", (0, INF),
            "range of 20 bars against the close", "Donchian (1960)"),
    Feature("donchian_break", "FEA-52", "volatility", donchian_break()[0], "sign", (-1, 1),
            "the close leaves the range of the 20 bars before it", "Donchian (1960)"),
    Feature("realised_vol_1h", "FEA-84", "volatility", REALISED_1H, "ratio", (0, INF),
            "root of the squared returns of an hour", "Andersen et al. (2003)"),
    Feature("realised_vol_1d", "FEA-85", "volatility", REALISED_1D, "ratio", (0, INF),
            "root of the squared returns of a day", "Andersen et al. (2003)"),
    Feature("realised_vol_year", "FEA-86", "volatility", sqrt(realised_variance("30d") * (365 / 30)), "ratio", (0, INF),
            "root of the squared returns of 30 days, as of a year", "Andersen et al. (2003)"),
    *(
        Feature(f"yang_zhang_{span.time}", f"FEA-{k}", "volatility", yang_zhang(span), "ratio", (0, INF),
                f"volatility per bar from opens, highs, lows and closes over {span.time}", "Yang and Zhang (2000)")
        for k, span in ((186, Span("24h", slower="48h")), (187, Span("168h")), (194, Span("720h")))
    ),
    *(
        Feature(f"garch_{span.time}", f"FEA-{k}", "volatility", garch(span), "ratio", (0, INF),
                f"volatility of the next bar, GARCH(1,1) over {span.time}; below 50 bars exponential weights",
                "Bollerslev (1986)")
        for k, span in ((188, Span("12h", slower="200h")), (189, Span("24h", slower="14d")),
                        (197, Span("500m", slower="30d")))
    ),
    *(
        Feature(f"parkinson_{span.time}", f"FEA-{k}", "volatility", parkinson(span), "ratio", (0, INF),
                f"volatility per bar from ranges over {span.time}", "Parkinson (1980)", FEW_BARS)
        for k, span in ((195, Span("24h")), (196, Span("168h")))
    ),
    Feature("garman_klass_24h", "FEA-205", "volatility", sqrt(larger(sma(GARMAN_KLASS, "24h"), 0.0)), "ratio", (0, INF),
            "volatility per bar from ranges and bodies over a day", "Garman and Klass (1980), eq. 20"),
    Feature("rogers_satchell_24h", "FEA-206", "volatility", sqrt(sma(rogers_satchell(), "24h")), "ratio", (0, INF),
            "volatility per bar over a day, whatever the drift", "Rogers and Satchell (1991)"),
    Feature("ewma_vol", "FEA-207", "volatility", sqrt(EWMA), "ratio", (0, INF),
            "volatility of the next bar, exponential weights of 0.94", "RiskMetrics (1996)"),
)  # fmt: skip
