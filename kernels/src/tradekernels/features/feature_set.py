"""A list of features, compiled together. From: names and a timeframe. To: float32 rows, in batch or bar by bar."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .catalog import CATALOG
from .feature import Feature, milliseconds
from .frame import read_frame
from .primitives import COLUMNS
from .program import Program, compile_program
from .stream import Stream


class FeatureSet:
    """Features in a fixed order on one timeframe. Immutable and safe to share between threads."""

    def __init__(self, features: tuple[Feature, ...], timeframe: str) -> None:
        self.features = features
        self.timeframe = timeframe
        self.names: tuple[str, ...] = tuple(feature.name for feature in features)
        roots = tuple(feature.node for feature in features)
        self.program: Program = compile_program(roots, COLUMNS, milliseconds(timeframe))
        self.warmups: tuple[int, ...] = self.program.warmups
        self.warmup: int = max(self.warmups)
        self.digest: str = _digest(features, timeframe)

    def compute(
        self, frame: Any, references: Mapping[str, Any] | None = None, dtype: type[np.floating] = np.float32
    ) -> np.ndarray:
        """Return the feature matrix of a frame of closed candles.

        Parameters
        ----------
        frame : Mapping or pandas.DataFrame
            date (open time: datetime64, tz-aware UTC, or int64 milliseconds), open, high, low, close, volume; oldest
            first, at least 0 rows.
        references : Mapping of str to frame, optional
            Frames of other pairs, for cross-asset features. No feature of today's catalogue reads one.
        dtype : numpy.float32 or numpy.float64
            float32 is what models and streams see; float64 is what the recurrences hold.

        Returns
        -------
        ndarray of `dtype`, shape (n_bars, n_features)
            C-contiguous; column k is NaN in its first `warmups[k]` rows and finite after them.

        Raises
        ------
        ValueError
            If a column is missing or a row is no candle; the message names column, row, value and expectation.
        """
        date, columns = read_frame(frame)
        if dtype not in (np.float32, np.float64):
            raise ValueError(f"dtype is {dtype}, expected numpy.float32 or numpy.float64")
        rows = np.empty((len(date), len(self.names)), dtype=dtype)
        self.program.machine(len(date)).run(date, columns, rows)
        return rows

    def stream(self, state: bytes | None = None) -> Stream:
        """Return a new stream for one pair, at its beginning or continuing from `Stream.state()`."""
        stream = Stream(self)
        return stream if state is None else stream.restore(state)

    def __repr__(self) -> str:
        return f"FeatureSet({len(self.names)} features, {self.timeframe}, warmup {self.warmup}, {self.digest[:12]})"


def feature_set(names: Iterable[str], timeframe: str = "15m") -> FeatureSet:
    """Return the set of the named features of the catalogue, in the order given.

    Parameters
    ----------
    names : iterable of str
        Names of `CATALOG`, each once.
    timeframe : str
        Length of a bar, such as 5m, 15m, 1h, 4h, 1d.

    Raises
    ------
    ValueError
        If a name is unknown (the nearest known one is offered) or appears twice, or there is none.
    """
    if isinstance(names, str):
        raise ValueError(f"names is {names!r}, expected a list of names")
    names = tuple(names)
    if not names:
        raise ValueError("names is empty, expected at least one feature")
    for k, name in enumerate(names):
        if name not in CATALOG:
            near = difflib.get_close_matches(str(name), CATALOG, n=1, cutoff=0.0)
            raise ValueError(f"no feature is called {name!r}; the nearest is {near[0]!r}")
        if name in names[:k]:
            raise ValueError(f"feature {name!r} is named twice")
    return FeatureSet(tuple(CATALOG[name] for name in names), timeframe)


def _digest(features: tuple[Feature, ...], timeframe: str) -> str:
    """SHA-256 over names, in order, and the recurrences with their parameters and versions."""
    content = {
        "timeframe": timeframe,
        "features": [[feature.name, feature.node.key, feature.warmup(timeframe)] for feature in features],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
