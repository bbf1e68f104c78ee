"""How far the inputs of a period are from those learned from: the population stability index (EVA-5, MET-17).

From: train rows and the rows of a period. To: the evaluation of a version and its drift flag; the bins of the train
rows go into the manifest, so that a live service can tell the same of what it is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_BINS = 10
SMALLEST = 1e-4  # share that an empty bin counts as
DRIFTED = 0.25  # of one input: the usual limit for "another population"
TOLERATED = 0.1  # share of inputs that may have drifted before the flag is raised


def population_stability(train: NDArray[np.floating], test: NDArray[np.floating]) -> float:
    """Return sum of (q - p) ln(q / p) over the deciles of train values, p their share and q that of test values.

    An input of at most ten values has a bin for each of them. Both samples need a value; those not finite are left out.
    """
    was, now = (each[np.isfinite(each)].astype(np.float64) for each in (train, test))
    if not len(was) or not len(now):
        raise ValueError(f"{len(was)} train and {len(now)} test values are finite, expected at least one each")
    edges = bin_edges(was)
    p, q = (
        np.bincount(np.searchsorted(edges, each, side="left"), minlength=len(edges) + 1) / len(each)
        for each in (was, now)
    )
    return float(stability_of_shares(p, q))


def bin_edges(train: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the inner borders of the bins: deciles, or the middles between at most ten values."""
    values = np.unique(train)
    if len(values) <= N_BINS:
        return (values[1:] + values[:-1]) / 2
    return np.unique(np.quantile(train, np.linspace(0, 1, N_BINS + 1)[1:-1]))


def stability_of_shares(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the index of shares (..., N_BINS) that were, p, and that are, q; a bin that neither has adds nothing."""
    p, q = np.maximum(p, SMALLEST), np.maximum(q, SMALLEST)
    return ((q - p) * np.log(q / p)).sum(-1)


@dataclass(frozen=True, eq=False)
class TrainBins:
    """The bins of every input over train rows, without the rows: (F, N_BINS - 1) borders and (F, N_BINS) shares.

    An input of fewer bins has borders at infinity behind its own, and empty bins between them.
    """

    edges: NDArray[np.float64]
    shares: NDArray[np.float64]

    @classmethod
    def fit(cls, rows: NDArray[np.floating]) -> TrainBins:
        """Return the bins of train rows (N, F), all finite."""
        edges = np.full((rows.shape[1], N_BINS - 1), np.inf)
        for column in range(rows.shape[1]):
            found = bin_edges(rows[:, column].astype(np.float64))
            edges[column, : len(found)] = found
        unknown = cls(edges, np.empty((0, 0)))
        return cls(edges, counts_of(unknown.of(rows)) / len(rows))

    def of(self, rows: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Return the bin of every value of rows (N, F)."""
        found = np.empty(rows.shape, dtype=np.uint8)
        for column, edges in enumerate(self.edges):
            found[:, column] = np.searchsorted(edges, rows[:, column], side="left")
        return found

    def stability(self, counts: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the index of every input, of counts (F, N_BINS) of rows in its bins."""
        return stability_of_shares(self.shares, counts / counts.sum(1, keepdims=True))

    def to_dict(self) -> dict[str, list[list[float]]]:
        """Return plain lists; borders at infinity are left out."""
        return {"edges": [each[np.isfinite(each)].tolist() for each in self.edges], "shares": self.shares.tolist()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Sequence[Sequence[float]]]) -> TrainBins:
        """Return the bins of `to_dict`; anything else is refused."""
        if set(content) != {"edges", "shares"} or len(content["edges"]) != len(content["shares"]):
            raise ValueError(
                f"bins have edges and shares of each input, found {', '.join(sorted(content)) or 'nothing'}"
            )
        edges = np.full((len(content["edges"]), N_BINS - 1), np.inf)
        for mine, given in zip(edges, content["edges"], strict=True):
            if len(given) >= N_BINS or not (np.isfinite(given).all() and (np.diff(given) > 0).all()):
                raise ValueError(f"edges {given} are not at most {N_BINS - 1} finite numbers that ascend")
            mine[: len(given)] = given
        shares = np.array(content["shares"], dtype=np.float64)
        if shares.shape != (len(edges), N_BINS) or not ((shares >= 0) & (shares <= 1)).all():
            raise ValueError(f"shares have shape {shares.shape}, expected {(len(edges), N_BINS)} numbers in [0, 1]")
        return cls(edges, shares)


def counts_of(bins: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return how many of the rows (N, F) lie in each bin of each input, (F, N_BINS)."""
    return np.stack([np.bincount(column, minlength=N_BINS) for column in bins.T])


def stability_by_input(
    names: tuple[str, ...], train: NDArray[np.floating], test: NDArray[np.floating]
) -> dict[str, float]:
    """Return the index of every input, of rows (N, F) and (M, F)."""
    return {name: population_stability(train[:, k], test[:, k]) for k, name in enumerate(names)}


def drifted(stability: dict[str, float]) -> bool:
    """Tell whether more than a tenth of the inputs come from another population."""
    return sum(value > DRIFTED for value in stability.values()) > TOLERATED * len(stability)
