"""A model line ready to serve: every version of its signed chain, verified, built and warmed up; all of it or nothing.

From: the signed export under $CANDLEWRIGHT_REGISTRY/<line>/ (never MLflow, REG-6). To: `shelf`, which holds the lines.

A chain with one refused version is refused whole: to skip it would let an older version answer for candles that the
missing one decided, and a backtest would then not be what would have traded.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import orjson
import torch
from numpy.typing import NDArray
from tradekernels.features import FeatureSet, Reader, feature_set

from ..data.outliers import OutlierFilter
from ..data.scaler import RobustScaler
from ..data.timeframe import timeframe_ms
from ..evaluation.drift import TrainBins
from ..models.build import ACTOR_CRITIC, build_model
from ..models.ensemble import Ensemble, Network
from ..registry.keys import Keys
from ..registry.manifest import AliasFile, Manifest, ModelRefused, load_aliases, load_version
from .backends.batches import BATCH, Backend
from .backends.choice import COMPILED, Backends, processor
from .backends.compiled import compiler
from .errors import LayoutMismatch
from .feature_rows import FeatureRows
from .policy.served import ServedPolicy, check_one_account, load_policy, policy_digest
from .scoring import Candles

CHAMPION, CHALLENGER = "champion", "challenger"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ServedVersion:
    """One verified version; the form in which `scoring` sees it."""

    manifest: Manifest
    feature_set: FeatureSet
    scaler: RobustScaler
    model: Network | Ensemble
    backend: Backend
    outliers: OutlierFilter | None = None  # None in manifests before SRV-11, and where training wanted none
    bins: TrainBins | None = None  # None in manifests before MET-17

    @property
    def version(self) -> str:
        return self.manifest.version

    @property
    def valid_from_ms(self) -> int:
        return milliseconds(self.manifest.valid_from)

    @property
    def feature_digest(self) -> str:
        return self.feature_set.digest

    @property
    def warmup(self) -> int:
        return self.feature_set.warmup

    @property
    def context_length(self) -> int:
        return self.model.config.context_length

    def reader(self, frame: Candles) -> Reader:
        return self.feature_set.reader(frame)

    def features(self, frame: Candles, first: int = 0) -> NDArray[np.float32]:
        """Return the features of these candles from row `first` on; of what overflowed NaN, and so no forecast."""
        return FeatureRows(lambda: self.reader(frame)).read(first, len(frame["date"]))

    def scaled(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.scaler.transform(features)

    def forecast(self, rows: NDArray[np.float32], ends: NDArray[np.int64]) -> NDArray[np.float32]:
        return self.backend.forecast(rows, ends)

    def outlying(self, rows: NDArray[np.float32], ends: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which windows are too far from those learned from to be answered (SRV-11)."""
        if self.outliers is None:
            return np.zeros(len(ends), dtype=np.bool_)
        return self.outliers.refuses(rows, ends, self.context_length)


Served = TypeVar("Served", ServedVersion, ServedPolicy)


@dataclass(frozen=True, eq=False)
class Line(Generic[Served]):
    """A model line as one alias file names it."""

    name: str
    kind: str  # of nn.models.build: what it may be asked
    timeframe: str
    columns: tuple[str, ...]  # of its answers
    serial: int
    aliases: dict[str, str]
    chain: tuple[Served, ...]  # ascending by valid_from
    champion: Served | None
    chain_digest: str
    challenger: Served | None = None  # answers in shadow only (SRV-10)

    @property
    def versions(self) -> tuple[Served, ...]:
        """All that are loaded: the chain, and the champion where it is not part of it."""
        extra: tuple[Served, ...] = ()
        if self.champion is not None and self.champion not in self.chain:
            extra = (self.champion,)
        return self.chain + extra


def load_line(folder: Path, keys: Keys, newer_than: int | None = None, backends: Backends | None = None) -> Line:
    """Return the line in this folder; `ModelRefused` names the file or the field that is wrong."""
    backends = backends or Backends()
    aliases = load_aliases(folder, keys, newer_than)
    chain = tuple(load_served(folder / name, keys, backends) for name in aliases.chain)
    champion = _named(CHAMPION, folder, aliases, chain, keys, backends)
    loaded = (*chain, champion) if champion else chain
    if not loaded:
        raise ModelRefused(f"{folder.name} names no version that could serve")
    if len({version.manifest.kind for version in loaded}) > 1:
        raise ModelRefused(f"{folder.name} mixes kinds: {', '.join(sorted({v.manifest.kind for v in loaded}))}")
    if len({version.manifest.timeframe for version in loaded}) > 1:
        raise ModelRefused(f"{folder.name} mixes timeframes: {', '.join(sorted(v.manifest.timeframe for v in loaded))}")
    for version in loaded:
        if version.manifest.name != folder.name:
            raise ModelRefused(f"{version.version} is of line {version.manifest.name}, not of {folder.name}")
    for older, newer in pairwise(chain):
        if older.valid_from_ms >= newer.valid_from_ms:
            raise ModelRefused(f"chain of {folder.name}: {newer.version} is not valid after {older.version}")
    timeframe = loaded[0].manifest.timeframe
    kind, columns = loaded[0].manifest.kind, loaded[0].model.columns
    digest = policy_digest(chain) if kind == ACTOR_CRITIC else chain_digest(chain)
    challenger = _challenger(folder, aliases, loaded, keys, backends)
    if kind == ACTOR_CRITIC:
        check_one_account(folder.name, loaded)
    line: Line = Line(
        folder.name, kind, timeframe, columns, aliases.serial, aliases.aliases, chain, champion, digest, challenger
    )
    return quickened(line, backends)


