"""`python -m nn --mode backtest`: every candle of history forecast by the version that existed at its close (ASO-1).

From: the signed chain of a line and Freqtrade's candles. To: a table of forecasts, one row per pair and candle, as
feather (`--out`); on stdout one line per version with what trading its answers would have given after costs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tradekernels.features import feature_set

from ..data.outliers import OutlierFilter
from ..data.scaler import RobustScaler
from ..data.targets import make_targets
from ..data.timeframe import timeframe_ms
from ..models.build import DIRECTION
from ..registry.files import ModelRefused
from ..registry.keys import read_keys
from ..registry.manifest import LoadedVersion, Manifest, load_aliases, load_version
from ..service.scoring import newest_allowed
from .evaluate import forecast_rows
from .metrics import trades_after_costs
from .recipe import as_unified
from .schedule import data_end
from .train import MODELS, parser, read_pairs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0, 1 when a version is refused, 2 with one sentence when it cannot be done."""
    made = parser()
    made.add_argument("--out", type=Path, help="feather file of all forecasts [none]")
    options = made.parse_args(arguments)
    line = options.line or f"{MODELS[options.model][1]}-{options.timeframe}"
    try:
        keys = read_keys()
        folder = options.registry / line
        versions = [load_version(folder / name, keys) for name in load_aliases(folder, keys).chain]
        frames = read_pairs(options.datadir, options.pairs, options.timeframe)
        found = forecasts(versions, frames, options.timeframe, options.until)
        if options.out is not None:
            found.to_feather(options.out)
    except ModelRefused as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    for version in versions:
        print(summary(version, found[found["model_version"] == version.manifest.version], frames))
    return 0


def forecasts(
    versions: Sequence[LoadedVersion], frames: Mapping[str, pd.DataFrame], timeframe: str, until=None
) -> pd.DataFrame:
    """Return pair, row, close time, version and forecast columns of every candle that a version of the chain may score.

    Raises
    ------
    RuntimeError
        If the as-of rule of the service would have chosen another version for a candle.
    """
    end = data_end(frames, timeframe, until)
    bar = pd.Timedelta(milliseconds=timeframe_ms(timeframe))
    starts = [version.manifest.valid_from for version in versions]
    valid_from = np.array([round(start.timestamp() * 1000) for start in starts], dtype=np.int64)
    parts = []
    for pair, frame in frames.items():
        for number, (begin, stop) in enumerate(pairwise([*starts, max(end, starts[-1])])):
            ends, rows = forecast_rows(versions[number], frame, begin, stop)
            answered = ~outlying(versions[number].manifest, frame, ends)
            ends, rows = ends[answered], rows[answered]
            closes = frame["date"].iloc[ends] + bar
            close_ms = np.array(closes.astype("datetime64[ms, UTC]").astype("int64"), dtype=np.int64)
            if (newest_allowed(valid_from, close_ms) != number).any():
                raise RuntimeError(f"{versions[number].manifest.version} has scored a candle that is not its own")
            head = {"pair": pair, "row": ends, "close_time": closes.reset_index(drop=True)}
            named = {"model_version": versions[number].manifest.version}
            columns = versions[number].manifest.forecast_columns
            parts.append(pd.concat([pd.DataFrame(head | named), pd.DataFrame(rows, columns=list(columns))], axis=1))
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def outlying(manifest: Manifest, frame: pd.DataFrame, ends: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Tell which windows that end at these rows the service does not answer (SRV-11)."""
    if manifest.outliers is None or not len(ends):
        return np.zeros(len(ends), dtype=np.bool_)
    features = feature_set(manifest.feature_names, manifest.timeframe, manifest.feature_parameters)
    scaled = RobustScaler.from_dict(manifest.scaler).transform(features.compute(frame))
    context_length = manifest.architecture["context_length"]
    assert isinstance(context_length, int)
    return OutlierFilter.from_dict(manifest.outliers).refuses(scaled, ends, context_length)


def summary(version: LoadedVersion, found: pd.DataFrame, frames: Mapping[str, pd.DataFrame]) -> str:
    """Return how many candles a version scored and what its 4h answers would have earned."""
    manifest = version.manifest
    said = f"{manifest.version}: {len(found)} candles"
    if not len(found):
        return said
    values, masks = [], []
    for pair in found["pair"].unique():
        labels = make_targets(frames[pair], manifest.timeframe)
        rows = found.loc[found["pair"] == pair, "row"].to_numpy()
        values.append(labels.values[rows])
        masks.append(labels.mask[rows])
    columns = found[list(manifest.forecast_columns)].to_numpy(dtype=np.float32)
    wide = as_unified(columns) if manifest.kind == DIRECTION else columns
    earned = trades_after_costs(wide, np.concatenate(values), np.concatenate(masks))
    told = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in earned.items())
    return f"{said}; overlapping 4h trades after costs: {told}"


if __name__ == "__main__":
    sys.exit(main())
