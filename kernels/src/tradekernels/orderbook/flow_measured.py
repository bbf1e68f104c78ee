"""What a feed shows directly (LOB-31). From: FEED rows. To: the parameters that calibrate.py begins with.

Sizes, rates and kernels of market orders, the memory of their signs, rates and sizes of limit orders by distance, how
far quotes go when they go and how soon the other side comes after them.
"""

from __future__ import annotations

import numpy as np

from .feed import Feed
from .fits import DECAYS, fit_hawkes, fit_parents
from .flow_parameters import FlowParameters
from .matching import MAX_LOTS
from .observed import N_BINS, SECOND, Observed, observe

MAX_LOG_DEVIATION = (
    1.5  # of limit order sizes: with heavier tails single orders come and go, and no queue is like another
)
QUEUE_ORDERS = 40  # in a best queue
MOST_ORDERS = 1000  # of a distance bin and side: so both sides of all bins fit a book
N_SIZES, N_CLOSINGS = 1024, 64  # market orders and moves, and spreads, kept as tables
MOST_RATE = 1e4  # a second: beyond, more of them changes nothing


def measured(feed: Feed | np.ndarray, seen: Observed | None = None) -> FlowParameters:
    """Return a first set of parameters: what the feed shows directly, and guesses for the rest."""
    seen = observe(feed) if seen is None else seen
    rate = len(seen.order_time) / seen.seconds
    ties = np.arange(len(seen.order_time)) % 7 / 7e3  # orders within the clock's millisecond, apart
    time = np.sort((seen.order_time - seen.order_time[0]) / SECOND + ties)
    _, branching, power = fit_hawkes(time, np.maximum(seen.order_lots, 1.0))
    share, tail, most = fit_parents(seen.order_side)
    tight = int(np.median(seen.spread))
    far, closing, held = moves(seen, tight)
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
        gap_rate=closing,
        follow=held,
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
        retreats=far,
        alarm=0.02,
        caution=1.0 if tight == 1 else 0.1,  # where quotes are a few steps apart, one that goes says little
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


def moves(seen: Observed, tight: int) -> tuple[tuple[float, ...], float, float]:
    """Return how far a best quote went when it went (quantiles), how fast a second that was closed, how often it held.

    Counted from books whose spread was not open. If an opening lasts an exponential time of rate g and comes anywhere
    within a message's time T, a share 1 - (1 - exp(-gT)) / gT of them is closed when the message shows the book.
    """
    usual, asks, bids = seen.spread[:-1] <= tight, np.diff(seen.ask), -np.diff(seen.bid)
    i = np.flatnonzero(usual & ((asks > 0) | (bids > 0)))
    if not len(i):
        return (1.0,), MOST_RATE, 1.0
    far = np.sort(np.concatenate([side[i][side[i] > 0] for side in (asks, bids)]))
    pick = np.unique(np.linspace(0, len(far) - 1, N_SIZES).astype(int))
    closed = min(float(np.mean(seen.spread[i + 1] <= tight)), 0.99)
    rate = max(closed * (2 - closed) / (1 - closed), 1e-3)  # gT: right at both ends and within a tenth between
    later = np.minimum(np.searchsorted(seen.time, seen.time[i + 1] + SECOND), len(seen.mid) - 1)
    held = (seen.mid[later] - seen.mid[i]) * (seen.mid[i + 1] - seen.mid[i]) > 0
    closing = min(rate * len(seen.time) / seen.seconds, MOST_RATE)
    return tuple(far[pick].astype(float).tolist()), closing, float(held.mean())


def joining(seen: Observed, tight: int) -> float:
    """Return how much of its distance bin rests at the best itself, where the usual spread is wider than a step."""
    if tight == 1:
        return 0.0
    usual = seen.spread == tight
    best = (seen.bid_lots[usual].mean() + seen.ask_lots[usual].mean()) / 2
    return float(np.clip(best / max(seen.depth[bin_of(tight)], 1e-9), 0.0, 1.0))
