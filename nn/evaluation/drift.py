"""How far the inputs of a period are from those learned from: the population stability index (EVA-5).

From: train rows and the rows of a period. To: the evaluation of a version and its drift flag.
"""

from __future__ import annotations

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
    train, test = (each[np.isfinite(each)].astype(np.float64) for each in (train, test))
    if not len(train) or not len(test):
        raise ValueError(f"{len(train)} train and {len(test)} test values are finite, expected at least one each")
    values = np.unique(train)
    few = len(values) <= N_BINS
    edges = (
        (values[1:] + values[:-1]) / 2 if few else np.unique(np.quantile(train, np.linspace(0, 1, N_BINS + 1)[1:-1]))
    )
    p, q = (
        np.bincount(np.searchsorted(edges, each, side="left"), minlength=len(edges) + 1) / len(each)
        for each in (train, test)
    )
    p, q = np.maximum(p, SMALLEST), np.maximum(q, SMALLEST)
    return float(((q - p) * np.log(q / p)).sum())


def stability_by_input(
    names: tuple[str, ...], train: NDArray[np.floating], test: NDArray[np.floating]
) -> dict[str, float]:
    """Return the index of every input, of rows (N, F) and (M, F)."""
    return {name: population_stability(train[:, k], test[:, k]) for k, name in enumerate(names)}


def drifted(stability: dict[str, float]) -> bool:
    """Tell whether more than a tenth of the inputs come from another population."""
    return sum(value > DRIFTED for value in stability.values()) > TOLERATED * len(stability)
