"""Cross-asset family: bitcoin, market and sector as of this bar's close. From: primitives. To: the catalogue.

PEER stands for the close of one pair of a group; a mean over a group is taken over the pairs known at that bar.
"""

from ..expression import Node, named
from ..feature import Feature
from ..primitives import (
    BTC,
    UNKNOWN,
    C,
    correlation,
    covariance,
    earlier,
    known,
    ln,
    mean_over,
    ratio,
    sqrt,
    std,
    where,
)
from ..resolve import PEER
from .indicators import LOG_RETURN, at_least_zero, squared

INF = float("inf")
BTC_RETURN = named("r_btc", ln(BTC / BTC[1]))
MARKET_RETURN = named("m", mean_over("market", ln(PEER / PEER[1])))
OWN_DAY = named("day", C / earlier(C, "24h") - 1)
PEER_DAY = named("day_P", PEER / earlier(PEER, "24h") - 1)
SECTOR_DAY = named("sector_day", mean_over("sector", PEER_DAY))
PEER_MEAN = Node.make("restarting_mean", PEER, n=50, value=2 / 51)
MARKET_COVARIANCE = covariance(LOG_RETURN, MARKET_RETURN, 96)
MARKET_BETA = named("beta", ratio(MARKET_COVARIANCE, squared(std(MARKET_RETURN, 96))))
BEATEN = (OWN_DAY > PEER_DAY) + 0.5 * ((OWN_DAY >= PEER_DAY) * (PEER_DAY >= OWN_DAY))

FEATURES = (
    Feature("market_beta", "FEA-160", "cross-asset", MARKET_BETA, "ratio", (-INF, INF),
            "sensitivity to the mean return of the market's pairs, 96 bars", "Sharpe (1964)"),
    Feature("idio_vol", "FEA-161", "cross-asset",
            sqrt(at_least_zero(squared(std(LOG_RETURN, 96)) - MARKET_BETA * MARKET_COVARIANCE)), "ratio", (0, INF),
            "deviation of what the market does not explain, 96 bars", "Ang et al. (2006)"),
    Feature("btc_correlation", "FEA-174", "cross-asset", correlation(LOG_RETURN, BTC_RETURN, 96), "ratio", (-1, 1),
            "correlation with bitcoin's returns, 96 bars", "Pearson (1895)"),
    Feature("btc_beta", "FEA-175", "cross-asset",
            ratio(covariance(LOG_RETURN, BTC_RETURN, 96), squared(std(BTC_RETURN, 96))), "ratio", (-INF, INF),
            "sensitivity to bitcoin's returns, 96 bars", "Sharpe (1964)"),
    Feature("btc_relative_strength", "FEA-176", "cross-asset", OWN_DAY - (BTC / earlier(BTC, "24h") - 1),
            "ratio", (-INF, INF), "return of a day minus bitcoin's", "Levy (1967)"),
    Feature("btc_return_1h", "FEA-177", "cross-asset", BTC / earlier(BTC, "1h") - 1, "ratio", (-1, INF),
            "bitcoin's return of an hour", "common practice"),
    Feature("btc_lead", "FEA-178", "cross-asset", correlation(LOG_RETURN, BTC_RETURN[1], 96), "ratio", (-1, 1),
            "correlation with bitcoin's return of the bar before, 96 bars", "Lo and MacKinlay (1990)"),
    Feature("sector_return_1d", "FEA-179", "cross-asset", SECTOR_DAY, "ratio", (-1, INF),
            "mean return of the sector's peers, one day", "Moskowitz and Grinblatt (1999)"),
    Feature("sector_rank", "FEA-180", "cross-asset",
            mean_over("sector", where(known(PEER_DAY), BEATEN, UNKNOWN)), "ratio", (0, 1),
            "share of the sector's peers that the pair beat in a day, equals as half", "Jegadeesh and Titman (1993)"),
    Feature("sector_relative", "FEA-181", "cross-asset", OWN_DAY - SECTOR_DAY, "ratio", (-INF, INF),
            "return of a day minus the sector's", "Moskowitz and Grinblatt (1999)"),
    Feature("breadth", "FEA-182", "cross-asset",
            mean_over("market", where(known(PEER_MEAN), PEER > PEER_MEAN, UNKNOWN)), "ratio", (0, 1),
            "share of the market's pairs above their 50-bar exponential mean", "Zweig (1986)"),
    Feature("market_return_1d", "FEA-183", "cross-asset", mean_over("market", PEER_DAY), "ratio", (-1, INF),
            "mean return of the market's pairs, one day", "Moskowitz et al. (2012)"),
)  # fmt: skip
