"""Fit a flow to a feed (LOB-31). From: FEED rows. To: FlowParameters.

What the feed shows directly is measured. What only the interplay shows (how long orders stay, who closes a spread, how
fast a queue fades, how easily makers are scared) is found by simulating: short runs are compared with the feed and each
number is moved against its own error, a few times over. Nothing is known of any market beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .facts import BOUNDS, FAR, LEAST_DEPTH, facts
from .feed import Feed
from .fits import MAX_BRANCHING
from .flow import WARM_UP, OrderFlow
from .flow_measured import MOST_RATE, QUEUE_ORDERS, bin_of, measured
from .flow_parameters import FlowParameters
from .matching import MAX_LOTS
from .observed import N_BINS, Observed, bin_name, observe

INSIDE, INSIDE_IMBALANCE = 0.2, 0.4  # of a gate's width; the next move is the noisiest figure of an hour
N_ORDERS = 19_000  # market orders of a simulation that is compared with the feed
MOST_REQUOTES = 2.5 * QUEUE_ORDERS  # a move: beyond, more of them changes nothing
MOST_ALARM = 0.15  # of market orders: makers who are always scared do not quote
MOST_SHIFT = 8.0  # times: as far as a measured rate or life may be corrected
MOST_GAP_SHIFT = 1.5  # times more slowly: a spread that nobody closes shows queues that say little of the next move
MOST_REVERSAL = 0.25  # of moves: as many more may be taken back than the feed shows a second later


def corrected(p: FlowParameters, real: dict[str, float], sim: dict[str, float], gain: float) -> FlowParameters:
    """Move every number that only a simulation can judge against its own error."""

    def ratio(name: str, floor: float = 1e-3) -> float:
        return float(np.log(max(real[name], floor) / max(sim[name], floor)))

    def gap(name: str) -> float:
        return real[name] - sim[name] if np.isfinite(real[name] - sim[name]) else 0.0

    least = max(LEAST_DEPTH * sum(real[f"depth {bin_name(k)}"] for k in range(N_BINS)), 1e-3)
    depth = np.array([ratio(f"depth {bin_name(k)}", least) for k in range(N_BINS)])
    step = np.exp(1.5 * gain * np.clip(depth, -0.7, 0.7))
    low, high = BOUNDS["inter-arrival CV"]  # more excitation raises both: clusters may grow as far as gaps allow
    regular = max(real["inter-arrival CV"], high - INSIDE * (high - low))
    excite = 0.15 * ratio("Fano factor 1 s") + 2.0 * min(0.0, float(np.log(regular / sim["inter-arrival CV"])))
    branching = np.array(p.branching) * np.exp(gain * np.clip(excite, -0.3, 0.3))
    branching *= min(1.0, MAX_BRANCHING / branching.sum())
    wide = np.log((1.002 - sim["tight share"]) / (1.002 - real["tight share"]))
    predicts = gap("up above 0.8") - gap("up below -0.8")
    memory = ratio("sign autocorrelation 10", 0.02) - ratio("sign autocorrelation 1", 0.02)
    # Where the book is thin an order does not get all it wants: it wants more.
    lots = 0.5 * gain * np.clip((ratio("median size", 1.0) + ratio("90 % size", 1.0)) / 2, -0.3, 0.3)
    share = p.parent_share * np.exp(0.5 * gain * np.clip(ratio("sign autocorrelation 1", 0.02), -0.5, 0.5))
    best = step[bin_of(p.tight)]  # what is quoted anew after a move rests at the best, too
    restless = (ratio("volatility 1 s") + ratio("volatility 10 s")) / 2
    return replace(
        p,
        caution=float(min(p.caution * np.exp(gain * np.clip(restless, -1.0, 1.0)), 1.0)),
        alarm=float(min(p.alarm * np.exp(gain * np.clip(restless, -1.0, 1.0)), MOST_ALARM)),
        branching=tuple(branching.tolist()),
        base_rate=float(p.mean_rate * (1.0 - branching.sum())),
        mark_power=float(np.clip(p.mark_power + 0.1 * gain * ratio("Fano factor 1 s"), 0.0, 0.6)),
        parent_share=float(np.clip(share, 0.0, 1.0)),
        parent_tail=float(np.clip(p.parent_tail - 0.3 * gain * memory, 1.1, 3.0)),
        add_rate=tuple((np.array(p.add_rate) * np.sqrt(step)).tolist()),
        life=tuple((np.array(p.life) * np.sqrt(step)).tolist()),
        gap_rate=float(np.clip(p.gap_rate * np.exp(0.7 * gain * wide), 1e-3, MOST_RATE)),
        order_lots=tuple(np.minimum(np.array(p.order_lots) * np.exp(lots), MAX_LOTS).tolist()),
        follow=float(np.clip(p.follow + 0.3 * gain * ratio("variance ratio 10 s / 0.1 s"), 0.05, 1.0)),
        fade_rate=float(min(p.fade_rate * np.exp(2.5 * gain * np.clip(predicts, -0.3, 0.3)), MOST_RATE)),
        requotes=float(min(p.requotes * np.sqrt(best) * np.exp(3.0 * gain * gap("order flow R2 1 s")), MOST_REQUOTES)),
    )


def aims(real: dict[str, float]) -> dict[str, float]:
    """Return the figures to aim at: the real ones, but no nearer than INSIDE to bounds that a gate has of its own.

    A short feed shows its figures with an error; what is aimed at the very edge of a gate misses it half of the time.
    A figure that lies far outside its band is that of another kind of market, and is aimed at as it is.
    """
    # Buyers and sellers are alike: both ends of the imbalance say the same thing.
    up = (real["up above 0.8"] + 1.0 - real["up below -0.8"]) / 2
    real = real | {"up above 0.8": up, "up below -0.8": 1.0 - up}
    out = dict(real)
    for name, (low, high) in BOUNDS.items():
        if name in ("one-tick spread share", "up is monotone") or np.isinf(high):
            continue
        inside = (INSIDE_IMBALANCE if name.startswith("up") else INSIDE) * (high - low)
        if np.isnan(real[name]):
            out[name] = (low + high) / 2
        elif low - FAR * (high - low) <= real[name] <= high + FAR * (high - low):
            out[name] = float(np.clip(real[name], low + inside, high - inside))
    return out


def mean_of(sets: list[FlowParameters]) -> FlowParameters:
    """Return the mean of every number that was corrected: their noise cancels (Polyak and Juditsky, 1992)."""
    names = (
        "mean_rate", "base_rate", "branching", "mark_power", "parent_share", "parent_tail", "add_rate", "life",
        "gap_rate", "follow", "alarm", "caution", "fade_rate", "requotes", "order_lots",
    )  # fmt: skip
    means = {name: np.mean([getattr(p, name) for p in sets], axis=0) for name in names}
    changes: dict[str, Any] = {name: tuple(m.tolist()) if m.ndim else float(m) for name, m in means.items()}
    return replace(sets[-1], **changes)


def calibrate(
    feed: Feed | np.ndarray,
    rounds: int = 24,
    seconds: float | None = None,
    seed: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> FlowParameters:
    """Return the parameters of a flow that looks like a feed; half a minute of work or so.

    Parameters
    ----------
    feed : Feed, or ndarray of FEED by time
        Depth with trades; some minutes at least.
    rounds : int
        Simulations that the numbers are corrected by; the mean over the later half is returned.
    seconds : float, optional
        Length of each; by default as long as N_ORDERS market orders take.
    seed : int
        Of the first simulation; the others have the next ones.
    progress : callable, optional
        Called with (rounds done, rounds) after each.

    Raises
    ------
    ValueError
        If the feed has too few books with two sides, or market orders (see `observe`), or lasts no second.
    """
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}, expected at least 1")
    if seconds is not None and not 10 <= seconds <= 1e6:
        raise ValueError(f"seconds is {seconds}, expected 10 to 1e6")
    seen = observe(feed)
    if seen.seconds < 1:
        raise ValueError(f"the feed lasts {seen.seconds} seconds, expected some minutes")
    p = first = measured(feed, seen)
    goal, tried = aims(facts(seen) | tight_share(seen, p.tight)), []
    seconds = seconds or float(np.clip(N_ORDERS / p.mean_rate, 300.0, 7200.0))
    for k in range(rounds):
        tried.append(p)
        flow = OrderFlow(p, (seed + k) % 2**64)
        shown = observe(flow.feed(seconds))
        sim = facts(shown) | tight_share(shown, p.tight)
        p = within_reach(corrected(p, goal, sim, 0.8 / (1.0 + k / 6.0)), first)
        # Orders of one side in one millisecond look like one: as many more are sent.
        merged = flow.market_orders / max(sim["market orders a second"] * (seconds + WARM_UP), 1.0)
        rate = goal["market orders a second"] * float(np.clip(merged, 0.9, 1.5))
        p = replace(p, mean_rate=rate, base_rate=rate * (1.0 - sum(p.branching)))
        if progress is not None:
            progress(k + 1, rounds)
    return mean_of(tried[rounds // 2 :])


def tight_share(seen: Observed, tight: int) -> dict[str, float]:
    """Return how often the spread is no wider than usual, as a fact."""
    return {"tight share": float(np.mean(seen.spread <= tight))}


def within_reach(p: FlowParameters, first: FlowParameters) -> FlowParameters:
    """Return parameters whose rates and lives are no farther than MOST_SHIFT from those measured."""
    near: dict[str, Any] = {}
    for name in ("add_rate", "life"):
        was = np.array(getattr(first, name))
        near[name] = tuple(np.clip(getattr(p, name), was / MOST_SHIFT, was * MOST_SHIFT).tolist())
    least, most = first.gap_rate / MOST_GAP_SHIFT, first.gap_rate * MOST_SHIFT
    follow = float(np.clip(p.follow, max(first.follow - MOST_REVERSAL, 0.05), 1.0))
    return replace(p, gap_rate=float(np.clip(p.gap_rate, least, most)), follow=follow, **near)
