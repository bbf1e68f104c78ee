"""Trains one version and says what it is. From: `TrainingData`, a config. To: `nn.registry`, as draft and weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import torch

from ..data.target_table import DOWN, FLAT, FORECAST_COLUMNS, ROUND_TRIP_COST, TARGET_NAMES, UP, max_horizon_bars
from ..models.build import UNIFIED_PATCHTST
from ..models.losses import LossConfig
from ..models.unified import PatchTSTConfig, UnifiedPatchTST
from ..registry.manifest import ManifestDraft
from .calibration import calibrate_confidence
from .config import TrainConfig
from .dataset import TrainingData
from .fit import History, fit, judge, run_heads
from .provenance import git_commit, library_versions

Progress = Callable[[int, int, int, float], None]  # epoch, step, steps per epoch, mean loss so far
EpochDone = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True, eq=False)
class TrainedVersion:
    model: UnifiedPatchTST  # in evaluation mode, best weights, calibrated confidence
    history: History
    metrics: dict[str, float]  # of the validation windows
    validation_rows: np.ndarray  # (N, 38) forecasts of them, for the plots
    validation_labels: np.ndarray  # (N, 24)
    validation_mask: np.ndarray


def train_version(
    config: TrainConfig, data: TrainingData, seed: int, on_batch: Progress, on_epoch: EpochDone
) -> TrainedVersion:
    """Train one version; the same seed, data and config give the same weights bit for bit on one thread."""
    torch.set_num_threads(config.fit.threads)
    torch.manual_seed(seed)  # first weights and dropout
    torch.use_deterministic_algorithms(True)
    model = UnifiedPatchTST(architecture_of(config, data))
    loss_config = LossConfig(**config.loss.model_dump())
    history = fit(model, data, config.fit, loss_config, seed, on_batch, on_epoch)

    values, masks = data.labels(data.validation)
    heads = run_heads(model, data, data.validation)
    calibrate_confidence(model, heads, torch.from_numpy(values), torch.from_numpy(masks))
    heads = run_heads(model, data, data.validation)
    with torch.inference_mode():
        rows = model.to_columns(heads).numpy()
    found = judge(model, data, data.validation, heads, loss_config)
    # Confidence was calibrated on these very rows; how well it is calibrated shows out of sample alone.
    metrics = {f"val_{name}": value for name, value in found.items() if not name.startswith("confidence_ece")}
    metrics |= {"best_epoch": history.best_epoch + 1.0, "epochs": float(len(history.epochs))}
    return TrainedVersion(model, history, metrics, rows, values, masks)


def architecture_of(config: TrainConfig, data: TrainingData) -> PatchTSTConfig:
    """Return the network that the config asks for, with the scales of this data."""
    return PatchTSTConfig(
        n_features=len(data.features.names),
        return_scale=data.return_scale,
        risk_log_mean=data.risk_log_mean,
        risk_log_scale=data.risk_log_scale,
        **config.model.model_dump(),
    )


def draft_manifest(
    line: str, config: TrainConfig, data: TrainingData, trained: TrainedVersion, valid_from: datetime
) -> ManifestDraft:
    """Return what the version says about itself. No time of training in it: the same inputs give the same manifest."""
    return ManifestDraft(
        name=line,
        kind=UNIFIED_PATCHTST,
        architecture=trained.model.config.to_dict(),
        timeframe=data.timeframe,
        pairs=data.pairs,
        feature_names=data.features.names,
        feature_parameters=data.features.parameters,
        feature_digest=data.features.digest,
        warmup=data.features.warmup,
        scaler=data.scaler.to_dict(),
        target_names=TARGET_NAMES,
        forecast_columns=FORECAST_COLUMNS,
        class_codes={"UP": UP, "DOWN": DOWN, "FLAT": FLAT},
        cost_model={"round_trip": ROUND_TRIP_COST},
        trained_from=data.trained_from,
        trained_until=data.trained_until,
        embargo_bars=max_horizon_bars(data.timeframe),
        valid_from=valid_from,
        data_fingerprint=data.fingerprint,
        metrics=trained.metrics,
        libraries=library_versions(),
        git_commit=git_commit(),
        config_hash=config.hash,
    )
