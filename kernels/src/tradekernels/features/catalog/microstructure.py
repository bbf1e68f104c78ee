"""Microstructure family: spreads, impact and toxicity read off candles. From: primitives. To: the catalogue."""

from ..expression import named
from ..feature import Feature
from ..primitives import (
    H,
    L,
    V,
    covariance,
    exp,
    larger,
    ln,
    normal_cdf,
    ratio,
    sma,
    smaller,
    sqrt,
    std,
    where,
)
from .indicators import BODY_SIGN, LOG_RETURN, QUOTE, TAKER, bucket_imbalance, first_known, squared, volume_ratio

INF = float("inf")
K = 3 - 2 * 2**0.5
BETA = squared(ln(H / L)) + squared(ln(H / L))[1]
GAMMA = squared(ln(larger(H, H[1]) / smaller(L, L[1])))
ALPHA = (2**0.5 - 1) * sqrt(BETA) / K - sqrt(GAMMA / K)  # sqrt(2 beta) - sqrt(beta) = (sqrt 2 - 1) sqrt(beta)
SPREAD = named("SPREAD", 2 * (exp(ALPHA) - 1) / (1 + exp(ALPHA)))
CORWIN_SCHULTZ = named("CS", where(SPREAD > 1e-12, SPREAD, 0.0))  # below that it is rounding
SIGNED_QUOTE = named("sQ", BODY_SIGN * QUOTE)
BUYS = first_known(TAKER, V * normal_cdf(ratio(LOG_RETURN, std(LOG_RETURN, 96))))

FEATURES = (
    Feature("spread_corwin_schultz", "FEA-75", "microstructure", CORWIN_SCHULTZ, "ratio", (0, 2),
            "spread that the ranges of one and of two bars imply", "Corwin and Schultz (2012), eq. 14, 18"),
    Feature("spread_cs_ratio", "FEA-76", "microstructure", ratio(CORWIN_SCHULTZ, sma(CORWIN_SCHULTZ, 50)),
            "ratio", (0, 50), "that spread against its own 50-bar mean", "Corwin and Schultz (2012)"),
    Feature("spread_roll", "FEA-77", "microstructure",
            2 * sqrt(larger(-covariance(LOG_RETURN, LOG_RETURN[1], 20), 0.0)), "ratio", (0, INF),
            "spread that the bounce between neighbouring returns implies", "Roll (1984), eq. 2"),
    Feature("price_impact", "FEA-81", "microstructure", ratio(abs(LOG_RETURN), volume_ratio()), "ratio", (0, INF),
            "size of the return per mean volume traded", "Amihud (2002)"),
    Feature("amihud", "FEA-82", "microstructure", ln(1 + 1e9 * sma(ratio(abs(LOG_RETURN), QUOTE), 20)),
            "log", (0, INF), "return per quote volume, mean of 20 bars, on a log scale", "Amihud (2002), eq. 1"),
    Feature("kyle_lambda", "FEA-83", "microstructure",
            ratio(covariance(LOG_RETURN, SIGNED_QUOTE, 50), squared(std(SIGNED_QUOTE, 50))) * sma(QUOTE, 50),
            "ratio", (-INF, INF), "return per mean volume of signed flow, 50 bars", "Kyle (1985)"),
    Feature("vpin", "FEA-167", "microstructure", bucket_imbalance(BUYS, V, 96), "ratio", (0, 1),
            "one-sidedness of 50 equal-volume buckets of the last 96 bars", "Easley et al. (2012)",
            "taker_buy_volume where it is known, else bulk classification by the return"),
)  # fmt: skip
