"""Momentum family: how fast and how far price has come. From: primitives. To: the catalogue."""

from ..expression import named
from ..feature import Feature
from ..primitives import (
    C,
    H,
    L,
    earlier,
    highest,
    lowest,
    mean_deviation,
    quiet_ratio,
    ratio,
    sma,
    smaller,
    total,
    true_range,
)
from ..span import Span
from .indicators import TYPICAL, momentum, rsi, stochastic

INF = float("inf")
STOCH_K = named("K", stochastic(C, H, L, 14))
STOCH_D = named("D", sma(STOCH_K, 3))
CCI = named("CCI_20", ratio(TYPICAL - sma(TYPICAL, 20), 0.015 * mean_deviation(TYPICAL, 20)))
WILLIAMS = named("WILLIAMS_14", -ratio(highest(H, 14) - C, highest(H, 14) - lowest(L, 14)))
# Below 1e-9 of an index of 0 to 100 its range is rounding: prices have stood still.
STOCH_RSI = quiet_ratio(rsi(14) - lowest(rsi(14), 14), highest(rsi(14), 14) - lowest(rsi(14), 14), 1000.0)
PRESSURE = named("BP", C - smaller(L, C[1]))


def _pressure(n: int):
    return ratio(total(PRESSURE, n), total(true_range(), n))


FEATURES = (
    *(
        Feature(f"rsi_{n}", f"FEA-{k}", "momentum", rsi(n) / 100, "ratio", (0, 1),
                f"share of gains in the moves of {n} bars; 0 where no price has moved", "Wilder (1978)")
        for k, n in enumerate((7, 14, 21), start=17)
    ),
    Feature("rsi_14_change", "FEA-20", "momentum", (rsi(14) - rsi(14)[5]) / 100, "ratio", (-1, 1),
            "five-bar change of RSI_14", "Wilder (1978)"),
    Feature("stoch_k", "FEA-33", "momentum", STOCH_K, "ratio", (0, 1),
            "place of the close in the range of 14 bars", "Lane (1984)"),
    Feature("stoch_d", "FEA-34", "momentum", STOCH_D, "ratio", (0, 1),
            "3-bar mean of the stochastic", "Lane (1984)"),
    Feature("stoch_kd", "FEA-35", "momentum", STOCH_K - STOCH_D, "ratio", (-1, 1),
            "stochastic minus its mean", "Lane (1984)"),
    Feature("stoch_rsi", "FEA-36", "momentum", STOCH_RSI, "ratio", (0, 1),
            "place of RSI_14 in its own range of 14 bars", "Chande and Kroll (1994)"),
    Feature("cci_20", "FEA-56", "momentum", CCI / 100, "ratio", (-INF, INF),
            "typical price against its mean, in mean absolute deviations", "Lambert (1980)"),
    Feature("williams_14", "FEA-57", "momentum", WILLIAMS, "ratio", (-1, 0),
            "distance of the close below the 14-bar high, in ranges", "Williams (1973)"),
    Feature("ultimate", "FEA-58", "momentum", (4 * _pressure(7) + 2 * _pressure(14) + _pressure(28)) / 7,
            "ratio", (0, 1), "buying pressure over 7, 14 and 28 bars", "Williams (1985)"),
    *(
        Feature(f"roc_{n}", f"FEA-{k}", "momentum", C / C[n] - 1, "ratio", (-1, INF),
                f"simple return over {n} bars", "common practice")
        for k, n in enumerate((5, 10, 20, 50), start=68)
    ),
    *(
        Feature(f"momentum_{time}", f"FEA-{k}", "momentum", momentum(time), "ratio", (-INF, INF),
                f"log return of {time}", "Moskowitz et al. (2012)")
        for k, time in enumerate(("1h", "4h", "24h"), start=103)
    ),
    Feature("acceleration", "FEA-106", "momentum", momentum("1h") - earlier(momentum("1h"), "1h"), "ratio", (-INF, INF),
            "log return of an hour minus that of the hour before", "Gettleman and Marks (2006)"),
    *(
        Feature(f"ret_{span.time}", f"FEA-{k}", "momentum", C / earlier(C, span) - 1, "ratio", (-1, INF),
                f"simple return over {span.time}; over {bars} bar(s) of 15m to 1h, over {span.slower} above",
                "common practice")
        for k, bars, span in ((190, 3, Span("15m", 3, "12h")), (191, 12, Span("60m", 12, "24h")),
                              (192, 1, Span("5m", 1, "4h")))
    ),
)  # fmt: skip
