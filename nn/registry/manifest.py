"""A model version on disk: manifest.json, its signature, and the weights. Checked first, parsed afterwards (REG-1..3).

From: `nn.forecast` (write_version). To: `nn.service` (load_version), which never sees MLflow.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from torch import Tensor

from ..models.build import n_inputs, weight_shapes
from .aliases import AliasFile, load_aliases, write_aliases
from .files import ModelRefused, read_plain, write_folder
from .keys import Keys, read_keys
from .policy_fields import PolicyEnvironment, PolicyObjective, PolicyObservation
from .signature import check_signature, sign

__all__ = [
    "AliasFile", "Keys", "LoadedVersion", "Manifest", "ManifestDraft", "ModelRefused",
    "load_aliases", "load_version", "read_keys", "write_aliases", "write_version",
]  # fmt: skip

SCHEMA_VERSION: Literal[1] = 1
MANIFEST, SIGNATURE, WEIGHTS = "manifest.json", "manifest.sig", "weights.safetensors"
MANIFEST_LIMIT, WEIGHTS_LIMIT = 4 << 20, 2 << 30  # bytes
DECISIVE = (
    "kind", "architecture", "timeframe", "feature_digest", "scaler", "outliers", "valid_from", "data_fingerprint",
    "observation", "environment", "objective",
)  # fmt: skip
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class ManifestDraft(BaseModel):
    """What a version says about itself, before its weights give it a name. Times are UTC, open-ended at the right."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = SCHEMA_VERSION
    name: str  # the model line, such as unified-15m
    kind: str  # a kind of nn.models.build
    architecture: dict[str, object]  # fields of the kind's config, scales of the answers included
    timeframe: str
    pairs: tuple[str, ...]
    feature_names: tuple[str, ...]
    feature_parameters: dict[str, float] = {}  # those that the features read, GARCH weights from train rows among them
    feature_digest: str
    warmup: int  # bars before the first finite row of features
    scaler: dict[str, list[float]]  # median and interquartile range per feature, from train rows only
    outliers: dict[str, float | list[float]] | None = None  # limits of data.outliers, from train rows only; None: off
    bins: dict[str, list[list[float]]] | None = None  # of evaluation.drift, from train rows only; decides no answer
    target_names: tuple[str, ...]
    forecast_columns: tuple[str, ...]
    class_codes: dict[str, int]
    cost_model: dict[str, float]  # ratio per side: fee, slippage; and their round trip
    trained_from: datetime  # open of the first candle that was read
    trained_until: datetime  # close of the last candle that any label or check has seen
    embargo_bars: int
    valid_from: datetime  # forecasts of candles that close at or after this are out of sample
    data_fingerprint: str  # of the candles up to trained_until, and no later ones
    metrics: dict[str, float]  # of the validation rows
    libraries: dict[str, str]
    git_commit: str
    config_hash: str
    observation: PolicyObservation | None = None  # these three of a policy only
    environment: PolicyEnvironment | None = None
    objective: PolicyObjective | None = None

    @field_validator("trained_from", "trained_until", "valid_from")
    @classmethod
    def _is_utc(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("expected a time with a zone, such as 2025-07-01T00:00:00Z")
        return value.astimezone(UTC)

    @field_validator("name")
    @classmethod
    def _is_plain(cls, value: str) -> str:
        if not PLAIN_NAME.fullmatch(value):
            raise ValueError(f"{value!r} is no plain name: letters, digits, dot, dash and underscore only")
        return value


class Manifest(ManifestDraft):
    """A draft with its name and the SHA-256 of every file that belongs to it."""

    version: str
    files: dict[str, str]


@dataclass(frozen=True)
class LoadedVersion:
    manifest: Manifest
    tensors: dict[str, Tensor]


def write_version(line_folder: str | Path, draft: ManifestDraft, tensors: Mapping[str, Tensor], keys: Keys) -> Path:
    """Sign a version and put it under `line_folder`; return its folder, whose name says when it counts and what it is.

    Writing the same version again is not an error: the folder that is there is checked and kept.
    """
    weights = safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    digest = hashlib.sha256(weights).hexdigest()
    version = f"{draft.name}-{draft.valid_from:%Y%m%dT%H%M}-{digest[:8]}"
    manifest = Manifest(**dict(draft), version=version, files={WEIGHTS: digest})
    content = manifest.model_dump_json(indent=1).encode() + b"\n"
    _check_weights(manifest, dict(tensors), version)
    folder = Path(line_folder) / version
    if folder.exists():
        there = load_version(folder, keys).manifest
        for field in DECISIVE:
            if getattr(there, field) != getattr(manifest, field):
                raise ModelRefused(f"{folder} exists with the same weights and another {field}: move it away first")
        return folder
    write_folder(folder, {WEIGHTS: weights, MANIFEST: content, SIGNATURE: sign(content, keys.signing)})
    return folder


def load_version(folder: str | Path, keys: Keys) -> LoadedVersion:
    """Return a version after checking signature, then file hashes, then content, in this order.

    Raises
    ------
    ModelRefused
        The sentence names the file that is wrong and says how.
    """
    folder = Path(folder)
    content = read_plain(folder / MANIFEST, MANIFEST_LIMIT)
    check_signature(content, read_plain(folder / SIGNATURE, 1024), keys, folder / MANIFEST, folder / SIGNATURE)
    manifest = _parse(content, folder / MANIFEST)
    if manifest.version != folder.name:
        raise ModelRefused(f"{folder / MANIFEST} is of version {manifest.version}, but its folder is {folder.name}")
    contents = {}
    for name, digest in manifest.files.items():
        if not PLAIN_NAME.fullmatch(name) or name in (MANIFEST, SIGNATURE):
            raise ModelRefused(f"{folder / MANIFEST} lists the file {name!r}, expected a plain name in its own folder")
        contents[name] = read_plain(folder / name, WEIGHTS_LIMIT)
        if not hmac.compare_digest(hashlib.sha256(contents[name]).hexdigest().encode(), digest.encode()):
            raise ModelRefused(f"{folder / name} is not the file that was signed: its SHA-256 differs")
    if WEIGHTS not in contents:
        raise ModelRefused(f"{folder / MANIFEST} lists no {WEIGHTS}")
    try:
        tensors = safetensors.torch.load(contents[WEIGHTS])  # numbers and names only, no pickle; its hash held above
    except Exception as error:  # whatever the parser says, the file is refused and the reason kept
        raise ModelRefused(f"{folder / WEIGHTS} is no safetensors file: {error}") from error
    _check_weights(manifest, tensors, str(folder / WEIGHTS))
    return LoadedVersion(manifest, tensors)


def _parse(content: bytes, path: Path) -> Manifest:
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ModelRefused(f"{path}: {place}: {first['msg']} (this build reads schema {SCHEMA_VERSION})") from error


def _check_weights(manifest: Manifest, tensors: Mapping[str, Tensor], where: str) -> None:
    try:
        expected = weight_shapes(manifest.kind, manifest.architecture)
    except (TypeError, ValueError) as error:
        raise ModelRefused(f"{MANIFEST} of {manifest.version}: {error}") from error
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors or name not in expected:
            raise ModelRefused(f"{where}: weight {name} is {'missing' if name in expected else 'unknown'}")
        if tuple(tensors[name].shape) != expected[name]:
            raise ModelRefused(f"{where}: {name} has shape {tuple(tensors[name].shape)}, expected {expected[name]}")
        if not torch.isfinite(tensors[name]).all():
            raise ModelRefused(f"{where}: {name} has values that are not finite")
    name, inputs = n_inputs(manifest.kind, manifest.architecture)
    if len(manifest.feature_names) != inputs:
        raise ModelRefused(f"{MANIFEST} of {manifest.version}: {name} is not the number of feature_names")
