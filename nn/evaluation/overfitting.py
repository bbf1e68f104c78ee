"""How much of a good backtest is the number of tries (EVA-9): deflated Sharpe ratio, probability of overfitting.

From: returns per period of every configuration that was tried, all of them. To: reports, MLflow, promotion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

EULER = 0.5772156649015329
EQUAL = 1e-12  # deviation over size at which returns are all equal but for rounding
COMBINATIONS_AT_ONCE = 4096  # rows of the table worked on at a time


def expected_best_sharpe(n_trials: int, variance: float) -> float:
    """Return the Sharpe ratio that the best of so many tries without skill has on average.

    Bailey and López de Prado (2014), The Deflated Sharpe Ratio, equation 2.

    Parameters
    ----------
    n_trials : int
        Independent tries, at least 1; with 1 it is 0.
    variance : float
        Of the tries' Sharpe ratios, per period.
    """
    if n_trials < 1:
        raise ValueError(f"n_trials is {n_trials}, expected at least 1")
    if not variance >= 0:
        raise ValueError(f"variance is {variance}, expected at least 0")
    if n_trials == 1:
        return 0.0
    quantile = NormalDist().inv_cdf
    best = (1 - EULER) * quantile(1 - 1 / n_trials) + EULER * quantile(1 - 1 / (n_trials * math.e))
    return math.sqrt(variance) * best


def probabilistic_sharpe(
    sharpe: float, n_periods: int, skewness: float, kurtosis: float, benchmark: float = 0.0
) -> float:
    """Return the probability that the true Sharpe ratio is above the benchmark (Bailey and López de Prado, 2012).

    Parameters
    ----------
    sharpe, benchmark : float
        Per period, not annualised.
    n_periods : int
        Returns behind `sharpe`, at least 2.
    skewness, kurtosis : float
        Of the returns; a normal distribution has 0 and 3.
    """
    if n_periods < 2:
        raise ValueError(f"n_periods is {n_periods}, expected at least 2")
    spread = 1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2
    if not spread > 0:
        raise ValueError(f"skewness {skewness} and kurtosis {kurtosis} do not go with a Sharpe ratio of {sharpe}")
    return NormalDist().cdf((sharpe - benchmark) * math.sqrt((n_periods - 1) / spread))


def deflated_sharpe(
    sharpe: float, n_periods: int, skewness: float, kurtosis: float, n_trials: int, variance: float
) -> float:
    """Return the probability that a Sharpe ratio, the best of so many tries, is more than luck.

    Bailey and López de Prado (2014), equation 1; arguments as in `probabilistic_sharpe` and `expected_best_sharpe`.
    """
    benchmark = expected_best_sharpe(n_trials, variance)
    return probabilistic_sharpe(sharpe, n_periods, skewness, kurtosis, benchmark)


def sharpe_ratio(returns: ArrayLike) -> float | None:
    """Return mean over deviation per period; None of fewer than 2 returns, or of returns that are all equal."""
    values = _finite("returns", returns)
    deviation = values.std(ddof=1) if len(values) > 1 else 0.0
    if deviation <= EQUAL * np.abs(values).max(initial=0.0):
        return None
    return float(values.mean() / deviation)


def deflated_sharpe_of(
    returns: ArrayLike, trial_sharpes: ArrayLike, n_more: int = 0, deviation: float | None = None
) -> float | None:
    """Return `deflated_sharpe` of returns; None where nobody can say, since a number might pass for one.

    That is so for fewer than 3 returns, for returns that are all equal, for moments that leave the ratio no spread, and
    when there were several tries and nothing tells how far they lie apart: one ratio alone, or ratios all alike.

    Parameters
    ----------
    trial_sharpes : array
        Sharpe ratios per period of all tries, that of `returns` included; at least one.
    n_more : int
        Tries whose ratios were not kept, such as the trials of a search.
    deviation : float, optional
        Of all tries' ratios, where it is known from elsewhere; that of `trial_sharpes` counts where it is larger.

    Raises
    ------
    ValueError
        For values that are not finite, or no tries.
    """
    values, tries = _finite("returns", returns), _finite("trial_sharpes", trial_sharpes)
    if len(tries) < 1 or n_more < 0:
        raise ValueError(f"{len(tries)} tries and {n_more} more, expected at least 1 and 0")
    ratio, n_tries, spread = sharpe_ratio(values), len(tries) + n_more, spread_of(tries, deviation)
    if ratio is None or len(values) < 3 or (spread is None and n_tries > 1):
        return None
    z = (values - values.mean()) / values.std()
    skewness, kurtosis = float((z**3).mean()), float((z**4).mean())
    if not 1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2 > 0:
        return None
    return deflated_sharpe(ratio, len(values), skewness, kurtosis, n_tries, (spread or 0.0) ** 2)


def spread_of(trial_sharpes: ArrayLike, deviation: float | None = None) -> float | None:
    """Return how far tries lie apart: the larger of their ratios' deviation and one known before.

    None where neither is known, and where all are alike, as of policies that never traded: so many tries would count as
    one.
    """
    tries = _finite("trial_sharpes", trial_sharpes)
    own = float(tries.std(ddof=1)) if len(tries) > 1 else 0.0
    return max(own if own > EQUAL * np.abs(tries).max(initial=0.0) else 0.0, deviation or 0.0) or None


@dataclass(frozen=True)
class Overfitting:
    """What combinatorially symmetric cross-validation found.

    probability : float
        Share of splits in which the best configuration of one half is not above the median in the other.
    logits : ndarray of shape (n_splits,)
        Logit of the relative rank in the other half; above 0 is better than the median.
    """

    probability: float
    logits: NDArray[np.float64]


def backtest_overfitting(returns: ArrayLike, n_blocks: int = 16) -> Overfitting:
    """Return the probability of backtest overfitting by combinatorially symmetric cross-validation.

    Bailey, Borwein, López de Prado and Zhu (2017), The Probability of Backtest Overfitting. The best Sharpe ratio over
    half of the blocks is looked up in the other half, for every way to choose the half. Only sums per block are used,
    so 12,870 splits cost a matrix product.

    Parameters
    ----------
    returns : array of shape (n_periods, n_configurations)
        Net returns per period, one column for each configuration that was tried. Periods left over by a division into
        equal blocks are dropped from the beginning.
    n_blocks : int
        Even, 4 to 20.

    Raises
    ------
    ValueError
        For fewer than 2 configurations, fewer than 2 periods a block, or a return that is not finite.
    """
    table = _finite("returns", returns)
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(f"returns have shape {table.shape}, expected (n_periods, n_configurations of at least 2)")
    if n_blocks % 2 or not 4 <= n_blocks <= 20:
        raise ValueError(f"n_blocks is {n_blocks}, expected an even number of 4 to 20")
    n_rows = len(table) // n_blocks
    if n_rows < 2:
        raise ValueError(f"{len(table)} periods make fewer than 2 for each of {n_blocks} blocks")
    blocks = table[-n_rows * n_blocks :].reshape(n_blocks, n_rows, -1)
    sums, squares = blocks.sum(1), (blocks**2).sum(1)
    halves = np.zeros((math.comb(n_blocks, n_blocks // 2), n_blocks))
    for row, chosen in enumerate(combinations(range(n_blocks), n_blocks // 2)):
        halves[row, list(chosen)] = 1
    n_half = n_rows * n_blocks // 2
    logits = np.empty(len(halves))
    for start in range(0, len(halves), COMBINATIONS_AT_ONCE):
        part = halves[start : start + COMBINATIONS_AT_ONCE]
        inside = _sharpe(part @ sums, part @ squares, n_half)
        outside = _sharpe((1 - part) @ sums, (1 - part) @ squares, n_half)
        rows = np.arange(len(part))
        of_best = outside[rows, inside.argmax(1)][:, None]
        # Middle rank among equals, so that copies of one configuration say nothing either way.
        rank = (outside < of_best).sum(1) + ((outside == of_best).sum(1) + 1) / 2
        share = rank / (table.shape[1] + 1)
        logits[start : start + len(part)] = np.log(share / (1 - share))
    return Overfitting(float((logits <= 1e-12).mean()), logits)


def _sharpe(sums: NDArray, squares: NDArray, n: int) -> NDArray:
    """Return mean over deviation from sums; configurations that never moved have 0."""
    mean = sums / n
    variance = np.maximum(squares / n - mean**2, 0.0)
    still = variance <= 1e-18 * np.maximum(squares / n, 1e-300)
    return np.where(still, 0.0, mean / np.sqrt(np.where(still, 1.0, variance)))


def _finite(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: {int((~np.isfinite(array)).sum())} of {array.size} values are not finite")
    return array
