"""Fit a flow to a feed (LOB-31). From: FEED rows. To: FlowParameters.

What the feed shows directly is measured: sizes, rates and kernels of market orders, the memory of their signs, rates
and sizes of limit orders by distance. What only the interplay shows (how long orders stay, who closes a spread, how
fast a queue fades) is found by simulating: short runs are compared with the feed and each number is moved against its
own error, a few times over. Nothing is known of any market beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .facts import BOUNDS, FAR, LEAST_DEPTH, facts
from .feed import Feed
from .fits import DECAYS, MAX_BRANCHING, fit_hawkes, fit_parents
from .flow import WARM_UP, FlowParameters, OrderFlow
from .matching import MAX_LOTS
from .observed import N_BINS, SECOND, Observed, bin_name, observe

MAX_LOG_DEVIATION = (
    1.5  # of limit order sizes: heavier tails come and go as single orders, and no queue is like another
)
INSIDE, INSIDE_IMBALANCE = 0.2, 0.5  # of a gate's width; the next move is the noisiest figure of an hour
QUEUE_ORDERS = 40  # in a best queue
MOST_ORDERS = 1000  # of a distance bin and side: so both sides of all bins fit a book
N_SIZES, N_CLOSINGS = 1024, 64  # market orders, and spreads, kept as tables
N_ORDERS = 19_000  # market orders of a simulation that is compared with the feed
MOST_RATE, MOST_REQUOTES = 1e4, 2.5 * QUEUE_ORDERS  # a second, and a move: beyond, more of them changes nothing
MOST_SHIFT = 8.0  # times: as far as a measured rate or life may be corrected


def measured(feed: Feed | np.ndarray, seen: Observed | None = None) -> FlowParameters:
    """Return a first set of parameters: what the feed shows directly, and guesses for the rest."""
    seen = observe(feed) if seen is None else seen
    rate = len(seen.order_time) / seen.seconds
    ties = np.arange(len(seen.order_time)) % 7 / 7e3  # orders within the clock's millisecond, apart
    time = np.sort((seen.order_time - seen.order_time[0]) / SECOND + ties)
    _, branching, power = fit_hawkes(time, np.maximum(seen.order_lots, 1.0))
    share, tail, most = fit_parents(seen.order_side)
    tight = int(np.median(seen.spread))
    count, each, deviation = limit_orders(seen, tight)
    pick = np.unique(np.linspace(0, len(seen.order_lots) - 1, N_SIZES).astype(int))
    order = np.argsort(seen.order_lots, kind="stable")[pick]
    life = 2 * seen.depth / np.maximum(count * each, 1e-9)
    return FlowParameters(
        mean_rate=rate,
        base_rate=float(rate * (1.0 - branching.sum())),
        branching=tuple(branching.tolist()),
        decay=tuple(DECAYS.tolist()),
        parent_share=share,
        parent_tail=tail,
        parent_limit=most,
        add_rate=tuple(count.tolist()),
        add_log_mean=tuple((np.log(each) - deviation**2 / 2).tolist()),
        add_log_deviation=tuple(deviation.tolist()),
        life=tuple(np.clip(life, 1e-3, 1e4).tolist()),
        depth=tuple(seen.depth.tolist()),
        gap_rate=100.0 * rate,
        follow=0.7,
        lean=0.0,
        fade_rate=3.0 * rate,
        requotes=20.0,
        requote_power=0.5,
        elasticity=0.5,
        mark_power=power,
        order_lots=tuple(np.minimum(seen.order_lots[order], MAX_LOTS).astype(float).tolist()),
        order_span=tuple(seen.order_span[order].astype(float).tolist()),
        message_ns=max(round(seen.seconds / len(seen.time) * 1000), 1) * 1_000_000,
        centre=int(np.median(seen.bid)),
        step=seen.grid,
        tight=tight,
        closed_to=closings(seen.spread, tight),
        join=joining(seen, tight),
    )


def limit_orders(seen: Observed, tight: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return limit orders a second by distance, their mean size and the deviation of its logarithm.

    A depth message nets what happened since the last one: the best queue is really many small orders.
    """
    count, lots, logs, squares = seen.added
    each = np.maximum(lots / np.maximum(count, 1e-9), 1.0)
    logs, squares = logs / np.maximum(count, 1e-9), squares / np.maximum(count, 1e-9)
    deviation = np.sqrt(np.clip(squares - logs**2, 0.0, MAX_LOG_DEVIATION**2))
    best, queue = bin_of(tight), (seen.bid_lots.mean() + seen.ask_lots.mean()) / 2
    finer = min(max(1.0, QUEUE_ORDERS * each[best] / queue), each[best])
    finest = np.maximum(1.0, seen.depth / MOST_ORDERS / each)  # a bin of very many orders: as few larger ones
    finest[best] = max(1.0 / finer, finest[best] / finer)
    deviation[best] = min(deviation[best], 0.8)
    return count / finest, np.minimum(np.maximum(each * finest, 1.0), MAX_LOTS), deviation


def bin_of(distance: int) -> int:
    """Return the distance bin of a number of steps."""
    return min(max(distance - 1, 0).bit_length(), N_BINS - 1)


def closings(spread: np.ndarray, tight: int) -> tuple[float, ...]:
    """Return quantiles of the spread that was left when an open one grew narrower."""
    narrower = np.flatnonzero((spread[:-1] > tight) & (spread[1:] < spread[:-1])) + 1
    if not len(narrower):
        return (float(tight),)
    return tuple(np.quantile(spread[narrower], np.linspace(0, 1, N_CLOSINGS), method="nearest").astype(float).tolist())


def joining(seen: Observed, tight: int) -> float:
    """Return how much of its distance bin rests at the best itself, where the usual spread is wider than a step."""
    if tight == 1:
        return 0.0
    usual = seen.spread == tight
    best = (seen.bid_lots[usual].mean() + seen.ask_lots[usual].mean()) / 2
    return float(np.clip(best / max(seen.depth[bin_of(tight)], 1e-9), 0.0, 1.0))


def corrected(p: FlowParameters, real: dict[str, float], sim: dict[str, float], gain: float) -> FlowParameters:
    """Move every number that only a simulation can judge against its own error."""

    def ratio(name: str, floor: float = 1e-3) -> float:
        return float(np.log(max(real[name], floor) / max(sim[name], floor)))

    def gap(name: str) -> float:
        return real[name] - sim[name] if np.isfinite(real[name] - sim[name]) else 0.0

    least = max(LEAST_DEPTH * sum(real[f"depth {bin_name(k)}"] for k in range(N_BINS)), 1e-3)
    depth = np.array([ratio(f"depth {bin_name(k)}", least) for k in range(N_BINS)])
    step = np.exp(gain * np.clip(depth, -1.0, 1.0))
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
    return replace(
        p,
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
        fade_rate=float(min(p.fade_rate * np.exp(4.0 * gain * np.clip(predicts, -0.3, 0.3)), MOST_RATE)),
        requotes=float(min(p.requotes * np.exp(3.0 * gain * gap("order flow R2 1 s")), MOST_REQUOTES)),
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
        "gap_rate", "follow", "fade_rate", "requotes", "order_lots",
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
    """Return the parameters of a flow that looks like a feed; some 20 seconds of work.

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
    return replace(p, **near)
