"""The figures of a forecast, each as sums per moment and a formula over the sums (EVA-2, PRM-2).

From: a `Forecast` and what came. To: `nn.forecast.evaluate`: the value, and its interval by resampling moments.

Labels overlap and pairs move together, so what is drawn is a block of closes over all pairs at once. Ranks are those
among all rows: they are not ranked anew in each resample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..baselines.rows import Floats, Forecast
from ..data.target_table import TARGET_NAMES
from ..models.losses import DIRECTION, LONG_REACH, RETURNS, RISK
from .bootstrap import Interval, block_counts, percentiles, ready, resampled_sums

HORIZONS = ("15m", "1h", "4h", "12h")
VOLATILITY_HORIZONS = ("1h", "4h")
N_BINS = 10  # of calibration
TOP = 0.9  # quantile of the strength of a forecast: the top decile

Bools = NDArray[np.bool_]
Formula = Callable[[NDArray[np.float64]], NDArray[np.float64]]  # (..., K) sums to (...) values


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What came after N rows; NaN where it is not known."""

    times: NDArray[np.int64]  # (N,) close of the row's candle, milliseconds
    pairs: NDArray[np.integer]  # (N,)
    labels: NDArray[np.float64]  # (N, 24)
    log_volatility: NDArray[np.float64]  # (N, 2) realised over the next 1h and 4h

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, chosen: NDArray) -> Outcomes:
        return Outcomes(self.times[chosen], self.pairs[chosen], self.labels[chosen], self.log_volatility[chosen])

    @property
    def returns(self) -> NDArray[np.float64]:
        return self.labels[:, RETURNS]

    @property
    def classes(self) -> NDArray[np.float64]:
        return self.labels[:, DIRECTION]


@dataclass(frozen=True, eq=False)
class Figure:
    """A name, what each row adds to K sums, and the value of sums."""

    name: str
    rows: NDArray[np.float64]  # (N, K)
    value: Formula


def figures(forecast: Forecast, outcomes: Outcomes) -> Iterator[Figure]:
    """Yield every figure that this forecast can be asked for."""
    for index, horizon in enumerate(HORIZONS):
        score, came = forecast.score[:, index], outcomes.returns[:, index]
        known = np.isfinite(came)
        if np.ptp(score) > 0:
            yield Figure(f"ic_{horizon}", rank_sums(score, came, known), correlation)
            strong = known & (np.abs(score) >= np.quantile(np.abs(score), TOP))
            for name, asked in (("accuracy", known), ("top_decile_accuracy", strong)):
                yield Figure(f"{name}_{horizon}", sign_sums(score, came, asked), share)
        label = outcomes.classes[:, index]
        known = np.isfinite(label)
        true = np.where(known, label, 0).astype(np.int64)
        confusion = one_hot(true * 3 + forecast.classes[:, index], 9, known)
        yield Figure(f"class_accuracy_{horizon}", confusion, class_accuracy)
        yield Figure(f"over_majority_{horizon}", confusion, over_majority)
        yield Figure(f"argmax_macro_f1_{horizon}", confusion, macro_f1)
        if forecast.balanced is not None:
            confusion = one_hot(true * 3 + forecast.balanced[:, index], 9, known)
        yield Figure(f"macro_f1_{horizon}", confusion, macro_f1)
        if forecast.probability is not None:
            p = forecast.probability[:, index].astype(np.float64)
            right = p.argmax(-1) == true
            yield Figure(f"ece_{horizon}", calibration_sums(p.max(-1), right, known), calibration_error)
            squares = ((p - np.eye(3)[true]) ** 2).sum(-1)
            yield Figure(f"brier_{horizon}", np.stack([squares * known, known], axis=1).astype(np.float64), share)
    yield from head_errors(forecast, outcomes)
    if forecast.log_volatility is not None:
        for index, horizon in enumerate(VOLATILITY_HORIZONS):
            sums = fit_sums(forecast.log_volatility[:, index], outcomes.log_volatility[:, index])
            yield Figure(f"volatility_r2_{horizon}", sums, r_squared)


def head_errors(forecast: Forecast, outcomes: Outcomes) -> Iterator[Figure]:
    """Yield mean absolute errors of returns and excursions, and Brier scores (0 to 1) of levels, by target."""
    mae, brier = np.abs, np.square
    for said, first, kind, error in (
        (forecast.returns, RETURNS.start, "mae", mae),
        (forecast.reaches, LONG_REACH.start, "brier", brier),
        (forecast.risks, RISK.start, "mae", mae),
    ):
        for k, column in enumerate(() if said is None else said.T, start=first):
            missed = error(column - outcomes.labels[:, k])
            known = np.isfinite(missed)
            sums = np.stack([np.where(known, missed, 0.0), known], axis=1).astype(np.float64)
            yield Figure(f"{kind}_{TARGET_NAMES[k].replace('_will_reach', '')}", sums, share)


def rank_sums(score: Floats, came: Floats, known: Bools) -> NDArray[np.float64]:
    """Return n, x, y, xx, yy, xy of centred ranks x of the score and y of what came; rows not known add nothing."""
    sums = np.zeros((len(score), 6))
    x, y = centred_ranks(score[known]), centred_ranks(came[known])
    sums[known] = np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], axis=1)
    return sums


