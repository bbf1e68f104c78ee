"""What one configuration earns after costs on the inner folds, and on nothing later (SEA-3, TRN-12).

From: candles cut off at the end of the outer training range, and a training config. To: a figure for the sampler, and
returns by day, from which the deflated Sharpe ratio and the probability of overfitting are computed (EVA-9).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ..data.target_table import DIRECTION_COLUMNS, DOWN, ROUND_TRIP_COST, UP, horizon_bars
from ..data.targets import make_targets
from ..data.timeframe import timeframe_ms
from ..data.windows import Windows, usable_ends
from ..forecast.config import TrainConfig
from ..forecast.dataset import TrainingData, cut, make_training_data
from ..forecast.recipe import recipe_of
from ..forecast.schedule import Fold
from ..forecast.version import TrainedVersion, train_version

FOUR_HOURS = 2  # index among the horizons 15m, 1h, 4h, 12h of the one that trades
CONFIDENCE = 0.55  # p(side) / (p(up) + p(down)) from which a strategy enters
BATCH = 256  # windows per forward pass
Report = Callable[[int, float], None]  # step through all folds and epochs, figure; raises to give the trial up


@dataclass(frozen=True)
class Earned:
    """Net returns of one configuration: a ratio of the capital for each day (UTC) of the judged ranges."""

    days: tuple[str, ...]
    returns: tuple[float, ...]
    trades: int

    @property
    def value(self) -> float:
        """Mean net return of a day, what a search makes large."""
        return float(np.mean(self.returns))


def earn(
    kind: str,
    config: TrainConfig,
    frames: Mapping[str, pd.DataFrame],
    timeframe: str,
    folds: Sequence[Fold],
    seed: int,
    prune_by: str | None,
    report: Report,
) -> Earned:
    """Train on each inner fold and trade the period after it; no candle after a fold's end is looked at."""
    found, trades, n_epochs = [], 0, config.fit.seeds * config.fit.epochs
    for number, fold in enumerate(folds):
        known = {pair: cut(frame, timeframe, fold.end) for pair, frame in frames.items()}
        length = recipe_of(kind, config).context_length
        data = make_training_data(known, timeframe, fold.trained_until, config.data, length)

        def epoch_done(epoch: int, metrics: dict[str, float], first: int = number * n_epochs) -> None:
            if prune_by is not None and f"val_{prune_by}" in metrics:
                report(first + epoch, metrics[f"val_{prune_by}"])

        trained = train_version(kind, config, data, seed, _silent, epoch_done)
        daily, n_trades = trade(trained, data, known, fold)
        found.append(daily)
        trades += n_trades
    series = pd.concat(found)
    return Earned(tuple(day.strftime("%Y-%m-%d") for day in series.index), tuple(series.tolist()), trades)


def trade(
    trained: TrainedVersion, data: TrainingData, frames: Mapping[str, pd.DataFrame], fold: Fold
) -> tuple[pd.Series, int]:
    """Return the net return of each day in [valid_from, end) and the number of trades behind it.

    At every close the more probable of UP and DOWN is bought or sold short for 4 hours if it has 55 % of both, as
    strategies enter (NNP-2), with the share 1 / (bars in 4 hours x pairs) of the capital: all that overlap add up to
    it at most. A round trip costs 0.22 %. Trades that end after the fold are left out: it is not known there.
    """
    horizon = horizon_bars(data.timeframe)[FOUR_HOURS]
    share = 1 / (horizon * len(frames))
    bar = pd.Timedelta(milliseconds=timeframe_ms(data.timeframe))
    days = pd.date_range(fold.valid_from, fold.end - bar.to_pytimedelta(), freq="D", normalize=True)
    total, n_trades = pd.Series(0.0, index=days), 0
    for frame in frames.values():
        closes = frame["date"] + bar
        ends, rows = forecast(trained, data, frame, fold)
        labels = make_targets(frame, data.timeframe)
        side = sides(trained, rows)
        known = labels.mask[ends][:, FOUR_HOURS] & (side != 0)
        net = (side * labels.values[ends][:, FOUR_HOURS] - ROUND_TRIP_COST)[known] * share
        when = pd.DatetimeIndex(closes.iloc[ends[known]]).floor("D")
        daily = pd.Series(net.astype(np.float64), index=when).groupby(level=0).sum()
        total += daily.reindex(days, fill_value=0.0)
        n_trades += int(known.sum())
    return total, n_trades


def sides(trained: TrainedVersion, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return 1 (buy), -1 (sell short) or 0 for each forecast row, by the probabilities of 4 hours."""
    first = trained.model.columns.index(DIRECTION_COLUMNS[0]) + 3 * FOUR_HOURS
    up, down = rows[:, first + UP].astype(np.float64), rows[:, first + DOWN].astype(np.float64)
    confidence = np.maximum(up, down) / np.maximum(up + down, 1e-12)
    return np.where(confidence >= CONFIDENCE, np.sign(up - down), 0.0)


def forecast(
    trained: TrainedVersion, data: TrainingData, frame: pd.DataFrame, fold: Fold
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the rows of a frame that close in [valid_from, end) and can be scored, and their forecasts."""
    length = trained.model.config.context_length
    closes = frame["date"] + timedelta(milliseconds=timeframe_ms(data.timeframe))
    ends = usable_ends(frame, data.timeframe, data.features.warmup, length)
    ends = ends[((closes >= fold.valid_from) & (closes < fold.end)).to_numpy()[ends]]
    windows = Windows(data.scaler.transform(data.features.compute(frame)), length, ends)
    empty = np.empty((0, len(trained.model.columns)), dtype=np.float32)
    with torch.inference_mode():
        parts = (np.arange(start, min(start + BATCH, len(ends))) for start in range(0, len(ends), BATCH))
        rows = [trained.model.forecast(torch.from_numpy(windows.batch(part))).numpy() for part in parts]
    return ends, np.concatenate([empty, *rows])


def _silent(*_: object) -> None:
    """Say nothing: whoever runs many trials tells how far they are."""
