"""A list of features, compiled together. From: names and a timeframe. To: float32 rows, in batch or bar by bar."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .catalog import CATALOG
from .expression import nodes_of, warmups_of
from .feature import DEFAULTS, ONE_EACH, Feature
from .frame import read_frame
from .primitives import COLUMNS, OPTIONAL
from .program import Program, compile_program
from .reader import Reader
from .references import NOBODY, Closes, Key, References, Roster, read_closes, roster_of
from .resolve import resolve
from .span import milliseconds
from .stream import Stream


class FeatureSet:
    """Features in a fixed order on one timeframe. Immutable and safe to share between threads."""

    def __init__(self, features: tuple[Feature, ...], timeframe: str, parameters: Mapping[str, float]) -> None:
        self.features = features
        self.timeframe = timeframe
        self.bar_ms = milliseconds(timeframe)
        self.names: tuple[str, ...] = tuple(feature.name for feature in features)
        self._roots = tuple(feature.node for feature in features)
        self._all_parameters = dict(parameters)
        read = {str(x.value) for x in nodes_of(*self._roots) if x.operation.name == "parameter"}
        self.parameters: dict[str, float] = {name: parameters[name] for name in DEFAULTS if name in read}
        canonical = resolve(self._roots, self.bar_ms, self._all_parameters, ONE_EACH)
        warmups = warmups_of(*canonical)
        self.warmups: tuple[int, ...] = tuple(warmups[root][1] for root in canonical)
        self.warmup: int = max(self.warmups)
        self.digest: str = _digest(features, timeframe, self.warmups, self.parameters)
        inputs = {name for feature in features for name in feature.inputs}
        self.optional: tuple[str, ...] = tuple(name for name in OPTIONAL if name in inputs)
        self.looks_at_pairs: bool = bool(inputs & {"btc", "market", "sector"})
        self._programs: dict[tuple, Program] = {}

    def program(self, roster: Roster = NOBODY) -> Program:
        """Return the compiled set for these references; all rosters of one shape share it."""
        pairs = roster.pairs
        shape = (pairs["market"], pairs["sector"])
        if shape not in self._programs:
            roots = resolve(self._roots, self.bar_ms, self._all_parameters, pairs)
            known = {str(x.value) for x in nodes_of(*roots) if x.operation.name == "column"}
            others = sorted(known - set(COLUMNS) - set(OPTIONAL))
            columns = (*COLUMNS, *self.optional, *others)
            self._programs[shape] = compile_program(roots, columns, self.bar_ms, self.warmups)
        return self._programs[shape]

    def compute(
        self,
        frame: Any,
        references: References | Mapping[Any, Any] | None = None,
        dtype: type[np.floating] = np.float32,
        last: int | None = None,
    ) -> np.ndarray:
        """Return the feature matrix of a frame of closed candles.

        Parameters
        ----------
        frame : Mapping or pandas.DataFrame
            date (open time: datetime64, tz-aware UTC, or int64 milliseconds), open, high, low, close, volume; oldest
            first, at least 0 rows; and, where there are any, the columns of `OPTIONAL`, NaN where not known.
        references : References or Mapping of pair to frame, optional
            Other pairs, for cross-asset features.
        dtype : numpy.float32 or numpy.float64
            float32 is what models and streams see; float64 is what the recurrences hold.
        last : int, optional
            Give the last so many rows only, the same bits in less time and memory: the rows before warm them up.

        Returns
        -------
        ndarray of `dtype`, shape (n_bars, n_features), or (min(last, n_bars), n_features)
            C-contiguous; column k is NaN in its first `warmups[k]` rows and finite after them, except where the
            feature's own rule (`Feature.missing`) says otherwise: see `validity`.

        Raises
        ------
        ValueError
            If a column is missing or a row is no candle; the message names column, row, value and expectation.
        """
        if last is not None and last < 0:
            raise ValueError(f"last is {last}, expected a number of rows from 0 on")
        reader = self.reader(frame, references, dtype)
        return reader.read(0 if last is None else max(reader.n_bars - last, 0), reader.n_bars)

    def reader(
        self,
        frame: Any,
        references: References | Mapping[Any, Any] | None = None,
        dtype: type[np.floating] = np.float32,
    ) -> Reader:
        """Return what reads the rows of `compute` from front to back, a part at a time; arguments as there.

        The frame is checked whole, now; its columns are read in place and must not change until the last part.
        """
        if dtype not in (np.float32, np.float64):
            raise ValueError(f"dtype is {dtype}, expected numpy.float32 or numpy.float64")
        date, columns = read_frame(frame, self.bar_ms, self.optional)
        roster, closes = self._read(references)
        program = self.program(roster)
        others = [roster.position(name) for name in program.columns[len(columns) :]]
        return Reader(program, date, columns, [None if k is None else closes[k] for k in others], dtype)

    def validity(self, frame: Any, references: References | Mapping[Any, Any] | None = None) -> dict[str, bool]:
        """Return for every feature whether what it needs (`Feature.needs`) is there, be it known on few rows only."""
        there = {name for name in self.optional if name in frame and np.isfinite(np.asarray(frame[name])).any()}
        roster, _ = self._read(references)
        there |= {"market"} if roster.keys else set()
        there |= {"sector"} if roster.sector else set()
        there |= {"btc"} if roster.btc is not None else set()
        return {feature.name: there.issuperset(feature.needs) for feature in self.features}

    def missing_bars(self, frame: Any) -> np.ndarray:
        """Return how many bars of the timeframe are missing just before each row: int64, shape (n_bars,), 0 mostly."""
        date, _ = read_frame(frame, self.bar_ms)
        cells = date // self.bar_ms
        return np.diff(cells, prepend=cells[:1] - 1) - 1

    def stream(
        self, state: bytes | None = None, references: Sequence[Key] = (), sector: Sequence[Key] | None = None
    ) -> Stream:
        """Return a new stream for one pair, at its beginning or continuing from `Stream.state()`.

        Parameters
        ----------
        state : bytes, optional
            What `Stream.state()` gave, of a stream with the same references.
        references, sector : sequence of keys
            Other pairs whose closes `Stream.refer` will bring, as in `References`.
        """
        stream = Stream(self, roster_of(references, sector))
        return stream if state is None else stream.restore(state)

    def _read(self, references: References | Mapping[Any, Any] | None) -> tuple[Roster, list[Closes]]:
        if references is None or not self.looks_at_pairs:
            return NOBODY, []
        if not isinstance(references, References):
            references = References(references)
        roster = roster_of(tuple(references.frames), references.sector)
        return roster, [read_closes(key, references.frames[key], self.bar_ms) for key in roster.keys]

    def __reduce__(self) -> tuple:
        return feature_set, (self.names, self.timeframe, self._all_parameters)

    def __repr__(self) -> str:
        return f"FeatureSet({len(self.names)} features, {self.timeframe}, warmup {self.warmup}, {self.digest[:12]})"


def feature_set(
    names: Iterable[str], timeframe: str = "15m", parameters: Mapping[str, float] | None = None
) -> FeatureSet:
    """Return the set of the named features of the catalogue, in the order given.

    Parameters
    ----------
    names : iterable of str
        Names of `CATALOG`, each once.
    timeframe : str
        Length of a bar, such as 5m, 15m, 1h, 4h, 1d.
    parameters : Mapping of str to float, optional
        leverage, max_leverage, maintenance_margin, garch_omega, garch_alpha, garch_beta where they differ from
        `DEFAULTS`. Those that some feature of the set reads become part of its digest.

    Raises
    ------
    ValueError
        If a name is unknown (the nearest known one is offered) or appears twice, or there is none, or a parameter is
        unknown or out of its range.
    """
    if isinstance(names, str):
        raise ValueError(f"names is {names!r}, expected a list of names")
    names = tuple(names)
    if not names:
        raise ValueError("names is empty, expected at least one feature")
    for k, name in enumerate(names):
        if name not in CATALOG:
            raise ValueError(f"no feature is called {name!r}; the nearest is {_nearest(name, CATALOG)!r}")
        if name in names[:k]:
            raise ValueError(f"feature {name!r} is named twice")
    return FeatureSet(tuple(CATALOG[name] for name in names), timeframe, _checked(parameters or {}))


def _nearest(name: Any, known: Iterable[str]) -> str:
    return difflib.get_close_matches(str(name), known, n=1, cutoff=0.0)[0]


def _checked(given: Mapping[str, float]) -> dict[str, float]:
    """Return all parameters, refusing unknown names and values without a meaning."""
    for name in given:
        if name not in DEFAULTS:
            raise ValueError(f"no parameter is called {name!r}; the nearest is {_nearest(name, DEFAULTS)!r}")
    values = DEFAULTS | {name: float(value) + 0.0 for name, value in given.items()}  # + 0.0: no negative zero
    for name, (low, high) in {
        "max_leverage": (1.0, math.inf), "leverage": (1.0, values["max_leverage"]), "maintenance_margin": (0.0, 1.0),
        "garch_omega": (0.0, math.inf), "garch_alpha": (0.0, 1.0), "garch_beta": (0.0, 1.0 - values["garch_alpha"]),
    }.items():  # fmt: skip
        if not low <= values[name] <= high or math.isinf(values[name]):
            raise ValueError(f"{name} is {values[name]}, expected a number from {low:g} to {high:g}")
    return values


def _digest(
    features: tuple[Feature, ...], timeframe: str, warmups: tuple[int, ...], parameters: dict[str, float]
) -> str:
    """SHA-256 over names, in order, the recurrences with their versions, and the parameters they read."""
    content = {
        "timeframe": timeframe,
        "features": [
            [feature.name, feature.node.key, warmup] for feature, warmup in zip(features, warmups, strict=True)
        ],
        "parameters": parameters,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
