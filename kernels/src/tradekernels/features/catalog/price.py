"""Price family: one bar against itself or the one before. From: primitives. To: the catalogue."""

from ..feature import Feature
from ..primitives import C, H, L, O, ratio
from .indicators import LOG_RETURN, volume_ratio

INF = float("inf")

FEATURES = (
    Feature("log_return", "FEA-1", "price", LOG_RETURN, "ratio", (-INF, INF),
            "log return of the bar", "Osborne (1959)"),
    Feature("volume_ratio", "FEA-2", "price", volume_ratio(), "ratio", (0, 20),
            "volume against its 20-bar mean", "common practice"),
    Feature("range_pct", "FEA-3", "price", (H - L) / C, "ratio", (0, INF),
            "height of the bar against its close", "Parkinson (1980)"),
    Feature("body_ratio", "FEA-4", "price", ratio(C - O, H - L), "ratio", (-1, 1),
            "signed share of the body in the bar", "Nison (1991)"),
)  # fmt: skip
