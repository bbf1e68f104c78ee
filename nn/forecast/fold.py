"""One training as a task that any process can do: plain JSON in, plain JSON out (SEA-4).

From: `nn.search.workers.run_tasks`, or `nested` in this process. To: its score, and a finished checkpoint on disk, from
which whoever asked takes the weights. Keys and MLflow stay with whoever asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ..data.candles import read_candles
from ..data.target_table import DIRECTION_COLUMNS
from ..data.targets import make_targets
from ..data.timeframe import timeframe_ms
from ..data.windows import Windows, usable_ends
from ..models.ensemble import Ensemble, Network
from ..models.losses import DIRECTION
from .config import TrainConfig
from .dataset import TrainingData, cut, make_training_data
from .recipe import recipe_of
from .version import train_version

BATCH = 256  # windows per forward pass


def fold_task(
    kind: str,
    config: TrainConfig,
    timeframe: str,
    seed: int,
    trained_until: datetime,
    checkpoints: Path | None,
    judged: tuple[datetime, datetime] | None = None,
    candles: tuple[Path, tuple[str, ...]] | None = None,
) -> dict[str, Any]:
    """Return the task of training on what closed before `trained_until`, and of judging it on a later range.

    Parameters
    ----------
    judged : pair of datetime, optional
        Candles that close in [first, second) give the score; no candle after the second is looked at.
    candles : pair of Path and tuple of str, optional
        Data directory and pairs, for a process that does not have the candles yet.
    """
    return {
        "kind": kind,
        "config": config.model_dump(mode="json"),
        "timeframe": timeframe,
        "seed": seed,
        "trained_until": trained_until.isoformat(),
        "checkpoints": None if checkpoints is None else str(checkpoints.absolute()),
        "judged": None if judged is None else [each.isoformat() for each in judged],
        "candles": None if candles is None else [str(candles[0].absolute()), list(candles[1])],
    }


def train_fold(task: dict[str, Any]) -> dict[str, Any]:
    """Read the candles that a task names, and do it."""
    datadir, pairs = task["candles"]
    return train_on({pair: read_candles(Path(datadir), pair, task["timeframe"])[0] for pair in pairs}, task)


def train_on(frames: Mapping[str, pd.DataFrame], task: dict[str, Any]) -> dict[str, Any]:
    """Do a task with candles at hand; return its validation loss, and the log loss of the judged range if any."""
    config, kind, timeframe = TrainConfig(**task["config"]), task["kind"], task["timeframe"]
    until = datetime.fromisoformat(task["trained_until"])
    context_length = recipe_of(kind, config).context_length
    data = make_training_data(frames, timeframe, until, config.data, context_length)
    folder = None if task["checkpoints"] is None else Path(task["checkpoints"])
    trained = train_version(kind, config, data, task["seed"], _silent, _silent, folder)
    result = {"val_loss": trained.metrics["val_loss"], "epochs": trained.metrics["epochs"]}
    if task["judged"] is not None:
        begin, end = map(datetime.fromisoformat, task["judged"])
        result["log_loss"] = log_loss(trained.model, data, frames, begin, end)
    return result


def log_loss(
    model: Network | Ensemble, data: TrainingData, frames: Mapping[str, pd.DataFrame], begin: datetime, end: datetime
) -> float:
    """Return the mean negative log probability of what came, over horizons and candles that close in [begin, end).

    A proper score: only honest probabilities make it small, whatever loss the network was taught with. Candles after
    `end` are cut off first, so labels that reach beyond it count as unknown.
    """
    first = model.columns.index(DIRECTION_COLUMNS[0])
    found = []
    for frame in (cut(frame, data.timeframe, end) for frame in frames.values()):
        ends, rows = _rows(model, data, frame, begin)
        labels = make_targets(frame, data.timeframe)
        probability = rows[:, first : first + len(DIRECTION_COLUMNS)].reshape(len(ends), 4, 3).astype(np.float64)
        known = labels.mask[ends][:, DIRECTION]
        label = np.where(known, labels.values[ends][:, DIRECTION], 0).astype(np.int64)
        true = np.take_along_axis(probability, label[..., None], axis=-1)[..., 0]
        found.append(-np.log(np.maximum(true, 1e-6))[known])
    losses = np.concatenate(found)
    if not len(losses):
        raise ValueError(f"no candle that closes from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} can be scored")
    return float(losses.mean())


def _rows(
    model: Network | Ensemble, data: TrainingData, frame: pd.DataFrame, begin: datetime
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    length = model.config.context_length
    closes = frame["date"] + pd.Timedelta(milliseconds=timeframe_ms(data.timeframe))
    ends = usable_ends(frame, data.timeframe, data.features.warmup, length)
    ends = ends[(closes >= begin).to_numpy()[ends]]
    windows = Windows(data.scaler.transform(data.features.compute(frame)), length, ends)
    with torch.inference_mode():
        parts = (np.arange(start, min(start + BATCH, len(ends))) for start in range(0, len(ends), BATCH))
        rows = [model.forecast(torch.from_numpy(windows.batch(part))).numpy() for part in parts]
    return ends, np.concatenate([np.empty((0, len(model.columns)), dtype=np.float32), *rows])


def _silent(*_: object) -> None:
    """Say nothing: whoever runs many tasks tells how far they are."""
