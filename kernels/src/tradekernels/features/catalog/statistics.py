"""Statistics family: memory, roughness, information and tails of returns. From: primitives. To: the catalogue."""

from ..expression import Node, named
from ..feature import Feature
from ..primitives import C, clip_known, covariance, floor, larger, ln, ratio, sign, sma, sqrt, std, where
from .indicators import LOG_RETURN, garch, squared
from .volatility import REALISED_1H

INF = float("inf")
OCTILE = named("octile", floor(8 * Node.make("rank_below", LOG_RETURN, n=64) / 64))
ORDER = named("order", 4 * (C[2] > C[1]) + 2 * (C[1] > C) + (C[2] > C))  # which of six orders three closes are in
BIPOWER = named("BV", 3.141592653589793 / 2 * sma(abs(LOG_RETURN) * abs(LOG_RETURN[1]), 96))
FOUR_BARS = named("r_4", ln(C / C[4]))


def _autocorrelation(x: Node, k: int, n: int) -> Node:
    """Pearson correlation of x with its values k bars before, whose deviation is that of k bars ago."""
    return clip_known(ratio(covariance(x, x[k], n), std(x, n) * std(x, n)[k]), -1.0, 1.0)


def _entropy(codes: Node, n: int) -> Node:
    return Node.make("entropy", codes, n=n)


FEATURES = (
    Feature("hurst", "FEA-154", "statistics", Node.make("hurst", LOG_RETURN, n=128), "-", (0, 1),
            "growth of the rescaled range with 8 to 128 bars; 0.5 has no memory", "Mandelbrot and Wallis (1969)"),
    Feature("fractal_dimension", "FEA-155", "statistics", Node.make("higuchi", ln(C), n=128), "-", (1, 2),
            "roughness of 128 bars: 1 a line, 1.5 a random walk, 2 fills the plane", "Higuchi (1988)"),
    Feature("garch_vol", "FEA-157", "statistics", garch("7d"), "ratio", (0, INF),
            "volatility of the next bar, GARCH(1,1) over 7 days", "Bollerslev (1986), eq. 1"),
    Feature("entropy", "FEA-158", "statistics", _entropy(OCTILE, 64) / 2.0794415416798357, "ratio", (0, 1),
            "evenness of 64 returns over the octiles of their time", "Shannon (1948)"),
    Feature("permutation_entropy", "FEA-159", "statistics", _entropy(ORDER, 64) / 1.791759469228055, "ratio", (0, 1),
            "evenness of the six orders of three closes, 64 bars", "Bandt and Pompe (2002)"),
    *(
        Feature(f"autocorr_{k}", f"FEA-{i}", "statistics", _autocorrelation(LOG_RETURN, k, 96), "ratio", (-1, 1),
                f"correlation of returns with those {k} bars before, 96 bars", "Box and Jenkins (1970)")
        for i, k in enumerate((1, 5, 10), start=162)
    ),
    Feature("jump", "FEA-165", "statistics",
            where(abs(LOG_RETURN) > 4 * sqrt(BIPOWER), sign(LOG_RETURN), 0.0), "sign", (-1, 1),
            "a return beyond four bipower deviations of 96 bars", "Lee and Mykland (2008)"),
    Feature("jump_share", "FEA-166", "statistics",
            where(sma(squared(LOG_RETURN), 96) > 0.0,
                  larger(1 - ratio(BIPOWER, sma(squared(LOG_RETURN), 96)), 0.0), 0.0), "ratio", (0, 1),
            "share of jumps in the variance of 96 bars", "Barndorff-Nielsen and Shephard (2004)"),
    Feature("cvar5", "FEA-168", "statistics", Node.make("tail_mean", LOG_RETURN, n=96, value=5.0), "ratio", (-INF, INF),
            "mean of the five worst of 96 returns", "Rockafellar and Uryasev (2000)"),
    Feature("skew", "FEA-169", "statistics", Node.make("skew", LOG_RETURN, n=96), "-", (-10, 10),
            "skewness of 96 returns", "Joanes and Gill (1998), g1"),
    Feature("kurtosis", "FEA-170", "statistics", Node.make("kurtosis", LOG_RETURN, n=96), "-", (-2, 96),
            "excess kurtosis of 96 returns", "Joanes and Gill (1998), g2"),
    Feature("variance_ratio", "FEA-171", "statistics",
            ratio(squared(std(FOUR_BARS, 96)), 4 * squared(std(LOG_RETURN, 96))), "ratio", (0, INF),
            "variance of 4-bar returns over four times that of one bar, 96 bars", "Lo and MacKinlay (1988)"),
    Feature("vol_of_vol", "FEA-172", "statistics", std(REALISED_1H, 96), "ratio", (0, INF),
            "deviation of the hourly realised volatility, 96 bars", "Corsi et al. (2008)"),
)  # fmt: skip