def quickened(line: Line, backends: Backends) -> Line:
    """Return the line with the faster backends that there are by now, else the line itself.

    As long as more are on their way it waits, so that what clients keep under the chain's digest is asked for again
    once; a network that cannot be compiled stays as it is and keeps no other back.
    """
    if line.kind == ACTOR_CRITIC:
        return line
    every = {*line.versions, *((line.challenger,) if line.challenger else ())}
    slow = {version for version in every if backends.is_slow(version.backend)}
    ready = {version for version in slow if backends.has_better(version.model)}
    if not ready or any(backends.is_pending(version.model) for version in slow):
        return line
    new = {each: replace(each, backend=backends.of(each.model)) if each in ready else each for each in every}
    chain = tuple(new[version] for version in line.chain)
    champion = new[line.champion] if line.champion else None
    challenger = new[line.challenger] if line.challenger else None
    return replace(line, chain=chain, champion=champion, challenger=challenger, chain_digest=chain_digest(chain))


def _named(
    alias: str, folder: Path, aliases: AliasFile, loaded: tuple[Any, ...], keys: Keys, backends: Backends
) -> Any:
    name = aliases.aliases.get(alias)
    if name is None:
        return None
    known = next((version for version in loaded if version.version == name), None)
    return known or load_served(folder / name, keys, backends)


def _challenger(folder: Path, aliases: AliasFile, loaded: tuple[Any, ...], keys: Keys, backends: Backends) -> Any:
    """Return the challenger; one that is refused, or is no version of this line, is told and stops nothing."""
    try:
        found = _named(CHALLENGER, folder, aliases, loaded, keys, backends)
    except (ModelRefused, OSError) as error:
        logger.error("challenger of %s was refused: %s; nothing is scored in shadow", folder.name, error)
        return None
    if found is None:
        return None
    first, its = loaded[0].manifest, found.manifest
    if (its.name, its.kind, its.timeframe) == (first.name, first.kind, first.timeframe):
        return found
    logger.error(
        "challenger of %s is of line %s, kind %s, timeframe %s", folder.name, its.name, its.kind, its.timeframe
    )
    return None


def load_served(folder: Path, keys: Keys, backends: Backends) -> Any:
    """Verify, build and warm up one version: a `ServedVersion`, or a `ServedPolicy` where the manifest says so."""
    loaded = load_version(folder, keys)
    manifest = loaded.manifest
    embargo = timedelta(milliseconds=manifest.embargo_bars * timeframe_ms(manifest.timeframe))
    if manifest.trained_until + embargo > manifest.valid_from:
        raise ModelRefused(
            f"{manifest.version} is valid from {manifest.valid_from:%Y-%m-%d %H:%M}, before data and embargo end"
        )
    if manifest.kind == ACTOR_CRITIC:
        return load_policy(loaded)
    try:
        features = feature_set(manifest.feature_names, manifest.timeframe, manifest.feature_parameters)
    except ValueError as error:
        raise LayoutMismatch(f"{manifest.version}: {error}") from error
    if features.digest != manifest.feature_digest or features.warmup != manifest.warmup:
        raise LayoutMismatch(
            f"{manifest.version} has feature digest {manifest.feature_digest[:12]} and warm-up {manifest.warmup}, "
            f"tradekernels now gives {features.digest[:12]} and {features.warmup}"
        )
    try:
        scaler = RobustScaler.from_dict(manifest.scaler)
        outliers = None if manifest.outliers is None else OutlierFilter.from_dict(manifest.outliers)
        bins = None if manifest.bins is None else TrainBins.from_dict(manifest.bins)
        model = build_model(manifest.kind, manifest.architecture, loaded.tensors)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelRefused(f"{manifest.version}: {error}") from error
    if manifest.forecast_columns != model.columns:
        raise ModelRefused(f"{manifest.version} was made for other forecast columns than this build answers with")
    if len(scaler.median) != len(features.names):
        raise ModelRefused(
            f"{manifest.version}: scaler has {len(scaler.median)} features, expected {len(features.names)}"
        )
    found = [("outliers", outliers.mean_square)] if outliers else []
    found += [("bins", bins.edges)] if bins else []
    for name, numbers in found:
        if len(numbers) != len(features.names):
            raise ModelRefused(
                f"{manifest.version}: {name} has {len(numbers)} features, expected {len(features.names)}"
            )
    version = ServedVersion(manifest, features, scaler, model, backends.of(model), outliers, bins)
    dummy_inference(version)
    return version


def dummy_inference(version: ServedVersion) -> None:
    """Score one window of zeros; refuse a version whose answer is not finite."""
    length = version.context_length
    answer = version.forecast(
        np.zeros((length, len(version.feature_set.names)), dtype=np.float32), np.array([length - 1])
    )
    n_columns = len(version.model.columns)
    if answer.shape != (1, n_columns) or not np.isfinite(answer).all():
        raise ModelRefused(f"{version.version}: a forecast from zeros is not {n_columns} finite numbers")


def chain_digest(chain: tuple[ServedVersion, ...]) -> str:
    """Return the SHA-256 over everything that decides a bit of a score over history; clients cache answers under it."""
    content = {
        "schema_version": 1,
        "batch": BATCH,
        "torch": torch.__version__,
        "processor": processor(),
        "threads": torch.get_num_threads(),  # a library may share a sum out among them
        "compiler": compiler() if any(version.backend.name.startswith(COMPILED) for version in chain) else None,
        "columns": list(chain[0].model.columns) if chain else [],
        "chain": [
            {
                "version": version.version,
                "files": version.manifest.files,
                "kind": version.manifest.kind,
                "architecture": version.manifest.architecture,
                "scaler": version.manifest.scaler,
                "outliers": version.manifest.outliers,
                "valid_from_ms": version.valid_from_ms,
                "feature_digest": version.feature_digest,
                "backend": version.backend.name,
            }
            for version in chain
        ],
    }
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
