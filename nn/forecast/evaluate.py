"""What a version was worth in the period after it, beside simple forecasters that learned from the same rows (EVA-2).

From: candles of that period, which the version has never seen, and the exported version itself. To: the signed
judgement beside the version, MLflow, the table of the terminal. Nothing here changes a version: it is signed before it
is judged. The unified model's volatility is read off its risk heads; see `Reading`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from tradekernels.features import feature_set

from ..baselines.every import FITS, fit_baselines
from ..baselines.naive import line
from ..baselines.rows import (
    PAST,
    QUARTER,
    Floats,
    Forecast,
    Rows,
    balanced,
    direction_of,
    from_probability,
    log_volatility,
    rows_of,
    sample_log_volatility,
    training_rows,
)
from ..data.target_table import DIRECTION_COLUMNS, FLAT, TARGET_NAMES, horizon_bars
from ..data.targets import Labels
from ..data.timeframe import bars_in, timeframe_ms
from ..data.windows import RobustScaler, Windows, usable_ends
from ..evaluation.drift import stability_by_input
from ..evaluation.figures import Outcomes
from ..evaluation.judged import NETWORK, Judged
from ..evaluation.regimes import RegimeLimits
from ..evaluation.tables import table
from ..evaluation.trading import buckets_of, strength_limits
from ..evaluation.verdict import Evaluation, evaluate
from ..models.build import Forecaster, build_model
from ..models.losses import LONG_REACH, RETURNS, RISK, SHORT_REACH
from ..registry.manifest import LoadedVersion, Manifest
from .dataset import Samples, TrainingData, cut

__all__ = ["Evaluation", "evaluate_version", "forecast_rows", "judge_version", "table"]

BATCH = 256  # windows per forward pass: more need more memory and are no faster
STRIDE = 4  # bars between the train and validation rows from which limits are read
BLOCK = pd.Timedelta(days=1)  # mean length of a block of the bootstrap: twice the longest label
RISKS = (("max_drawdown_1h", "max_rally_1h"), ("max_drawdown_4h", "max_rally_4h"))
RISK_FLOOR = 1e-5  # ratio

Say = Callable[[str], None]


def evaluate_version(
    loaded: LoadedVersion,
    data: TrainingData,
    frames: Mapping[str, pd.DataFrame],
    begin: datetime,
    end: datetime,
    seed: int = 7,
    n_searched: int = 0,
    say: Say | None = None,
    baselines: tuple[str, ...] = tuple(FITS),
) -> Evaluation:
    """Return the judgement of one version over candles that close in [begin, end).

    Parameters
    ----------
    data : TrainingData
        What the version learned from; the baselines learn from the same rows.
    n_searched : int
        Trials of a search that chose this version's settings; they deflate its Sharpe ratio.
    say : callable, optional
        Hears of every step, in one line.
    """
    judged = judge_version(loaded, data, frames, begin, end, seed, say, baselines)
    return evaluate(judged, begin, end, block_of(loaded.manifest.timeframe), seed, n_searched)


def block_of(timeframe: str) -> float:
    """Return the mean length of a block in bars."""
    return BLOCK / pd.Timedelta(milliseconds=timeframe_ms(timeframe))


def judge_version(
    loaded: LoadedVersion,
    data: TrainingData,
    frames: Mapping[str, pd.DataFrame],
    begin: datetime,
    end: datetime,
    seed: int = 7,
    say: Say | None = None,
    baselines: tuple[str, ...] = tuple(FITS),
) -> Judged:
    """Return what the version and the baselines say of every candle that closes in [begin, end), and what came.

    Candles that close after `end` are cut off first: labels that reach beyond it count as unknown, so the same period
    has the same figures whenever it is judged, and a period that is sealed afterwards stays so.

    Raises
    ------
    ValueError
        If `begin` is before the version is valid, or pairs or `data` are not those it learned from: such figures would
        not be out of sample, or not of the version.
    """
    manifest = loaded.manifest
    if begin < manifest.valid_from:
        raise ValueError(
            f"{manifest.version} is valid from {manifest.valid_from:%Y-%m-%d %H:%M} and cannot be judged from"
            f" {begin:%Y-%m-%d %H:%M} on: what it learned from reaches that far"
        )
    if tuple(frames) != data.pairs:
        raise ValueError(f"candles are of {', '.join(frames)}, the version learned from {', '.join(data.pairs)}")
    if data.fingerprint != manifest.data_fingerprint:
        raise ValueError(
            f"{manifest.version} learned from candles with fingerprint {manifest.data_fingerprint[:12]}, the baselines"
            f" would from others, with {data.fingerprint[:12]}"
        )
    frames = {pair: cut(frame, data.timeframe, end) for pair, frame in frames.items()}
    period = scored_period(data, frames, lambda frame: forecast_rows(loaded, frame, begin, end))
    learned = data.train.every(STRIDE)
    train = training_rows(data, learned)
    model = build_model(manifest.kind, manifest.architecture, loaded.tensors)
    reading = Reading.of(model, manifest, data)
    fitted = fit_baselines(data, seed, say, baselines)
    stop = data.validation.every(STRIDE)
    checked = fitted.forecasts(training_rows(data, stop)) | {NETWORK: reading.forecast(run(model, data, stop))}
    network = balanced(reading.forecast(period.columns), data.class_shares)
    said = {NETWORK: network} | fitted.forecasts(period.rows)
    return Judged(
        outcomes=period.outcomes,
        regimes=RegimeLimits.fit(train).of(period.rows),
        forecasts=said,
        buckets={name: buckets_of(each.score, strength_limits(checked[name].score)) for name, each in said.items()},
        stability=stability_by_input(data.features.names, train.features, period.rows.features)
        if len(period.rows)
        else {},
    )


@dataclass(frozen=True, eq=False)
class Period:
    """The rows of a period: what baselines read, what the network said, what came."""

    rows: Rows
    columns: NDArray[np.float32]
    outcomes: Outcomes


def scored_period(
    data: TrainingData, frames: Mapping[str, pd.DataFrame], ask: Callable[[pd.DataFrame], tuple[NDArray, NDArray]]
) -> Period:
    """Return the rows of a period; `ask` says which rows of a frame belong to it, and what the network says there."""
    timeframe = data.timeframe
    bar = timeframe_ms(timeframe)
    matrices, values, scored, times, volatility = [], [], [], [], []
    for frame in frames.values():
        ends, columns = ask(frame)
        # Of the rows before the period only those are made that baselines look back on.
        first = max(int(ends[0]) - PAST * bars_in(QUARTER, timeframe), 0) if len(ends) else len(frame)
        labels = Labels(frame, timeframe)[np.arange(first, len(frame))]
        matrices.append(data.scaler.transform(data.features.compute(frame, last=len(frame) - first)))
        values.append(labels)
        scored.append((ends - first, columns))
        opened = frame["date"].dt.as_unit("ms").astype(np.int64).to_numpy()
        times.append(opened[ends] + bar)
        volatility.append(log_volatility(labels, ~np.isnan(labels), timeframe)[ends - first])
    samples = Samples(
        np.concatenate([np.full(len(ends), pair, dtype=np.int64) for pair, (ends, _) in enumerate(scored)]),
        np.concatenate([ends for ends, _ in scored]),
    )
    came = np.concatenate([each[ends] for each, (ends, _) in zip(values, scored, strict=True)]).astype(np.float64)
    outcomes = Outcomes(np.concatenate(times), samples.pairs, came, np.concatenate(volatility))
    columns = np.concatenate([each for _, each in scored])
    return Period(rows_of(matrices, values, samples, timeframe), columns, outcomes)


def forecast_rows(
    loaded: LoadedVersion, frame: pd.DataFrame, begin: datetime, end: datetime
) -> tuple[NDArray, NDArray]:
    """Return the rows of the frame that close in [begin, end) and can be scored, and their forecasts (N, columns)."""
    model = build_model(loaded.manifest.kind, loaded.manifest.architecture, loaded.tensors)
    return rows_of_model(model, loaded.manifest, frame, begin, end)


def rows_of_model(
    model: Forecaster, manifest: Manifest, frame: pd.DataFrame, begin: datetime, end: datetime
) -> tuple[NDArray, NDArray]:
    """Return `forecast_rows` of a network that reads what the manifest says."""
    features = feature_set(manifest.feature_names, manifest.timeframe, manifest.feature_parameters)
    context_length = model.config.context_length
    closes = frame["date"] + pd.Timedelta(milliseconds=timeframe_ms(manifest.timeframe))
    ends = usable_ends(frame, manifest.timeframe, features.warmup, context_length)
    ends = ends[((closes >= begin) & (closes < end)).to_numpy()[ends]]
    if not len(ends):
        return ends, np.empty((0, len(manifest.forecast_columns)), dtype=np.float32)
    first = int(ends[0]) - (context_length - 1)
    matrix = RobustScaler.from_dict(manifest.scaler).transform(features.compute(frame, last=len(frame) - first))
    windows = Windows(matrix, context_length, ends - first)
    return ends, _in_batches(model, windows.batch, len(ends))


def run(model: Forecaster, data: TrainingData, samples: Samples) -> NDArray[np.float32]:
    """Return the network's columns for samples of the training data."""
    return _in_batches(model, lambda k: data.windows.batch(samples.pairs[k], samples.ends[k]), len(samples))


