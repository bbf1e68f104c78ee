"""Candles family: the shape of a bar and its place among the last ones. From: primitives. To: the catalogue."""

from ..feature import Feature
from ..primitives import C, H, L, O, highest, larger, lowest, ratio, since_highest, since_lowest, smaller
from .indicators import before

INF = float("inf")

FEATURES = (
    Feature("close_location", "FEA-87", "candles", ratio((C - L) - (H - C), H - L), "ratio", (-1, 1),
            "place of the close in the bar, -1 at the low, 1 at the high", "Chaikin (1966)"),
    *(
        Feature(f"high_{n}_distance", f"FEA-{k}", "candles", C / highest(H, n) - 1, "ratio", (-1, 0),
                f"close below the {n}-bar high", "George and Hwang (2004)")
        for k, n in ((91, 20), (92, 96))
    ),
    *(
        Feature(f"low_{n}_distance", f"FEA-{k}", "candles", C / lowest(L, n) - 1, "ratio", (0, INF),
                f"close above the {n}-bar low", "George and Hwang (2004)")
        for k, n in ((93, 20), (94, 96))
    ),
    Feature("since_high_96", "FEA-95", "candles", since_highest(H, 96) / 96, "ratio", (0, 1),
            "age of the 96-bar high", "Chande (1995)"),
    Feature("since_low_96", "FEA-96", "candles", since_lowest(L, 96) / 96, "ratio", (0, 1),
            "age of the 96-bar low", "Chande (1995)"),
    Feature("spring", "FEA-107", "candles", (L < before(L, 20, "min")) * (C > before(L, 20, "min")), "flag", (0, 1),
            "a new 20-bar low that closed back above the old one", "Wyckoff (1931)"),
    Feature("upthrust", "FEA-108", "candles", (H > before(H, 20, "max")) * (C < before(H, 20, "max")), "flag", (0, 1),
            "a new 20-bar high that closed back below the old one", "Wyckoff (1931)"),
    Feature("upper_wick", "FEA-119", "candles", ratio(H - larger(O, C), H - L), "ratio", (0, 1),
            "share of the bar above its body", "Nison (1991)"),
    Feature("lower_wick", "FEA-120", "candles", ratio(smaller(O, C) - L, H - L), "ratio", (0, 1),
            "share of the bar below its body", "Nison (1991)"),
    Feature("drawdown_96", "FEA-173", "candles", 1 - C / highest(C, 96), "ratio", (0, 1),
            "fall from the highest close of 96 bars", "Magdon-Ismail and Atiya (2004)"),
)  # fmt: skip
