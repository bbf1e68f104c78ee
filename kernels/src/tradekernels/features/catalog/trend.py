"""Trend family: where price stands against its means, and which way it leans. From: primitives. To: the catalogue."""

from ..expression import Node, named
from ..feature import Feature
from ..primitives import (
    OPEN_TIME,
    C,
    H,
    L,
    clip,
    ema,
    larger,
    ln,
    ratio,
    sign,
    since_highest,
    since_lowest,
    sma,
    smaller,
    total,
    where,
)
from ..span import Span
from .indicators import directional, macd_line, middle

INF = float("inf")
SIGNAL = named("MACD_SIGNAL", ema(macd_line(), 9))
HISTOGRAM = named("MACD_HIST", (macd_line() - SIGNAL) / C)
PLUS, MINUS, ADX = directional(14)
AROON_UP = named("AROON_UP", (25 - since_highest(H, 26)) / 25)
AROON_DOWN = named("AROON_DOWN", (25 - since_lowest(L, 26)) / 25)
TENKAN, KIJUN = named("TENKAN", middle(9)), named("KIJUN", middle(26))
SPAN_A = named("A", ((TENKAN + KIJUN) / 2)[26])
SPAN_B = named("B", middle(52)[26])
CLOUD_TOP, CLOUD_BOTTOM = larger(SPAN_A, SPAN_B), smaller(SPAN_A, SPAN_B)
TRIPLE = named("EMA3_15(ln C)", ema(ema(ema(ln(C), 15), 15), 15))
TRIX = named("TRIX_15", TRIPLE - TRIPLE[1])
SAR = named("SAR", Node.make("psar", H, L, n=200))  # positive while long, negative while short


def _yesterday(x: Node, side: float) -> Node:
    """Maximum (1), minimum (-1) or last (0) of x over the UTC day before, or the day before that had bars."""
    return Node.make("previous_day", x, OPEN_TIME, span=Span("2d"), value=side)


DAY_HIGH, DAY_LOW, DAY_CLOSE = (
    named("DAY_HIGH", _yesterday(H, 1.0)), named("DAY_LOW", _yesterday(L, -1.0)), named("DAY_CLOSE", _yesterday(C, 0.0))
)  # fmt: skip
PIVOT = named("PIVOT", (DAY_HIGH + DAY_LOW + DAY_CLOSE) / 3)
R1, S1 = named("R1", 2 * PIVOT - DAY_LOW), named("S1", 2 * PIVOT - DAY_HIGH)

