"""Baseline of chance: the same trades entered at random times (EVA-3).

From: a backtest's closed trades and the candles of their pairs.
To: net profits of many runs and the band of their equity, to hold the strategy's profit against.

A run keeps, per pair, the number of trades, each trade's side, length, stake, leverage, fee rates and funding; only
the entry moves. Trades of one pair do not overlap, as Freqtrade's do not. Entry and exit are at candle opens.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from .market import Market, PairCandles

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
BLOCK = 1_000_000  # random trades placed at once: bounds memory to some 100 MB


@dataclass(frozen=True)
class RandomRuns:
    """Outcome of the runs; `strategy_profit` counts the same trades, those of pairs with candles."""

    profits: Floats  # (runs,) net of fees, funding included
    curves: Floats  # (runs, samples) profit marked to market at the sample times
    strategy_profit: float
    trades: int

    @property
    def percentile(self) -> float:
        """Return the share of runs below the strategy in percent, ties counted half."""
        below = np.mean(self.profits < self.strategy_profit)
        return float(100.0 * (below + 0.5 * np.mean(self.profits == self.strategy_profit)))

    @property
    def at_least_as_good(self) -> int:
        """Return how many runs made as much as the strategy or more."""
        return int(np.sum(self.profits >= self.strategy_profit))

    @property
    def p_value(self) -> float:
        """Return the chance of such a profit if entries were random, counting the strategy as one of the draws."""
        return (self.at_least_as_good + 1) / (len(self.profits) + 1)


def random_runs(trades: pd.DataFrame, market: Market, sample_times: Ints, runs: int, seed: int) -> RandomRuns | None:
    """Run the closed trades `runs` times with random entries; None when there is nothing to compare.

    Parameters
    ----------
    trades : DataFrame
        `Backtest.trades`.
    sample_times : ndarray of int64
        Close times (ms) at which the curves are marked to market.
    """
    usable = trades[trades["pair"].isin(list(market.pairs)) & ~trades["is_open"]]
    usable = usable[[len(market.pairs[pair].open) > 1 for pair in usable["pair"]]]
    if usable.empty or runs < 1:
        return None
    rng = np.random.default_rng(seed)
    profits = np.zeros(runs)
    curves = np.zeros((runs, len(sample_times)))
    for pair, rows in usable.groupby("pair", sort=True):
        candles = market.pairs[str(pair)]
        lengths = _lengths(rows, market.step, len(candles.open))
        prices = market.closes(str(pair))[np.searchsorted(market.close_times, sample_times)]
        block = max(1, BLOCK // len(rows))
        for first in range(0, runs, block):
            part = slice(first, min(first + block, runs))
            starts = place(lengths, len(candles.open), part.stop - part.start, rng)
            outcome, curve = _play(rows, candles, starts, lengths, sample_times, prices)
            profits[part] += outcome
            curves[part] += curve
    return RandomRuns(profits, curves, float(usable["profit"].sum()), len(usable))


def place(lengths: Ints, n_bars: int, runs: int, rng: np.random.Generator) -> Ints:
    """Return entry bars, shape (runs, trades): trades in random order with random gaps, none overlapping.

    When the trades do not fit one after another (stacked positions), each is placed on its own.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    occupied = np.maximum(lengths, 1)
    shape = (runs, len(lengths))
    free = n_bars - 1 - int(occupied.sum())
    if free < 0:
        return rng.integers(0, n_bars - occupied, size=shape)
    order = rng.random(shape).argsort(axis=1)
    in_order = occupied[order]
    gaps = np.sort(rng.integers(0, free + 1, size=shape), axis=1)
    starts = np.empty(shape, dtype=np.int64)
    np.put_along_axis(starts, order, gaps + np.cumsum(in_order, axis=1) - in_order, axis=1)
    return starts


def outcomes(rows: pd.DataFrame, candles: PairCandles, starts: Ints, lengths: Ints) -> tuple[Floats, Floats]:
    """Return profit and signed amount of every random trade, each of the shape of `starts`."""
    entry = candles.open[starts]
    # A trade that ended inside its first candle leaves at that candle's close, any other at the open of its last.
    leave = np.where(lengths == 0, candles.close[starts], candles.open[starts + lengths])
    side = np.where(rows["is_short"], -1.0, 1.0)
    notional = (rows["stake"] * rows["leverage"]).to_numpy()
    growth: Floats = leave / entry
    fees = rows["fee_open"].to_numpy() + rows["fee_close"].to_numpy() * growth
    profit = notional * (side * (growth - 1.0) - fees) + rows["funding"].to_numpy()
    return profit, side * notional / entry


def _lengths(rows: pd.DataFrame, step: int, n_bars: int) -> Ints:
    held = (rows["close_time"].astype("int64") - rows["open_time"]).to_numpy()
    return np.minimum(np.rint(held / step).astype(np.int64), n_bars - 1)


def _play(
    rows: pd.DataFrame, candles: PairCandles, starts: Ints, lengths: Ints, sample_times: Ints, prices: Floats
) -> tuple[Floats, Floats]:
    profit, amount = outcomes(rows, candles, starts, lengths)
    samples = len(sample_times)
    fee_in = np.abs(amount) * candles.open[starts] * rows["fee_open"].to_numpy()
    cash_in = -amount * candles.open[starts] - fee_in
    began = _sample_of(sample_times, candles.open_times[starts])
    # A trade that left at its candle's close is over before that close is sampled, like any other of that candle.
    ended = _sample_of(sample_times, candles.open_times[starts + lengths])
    add = _adder(starts.shape[0], samples)
    cash = add(began, cash_in) + add(ended, profit - cash_in)
    held = add(began, amount) - add(ended, amount)
    return profit.sum(axis=1), np.cumsum(cash, axis=1) + np.cumsum(held, axis=1) * prices


def _sample_of(sample_times: Ints, times: Ints) -> Ints:
    return np.minimum(np.searchsorted(sample_times, times, side="right"), len(sample_times) - 1)


def _adder(runs: int, samples: int) -> Callable[[Ints, Floats], Floats]:
    row = np.arange(runs)[:, None] * samples

    def add(at: Ints, value: Floats) -> Floats:
        total = np.bincount((row + at).ravel(), weights=value.ravel(), minlength=runs * samples)
        return total.astype(np.float64).reshape(runs, samples)

    return add
