"""Grid market makers, compiled, any number in one pass. From: a feed and parameters. To: fills, accounts, equity.

The strategy of the specification (LOB-17): at fixed times, want `levels` buys below and sells above the mid, each on a
multiple of `step_ticks`; cancel the others, submit the missing ones. Sets share one pass over one pair of books, and
each gives what it would give alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import _grid
from ._engine import Engine
from .feed import Feed
from .models import TradingModels
from .replay import FILL, Account

_GRID = np.dtype([(name, "<i8") for name in ("levels", "step", "half_spread", "lots", "most")])
SAMPLE = np.dtype(
    [
        ("time_ns", "<i8"), ("bid_tick", "<i8"), ("ask_tick", "<i8"), ("position_lots", "<i8"), ("cash", "<i8"),
        ("fee", "<i8"), ("n_fills", "<i8"),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Grid:
    """Parameters of one grid market maker: whole numbers of ticks and lots.

    Parameters
    ----------
    levels : int
        Orders a side.
    step_ticks : int
        Distance between two of them; prices are multiples of it.
    half_spread_ticks : int
        Smallest distance of the first order from the mid.
    order_lots, max_position_lots : int
        Size of an order; position at which buying, or minus which selling, stops.
    """

    levels: int
    step_ticks: int
    half_spread_ticks: int
    order_lots: int
    max_position_lots: int

    def __post_init__(self) -> None:
        least = {"levels": 1, "step_ticks": 1, "half_spread_ticks": 0, "order_lots": 1, "max_position_lots": 0}
        for name, bound in least.items():
            if not bound <= getattr(self, name) < 2**31:
                raise ValueError(f"{name} is {getattr(self, name)}, expected {bound} .. {2**31 - 1}")
        if self.levels > 100_000:
            raise ValueError(f"levels is {self.levels}, expected at most 100000")


@dataclass(frozen=True, eq=False)
class GridResult:
    """What one set did: its fills, its account at the end, and its equity over time.

    `samples` is of SAMPLE: cash in ticks * lots, fee in `fee_step`; see `balance` and `fee` for money.
    """

    fills: np.ndarray
    account: Account
    samples: np.ndarray
    n_decisions: int

    def balance(self) -> np.ndarray:
        """Return the cash of every sample in quote currency, float64."""
        return self.samples["cash"] * float(self.account.value_step)

    def fee(self) -> np.ndarray:
        """Return the fees paid by every sample in quote currency, float64."""
        return self.samples["fee"] * float(self.account.fee_step)


def run_grids(
    feed: Feed,
    grids: Grid | Sequence[Grid],
    models: TradingModels | Sequence[TradingModels],
    *,
    interval_ns: int = 100_000_000,
    warm_up_ns: int = 5_000_000_000,
    sample_ns: int = 1_000_000_000,
) -> list[GridResult]:
    """Run grid market makers over a feed, all in one pass.

    Parameters
    ----------
    feed : Feed
    grids : Grid or sequence of Grid
    models : TradingModels or one for each grid
        Latency, queue, fees and fills may differ between sets.
    interval_ns : int
        Time between decisions, counted from the first event.
    warm_up_ns : int
        No decision before this much time.
    sample_ns : int
        Time between samples of the equity; the first is `interval_ns` after the start, each at a time of decision.

    Returns
    -------
    list of GridResult
        One for each grid. Behind the last row of the feed each goes on for as long as letters of its own are on their
        way, at most for a minute of the replay's clock; what was sent by then still arrives.

    Raises
    ------
    ValueError
        If a parameter is out of its range or the numbers of grids and models differ.
    """
    grids = [grids] if isinstance(grids, Grid) else list(grids)
    models = [models] * len(grids) if isinstance(models, TradingModels) else list(models)
    if len(models) != len(grids) or not grids:
        raise ValueError(f"models has {len(models)} entries, grids has {len(grids)}, expected as many and at least 1")
    if not 1 <= interval_ns <= sample_ns < 2**61:
        raise ValueError(f"interval_ns is {interval_ns}, sample_ns {sample_ns}, expected 1 <= interval_ns <= sample_ns")
    if not 0 <= warm_up_ns < 2**61:
        raise ValueError(f"warm_up_ns is {warm_up_ns}, expected 0 .. 2**61")
    last = feed.last_time_ns
    if last >= 2**62:
        raise ValueError(f"the feed ends at {last} ns, expected before 2**62")
    engine = Engine(feed, len(grids))
    table = np.empty(len(grids), _GRID)
    for k, (grid, model) in enumerate(zip(grids, models, strict=True)):
        engine.set_up(k, *model.arguments(feed.instrument, feed.born is not None))
        table[k] = (
            grid.levels, grid.step_ticks, grid.half_spread_ticks, grid.order_lots, grid.max_position_lots
        )  # fmt: skip
    n_samples = (last - engine.now) // sample_ns + 2
    samples, times = np.empty((n_samples, len(grids), 6), np.int64), np.empty(n_samples, np.int64)
    counts = np.zeros((len(grids), 2), np.int64)
    _grid.run(engine, table, interval_ns, warm_up_ns, sample_ns, samples, times, counts)
    fills = engine.fills(FILL, 2**62)
    return [
        GridResult(
            fills[fills["trader"] == k], Account.of(engine, k, feed.instrument, model.fees),
            _sampled(times[:n_samples], samples[:n_samples, k]), n_decisions,
        )
        for k, (model, (n_decisions, n_samples)) in enumerate(zip(models, counts.tolist(), strict=True))
    ]  # fmt: skip


def _sampled(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    table = np.empty(len(times), SAMPLE)
    table["time_ns"] = times
    for k, name in enumerate((SAMPLE.names or ())[1:]):
        table[name] = values[:, k]
    return table
