"""What one version may learn from: every candle that closed before a moment, and nothing that came later.

From: checked candles of all pairs. To: `fit` as windows and labels, `version` as the scaler and scales of the manifest.

The frames are cut first; features, labels, scaler and splits are made from what is left. So nothing later can reach a
weight, by whatever mistake further on (LEK-2, LEK-3).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from tradekernels.features import BASE_40, CATALOG, FeatureSet, feature_set

from ..data.candles import check_candles
from ..data.garch import PARAMETERS as GARCH
from ..data.garch import fit_garch
from ..data.outliers import OutlierFilter
from ..data.targets import Labels, max_horizon_bars
from ..data.timeframe import timeframe_ms
from ..data.windows import RobustScaler, WindowSet, chronological_split, usable_ends
from ..evaluation.drift import TrainBins
from ..models.losses import DIRECTION, N_TARGETS, RETURNS, RISK, RISK_FLOOR
from ..models.unified import VOLATILITY_FLOOR
from .config import DataConfig

MIN_WINDOWS = 200  # per pair and part; below that there is nothing to learn from or to judge by
BIN_ROWS = 20_000  # train rows that the bins of drift are read from: deciles need no more
ADVICE = "take fewer versions, a shorter period or more data"
# Every feature of candles alone that is no price or volume in itself, and not the same on every candle.
CANDLES = tuple(
    name for name, feature in CATALOG.items()
    if not feature.needs and feature.unit not in ("quote", "base") and name != "leverage"
)  # fmt: skip
# Where the price stands in trends of an hour to two days, beside base_40 and with its warm-up, of 1m candles with that
# of a day. Chosen among groups of features by how ridge regression ranked returns in July to December 2024 (nn/LOG.md).
TREND = (
    "sma_5_ratio", "sma_10_ratio", "sma_50_ratio", "sma_100_ratio", "sma_200_ratio", "sma_50_200", "macd",
    "macd_signal", "macd_hist_change", "psar_distance", "psar_side", "tenkan_distance", "kijun_distance",
    "tenkan_kijun", "cloud_distance", "cloud_thickness", "vwap_24h_ratio", "roc_10", "roc_50", "trix_15", "trix_diff",
    "squeeze_momentum", "momentum_1h", "momentum_4h", "momentum_24h", "acceleration", "momentum_agreement",
    "oscillator_agreement", "trend_r2", "trend_slope", "ret_5m", "ret_15m", "ret_60m",
)  # fmt: skip
# What tells how much prices will move: volatility of other kinds than base_40's, and when markets are awake. Beside
# trend_73 and with its warm-up; chosen by what ridge regression explained in August 2024 to June 2025 (nn/LOG.md).
WEEK = ("asia_hours", "europe_hours", "us_hours", "overlap_hours", "is_weekend", "weekday_sin", "weekday_cos")
AWAKE = ("realised_vol_1d", "vol_of_vol", "amihud", *WEEK)
# Whose products draw the curve of a day (`models.unified.with_products`). Month and quarter come round too seldom in a
# training range for that: a curve through the few that were seen ran away in the next one (nn/LOG.md).
CALENDAR = ("hour_sin", "hour_cos", *WEEK)
LOG_FAMILIES = ("volatility", "statistics")
COLUMNS = range(N_TARGETS)  # of the labels; COLUMNS[RISK] are those of the risks
FEATURE_LISTS: dict[str, tuple[str, ...]] = {
    "base_40": tuple(BASE_40),
    "trend_73": (*BASE_40, *TREND),
    "wide_83": (*BASE_40, *TREND, *AWAKE),
    "candles": CANDLES,
}


class TooLittleData(ValueError):
    """The candles do not reach back far enough for what was asked."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Windows by pair and last row, in the order of pairs and time, with their labels found by the same numbers."""

    pairs: NDArray[np.integer]  # int16 and int32 as made here: a number for every window is a good part of the memory
    ends: NDArray[np.integer]

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, chosen: NDArray) -> Samples:
        return Samples(self.pairs[chosen], self.ends[chosen])

    def every(self, stride: int, phase: int = 0) -> Samples:
        """Return one window in `stride` bars of each pair, beginning at another bar for another phase."""
        return self[self.ends % stride == phase % stride]