FEATURES = (
    *(
        Feature(f"sma_{n}_ratio", f"FEA-{k}", "trend", C / sma(C, n) - 1, "ratio", (-1, n),
                f"close against its {n}-bar mean", "Donchian (1960)")
        for k, n in enumerate((5, 10, 20, 50, 100, 200), start=5)
    ),
    *(
        Feature(f"ema_{n}_ratio", f"FEA-{k}", "trend", C / ema(C, n) - 1, "ratio", (-1, n),
                f"close against its {n}-bar exponential mean", "Brown (1956)")
        for k, n in enumerate((9, 20, 50, 100, 200), start=11)
    ),
    Feature("ema_20_50", "FEA-16", "trend", ema(C, 20) / ema(C, 50) - 1, "ratio", (-1, INF),
            "fast exponential mean against the slow one", "Brown (1956)"),
    Feature("macd", "FEA-21", "trend", macd_line() / C, "ratio", (-INF, INF),
            "12-bar minus 26-bar exponential mean", "Appel (2005)"),
    Feature("macd_signal", "FEA-22", "trend", SIGNAL / C, "ratio", (-INF, INF),
            "9-bar exponential mean of the MACD line", "Appel (2005)"),
    Feature("macd_hist", "FEA-23", "trend", HISTOGRAM, "ratio", (-INF, INF),
            "MACD line minus its signal", "Aspray (1986)"),
    Feature("macd_hist_change", "FEA-24", "trend", HISTOGRAM - HISTOGRAM[1], "ratio", (-INF, INF),
            "one-bar change of the MACD histogram", "Aspray (1986)"),
    Feature("adx_14", "FEA-37", "trend", ADX, "ratio", (0, 1),
            "strength of the trend, whichever way it goes", "Wilder (1978)"),
    Feature("plus_di", "FEA-38", "trend", PLUS, "ratio", (0, 1),
            "share of upward movement in the true range", "Wilder (1978)"),
    Feature("minus_di", "FEA-39", "trend", MINUS, "ratio", (0, 1),
            "share of downward movement in the true range", "Wilder (1978)"),
    Feature("di_diff", "FEA-40", "trend", PLUS - MINUS, "ratio", (-1, 1),
            "upward minus downward movement", "Wilder (1978)"),
    Feature("psar_distance", "FEA-41", "trend", (C - abs(SAR)) / C, "ratio", (-INF, 1),
            "close against the parabolic stop, step 0.02, cap 0.2", "Wilder (1978)"),
    Feature("psar_side", "FEA-42", "trend", sign(SAR), "sign", (-1, 1),
            "side on which the parabolic stop is", "Wilder (1978)"),
    Feature("tenkan_distance", "FEA-43", "trend", C / TENKAN - 1, "ratio", (-1, INF),
            "close against the middle of 9 bars", "Hosoda (1969)"),
    Feature("kijun_distance", "FEA-44", "trend", C / KIJUN - 1, "ratio", (-1, INF),
            "close against the middle of 26 bars", "Hosoda (1969)"),
    Feature("tenkan_kijun", "FEA-45", "trend", TENKAN / KIJUN - 1, "ratio", (-1, INF),
            "middle of 9 bars against the middle of 26", "Hosoda (1969)"),
    Feature("cloud_distance", "FEA-46", "trend",
            where(C > CLOUD_TOP, C / CLOUD_TOP - 1, where(C < CLOUD_BOTTOM, C / CLOUD_BOTTOM - 1, 0.0)),
            "ratio", (-1, INF), "close against the nearer edge of the cloud drawn 26 bars ago", "Hosoda (1969)"),
    Feature("cloud_thickness", "FEA-47", "trend", (SPAN_A - SPAN_B) / C, "ratio", (-INF, INF),
            "signed thickness of the cloud drawn 26 bars ago", "Hosoda (1969)"),
    Feature("aroon_up", "FEA-62", "trend", AROON_UP, "ratio", (0, 1),
            "how fresh the 25-bar high is; the window holds the bar 25 bars ago too, as in TA-Lib", "Chande (1995)"),
    Feature("aroon_down", "FEA-63", "trend", AROON_DOWN, "ratio", (0, 1),
            "how fresh the 25-bar low is", "Chande (1995)"),
    Feature("aroon_diff", "FEA-64", "trend", AROON_UP - AROON_DOWN, "ratio", (-1, 1),
            "freshness of the high minus that of the low", "Chande (1995)"),
    Feature("pivot_distance", "FEA-65", "trend", C / PIVOT - 1, "ratio", (-1, INF),
            "close against the pivot of the UTC day before", "Person (2004)"),
    Feature("r1_distance", "FEA-66", "trend", C / R1 - 1, "ratio", (-1, INF),
            "close against the first resistance of the UTC day before", "Person (2004)"),
    Feature("s1_distance", "FEA-67", "trend", where(S1 > 0.0, C / S1 - 1, 0.0), "ratio", (-1, INF),
            "close against the first support of the UTC day before; 0 where that is no price", "Person (2004)"),
    Feature("trix_15", "FEA-72", "trend", TRIX, "ratio", (-INF, INF),
            "one-bar change of the triple exponential mean of ln C", "Hutson (1983)"),
    Feature("trix_diff", "FEA-73", "trend", TRIX - ema(TRIX, 9), "ratio", (-INF, INF),
            "TRIX minus its 9-bar exponential mean", "Hutson (1983)"),
    Feature("sma_50_200", "FEA-74", "trend", sma(C, 50) / sma(C, 200) - 1, "ratio", (-1, 3),
            "50-bar mean against the 200-bar mean", "Donchian (1960)"),
    Feature("efficiency_ratio", "FEA-156", "trend",
            clip(ratio(abs(C - C[20]), total(abs(C - C[1]), 20)), 0.0, 1.0), "ratio", (0, 1),
            "net move of 20 bars over the path walked", "Kaufman (1995)"),
    Feature("sma_60", "FEA-193", "trend", sma(C, 60), "quote", (0, INF),
            "60-bar mean, in prices: for standardised inputs only", "Donchian (1960)"),
)  # fmt: skip
