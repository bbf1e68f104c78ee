"""Trains one version and says what it is. From: `TrainingData`, a config. To: `nn.registry`, as draft and weights."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ..data.target_table import DOWN, FLAT, ROUND_TRIP_COST, TARGET_NAMES, UP, max_horizon_bars
from ..models.ensemble import Ensemble, Network, architecture_of, joined
from ..registry.manifest import ManifestDraft
from .checkpoint import Checkpoint, CheckpointRefused
from .config import TrainConfig
from .dataset import TrainingData
from .fit import History, fit, run_heads
from .linear_start import linear_start
from .metrics import forecast_metrics
from .provenance import git_commit, library_versions
from .recipe import recipe_of

Progress = Callable[[int, int, int, float], None]  # epoch, step, steps per epoch, mean loss so far
EpochDone = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True, eq=False)
class TrainedVersion:
    kind: str  # of nn.models.build
    model: Network | Ensemble  # in evaluation mode, best weights, calibrated
    histories: tuple[History, ...]  # of each member
    metrics: dict[str, float]  # of the validation windows
    validation_rows: np.ndarray  # (N, 38) forecasts of them, in the unified model's columns
    validation_labels: np.ndarray  # (N, 24)
    validation_mask: np.ndarray

    @property
    def history(self) -> History:
        """The story of the first member."""
        return self.histories[0]

    @property
    def epochs(self) -> list[dict[str, float]]:
        """Metrics of all epochs of all members, in the order of training."""
        return [metrics for history in self.histories for metrics in history.epochs]


def train_version(
    kind: str,
    config: TrainConfig,
    data: TrainingData,
    seed: int,
    on_batch: Progress,
    on_epoch: EpochDone,
    checkpoints: Path | None = None,
) -> TrainedVersion:
    """Train one version; the same seed, data and config give the same weights bit for bit on one thread.

    Parameters
    ----------
    kind : str
        Of `nn.models.build`.
    seed : int
        Of the first member; `fit.seeds` members take the numbers after it.
    on_batch, on_epoch : callable
        Epochs are counted through all members: member k begins at k x `fit.epochs`.
    checkpoints : Path, optional
        Folder in which each member keeps its last epoch, to go on from after a kill (TRN-11).
    """
    torch.set_num_threads(config.fit.threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what CUDA wants for repeatable products
    torch.set_deterministic_debug_mode("error")  # as use_deterministic_algorithms, which loads the compiler as well
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    recipe = recipe_of(kind, config)
    networks, histories = [], []
    for member in range(config.fit.seeds):
        torch.manual_seed(seed + member)  # first weights and dropout
        first = member * config.fit.epochs
        checkpoint = None if checkpoints is None else usable(
            Checkpoint(checkpoints / f"member-{member}.safetensors", fingerprint(kind, config, data, seed + member))
        )  # fmt: skip
        networks.append(recipe.network(data))
        if not member:
            start = linear_start(networks[0], data)
        start.put(networks[-1])
        said = partial(_shifted, on_batch, first), partial(_shifted, on_epoch, first)
        histories.append(fit(networks[-1], recipe, data, config.fit, seed + member, *said, checkpoint, device))

    values, masks = data.labels(data.validation)
    raws = [run_heads(network, recipe, data, data.validation) for network in networks]
    recipe.calibrate(networks, raws, start, data)
    with torch.inference_mode():
        rows = np.mean(
            [recipe.rows(network, run_heads(network, recipe, data, data.validation)).numpy() for network in networks],
            axis=0,
        )
    rows = recipe.wide(rows)
    found = forecast_metrics(rows, values, masks)
    # Probabilities were calibrated on these very rows; how well they are shows out of sample alone.
    metrics = {f"val_{name}": value for name, value in found.items() if "ece" not in name}
    for name in histories[0].best:
        if name.startswith("val_loss"):
            metrics[name] = float(np.mean([history.best[name] for history in histories]))
    metrics |= {
        "best_epoch": float(np.mean([history.best_epoch + 1 for history in histories])),
        "epochs": float(sum(len(history.epochs) for history in histories)),
    }
    model = joined(networks).eval()
    return TrainedVersion(kind, model, tuple(histories), metrics, rows, values, masks)


def _shifted(callback: Callable[..., None], first: int, epoch: int, *rest: object) -> None:
    callback(first + epoch, *rest)


def fingerprint(kind: str, config: TrainConfig, data: TrainingData, seed: int) -> str:
    """Return the SHA-256 of everything that the weights of one member depend on."""
    content = {
        "kind": kind,
        "config": config.hash,
        "candles": data.fingerprint,
        "features": data.features.digest,
        "trained_until": data.trained_until.isoformat(),
        "seed": seed,
        "libraries": library_versions(),
        "cuda": torch.cuda.is_available(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def usable(checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint; a broken or foreign file is moved out of the way with a warning, never gone on from."""
    try:
        checkpoint.load()
    except CheckpointRefused as error:
        print(f"warning: {error}; this version is begun anew", file=sys.stderr)
        checkpoint.path.unlink()
    return checkpoint


def draft_manifest(
    line: str, config: TrainConfig, data: TrainingData, trained: TrainedVersion, valid_from: datetime
) -> ManifestDraft:
    """Return what the version says about itself. No time of training in it: the same inputs give the same manifest."""
    return ManifestDraft(
        name=line,
        kind=trained.kind,
        architecture=architecture_of(trained.model),
        timeframe=data.timeframe,
        pairs=data.pairs,
        feature_names=data.features.names,
        feature_parameters=data.features.parameters,
        feature_digest=data.features.digest,
        warmup=data.features.warmup,
        scaler=data.scaler.to_dict(),
        outliers=None if data.outliers is None else data.outliers.to_dict(),
        bins=data.bins.to_dict(),
        target_names=TARGET_NAMES,
        forecast_columns=trained.model.columns,
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
