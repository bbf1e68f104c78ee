"""What a version was worth in the period after it, beside forecasters that know nothing (EVA-2, MOD-6).

From: candles of that period, which the version has never seen, and the exported version itself. To: MLflow as `oos_*`
and the table that training prints. Nothing here changes a version: it is signed before it is judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from rich.table import Table
from tradekernels.features import feature_set

from ..data.target_table import DOWN, FLAT, TARGETS, UP, horizon_bars
from ..data.targets import make_targets
from ..data.timeframe import timeframe_ms
from ..data.windows import RobustScaler, Windows, usable_ends
from ..models.build import build_model
from ..models.losses import DIRECTION
from ..registry.manifest import LoadedVersion
from .metrics import HORIZONS, class_scores, forecast_metrics

BATCH = 1024
TITLE = "Out of sample: each version on the period after it, accuracy beside baselines"


def forecast_rows(
    loaded: LoadedVersion, frame: pd.DataFrame, begin: datetime, end: datetime
) -> tuple[NDArray, NDArray]:
    """Return the rows of the frame that close in [begin, end) and can be scored, and their forecasts (N, 38)."""
    manifest = loaded.manifest
    features = feature_set(manifest.feature_names, manifest.timeframe, manifest.feature_parameters)
    model = build_model(manifest.kind, manifest.architecture, loaded.tensors)
    context_length = model.config.context_length
    closes = frame["date"] + pd.Timedelta(milliseconds=timeframe_ms(manifest.timeframe))
    ends = usable_ends(frame, manifest.timeframe, features.warmup, context_length)
    ends = ends[((closes >= begin) & (closes < end)).to_numpy()[ends]]
    if not len(ends):
        return ends, np.empty((0, len(manifest.forecast_columns)), dtype=np.float32)
    matrix = RobustScaler.from_dict(manifest.scaler).transform(features.compute(frame))
    windows = Windows(matrix, context_length, ends)
    with torch.inference_mode():
        rows = [
            model.forecast(torch.from_numpy(windows.batch(np.arange(start, min(start + BATCH, len(ends)))))).numpy()
            for start in range(0, len(ends), BATCH)
        ]
    return ends, np.concatenate(rows)


def out_of_sample(
    loaded: LoadedVersion,
    frames: Mapping[str, pd.DataFrame],
    begin: datetime,
    end: datetime,
    majority: NDArray[np.int64],
) -> dict[str, float]:
    """Return the metrics of one version over candles that close in [begin, end), and those of two naive forecasters.

    Parameters
    ----------
    majority : ndarray of int64, shape (4,)
        Most frequent class of each horizon among the version's train labels.
    """
    timeframe = loaded.manifest.timeframe
    parts = []
    for frame in frames.values():
        ends, rows = forecast_rows(loaded, frame, begin, end)
        labels = make_targets(frame, timeframe)
        parts.append((rows, labels.values[ends], labels.mask[ends], last_direction(frame, timeframe)[ends]))
    rows, labels_of, mask, last = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not len(rows):
        return {"rows": 0.0}
    found = {"rows": float(len(rows)), **forecast_metrics(rows, labels_of, mask)}
    for index, horizon in enumerate(HORIZONS):
        label, known = labels_of[:, DIRECTION][:, index], mask[:, DIRECTION][:, index]
        for name, answer in (("last", last[:, index]), ("majority", np.full(len(label), majority[index]))):
            scores = class_scores(answer, label, known)
            found[f"{name}_accuracy_{horizon}"] = scores.accuracy
            found[f"{name}_macro_f1_{horizon}"] = scores.macro_f1
    return found


def last_direction(frame: pd.DataFrame, timeframe: str) -> NDArray[np.int64]:
    """Return the naive answer (T, 4): what the class of the horizon just past was, FLAT where there is no past."""
    close = frame["close"].to_numpy(dtype=np.float64)
    answer = np.full((len(close), len(HORIZONS)), FLAT, dtype=np.int64)
    for index, (target, bars) in enumerate(zip(TARGETS[DIRECTION], horizon_bars(timeframe)[DIRECTION], strict=True)):
        change = close[bars:] / close[:-bars] - 1
        answer[bars:, index] = np.where(change > target.threshold, UP, np.where(change < -target.threshold, DOWN, FLAT))
    return answer


def table(results: Mapping[datetime, Mapping[str, float]]) -> Table:
    """Return the out-of-sample table of a chain: one row per version and horizon, baselines beside it."""
    drawn = Table(title=TITLE, box=None, padding=(0, 1, 0, 0), pad_edge=False)  # 80 characters wide
    drawn.add_column("valid from", no_wrap=True)
    for name in ("horizon", "rows", "accuracy", "last", "majority", "macro-F1", "IC", "ECE", "Brier"):
        drawn.add_column(name, justify="right")
    for valid_from, metrics in results.items():
        for index, horizon in enumerate(HORIZONS):
            names = ("accuracy", "last_accuracy", "majority_accuracy", "macro_f1", "ic", "ece", "brier")
            cells = [f"{metrics[key]:.3f}" if (key := f"{name}_{horizon}") in metrics else "-" for name in names]
            first = (f"{valid_from:%m-%d %H:%M}", f"{metrics['rows']:.0f}") if index == 0 else ("", "")
            drawn.add_row(first[0], horizon, first[1], *cells)
    return drawn
