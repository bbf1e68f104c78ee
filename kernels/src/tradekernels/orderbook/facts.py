"""Stylised facts of an order-driven market, and their gates (LOB-31). From: feeds, or what they show. To: numbers.

A gate is either a band of its own, in which markets of the spec's kind lie, or closeness to the real figure. Of a
market that is itself outside a band the band cannot be asked: its gate is then closeness to what the feed shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .feed import Feed
from .observed import (  # noqa: F401  (the constants are public here)
    BUY_TRADE,
    CLEAR_ASK,
    CLEAR_BID,
    FEED,
    N_BINS,
    SECOND,
    SELL_TRADE,
    SET_ASK,
    SET_BID,
    Observed,
    bin_name,
    feed_rows,
    market_orders,
    observe,
)


def autocorrelation(values: np.ndarray, lag: int) -> float:
    """Return the correlation of a series with itself `lag` later."""
    x = values - values.mean()
    power = float(np.dot(x, x))
    return float(np.dot(x[:-lag], x[lag:]) / power) if len(x) > lag and power > 0 else 0.0


def on_grid(time: np.ndarray, values: np.ndarray, step_ns: int) -> np.ndarray:
    """Return the last value known at every step from the first time to the last."""
    grid = np.arange(time[0], time[-1] + 1, step_ns)
    return values[np.searchsorted(time, grid, side="right") - 1]


def fano_factor(time: np.ndarray, window_ns: int) -> float:
    """Return variance over mean of the counts in windows; 1 for a Poisson flow."""
    counts = np.bincount((time - time[0]) // window_ns)[:-1]
    return float(counts.var() / counts.mean()) if len(counts) > 1 and counts.mean() > 0 else 0.0


def excess_kurtosis(values: np.ndarray) -> float:
    """Return the fourth standardised moment less 3."""
    x = values - values.mean()
    variance = float(np.mean(x**2))
    return float(np.mean(x**4) / variance**2 - 3.0) if variance > 0 else 0.0


def variance_ratio(seen: Observed, long_ns: int, short_ns: int) -> float:
    """Return the variance of long returns over that of short ones, for equal times; 1 for a random walk."""
    mid = on_grid(seen.time, seen.mid, short_ns).astype(float)
    k = long_ns // short_ns
    short, long = np.diff(mid), mid[k:] - mid[:-k]
    return float(long.var() / (k * short.var())) if short.var() > 0 else 0.0


def order_flow_r2(seen: Observed, window_ns: int = SECOND) -> float:
    """Return the R2 of mid changes on order flow imbalance, after Cont, Kukanov and Stoikov (2014)."""
    b, bq, a, aq = seen.bid, seen.bid_lots, seen.ask, seen.ask_lots
    flow = (b[1:] >= b[:-1]) * bq[1:] - (b[1:] <= b[:-1]) * bq[:-1]
    flow = flow - ((a[1:] <= a[:-1]) * aq[1:] - (a[1:] >= a[:-1]) * aq[:-1])
    total = np.concatenate([[0], np.cumsum(flow)])
    moves = np.diff(on_grid(seen.time, seen.mid, window_ns).astype(float))
    flows = np.diff(on_grid(seen.time, total, window_ns).astype(float))
    return float(np.corrcoef(moves, flows)[0, 1] ** 2) if moves.std() > 0 and flows.std() > 0 else 0.0


IMBALANCE_EDGES = np.array([-1.0, -0.8, -0.3, 0.3, 0.8, 1.0])


def next_move_up(seen: Observed) -> np.ndarray:
    """Return for each range of imbalance the share of books whose next other mid is higher; NaN where none is seen."""
    mid, imbalance = seen.mid, seen.imbalance
    change = np.flatnonzero(np.diff(mid)) + 1
    following = np.searchsorted(change, np.arange(len(mid)), side="right")
    known = following < len(change)
    up = mid[change[following[known]]] > mid[known]
    which = np.clip(np.digitize(imbalance[known], IMBALANCE_EDGES) - 1, 0, len(IMBALANCE_EDGES) - 2)
    with np.errstate(invalid="ignore"):
        return np.bincount(which, up, len(IMBALANCE_EDGES) - 1) / np.bincount(which, minlength=len(IMBALANCE_EDGES) - 1)


def facts(feed: Feed | np.ndarray | Observed) -> dict[str, float]:
    """Return every gated figure of a feed, its FEED rows or what they show, and a few that are only told, by name."""
    seen = feed if isinstance(feed, Observed) else observe(feed)
    gaps = np.diff(seen.order_time)
    up = next_move_up(seen)
    mid_1s = np.diff(on_grid(seen.time, seen.mid, SECOND).astype(float)) / 2
    mid_10s = on_grid(seen.time, seen.mid, SECOND).astype(float) / 2
    out = {
        "one-tick spread share": float(np.mean(seen.spread == 1)),
        "market orders a second": len(seen.order_time) / seen.seconds,
        "median size": float(np.median(seen.order_lots)),
        "90 % size": float(np.quantile(seen.order_lots, 0.9)),
        "sign autocorrelation 1": autocorrelation(seen.order_side.astype(float), 1),
        "sign autocorrelation 10": autocorrelation(seen.order_side.astype(float), 10),
        "sign autocorrelation 50": autocorrelation(seen.order_side.astype(float), 50),
        "inter-arrival CV": float(gaps.std() / gaps.mean()),
        "Fano factor 1 s": fano_factor(seen.order_time, SECOND),
        "excess kurtosis 1 s": excess_kurtosis(mid_1s),
        "excess kurtosis 10 s": excess_kurtosis(mid_10s[10:] - mid_10s[:-10]),
        "variance ratio 10 s / 0.1 s": variance_ratio(seen, 10 * SECOND, SECOND // 10),
        "order flow R2 1 s": order_flow_r2(seen),
        "up below -0.8": float(up[0]),
        "up above 0.8": float(up[-1]),
        "up is monotone": float(np.all(np.diff(up) > 0)),
        "median spread": float(np.median(seen.spread)),
        "volatility 1 s": float(mid_1s.std()),
        "volatility 10 s": float((mid_10s[10:] - mid_10s[:-10]).std()),
        "books a second": len(seen.time) / seen.seconds,
    }
    return out | {f"depth {bin_name(k)}": float(value) for k, value in enumerate(seen.depth)}


@dataclass(frozen=True)
class Gate:
    """A figure of a simulated feed, the real one beside it, and where it has to lie.

    Parameters
    ----------
    name : str
    real, simulated, low, high : float
    kind : str
        "band": bounds of LOB-31. "close": bounds around the real figure. "moved": the real feed lies outside the band,
        which is moved to it. "none": the real feed does not show the figure; nothing is asked.
    """

    name: str
    real: float
    simulated: float
    low: float
    high: float
    kind: str = "band"

    @property
    def ours(self) -> bool:
        """Whether LOB-31 does not ask for the figure, but we do."""
        return self.name in OURS

    @property
    def passed(self) -> bool:
        """Whether the simulated figure lies within its bounds; NaN does not, where anything is asked."""
        return self.kind == "none" or self.low <= self.simulated <= self.high


BOUNDS = {
    "one-tick spread share": (0.97, 1.0),
    "sign autocorrelation 1": (0.15, 0.45),
    "sign autocorrelation 10": (0.08, 0.17),
    "sign autocorrelation 50": (0.01, np.inf),
    "inter-arrival CV": (1.3, 1.9),
    "Fano factor 1 s": (8.0, 30.0),
    "excess kurtosis 1 s": (4.0, np.inf),
    "variance ratio 10 s / 0.1 s": (0.7, 1.7),
    "order flow R2 1 s": (0.35, 0.65),
    "up below -0.8": (0.10, 0.25),
    "up above 0.8": (0.75, 0.90),
    "up is monotone": (1.0, 1.0),
}
WITHIN = {"market orders a second": 0.10, "median size": 0.20, "90 % size": 0.20}
OURS = {
    "volatility 1 s": 0.30,
    "volatility 10 s": 0.30,
}  # not asked by LOB-31: whoever makes a market is paid for bearing it
WITHIN |= OURS
DEPTH_WITHIN = 0.25
MOVED_WITHIN = 0.25  # of a figure whose band does not fit the market
FAR = 0.25  # of a band's width outside it: no error of a short feed any more
LEAST_DEPTH = 1e-5  # of all that rests: a bin with less is empty


def moved(real: float, low: float, high: float) -> tuple[float, float]:
    """Return the band of a figure that its own band does not hold.

    Nearer than FAR that band is stretched to it; a farther one gets its own, as wide, or MOVED_WITHIN of the figure.
    """
    if low - FAR * (high - low) <= real <= high + FAR * (high - low) and not np.isinf(high):
        return min(low, real), max(high, real)
    width = abs(low) if np.isinf(high) else (high - low) / 2
    half = max(width, MOVED_WITHIN * abs(real))
    return real - half, np.inf if np.isinf(high) else real + half


def gates(
    real: Feed | np.ndarray | Observed | dict[str, float], simulated: Feed | np.ndarray | Observed | dict[str, float]
) -> list[Gate]:
    """Return the gates of LOB-31 for two feeds, or for their facts."""
    real, simulated = (given if isinstance(given, dict) else facts(given) for given in (real, simulated))
    out, empty = [], LEAST_DEPTH * sum(value for name, value in real.items() if name.startswith("depth"))
    for name, value in simulated.items():
        was = real[name]
        if name.startswith("depth"):
            half = max(DEPTH_WITHIN * was, empty)
            out.append(Gate(name, was, value, was - half, was + half, "close"))
        elif name in WITHIN:
            out.append(Gate(name, was, value, was * (1 - WITHIN[name]), was * (1 + WITHIN[name]), "close"))
        elif name in BOUNDS:
            low, high = BOUNDS[name]
            if low <= was <= high:
                out.append(Gate(name, was, value, low, high))
            elif np.isnan(was) or low == high:
                out.append(Gate(name, was, value, low, high, "none"))
            else:
                out.append(Gate(name, was, value, *moved(was, low, high), "moved"))
        elif name == "excess kurtosis 10 s":  # falls with the horizon
            shows = real["excess kurtosis 1 s"] >= was
            out.append(Gate(name, was, value, -np.inf, simulated["excess kurtosis 1 s"], "band" if shows else "none"))
    return out
