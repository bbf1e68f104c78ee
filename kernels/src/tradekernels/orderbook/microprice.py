"""The microprice of Stoikov (2018): the mid that is to be expected. From: best quotes (book.py). To: strategies.

A state is a bucket of the imbalance of the best sizes and a spread. How the mid moves out of each state is counted once
over a feed; the expected sum of all later moves is the adjustment to the mid. See "The micro-price: a high-frequency
estimator of future prices", Quantitative Finance 18(12).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Microprice:
    """Adjustments to the mid, in ticks, by spread (1 .. n_spreads ticks) and bucket of the imbalance."""

    adjustment: np.ndarray

    @classmethod
    def fit(cls, quotes: np.ndarray, *, n_buckets: int = 10, n_spreads: int = 3, steps: int = 6) -> Microprice:
        """Fit the adjustments to quotes in the order of time.

        As in Stoikov (2018), each move counts together with its mirror image (bid and ask exchanged), so balanced books
        are worth their mid and a trend in the quotes leaves no trace.

        Parameters
        ----------
        quotes : ndarray of QUOTES, shape (n_quotes,)
            As `quotes` returns them; those without both sides, or with a wider spread, are left out.
        n_buckets : int
            Buckets of the imbalance bid / (bid + ask).
        n_spreads : int
            Spreads from 1 tick on.
        steps : int
            Mid moves to look ahead; six are enough for the sum to have settled.

        Raises
        ------
        ValueError
            If fewer than two usable quotes are left, or a count is below 1.
        """
        for name, count in (("n_buckets", n_buckets), ("n_spreads", n_spreads), ("steps", steps)):
            if count < 1:
                raise ValueError(f"{name} is {count}, expected at least 1")
        usable = _usable(quotes, n_spreads)
        quotes = quotes[usable]
        if len(quotes) < 2:
            raise ValueError(f"quotes has {len(quotes)} usable rows, expected at least 2")
        state = _state(quotes, n_buckets)
        n = n_spreads * n_buckets
        move = np.diff(quotes["bid_tick"] + quotes["ask_tick"])  # half ticks
        # each quote and its mirror image: the market has no favourite side
        mirror = state - state % n_buckets + (n_buckets - 1 - state % n_buckets)
        stays, moves, drift, seen = np.zeros((n, n)), np.zeros((n, n)), np.zeros(n), np.zeros(n)
        for at, sign in ((state, 0.5), (mirror, -0.5)):
            here, there, quiet = at[:-1], at[1:], move == 0
            np.add.at(stays, (here[quiet], there[quiet]), 1)
            np.add.at(moves, (here[~quiet], there[~quiet]), 1)
            np.add.at(drift, here, sign * move)
            np.add.at(seen, here, 1)
        seen = np.maximum(seen, 1)[:, None]
        settle = np.linalg.pinv(np.eye(n) - stays / seen)  # all quotes until the next move of the mid
        step, jump = settle @ (drift / seen[:, 0]), settle @ (moves / seen)
        adjustment = step.copy()
        for _ in range(steps - 1):
            step = jump @ step
            adjustment += step
        return cls(adjustment.reshape(n_spreads, n_buckets))

    def ticks(self, quotes: np.ndarray) -> np.ndarray:
        """Return the microprice of quotes in ticks, float64; the mid where the spread is wider than fitted."""
        n_spreads, n_buckets = self.adjustment.shape
        mid = (quotes["bid_tick"] + quotes["ask_tick"]) / 2
        usable = _usable(quotes, n_spreads)
        mid[usable] += self.adjustment.reshape(-1)[_state(quotes[usable], n_buckets)]
        return mid


def _usable(quotes: np.ndarray, n_spreads: int) -> np.ndarray:
    spread = quotes["ask_tick"] - quotes["bid_tick"]
    return (quotes["bid_tick"] > 0) & (spread >= 1) & (spread <= n_spreads) & (quotes["ask_tick"] > 0)


def _state(quotes: np.ndarray, n_buckets: int) -> np.ndarray:
    imbalance = quotes["bid_lots"] / (quotes["bid_lots"] + quotes["ask_lots"])
    bucket = np.minimum((imbalance * n_buckets).astype(np.int64), n_buckets - 1)
    return (quotes["ask_tick"] - quotes["bid_tick"] - 1) * n_buckets + bucket
