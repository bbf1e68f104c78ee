"""Fits of what a feed shows directly. From: times, sizes and signs of market orders. To: calibrate.py."""

from __future__ import annotations

import numpy as np

from ._flow import excite
from .facts import autocorrelation
from .flow_parameters import N_KERNELS

DECAYS = np.array([50.0, 8.0, 1.2, 0.2, 0.03])  # a second: five kernels span 20 ms to half a minute
MAX_BRANCHING = 0.85  # nearer to 1 the clusters never end: not even an hour's count would be the rate's
PARENT_LIMITS = (30, 100, 300, 1000)  # children; beyond, a parent lasts longer than a feed can tell
MARK_POWERS = (0.0, 0.125, 0.25, 0.375, 0.5, 0.625)
assert len(DECAYS) == N_KERNELS


def fit_hawkes(time_s: np.ndarray, lots: np.ndarray, rounds: int = 300) -> tuple[float, np.ndarray, float]:
    """Return (base rate, children by kernel, power of the size) of the likeliest Hawkes process with kernels DECAYS.

    With kernels fixed the likelihood is concave and expectation-maximisation climbs it (Lewis and Mohler, 2011). Larger
    orders excite more, by a power of their size (Ogata's marks, 1988) that is chosen from a few.
    """
    n, span = len(time_s), float(time_s[-1] - time_s[0])
    gaps, excited, best = np.diff(time_s), np.zeros((n, len(DECAYS))), (-np.inf, 0.0, np.zeros(0), 0.0)
    for power in MARK_POWERS:
        marks = lots**power / np.mean(lots**power)
        excite(gaps, marks, DECAYS, excited)
        reach = ((1.0 - np.exp(-np.outer(DECAYS, time_s[-1] - time_s))) * marks).sum(axis=1)
        base, branching = 0.5 * n / span, np.full(len(DECAYS), 0.5 / len(DECAYS))
        for _ in range(rounds):
            rate = base + excited @ branching
            branching = branching * (excited / rate[:, None]).sum(axis=0) / reach
            base *= (1.0 / rate).sum() / span
        likelihood = np.log(base + excited @ branching).sum() - base * span - (reach * branching).sum()
        if likelihood > best[0]:
            best = float(likelihood), base, branching, power
    _, base, branching, power = best
    return float(base), branching * min(1.0, MAX_BRANCHING / branching.sum()), power


def fit_parents(signs: np.ndarray, n_lags: int = 100) -> tuple[float, float, float]:
    """Return (share of orders on their parent's side, tail, most children) that give the signs' autocorrelation.

    With P(children >= l) = l^-a up to the most, and none beyond, an order `lag` later has the same parent with chance
    sum(l^-a, l > lag) / sum(l^-a).
    """
    lags = np.arange(1, min(n_lags, len(signs) // 20) + 1)
    seen = np.array([autocorrelation(signs.astype(float), int(lag)) for lag in lags])
    weight, best = 1.0 / np.sqrt(lags), (np.inf, 0.0, 1.5, 1000.0)
    for tail in np.arange(1.05, 3.01, 0.05):
        for most in PARENT_LIMITS:
            power = np.arange(1, most + 1.0) ** -tail
            rest = np.append(power.sum() - np.cumsum(power), np.zeros(len(lags)))
            shape = rest[lags - 1] / power.sum()
            scale = np.clip((weight * shape * seen).sum() / (weight * shape**2).sum(), 0.0, 1.0)
            error = float((weight * (seen - scale * shape) ** 2).sum())
            if error < best[0]:
                best = error, float(np.sqrt(scale)), float(tail), float(most)
    return best[1:]
