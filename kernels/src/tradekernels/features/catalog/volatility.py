"""Volatility family: how wide price swings, and where it is in the swing. From: primitives. To: the catalogue."""

from ..expression import named
from ..feature import Feature
from ..primitives import C, H, L, clip, ema, highest, lowest, quiet_ratio, ratio, sma, where
from .indicators import atr, bands, before, stochastic

INF = float("inf")
UP, LOW = bands()
CHANNEL = named("CHANNEL", highest(H, 20) - lowest(L, 20))

FEATURES = (
    Feature("bb_width", "FEA-25", "volatility", (UP - LOW) / C, "ratio", (0, INF),
            "width of the Bollinger bands against the close", "Bollinger (2001)"),
    Feature("bb_position", "FEA-26", "volatility", clip(ratio(C - LOW, UP - LOW), -1.0, 2.0), "ratio", (-1, 2),
            "place of the close between the bands", "Bollinger (2001)"),
    Feature("bb_break_up", "FEA-27", "volatility", C > UP, "flag", (0, 1),
            "the close is above the upper band", "Bollinger (2001)"),
    Feature("bb_break_down", "FEA-28", "volatility", C < LOW, "flag", (0, 1),
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
    Feature("donchian_break", "FEA-52", "volatility",
            where(C > before(H, 20, "max"), 1.0, where(C < before(L, 20, "min"), -1.0, 0.0)), "sign", (-1, 1),
            "the close leaves the range of the 20 bars before it", "Donchian (1960)"),
)  # fmt: skip
