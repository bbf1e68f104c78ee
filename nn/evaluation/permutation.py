"""The permutation test: with labels that belong to other rows, nothing may be found (LEK-8).

From: training data and a way to learn. To: tests, `nn.forecast.evaluate --permutation-test`.

Labels of a pair are turned around a circle by a random number of rows: they keep their own memory, and lose every tie
to the features. A learner that is still right afterwards knows its test rows by another way: a leak. Labels keep their
shares of up and down, too, so a learner may still say one side more often; in a market that mostly went one way that
alone is right in more or less than half of the rows. Chance is therefore what sides as often said, and sides as often
come, have in common when neither knows of the other (Cohen, 1960).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..baselines.rows import Forecast
from ..forecast.dataset import TrainingData
from .figures import Outcomes, correlation, rank_sums, share, sign_sums

ONE_HOUR = 1  # index among the horizons

Learn = Callable[[TrainingData, int], Forecast]  # from data and a seed to the forecast of the judged rows


@dataclass(frozen=True)
class Permuted:
    """Figures at 1h of the real labels, and of every permutation."""

    ic: float
    accuracy: float
    null_ic: NDArray[np.float64]  # (n,)
    null_accuracy: NDArray[np.float64]  # (n,)
    null_chance: NDArray[np.float64]  # (n,) accuracy of sides that are said as often and know nothing

    @property
    def p_value(self) -> float:
        """Chance that permuted labels do as well, with one more of them than were seen (Phipson and Smyth, 2010)."""
        return float((1 + (self.null_ic >= self.ic).sum()) / (1 + len(self.null_ic)))

    @property
    def at_chance(self) -> bool:
        """Tell whether permuted labels are forecast no better than by chance: their mean is within 3 errors of it."""
        return all(
            bool(abs(each.mean()) <= 3 * each.std(ddof=1) / np.sqrt(len(each)))
            for each in (self.null_ic, self.null_accuracy - self.null_chance)
        )


def turned(data: TrainingData, draw: np.random.Generator) -> TrainingData:
    """Return the data with the labels of each pair turned by a quarter to three quarters of its rows."""
    return replace(data, values=tuple(np.roll(each, _turn(len(each), draw), axis=0) for each in data.values))


def _turn(n_rows: int, draw: np.random.Generator) -> int:
    return int(draw.integers(n_rows // 4, 3 * n_rows // 4))


def permutation_test(
    learn: Learn, data: TrainingData, outcomes: Outcomes, n: int, seed: int, each: Callable[[int], None]
) -> Permuted:
    """Return what a learner finds in real and in permuted labels, judged on real outcomes.

    Parameters
    ----------
    learn : callable
        Learns from scaled features and answers for the rows of `outcomes`; a learner that reads past prices off the
        labels (`Rows.past`) would find them turned, too.
    n : int
        Permutations, at least 5.
    each : callable
        Hears of the number of every permutation that is done.
    """
    if n < 5:
        raise ValueError(f"--permutation-test is {n}, expected at least 5 permutations")
    draw = np.random.default_rng(seed)
    ic, accuracy, _ = scored(learn(data, seed), outcomes)
    null = []
    for number in range(n):
        null.append(scored(learn(turned(data, draw), seed), outcomes))
        each(number + 1)
    table = np.array(null)
    return Permuted(ic, accuracy, *table.T)


def scored(forecast: Forecast, outcomes: Outcomes) -> tuple[float, float, float]:
    """Return IC, share of right sides and the share that would be right by chance, at 1h."""
    score, came = forecast.score[:, ONE_HOUR], outcomes.returns[:, ONE_HOUR]
    known = np.isfinite(came)
    ic = correlation(rank_sums(score, came, known).sum(0))
    sided = known & (score != 0) & (came != 0)
    said, rose = (score[sided] > 0).mean(), (came[sided] > 0).mean()
    chance = said * rose + (1 - said) * (1 - rose)
    return float(ic), float(share(sign_sums(score, came, known).sum(0))), float(chance)