def _in_batches(model: Forecaster, batch: Callable[[NDArray], NDArray[np.float32]], n_rows: int) -> NDArray[np.float32]:
    with torch.inference_mode():
        rows = [
            model.forecast(torch.from_numpy(batch(np.arange(start, min(start + BATCH, n_rows))))).numpy()
            for start in range(0, n_rows, BATCH)
        ]
    return np.concatenate(rows)


@dataclass(frozen=True, eq=False)
class Reading:
    """How a network's columns are read as a forecast, for both kinds.

    A network that names returns is ranked by them, one that names classes alone by p(up) - p(down). The unified model
    has no head for volatility: how far a price falls and rises within the horizon is proportional to it (for a random
    walk both excursions are sqrt(2 / pi) volatilities on average), so log volatility is a line in the log of the sum of
    its two risk heads, fitted to validation rows: no head learned from those, they were calibrated on them.
    """

    columns: tuple[str, ...]
    volatility: NDArray[np.float64] | None = None  # (2, 2): offset and slope, of 1h and 4h

    @classmethod
    def of(cls, model: Forecaster, manifest: Manifest, data: TrainingData) -> Reading:
        columns = manifest.forecast_columns
        if RISKS[0][0] not in columns:
            return cls(columns)
        samples = data.validation.every(STRIDE)
        plain, came = cls(columns), sample_log_volatility(data, samples)
        said = plain.log_risks(run(model, data, samples))
        ones = np.ones(len(said))
        return cls(columns, np.stack([line(np.stack([ones, said[:, k]], 1), came[:, k]) for k in range(2)], axis=1))

    def forecast(self, rows: Floats) -> Forecast:
        """Return the forecast of rows (N, columns)."""
        probability = rows[:, [self.columns.index(name) for name in DIRECTION_COLUMNS]].reshape(len(rows), 4, 3)
        plain = from_probability(probability.astype(np.float64))
        returns = self.columns_of(rows, TARGET_NAMES[RETURNS])
        told = replace(
            plain,
            score=plain.score if returns is None else returns,
            returns=returns,
            reaches=self.columns_of(rows, TARGET_NAMES[LONG_REACH] + TARGET_NAMES[SHORT_REACH]),
            risks=self.columns_of(rows, TARGET_NAMES[RISK]),
        )
        if self.volatility is None:
            return told
        return replace(told, log_volatility=self.volatility[0] + self.volatility[1] * self.log_risks(rows))

    def columns_of(self, rows: Floats, names: tuple[str, ...]) -> NDArray[np.float64] | None:
        """Return these columns (N, len(names)); None where the network has not all of them."""
        if not set(names) <= set(self.columns):
            return None
        return rows[:, [self.columns.index(name) for name in names]].astype(np.float64)

    def log_risks(self, rows: Floats) -> NDArray[np.float64]:
        """Return the log of fall plus rise (N, 2) within 1h and 4h."""
        both = [sum(rows[:, self.columns.index(name)].astype(np.float64) for name in names) for names in RISKS]
        return np.log(np.maximum(np.stack(both, axis=1), RISK_FLOOR))


def last_direction(frame: pd.DataFrame, timeframe: str) -> NDArray[np.int64]:
    """Return the naive answer (T, 4): what the class of the horizon just past was, FLAT where there is no past."""
    close = frame["close"].to_numpy(dtype=np.float64)
    past = np.zeros((len(close), 4))
    for index, bars in enumerate(horizon_bars(timeframe)[RETURNS]):
        past[bars:, index] = close[bars:] / close[:-bars] - 1
    return np.where(past == 0, FLAT, direction_of(past))


def main(arguments: list[str] | None = None) -> int:
    """Run `python -m nn.forecast.evaluate`; see `nn.forecast.judge_line`."""
    from .judge_line import main as judge_line

    return judge_line(arguments)


if __name__ == "__main__":
    sys.exit(main())
