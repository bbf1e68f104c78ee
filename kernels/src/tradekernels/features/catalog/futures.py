"""Futures family: funding, basis, liquidation, tail risk. From: primitives, optional columns. To: the catalogue."""

from ..expression import Node, column, named
from ..feature import Feature
from ..primitives import (
    BAR,
    CLOSE_TIME,
    C,
    earlier,
    normal_cdf,
    parameter,
    quiet_ratio,
    ratio,
    sma,
    smaller,
    std,
    total,
    where,
)
from ..span import Span
from .indicators import LOG_RETURN, atr
from .volatility import REALISED_1D

INF = float("inf")
EIGHT_HOURS = 28_800_000  # ms between settlements, at 00, 08 and 16 UTC
FUNDING = column("funding_rate")
INTEREST = column("open_interest")
LEVERAGE, MAX_LEVERAGE, MARGIN = parameter("leverage"), parameter("max_leverage"), parameter("maintenance_margin")
ROOM = named("room", 1 / LEVERAGE - MARGIN)  # the move against an isolated position that liquidates it
FUNDING_STD = std(FUNDING, "30d")
TAIL = Node.make("timed_quantile", LOG_RETURN, span=Span("30d"), value=0.05)

FEATURES = (
    Feature("leverage", "FEA-124", "futures", LEVERAGE / MAX_LEVERAGE, "ratio", (0, 1),
            "leverage of the set's parameters against its limit", "common practice"),
    Feature("funding_rate", "FEA-125", "futures", FUNDING, "ratio", (-INF, INF),
            "funding rate in force, per 8 hours", "Binance futures, funding rate history"),
    Feature("funding_z_30d", "FEA-126", "futures",
            where(FUNDING_STD <= 1e-9 * sma(abs(FUNDING), "30d"), 0.0, (FUNDING - sma(FUNDING, "30d")) / FUNDING_STD),
            "deviations", (-INF, INF), "funding rate against its 30 days, in deviations", "common practice"),
    Feature("funding_sum_24h", "FEA-127", "futures", total(FUNDING * (BAR / EIGHT_HOURS), "24h"), "ratio", (-INF, INF),
            "funding of 24 hours, each rate for as long as it was in force", "common practice"),
    Feature("funding_year", "FEA-128", "futures", FUNDING * 1095, "ratio", (-INF, INF),
            "funding rate as if it stayed for a year of 1095 settlements", "common practice"),
    Feature("funding_proxy", "FEA-129", "futures",
            C / Node.make("timed_mean", C, span=Span("8h")) - 1, "ratio", (-1, INF),
            "close against its 8-hour exponential mean: pressure where no funding data exist", "common practice"),
    Feature("hours_to_funding", "FEA-130", "futures", (EIGHT_HOURS - CLOSE_TIME % EIGHT_HOURS) / EIGHT_HOURS,
            "ratio", (0, 1), "time to the next settlement, 1 at a settlement itself", "common practice"),
    Feature("mark_basis", "FEA-131", "futures", C / column("mark_price") - 1, "ratio", (-1, INF),
            "close against the mark price", "Binance futures, mark price"),
    Feature("open_interest_change", "FEA-132", "futures", INTEREST / earlier(INTEREST, "24h") - 1, "ratio", (-1, INF),
            "relative change of open interest in 24 hours", "Bessembinder and Seguin (1993)"),
    Feature("liquidation_atr", "FEA-133", "futures", quiet_ratio(ROOM, atr(14) / C, 1.0), "ATRs", (-INF, INF),
            "distance to liquidation, in average true ranges", "common practice"),
    Feature("liquidation_risk", "FEA-134", "futures",
            where(REALISED_1D > 0.0, 2 * normal_cdf(-ratio(ROOM, REALISED_1D)), 0.0), "probability", (0, 2),
            "chance that a driftless price touches the liquidation price within a day", "reflection principle"),
    Feature("safe_leverage", "FEA-135", "futures", smaller(MAX_LEVERAGE, 1 / (3 * REALISED_1D + MARGIN)) / MAX_LEVERAGE,
            "ratio", (0, 1), "leverage that survives a day of three deviations, against the limit", "common practice"),
    Feature("var95", "FEA-136", "futures", -TAIL, "ratio", (-INF, INF),
            "loss of a bar that 5% of the bars of 30 days exceed", "Jorion (2006)"),
    Feature("var95_normal", "FEA-137", "futures", 1.645 * std(LOG_RETURN, "30d") - sma(LOG_RETURN, "30d"),
            "ratio", (-INF, INF), "the same under the normal law", "Jorion (2006)"),
)  # fmt: skip