@dataclass(frozen=True, eq=False)
class TrainingData:
    features: FeatureSet
    windows: WindowSet  # scaled
    values: Sequence[Labels | NDArray[np.float32]]  # labels (T, 24) per pair, NaN where not known
    train: Samples
    validation: Samples
    scaler: RobustScaler
    outliers: OutlierFilter | None  # of train windows (SRV-11)
    bins: TrainBins  # of the newest rows of train windows, against which a live service measures drift (MET-17)
    volatility: str | None  # feature in whose units returns and risks are learned (MOD-9)
    return_scale: tuple[float, ...]
    risk_log_mean: tuple[float, ...]
    risk_log_scale: tuple[float, ...]
    class_shares: NDArray[np.float64]  # (4, 3): of UP, DOWN, FLAT per horizon among the train labels
    pairs: tuple[str, ...]
    timeframe: str
    trained_from: datetime
    trained_until: datetime
    fingerprint: str

    def batch(self, samples: Samples) -> tuple[Tensor, Tensor, Tensor]:
        """Return windows (B, L, F), labels (B, 24) and their mask."""
        values, masks = self.labels(samples)
        x = torch.from_numpy(self.windows.batch(samples.pairs, samples.ends))
        return x, torch.from_numpy(values), torch.from_numpy(masks)

    def labels(self, samples: Samples) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return labels and mask of the samples, in their order."""
        values = np.empty((len(samples), N_TARGETS), dtype=np.float32)
        for pair in range(len(self.pairs)):
            chosen = samples.pairs == pair
            values[chosen] = self.values[pair][samples.ends[chosen]]
        return values, ~np.isnan(values)


def resolve_features(
    features: str | tuple[str, ...], timeframe: str, parameters: Mapping[str, float] | None = None
) -> FeatureSet:
    """Return the feature set of a config: a list by name, or the names themselves.

    Raises
    ------
    ValueError
        If a name or parameter is unknown, or a feature needs more than the candles of its own pair: the service gets
        nothing else, so such a model could never be asked.
    """
    if isinstance(features, str):
        if features not in FEATURE_LISTS:
            raise ValueError(f"data.features is {features!r}, expected {', '.join(FEATURE_LISTS)} or a list of names")
        features = FEATURE_LISTS[features]
    found = feature_set(features, timeframe, parameters)
    for feature in found.features:
        if feature.needs:
            raise ValueError(
                f"data.features names {feature.name!r}, which needs {' and '.join(feature.needs)}; "
                "a forecaster reads the candles of its own pair"
            )
    return found


def log_columns(features: FeatureSet) -> tuple[int, ...]:
    """Return the columns of volatilities, which have no upper bound and whose ratios count: see `data.scaler`."""
    return tuple(
        column
        for column, feature in enumerate(features.features)
        if feature.family in LOG_FAMILIES and feature.range == (0, math.inf)
    )


def cut(frame: pd.DataFrame, timeframe: str, until: datetime, since: datetime | None = None) -> pd.DataFrame:
    """Return the candles that opened at or after `since` and closed at or before `until`."""
    keep = (frame["date"] <= until - pd.Timedelta(milliseconds=timeframe_ms(timeframe))).to_numpy()
    if since is not None:
        keep = keep & (frame["date"] >= since).to_numpy()
    rows = np.flatnonzero(keep)
    one_run = len(rows) and rows[-1] - rows[0] + 1 == len(rows)  # as in candles that ascend: no copy is needed
    return (frame.iloc[rows[0] : rows[-1] + 1] if one_run else frame[keep]).reset_index(drop=True)


def make_training_data(
    frames: Mapping[str, pd.DataFrame], timeframe: str, until: datetime, config: DataConfig, context_length: int
) -> TrainingData:
    """Return windows, labels and scales made from the candles that closed at or before `until`."""
    since = None if config.history_days is None else until - timedelta(days=config.history_days)
    frames = {pair: cut(frame, timeframe, until, since) for pair, frame in frames.items()}
    for pair, frame in frames.items():
        if frame.empty:
            raise TooLittleData(f"{pair}: no {timeframe} candle closed before {until:%Y-%m-%d %H:%M}: {ADVICE}")
    digest = hashlib.sha256()
    for pair, frame in frames.items():
        digest.update(f"{pair} {check_candles(frame, pair, timeframe).fingerprint}\n".encode())

    features = _fitted_features(config, frames, timeframe, _border(frames, timeframe, until, config.validation_share))
    if config.volatility is not None and config.volatility not in features.names:
        raise ValueError(
            f"data.volatility is {config.volatility!r}, expected one of data.features, or null for returns as they are"
        )
    train, validation = _split(frames, timeframe, until, features, config.validation_share, context_length)
    values = tuple(Labels(frame, timeframe) for frame in frames.values())

    matrices = [features.compute(frame) for frame in frames.values()]
    last_train_row = [train.ends[train.pairs == pair].max() for pair in range(len(matrices))]
    scaler = RobustScaler.fit(
        [m[features.warmup : last + 1] for m, last in zip(matrices, last_train_row, strict=True)],
        log_columns(features) if config.logs else (),
    )
    for matrix in matrices:  # in place: the raw features are needed no more
        scaler.transform(matrix, out=matrix)
    windows = WindowSet(matrices, context_length)
    for index in range(len(matrices)):
        windows.check(index, np.concatenate([part.ends[part.pairs == index] for part in (train, validation)]))

    outliers = None
    if config.outlier_quantile is not None:
        ends = [train.ends[train.pairs == pair] for pair in range(len(matrices))]
        outliers = OutlierFilter.fit(matrices, ends, features.warmup, context_length, config.outlier_quantile)

    unit = np.zeros(len(train))
    if config.volatility is not None:
        channel = features.names.index(config.volatility)
        for number, matrix in enumerate(matrices):
            chosen = train.pairs == number
            unit[chosen] = matrix[train.ends[chosen], channel]
        unit *= scaler.iqr[channel]
        unit += scaler.median[channel]
        if channel in scaler.logs:
            np.maximum(unit, math.log(VOLATILITY_FLOOR), out=unit)
        else:
            np.log(np.maximum(unit, VOLATILITY_FLOOR, out=unit), out=unit)
    return_scale, risk_log_mean, risk_log_scale = _scales(values, train, unit)
    return TrainingData(
        features=features,
        windows=windows,
        values=values,
        train=train,
        validation=validation,
        scaler=scaler,
        outliers=outliers,
        bins=_bins(matrices, train),
        volatility=config.volatility,
        return_scale=return_scale,
        risk_log_mean=risk_log_mean,
        risk_log_scale=risk_log_scale,
        class_shares=np.stack([_shares(_known(values, train, column)) for column in COLUMNS[DIRECTION]]),
        pairs=tuple(frames),
        timeframe=timeframe,
        trained_from=min(frame["date"].iloc[0] for frame in frames.values()).to_pydatetime(),
        trained_until=until,
        fingerprint=digest.hexdigest(),
    )


def _fitted_features(
    config: DataConfig, frames: Mapping[str, pd.DataFrame], timeframe: str, border: datetime
) -> FeatureSet:
    """Return the feature set, its GARCH weights fitted to the rows before the validation ones where they are read."""
    features = resolve_features(config.features, timeframe, config.feature_parameters)
    fitted = [name for name in GARCH if name in features.parameters and name not in config.feature_parameters]
    if not fitted:
        return features
    if len(fitted) < len(GARCH):
        raise ValueError(f"data.feature_parameters gives some of {', '.join(GARCH)}, expected all or none of them")
    try:
        weights = fit_garch({pair: cut(frame, timeframe, border) for pair, frame in frames.items()})
    except ValueError as error:
        raise TooLittleData(f"{error}: {ADVICE}") from error
    return resolve_features(config.features, timeframe, {**config.feature_parameters, **weights})


def _border(frames: Mapping[str, pd.DataFrame], timeframe: str, until: datetime, validation_share: float) -> datetime:
    """Return the moment between train and validation rows."""
    first = min(frame["date"].iloc[0] for frame in frames.values())
    bar = pd.Timedelta(milliseconds=timeframe_ms(timeframe))
    return pd.Timestamp(until - (until - first) * validation_share).floor(bar).to_pydatetime()


def _split(
    frames: Mapping[str, pd.DataFrame],
    timeframe: str,
    until: datetime,
    features: FeatureSet,
    validation_share: float,
    context_length: int,
) -> tuple[Samples, Samples]:
    """Return train and validation windows, cut at the same moment for every pair, purged and embargoed (WIN-2)."""
    horizon = max_horizon_bars(timeframe)
    border = _border(frames, timeframe, until, validation_share)
    parts: dict[str, list[tuple[int, NDArray[np.int64]]]] = {"train": [], "validation": []}
    for index, (pair, frame) in enumerate(frames.items()):
        ends = usable_ends(frame, timeframe, features.warmup, context_length)
        try:
            split = chronological_split(frame["date"], boundaries=[border], purge=horizon, embargo=horizon).only(ends)
        except ValueError as error:
            raise TooLittleData(f"{pair} up to {until:%Y-%m-%d %H:%M}: {error}: {ADVICE}") from error
        split.check(horizon)
        for name, rows in (("train", split.train), ("validation", split.validation)):
            if len(rows) < MIN_WINDOWS:
                raise TooLittleData(
                    f"{pair} has {len(frame)} {timeframe} candles up to {until:%Y-%m-%d %H:%M}, which leaves"
                    f" {len(rows)} windows for {name}, expected at least {MIN_WINDOWS}: {ADVICE}"
                )
            parts[name].append((index, rows))
    train, validation = (
        Samples(
            np.concatenate([np.full(len(rows), index, dtype=np.int16) for index, rows in found]),
            np.concatenate([rows.astype(np.int32) for _, rows in found]),
        )
        for found in parts.values()
    )
    return train, validation


def _bins(matrices: Sequence[NDArray[np.float32]], train: Samples) -> TrainBins:
    """Return the bins of the inputs, read off the newest rows of train windows spread over all of them."""
    some = train[np.unique(np.linspace(0, len(train) - 1, BIN_ROWS).astype(np.int64))]
    return TrainBins.fit(
        np.concatenate([matrix[some.ends[some.pairs == pair]] for pair, matrix in enumerate(matrices)])
    )


def _known(values: Sequence[Labels], samples: Samples, column: int) -> NDArray[np.float64]:
    """Return a label of all samples, NaN where it is not known."""
    found = np.empty(len(samples))
    for pair, labels in enumerate(values):
        chosen = samples.pairs == pair
        found[chosen] = labels.columns(samples.ends[chosen], range(column, column + 1))[:, 0]
    return found


def _shares(classes: NDArray[np.float64]) -> list[float]:
    return [float(np.mean(classes == code)) for code in range(3)]


def _scales(
    values: Sequence[Labels], train: Samples, unit: NDArray[np.float64]
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Return spread of returns, mean and spread of log risks, in units of exp(unit), of train rows (MOD-9, LEK-3).

    A column at a time and in place, `unit` too: a column of all train rows in float64 is 5 % of 40 features.
    """
    log_mean, log_spread, spread = [], [], []
    for column in COLUMNS[RISK]:
        label = _known(values, train, column)
        np.log(np.maximum(label, RISK_FLOOR, out=label), out=label)
        label -= unit
        log_mean.append(float(np.nanmean(label)))
        log_spread.append(float(np.nanstd(label)))
    np.exp(unit, out=unit)
    for column in COLUMNS[RETURNS]:
        label = _known(values, train, column)
        label /= unit
        spread.append(float(np.nanstd(label)))
    return (
        tuple(each if each > 0 else 1.0 for each in spread),
        tuple(log_mean),
        tuple(each if each > 0 else 1.0 for each in log_spread),
    )
