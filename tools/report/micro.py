"""What the orders of a backtest would have paid in a book: the haircut (EXE-7).

From: the fills of a `Backtest` and the candles of its `Market`. To: the key `micro` of the document.

Freqtrade fills an order at a price of its candle, whole and at once. Here it is a market order that is sent when the
prints of its candle (LOB-32) are first at that price, travels as `Latency` says, meets a book around the price of the
moment it arrives, and takes from it in the matching engine. What that costs beyond the backtest has four parts:

    haircut = delay + spread + impact + fees

The price moves while the order travels (chance: it may also gain); half a spread lies between the middle and the best
quote; what is larger than the best level goes deeper; and the fee is a share of the price.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from tradekernels.environment.flow import BookFlow
from tradekernels.execution import CounterRandom, Latency, Slippage
from tradekernels.execution.expansion import Candles, expand
from tradekernels.orderbook.matching import MAX_LOTS, MESSAGE, Kind, MatchingEngine, Tape

from .market import Market, PairCandles
from .result import Backtest

Floats = npt.NDArray[np.float64]
PARTS = ("delay", "spread", "impact", "fees")
MIDDLE = 100_000_000  # ticks: the price at which an order arrives, so that a tick is 1e-8 of it
ORDER_LOTS = 1_000_000_000  # of every order, so that a lot is 1e-9 of it
LEVEL_BPS = 2.0  # between the levels that `BookFlow.depth` counts
MOST_LEVELS = 1000  # a fifth of the price
LIQUIDITY_BARS = 24  # before the candle of the order, whose mean volume the book's depth is a share of
PRINTS = (50, 3600)  # a candle has one a second, but no fewer and no more than these
AT_ONCE = 256  # candles whose prints are in memory


@dataclass(frozen=True)
class Venue:
    """The defaults are those of the environment in which policies learn (EXE-2, EXE-3, LOB-41)."""

    latency: Latency = field(default_factory=Latency)
    half_spread_bps: float = float(Slippage().half_spread_bps())
    depth: tuple[float, ...] = BookFlow.depth  # resting at each level, in minutes of traded volume; the last goes on


def replay(backtest: Backtest, market: Market, seed: int, venue: Venue | None = None) -> dict[str, Any]:
    """Return the haircut in total, by part and by trade; the same seed gives the same prints and latencies.

    An order without candles, without volume before it, or larger than `MOST_LEVELS` hold has no price here: it is
    counted in `unpriced` by reason and adds nothing.
    """
    venue, fills = venue or Venue(), backtest.fills
    costs = np.zeros((len(fills), len(PARTS)))
    unpriced: Counter[str] = Counter()
    latencies: list[float] = []
    times, prices = fills["time"].to_numpy(np.int64), fills["price"].to_numpy(np.float64)
    signed, rates = fills["signed_amount"].to_numpy(np.float64), fills["fee_rate"].to_numpy(np.float64)
    pairs = backtest.trades["pair"].to_numpy()[fills["trade"].to_numpy()]
    for pair in dict.fromkeys(pairs):
        own, candles = np.flatnonzero(pairs == pair), market.pairs.get(str(pair))
        rows = np.full(len(own), -1) if candles is None else candles_of(candles, times[own], market.step)
        unpriced["no candles"] += int((rows < 0).sum())
        if candles is None:
            continue
        latency, attempt = venue.latency.draw(times[own], CounterRandom(seed), own)
        for place, path in _paths(candles, market.step, rows, seed):
            order, liquidity = own[place], _per_minute(candles, rows[place], market.step)
            amount, price, side = abs(signed[order]), prices[order], float(np.sign(signed[order]))
            paid = take(amount / liquidity, side, venue) if liquidity > 0 else None
            if attempt[place] == 0 or paid is None:
                unpriced["no volume" if liquidity == 0 else "larger than the book" if paid is None else "lost"] += 1
                continue
            best, mean = paid
            arrival = path.price_at(int(times[order]), price, float(latency[place]))
            move, spread, impact = arrival - price, arrival * (best - 1), arrival * (mean - best)
            costs[order, :3] = side * amount * np.array([move, spread, impact])
            costs[order, 3] = rates[order] * amount * (move + spread + impact)
            latencies.append(float(latency[place]))
    volume = float(np.abs(signed) @ prices)
    totals = costs.sum(axis=0)
    haircut = float(totals.sum())
    return {
        "seed": seed,
        "orders": len(fills),
        "unpriced": [{"reason": reason, "orders": n} for reason, n in sorted((+unpriced).items())],
        "mean_latency_ms": float(np.mean(latencies)) if latencies else None,
        **dict(zip(PARTS, totals.tolist(), strict=True)),
        "haircut": haircut,
        "haircut_bps": haircut / volume * 1e4 if volume else None,
        "trades": _by_trade(backtest, costs.sum(axis=1)),
    }


def _by_trade(backtest: Backtest, costs: Floats) -> list[dict[str, Any]]:
    trades = backtest.trades
    haircuts = np.bincount(backtest.fills["trade"], costs, len(trades))
    columns = (trades["pair"], trades["open_time"], trades["profit"], haircuts)
    return [
        {"pair": pair, "open_time": opened, "profit": profit, "haircut": haircut, "profit_after": profit - haircut}
        for pair, opened, profit, haircut in zip(*columns, strict=True)
    ]


def candles_of(candles: PairCandles, times: npt.NDArray[np.int64], step: int) -> npt.NDArray[np.int64]:
    """Return the rows of the candles that are open at `times`; -1 where there is none."""
    rows = np.searchsorted(candles.open_times, times, side="right") - 1
    return np.where((rows >= 0) & (times < candles.open_times[rows] + step), rows, -1)


def take(minutes: float, side: float, venue: Venue) -> tuple[float, float] | None:
    """Return best quote and mean price of a market order, both as shares of the middle; None if the book is too small.

    Parameters
    ----------
    minutes : float
        Size of the order in minutes of traded volume, above 0.
    side : float
        1 takes asks, -1 bids.
    """
    depth = np.array(venue.depth)
    beyond = max(minutes - depth.sum(), 0.0) / depth[-1]
    n_levels = len(depth) + int(min(np.ceil(beyond), MOST_LEVELS)) + 1
    if n_levels > MOST_LEVELS:
        return None
    lots = np.pad(depth, (0, n_levels - len(depth)), mode="edge") / minutes * ORDER_LOTS
    book = np.zeros(n_levels + 1, MESSAGE)
    book["id"] = 1 + np.arange(n_levels + 1)
    book["lots"][:-1] = np.clip(np.rint(lots), 1, MAX_LOTS)
    away = (venue.half_spread_bps + LEVEL_BPS * np.arange(n_levels)) * 1e-4
    book["tick"][:-1] = np.rint(MIDDLE * (1 + side * away))
    book["kind"], book["side"] = Kind.LIMIT, -int(side)
    book["lots"][-1], book["kind"][-1], book["side"][-1] = ORDER_LOTS, Kind.MARKET, int(side)
    engine, tape = MatchingEngine(capacity=2 * MOST_LEVELS, window=64), Tape()
    engine.process(book, tape)
    trades = tape.trades
    if trades["lots"].sum() < ORDER_LOTS:
        return None
    return float(book["tick"][0] / MIDDLE), float(trades["tick"] @ trades["lots"] / ORDER_LOTS / MIDDLE)


@dataclass(frozen=True)
class Path:
    """The prints of one candle."""

    opened: float
    times: npt.NDArray[np.int64]  # ms
    prices: Floats

    def price_at(self, time: int, price: float, latency: float) -> float:
        """Return the last print when an order arrives that is sent once `price` is reached, from `time` (ms) on."""
        first = int(np.searchsorted(self.times, time))
        now = self.prices[first - 1] if first else self.opened
        sent = time
        if abs(price / now - 1) > 1e-6:  # not at the price of its moment: a stop, or a target within the candle
            reached = np.flatnonzero(np.sign(price - now) * (self.prices[first:] - price) >= 0)
            sent = int(self.times[first + reached[0]]) if len(reached) else time
        last = int(np.searchsorted(self.times, sent + latency, side="right")) - 1
        return float(self.prices[last]) if last >= 0 else self.opened


def _paths(candles: PairCandles, step: int, rows: npt.NDArray[np.int64], seed: int) -> Iterator[tuple[int, Path]]:
    """Yield the place of each fill whose candle is known, and the prints of that candle."""
    lot = max(float(candles.volume.max()), 1e-300) / 2**40
    prints = float(np.clip(step / 1000, *PRINTS))
    used = np.unique(rows[rows >= 0])
    for wanted in (used[first : first + AT_ONCE] for first in range(0, len(used), AT_ONCE)):
        chosen = np.unique(np.concatenate([wanted, np.maximum(wanted - 1, 0)]))  # a candle follows the one before
        tick = 10.0 ** np.floor(np.log10(candles.high[chosen])) * 1e-8  # of each: a coin may fall to a millionth
        open_, high, low, close = (
            np.maximum(np.rint(getattr(candles, name)[chosen] / tick), 1).astype(np.int64)
            for name in ("open", "high", "low", "close")
        )
        lots = np.maximum(np.rint(candles.volume[chosen] / lot), 4).astype(np.int64)  # as many as prices must print
        table = Candles(candles.open_times[chosen] * 1_000_000, open_, high, low, close, lots, step * 1_000_000)
        made, starts = expand(table, seed, prints)
        for place in np.flatnonzero(np.isin(rows, wanted)):
            k = int(np.searchsorted(chosen, rows[place]))
            own = made[starts[k] : starts[k + 1]]
            yield int(place), Path(float(candles.open[chosen[k]]), own["time"] // 1_000_000, own["tick"] * tick[k])


def _per_minute(candles: PairCandles, row: int, step: int) -> float:
    """Return base currency traded a minute in the candles before; the first of all knows only itself."""
    before = candles.volume[max(row - LIQUIDITY_BARS, 0) : row]
    return float((before if len(before) else candles.volume[:1]).mean() / (step / 60_000))