def centred_ranks(values: Floats) -> NDArray[np.float64]:
    """Return ranks from -0.5 to 0.5, equal values sharing their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return ((last - (count - 1) / 2)[place] - (len(values) + 1) / 2) / max(len(values), 1)


def correlation(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Pearson's correlation from n, x, y, xx, yy, xy: of ranks it is Spearman's."""
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    spread = (n * xx - x * x) * (n * yy - y * y)
    return ratio(n * xy - x * y, np.sqrt(np.maximum(spread, 0.0)))


def sign_sums(score: Floats, came: Floats, asked: Bools) -> NDArray[np.float64]:
    """Return whether the side was right, and whether there was one: neither a score nor a return of 0 has a side."""
    moved = asked & (score != 0) & (np.nan_to_num(came) != 0)
    right = moved & (np.sign(score) == np.sign(np.nan_to_num(came)))
    return np.stack([right, moved], axis=1).astype(np.float64)


def share(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the first sum over the second."""
    return ratio(sums[..., 0], sums[..., 1])


def one_hot(code: NDArray[np.int64], n_codes: int, known: Bools) -> NDArray[np.float64]:
    sums = np.zeros((len(code), n_codes))
    sums[np.flatnonzero(known), code[known]] = 1.0
    return sums


def class_accuracy(confusion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of rows on the diagonal, of confusions (..., 9): true class first, then the answered one."""
    return ratio(confusion[..., [0, 4, 8]].sum(-1), confusion.sum(-1))


def over_majority(confusion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share on the diagonal of confusions (..., 9) less that of the class that came most often."""
    table = confusion.reshape(*confusion.shape[:-1], 3, 3)
    return class_accuracy(confusion) - ratio(table.sum(-1).max(-1), confusion.sum(-1))


def macro_f1(confusion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean F1 of the classes that occur or were answered."""
    table = confusion.reshape(*confusion.shape[:-1], 3, 3)
    hits, seen = np.diagonal(table, axis1=-2, axis2=-1), table.sum(-1) + table.sum(-2)
    f1 = np.where(seen > 0, 2 * hits / np.where(seen > 0, seen, 1), 0.0)
    return ratio(f1.sum(-1), (seen > 0).sum(-1))


def calibration_sums(said: Floats, right: Bools, known: Bools) -> NDArray[np.float64]:
    """Return count, sum said and sum right of each bin of probability, (N, 3 N_BINS)."""
    bins = one_hot(np.minimum((said * N_BINS).astype(np.int64), N_BINS - 1), N_BINS, known)
    return np.concatenate([bins, bins * said[:, None], bins * right[:, None]], axis=1)


def calibration_error(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the expected calibration error: the mean distance of what was said from what happened, over bins."""
    count, said, right = np.split(sums, 3, axis=-1)
    return ratio(np.abs(said - right).sum(-1), count.sum(-1))


def fit_sums(forecast: Floats, came: Floats) -> NDArray[np.float64]:
    """Return n, y, yy and the squared error of each row; y is taken from its overall mean, so that nothing cancels."""
    known = np.isfinite(came)
    centred = np.where(known, came - came[known].mean(), 0.0) if known.any() else np.zeros(len(came))
    error = np.where(known, came - forecast, 0.0)
    return np.stack([known.astype(np.float64), centred, centred**2, error**2], axis=1)


def r_squared(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 - squared error / squares about the mean of the rows themselves."""
    n, y, yy, error = np.moveaxis(sums, -1, 0)
    return 1 - ratio(error, yy - ratio(y * y, n))


def ratio(top: NDArray[np.float64], bottom: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return top / bottom, NaN where there is nothing below."""
    top, bottom = np.asarray(top, dtype=np.float64), np.asarray(bottom, dtype=np.float64)
    return np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), np.nan)


class Judge:
    """Gives figures of rows their values and intervals; the same resamples of moments for every forecaster.

    Parameters
    ----------
    times : ndarray of int64, shape (N,)
        Close of each row; rows of one moment are drawn together.
    block : float
        Mean length of a block, in moments.
    """

    def __init__(self, times: NDArray[np.int64], block: float, seed: int, n_resamples: int = 1000) -> None:
        self.moments, self.place = np.unique(times, return_inverse=True)
        self.counts = ready(block_counts(len(self.moments), block, np.random.default_rng(seed), n_resamples))

    def sums(self, figure: Figure) -> NDArray[np.float64]:
        """Return the sums of each moment (n_moments, K)."""
        columns = [np.bincount(self.place, column, minlength=len(self.moments)) for column in figure.rows.T]
        return np.stack(columns, axis=1)

    def resamples(self, figure: Figure) -> NDArray[np.float64]:
        """Return the figure of every resample."""
        return figure.value(resampled_sums(self.counts, self.sums(figure)))

    def interval(self, figure: Figure) -> Interval:
        return percentiles(float(figure.value(figure.rows.sum(0))), self.resamples(figure))

    def of(self, forecast: Forecast, outcomes: Outcomes) -> dict[str, Interval]:
        """Return every figure of a forecast that is a number, by name, with its 95 % interval."""
        found = {figure.name: self.interval(figure) for figure in figures(forecast, outcomes)}
        return {name: interval for name, interval in found.items() if np.isfinite(interval.value)}
