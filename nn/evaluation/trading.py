"""What trading on a forecast would have brought after costs, by a rule that no outcome chose (EVA-3, EVA-9, PRM-4).

From: scores, the returns that came, and from which score on a forecast counts as strong (of validation rows). To: the
evaluation of a version: a screening figure; the trades that count are Freqtrade's own.

Every four hours each pair is long or short for four hours when the 4h score is strong enough, else out; each trade pays
a round trip, also when the next one goes the same way. Trades do not overlap, and pairs share the stake equally.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..baselines.rows import Floats, Forecast
from ..data.target_table import ROUND_TRIP_COST
from .figures import Figure, Judge, Outcomes, share
from .overfitting import backtest_overfitting, deflated_sharpe_of, sharpe_ratio
from .regimes import REGIMES

FOUR_HOURS = 2  # index among the horizons
STEP_MS = 4 * 3600 * 1000
STEPS_A_YEAR = 365 * 6
STRENGTHS = (0.5, 0.8, 0.9, 0.95)  # quantiles of |score| on validation rows, above which a forecast is traded
DEFAULT_STRENGTH = 2  # index: the top tenth
BUCKETS = ("0-50 %", "50-80 %", "80-90 %", "90-95 %", "95-100 %")


@dataclass(frozen=True, eq=False)
class Trades:
    """A rule's result on the four-hour grid."""

    returns: NDArray[np.float64]  # (n_steps,) of the account, ratio
    regimes: NDArray[np.int64]  # (n_steps,) of the market then, the most frequent among the pairs
    count: int


def strength_limits(score: Floats) -> NDArray[np.float64]:
    """Return the limits (len(STRENGTHS),) of |score| at 4h, from validation forecasts (N, 4)."""
    return np.quantile(np.abs(score[:, FOUR_HOURS]), STRENGTHS)


def buckets_of(score: Floats, limits: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bucket of strength (N,) of each row: how many limits it has passed. A score of 0 is in the lowest."""
    strength = np.abs(score[:, FOUR_HOURS])
    return np.where(strength > 0, np.searchsorted(limits, strength, side="right"), 0)


def trade(
    score: Floats, buckets: NDArray[np.int64], outcomes: Outcomes, regimes: NDArray[np.int64], strength: int
) -> Trades:
    """Return the account of the rule that trades what has passed limit number `strength`."""
    came = outcomes.returns[:, FOUR_HOURS]
    chosen = (outcomes.times % STEP_MS == 0) & np.isfinite(came)
    steps, place = np.unique(outcomes.times[chosen], return_inverse=True)
    active = (buckets[chosen] > strength) & (score[chosen, FOUR_HOURS] != 0)
    profit = np.where(active, np.sign(score[chosen, FOUR_HOURS]) * came[chosen] - ROUND_TRIP_COST, 0.0)
    n_pairs = len(np.unique(outcomes.pairs)) if len(outcomes) else 1
    returns = np.bincount(place, profit, minlength=len(steps)) / n_pairs
    votes = np.zeros((len(steps), len(REGIMES)))
    np.add.at(votes, (place, regimes[chosen]), 1)
    return Trades(returns, votes.argmax(1), int(active.sum()))


def drawdown(returns: Floats) -> float:
    """Return the deepest fall of the account below its height so far, 0..1."""
    equity = np.concatenate([[1.0], np.cumprod(1 + np.asarray(returns, dtype=np.float64))])
    return float((1 - equity / np.maximum.accumulate(equity)).max())


def trading_figures(network: Trades, candidates: Mapping[str, Trades], n_searched: int = 0) -> dict[str, float]:
    """Return the figures that gates read; one that cannot be computed is left out.

    Parameters
    ----------
    network : Trades
        The rule that would trade, also among the candidates.
    candidates : mapping
        Every rule of every forecaster that was tried here, over the same steps.
    n_searched : int
        Trials of a search (Optuna's) before this version was chosen: they count in the deflation, too.
    """
    returns = network.returns
    if not len(returns):
        return {"trades": 0.0}
    by_regime = [drawdown(returns[network.regimes == regime]) for regime in range(len(REGIMES))]
    ratio = sharpe_ratio(returns)
    found = {
        "trades": float(network.count),
        "net_return": float(np.prod(1 + returns) - 1),
        "max_drawdown": drawdown(returns),
        "worst_regime_drawdown": max(by_regime),
        "sharpe": 0.0 if ratio is None else ratio * math.sqrt(STEPS_A_YEAR),
        "trials": float(len(candidates) + n_searched),
    }
    tried = [sharpe_ratio(each.returns) or 0.0 for each in candidates.values()]
    deflated = deflated_sharpe_of(returns, tried, n_searched)
    if deflated is not None:
        found["deflated_sharpe"] = deflated
    table = np.stack([each.returns for each in candidates.values()], axis=1)
    blocks = min(16, len(table) // 4 // 2 * 2)  # at least 4 steps a block
    if blocks >= 4 and table.shape[1] >= 2:
        found["pbo"] = backtest_overfitting(table, blocks).probability
    return found


def profit_by_bucket(
    forecast: Forecast, buckets: NDArray[np.int64], outcomes: Outcomes, judge: Judge
) -> list[dict[str, float | str]]:
    """Return for each bucket of strength: rows, share of right sides, mean profit after costs with its interval.

    All rows count here, each as a trade of four hours: intervals resample days, because neighbours overlap.
    """
    came, score = outcomes.returns[:, FOUR_HOURS], forecast.score[:, FOUR_HOURS]
    known = np.isfinite(came) & (score != 0)
    profit = np.where(known, np.sign(score) * np.nan_to_num(came) - ROUND_TRIP_COST, 0.0)
    row: dict[str, float | str]
    found = []
    for number, name in enumerate(BUCKETS):
        chosen = known & (buckets == number)
        if not chosen.any():
            continue
        mean = judge.interval(Figure(name, np.stack([profit * chosen, chosen], axis=1).astype(np.float64), share))
        right = float((np.sign(score[chosen]) == np.sign(came[chosen])).mean())
        row = {"bucket": name, "rows": float(chosen.sum()), "right": right, "mean_profit": mean.value}
        ends = {"mean_profit_low": mean.low, "mean_profit_high": mean.high}
        found.append(row | {end: value for end, value in ends.items() if np.isfinite(value)})
    return found
