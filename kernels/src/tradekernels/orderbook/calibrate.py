"""Fit a flow to a feed (LOB-31). From: FEED rows. To: FlowParameters.

What the feed shows directly is measured: sizes, rates and kernels of market orders, the memory of their signs, rates
and sizes of limit orders by distance. What only the interplay shows (how long orders stay, who closes a spread, how
fast a queue fades) is found by simulating: short runs are compared with the feed and each number is moved against its
own error, a few times over. Nothing is known of any market beforehand.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ._flow import excite
from .facts import BOUNDS, N_BINS, SECOND, Observed, autocorrelation, bin_name, facts, observe
from .flow import N_KERNELS, WARM_UP, FlowParameters, OrderFlow

DECAYS = np.array([50.0, 8.0, 1.2, 0.2, 0.03])  # a second: five kernels span 20 ms to half a minute
MAX_BRANCHING = 0.95
MAX_LOG_DEVIATION = (
    1.5  # of limit order sizes: heavier tails come and go as single orders, and no queue is like another
)
INSIDE, INSIDE_IMBALANCE = 0.2, 0.4  # of a gate's width; the next move is the noisiest figure of an hour
QUEUE_ORDERS = 40  # in a best queue
PARENT_LIMITS = (30, 100, 300, 1000)  # children; beyond, a parent lasts longer than a feed can tell
MARK_POWERS = (0.0, 0.125, 0.25, 0.375, 0.5, 0.625)
N_SIZES = 1024  # market orders kept as the table of sizes
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


def measured(rows: np.ndarray, seen: Observed) -> FlowParameters:
    """Return a first set of parameters: what the feed shows directly, and guesses for the rest."""
    rate = len(seen.order_time) / seen.seconds
    ties = np.arange(len(seen.order_time)) % 7 / 7e3  # orders within the clock's millisecond, apart
    time = np.sort((seen.order_time - seen.order_time[0]) / SECOND + ties)
    _, branching, power = fit_hawkes(time, np.maximum(seen.order_lots, 1.0))
    share, tail, most = fit_parents(seen.order_side)
    count, lots, logs, squares = np.maximum(seen.added, 1e-9)
    logs = seen.added[2] / count
    deviation = np.sqrt(np.clip(squares / count - logs**2, 0.0, MAX_LOG_DEVIATION**2))
    # A depth message nets what happened since the last one: the best queue is really many small orders.
    finer = max(1.0, QUEUE_ORDERS * lots[0] / count[0] / max(seen.depth[0], 1.0))
    lots_each = np.maximum(lots / count, 1.0)
    count, lots_each, deviation = count.copy(), lots_each.copy(), deviation.copy()
    count[0], lots_each[0], deviation[0] = count[0] * finer, max(lots_each[0] / finer, 1.0), min(deviation[0], 0.8)
    pick = np.unique(np.linspace(0, len(seen.order_lots) - 1, N_SIZES).astype(int))
    order = np.argsort(seen.order_lots, kind="stable")[pick]
    return FlowParameters(
        mean_rate=rate,
        base_rate=float(rate * (1.0 - branching.sum())),
        branching=tuple(branching.tolist()),
        decay=tuple(DECAYS.tolist()),
        parent_share=share,
        parent_tail=tail,
        parent_limit=most,
        add_rate=tuple(count.tolist()),
        add_log_mean=tuple((np.log(lots_each) - deviation**2 / 2).tolist()),
        add_log_deviation=tuple(deviation.tolist()),
        life=tuple(np.clip(2 * seen.depth / lots, 1e-3, 1e4).tolist()),
        depth=tuple(seen.depth.tolist()),
        gap_rate=100.0 * rate,
        follow=0.7,
        lean=0.0,
        fade_rate=3.0 * rate,
        requotes=20.0,
        requote_power=0.5,
        elasticity=0.5,
        mark_power=power,
        order_lots=tuple(seen.order_lots[order].astype(float).tolist()),
        order_span=tuple(seen.order_span[order].astype(float).tolist()),
        message_ns=max(round(seen.seconds / len(seen.time) * 1000), 1) * 1_000_000,
        centre=int(np.median(seen.bid)),
    )


def corrected(p: FlowParameters, real: dict[str, float], sim: dict[str, float], gain: float) -> FlowParameters:
    """Move every number that only a simulation can judge against its own error."""

    def ratio(name: str, floor: float = 1e-3) -> float:
        return float(np.log(max(real[name], floor) / max(sim[name], floor)))

    def gap(name: str) -> float:
        return real[name] - sim[name] if np.isfinite(real[name] - sim[name]) else 0.0

    depth = np.array([ratio(f"depth {bin_name(k)}", 1.0) for k in range(N_BINS)])
    step = np.exp(gain * np.clip(depth, -1.0, 1.0))
    low, high = BOUNDS["inter-arrival CV"]  # more excitation raises both: clusters may grow as far as gaps allow
    regular = max(real["inter-arrival CV"], high - INSIDE * (high - low))
    excite = 0.15 * ratio("Fano factor 1 s") + 2.0 * min(0.0, float(np.log(regular / sim["inter-arrival CV"])))
    branching = np.array(p.branching) * np.exp(gain * np.clip(excite, -0.3, 0.3))
    branching *= min(1.0, MAX_BRANCHING / branching.sum())
    wide = np.log((1.002 - sim["one-tick spread share"]) / (1.002 - real["one-tick spread share"]))
    predicts = gap("up above 0.8") - gap("up below -0.8")
    memory = ratio("sign autocorrelation 10", 0.02) - ratio("sign autocorrelation 1", 0.02)
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
        gap_rate=float(p.gap_rate * np.exp(0.7 * gain * wide)),
        follow=float(np.clip(p.follow + 0.3 * gain * ratio("variance ratio 10 s / 0.1 s"), 0.05, 1.0)),
        fade_rate=float(p.fade_rate * np.exp(4.0 * gain * np.clip(predicts, -0.3, 0.3))),
        requotes=float(p.requotes * np.exp(3.0 * gain * gap("order flow R2 1 s"))),
    )


def aims(real: dict[str, float]) -> dict[str, float]:
    """Return the figures to aim at: the real ones, but no nearer than INSIDE to bounds that a gate has of its own.

    A short feed shows its figures with an error; what is aimed at the very edge of a gate misses it half of the time.
    """
    out = dict(real)
    for name, (low, high) in BOUNDS.items():
        if name in ("one-tick spread share", "up is monotone") or high - low > 1e3:
            continue
        inside = (INSIDE_IMBALANCE if name.startswith("up") else INSIDE) * (high - low)
        out[name] = float(np.clip(np.nan_to_num(real[name], nan=(low + high) / 2), low + inside, high - inside))
    # Buyers and sellers are alike: both ends of the imbalance say the same thing.
    up = (out["up above 0.8"] + 1.0 - out["up below -0.8"]) / 2
    return out | {"up above 0.8": up, "up below -0.8": 1.0 - up}


def mean_of(sets: list[FlowParameters]) -> FlowParameters:
    """Return the mean of every number that was corrected: their noise cancels (Polyak and Juditsky, 1992)."""
    names = (
        "mean_rate", "base_rate", "branching", "mark_power", "parent_share", "parent_tail", "add_rate", "life",
        "gap_rate", "follow", "fade_rate", "requotes",
    )  # fmt: skip
    means = {name: np.mean([getattr(p, name) for p in sets], axis=0) for name in names}
    changes: dict[str, Any] = {name: tuple(m.tolist()) if m.ndim else float(m) for name, m in means.items()}
    return replace(sets[-1], **changes)


def calibrate(rows: np.ndarray, rounds: int = 24, seconds: float = 1200.0, seed: int = 1) -> FlowParameters:
    """Return the parameters of a flow that looks like a feed.

    Parameters
    ----------
    rows : ndarray of FEED
        A depth feed with trades, by time; some minutes at least.
    rounds : int
        Simulations that the numbers are corrected by; the mean over the later half is returned.
    seconds : float
        Length of each.
    seed : int
        Of the first simulation; the others have the next ones.
    """
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}, expected at least 1")
    seen = observe(rows)
    p, tried = measured(rows, seen), []
    goal = aims(facts(seen))
    for k in range(rounds):
        tried.append(p)
        flow = OrderFlow(p, seed + k)
        sim = facts(observe(flow.feed(seconds)))
        p = corrected(p, goal, sim, 0.8 / (1.0 + k / 6.0))
        # Orders of one side in one millisecond look like one: as many more are sent.
        merged = flow.market_orders / max(sim["market orders a second"] * (seconds + WARM_UP), 1.0)
        rate = goal["market orders a second"] * float(np.clip(merged, 0.9, 1.5))
        p = replace(p, mean_rate=rate, base_rate=rate * (1.0 - sum(p.branching)))
    return mean_of(tried[rounds // 2 :])
