"""Fits the statistics of a training range. From: training rows of one pair or several. To: `Statistics`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..features.primitives import COLUMNS
from ..features.span import milliseconds
from .market import INPUTS, MARKET, SOURCES, STANDARDISED, inputs_of, raw_nodes, source_of
from .raw import compile_raw, raw_rows, read_rows
from .statistics import Statistics, garch_parameters, window_table_of


@dataclass
class _Pool:
    """Mean and squared deviations of values that come in parts, Chan et al. (1983), eq. 1.5."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, values: np.ndarray) -> None:
        values = values[np.isfinite(values)]
        if len(values) == 0:
            return
        mean = float(values.mean())
        total, apart = self.count + len(values), mean - self.mean
        self.squares += float(((values - mean) ** 2).sum()) + apart**2 * self.count * len(values) / total
        self.mean += apart * len(values) / total
        self.count = total

    @property
    def std(self) -> float:
        """Population deviation; 0 where it is no more than the rounding of the values."""
        variance = self.squares / max(self.count, 1)
        return math.sqrt(variance) if variance > 1e-20 * (self.mean**2 + variance) else 0.0


def fit(frames: Any, timeframe: str, parameters: Mapping[str, float] | None = None) -> Statistics:
    """Return the statistics of a training range; several pairs are pooled, every known value weighing the same.

    Parameters
    ----------
    frames : frame, sequence of frames, or Mapping of pair to frame
        Training rows alone, each as `ObservationSet.compute` takes it: a validation row in here is a leak.
    timeframe : str
        Length of a bar, such as 5m, 15m, 1h, 4h.
    parameters : Mapping of str to float, optional
        garch_omega, garch_alpha, garch_beta, themselves fitted on training rows.

    Raises
    ------
    ValueError
        If there is no row, a row is no candle, the pairs have different micro sources, or a source's column is there
        and known nowhere.
    """
    bar_ms, chosen = milliseconds(timeframe), garch_parameters(timeframe, parameters)
    pairs = _by_pair(frames)
    source = _common_source(pairs)
    inputs = inputs_of(source, [name for name in INPUTS if not any(name in frame for frame in pairs.values())])
    program = compile_raw(raw_nodes(source, inputs), inputs, bar_ms, chosen).program
    pools = {name: _Pool() for name in MARKET}
    seen: set[str] = set()
    times: list[int] = []
    rows = 0
    for pair, frame in pairs.items():
        try:
            date, columns = read_rows(frame, bar_ms, inputs)
        except ValueError as error:
            raise ValueError(f"{pair}: {error}") from error
        rows += len(date)
        times += date[[0, -1]].tolist() if len(date) else []
        optional = zip(inputs, columns[len(COLUMNS) :], strict=True)
        seen |= {name for name, column in optional if column is not None and not np.isnan(column).all()}
        for _, raw in raw_rows(program, date, columns, np.float64):
            for pool, values in zip(pools.values(), raw.T, strict=False):  # the last column is no slot's
                pool.add(values)
    if rows == 0:
        raise ValueError("frames have no row, expected at least one training row")
    for name in SOURCES[source]:
        if name not in seen:
            raise ValueError(f"{name} is known in no row: without it the source is not {source!r}, so leave it out")
    return Statistics(
        timeframe=timeframe,
        means={name: pools[name].mean for name in STANDARDISED},
        stds={name: pools[name].std for name in STANDARDISED},
        quote_scale=pools["log_volume_norm"].mean,
        volume_scale=pools["rel_volume"].mean,
        source=source,
        absent=tuple(name for name in INPUTS if name not in seen),
        parameters=chosen,
        window_table=window_table_of(timeframe),
        rows=rows,
        first_ms=min(times),
        last_ms=max(times) + bar_ms,
    )


def _by_pair(frames: Any) -> dict[str, Any]:
    """Return frames by a name for messages, from one of them, a sequence or a mapping."""
    if hasattr(frames, "keys"):  # a DataFrame has them too
        return {"frame": frames} if "close" in frames else {str(pair): frame for pair, frame in frames.items()}
    return {f"frame {k}": frame for k, frame in enumerate(frames)}


def _common_source(pairs: Mapping[str, Any]) -> str:
    sources = {pair: source_of(frame) for pair, frame in pairs.items()}
    common = next(iter(sources.values()), "candles")
    for pair, source in sources.items():
        if source != common:
            raise ValueError(f"{pair} has micro source {source!r}, expected {common!r} as the pairs before it")
    return common
