"""What a planted market is worth at best, and the policy that earns it: answers that owe nothing to a learner.

From: a `Planted` market. To: `planted` and tests, which compare. Without costs in closed form (Merton 1969, Review of
Economics and Statistics 51(3)); with them by modified policy iteration over (z, weight) on a grid (Puterman 1994,
section 8.7); of a path that is known to its end by dynamic programming backwards.

The weight's own drift inside a bar is left out: at weights strictly between 0 and 1, and when short, an account drifts
by about volatility x weight x (1 - weight) a bar, which costs a fee of some thousandths of a basis point to mend.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray

from .planted_markets import Planted

N_SIGNALS, N_WEIGHTS, FAR = 161, 21, 4.0  # the grid; z in deviations
MOST_ROUNDS, SWEEPS, CLOSE_ENOUGH = 1_000, 50, 1e-9
Floats = NDArray[np.float64]


def growth(mean: Floats, volatility: float, weight: Floats) -> Floats:
    """Return E log(1 + w (exp(r) - 1)), r ~ N(mean - volatility^2/2, volatility^2), by quadrature over 15 nodes."""
    nodes, parts = hermegauss(15)
    total = np.zeros(np.broadcast_shapes(np.shape(mean), np.shape(weight)))
    for node, part in zip(nodes, parts / parts.sum(), strict=True):
        total += part * np.log1p(weight * np.expm1(mean - 0.5 * volatility**2 + volatility * node))
    return total


def free_weight(market: Planted, z: Floats) -> Floats:
    """Return the best weight where trading is free: Merton's mean / variance, held within the bounds."""
    lowest = -1.0 if market.can_short else 0.0
    mean = market.edge * np.asarray(z, dtype=np.float64)
    if market.volatility == 0:
        return np.where(mean > 0, 1.0, lowest)
    return np.clip(mean / market.volatility**2, lowest, 1.0)


def free_value(market: Planted) -> float:
    """Return what `free_weight` earns a bar, mean log growth: an integral over z."""
    z = np.linspace(-8, 8, 4001)
    density = np.exp(-0.5 * z**2)
    earned = growth(market.edge * z, market.volatility, free_weight(market, z))
    return float((density * earned).sum() / density.sum())


@dataclass(frozen=True, eq=False)
class Plan:
    """The best policy where trades cost: what each weight is worth from here on, once it is held."""

    market: Planted
    z: Floats  # (S,)
    weights: Floats  # (W,)
    worth: Floats  # (S, W), beyond the mean
    value: float  # a bar's mean log growth

    def act(self, z: Floats, held: Floats) -> Floats:
        """Return the best targets (N,) for these z (N,) and weights held (N,); to stay is one of the choices."""
        place = np.interp(z, self.z, np.arange(len(self.z)))
        low = np.minimum(place.astype(int), len(self.z) - 2)
        part = (place - low)[:, None]
        worth = (1 - part) * self.worth[low] + part * self.worth[low + 1]  # (N, W)
        fee = self.market.fee_bps * 1e-4
        moved = worth + np.log1p(-fee * np.abs(self.weights - held[:, None]))
        best = moved.argmax(1)
        rows = np.arange(len(z))
        at = np.interp(held, self.weights, np.arange(len(self.weights)))
        under = np.minimum(at.astype(int), len(self.weights) - 2)
        stayed = worth[rows, under] * (1 - (at - under)) + worth[rows, under + 1] * (at - under)
        return np.where(stayed >= moved[rows, best], held, self.weights[best])


def plan(market: Planted) -> Plan:
    """Return the best policy: worth(z, w) = growth + E max_w' (worth(z', w') + cost), relative to one state."""
    z, weights = np.linspace(-FAR, FAR, N_SIGNALS), grid(market)
    spread = np.sqrt(1 - market.persistence**2)
    chances = np.exp(-0.5 * ((z - market.persistence * z[:, None]) / spread) ** 2)  # Tauchen (1986), on a fine grid
    chances /= chances.sum(1, keepdims=True)
    earned = growth(market.edge * z[:, None], market.volatility, weights)
    moves = np.log1p(-market.fee_bps * 1e-4 * np.abs(weights - weights[:, None]))  # (from, to)
    signals, origins = np.arange(N_SIGNALS)[:, None], np.arange(len(weights))
    worth = earned.copy()
    for _ in range(MOST_ROUNDS):
        choice = (worth[:, None, :] + moves).argmax(2)  # (S, from)
        cost = moves[origins, choice]
        for sweep in range(SWEEPS):  # the first is a step of value iteration, the others only carry its choice on
            new = earned + chances @ (worth[signals, choice] + cost)
            change = new - worth
            worth = new - new[N_SIGNALS // 2, 0]
            if sweep == 0 and np.ptp(change) < CLOSE_ENOUGH:
                return Plan(market, z, weights, worth, 0.5 * float(change.max() + change.min()))
    raise ArithmeticError(f"value iteration did not settle within {MOST_ROUNDS} rounds for {market}")


def foresight(returns: Floats, market: Planted) -> float:
    """Return the log growth that starts flat and knows all these log returns (T,), after fees."""
    weights = grid(market)
    moves = np.log1p(-market.fee_bps * 1e-4 * np.abs(weights - weights[:, None]))
    worth = np.zeros(len(weights))
    for each in returns[::-1]:
        worth = (moves + np.log1p(weights * np.expm1(each)) + worth).max(1)
    return float(worth[np.abs(weights).argmin()])


def grid(market: Planted) -> Floats:
    return np.linspace(-1.0, 1.0, 2 * N_WEIGHTS - 1) if market.can_short else np.linspace(0.0, 1.0, N_WEIGHTS)
