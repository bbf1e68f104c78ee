"""The signed judgement of a version, a file beside its folder: it is judged after signing, and can no longer change.

From: `nn.evaluation`, out of sample, by the trainer. To: `gates`, which let a version trade or not, and `versions`.
Missing figures are left out, never zero and never null: a gate fails on what nobody measured.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError, field_validator, model_validator

from .files import ModelRefused, folder_lock, read_plain
from .keys import Keys
from .signature import check_signature, replace_signed

LIMIT = 1 << 20  # bytes; figures of ten forecasters are 40 kB
Figures = dict[str, float]


class Verdict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    beats_baselines: bool
    reasons: tuple[str, ...]


class Evaluation(BaseModel):
    """Figures of one version over candles that close in [begin, end); names as in docs/registry.md."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    schema_version: Literal[1] = 1
    line: str
    version: str
    begin: datetime
    end: datetime
    rows: NonNegativeInt
    metrics: Figures
    baselines: dict[str, Figures]
    trading: Figures
    verdict: Verdict

    @property
    def digest(self) -> str:
        """SHA-256 of its JSON: the same judgement has the same digest."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @field_validator("begin", "end")
    @classmethod
    def _is_utc(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("expected a time with a zone, such as 2025-07-01T00:00:00Z")
        return value.astimezone(UTC)

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Evaluation:
        if self.begin >= self.end:
            raise ValueError(f"begin is {self.begin:%Y-%m-%d %H:%M}, expected before end {self.end:%Y-%m-%d %H:%M}")
        return self


def write_evaluation(line_folder: str | Path, version: str, payload: Mapping[str, Any], keys: Keys) -> Path:
    """Check, sign and write the judgement of a version that lies in `line_folder`; a later one replaces it.

    Parameters
    ----------
    payload : mapping
        Fields of `Evaluation`; times as datetime or ISO text, figures finite.

    Raises
    ------
    ModelRefused
        If there is no such version here, the payload is of another one, or a field is not as it must be.
    """
    folder = Path(line_folder)
    path, signature_path = _paths(folder, version)
    if not (folder / version).is_dir():
        raise ModelRefused(f"{folder} has no version {version!r}, so nothing can be said of it")
    found = _checked(path, lambda: Evaluation.model_validate(dict(payload)), folder.name, version)
    content = found.model_dump_json(indent=1).encode() + b"\n"
    if len(content) > LIMIT:
        raise ModelRefused(f"{path} would have {len(content)} bytes, expected at most {LIMIT}: nobody could read it")
    with folder_lock(folder):
        before = None
        if path.exists():
            try:
                before = _read(path, signature_path, keys)
            except ModelRefused:  # changed by somebody, or its key is gone: replaced, never signed again
                before = None
        replace_signed(path, signature_path, before, content, keys)
    return path


def read_evaluation(line_folder: str | Path, version: str, keys: Keys) -> dict[str, Any]:
    """Return the judgement of a version as `write_evaluation` was given it, after checking its signature.

    Raises
    ------
    ModelRefused
        If it is missing, changed, of another line or version, or not of this form; the message names the file.
    """
    return load_evaluation(line_folder, version, keys).model_dump(mode="json")


def load_evaluation(line_folder: str | Path, version: str, keys: Keys) -> Evaluation:
    """Return the judgement of a version, checked as by `read_evaluation`."""
    folder = Path(line_folder)
    path, signature_path = _paths(folder, version)
    content = _read(path, signature_path, keys)
    return _checked(path, lambda: Evaluation.model_validate_json(content), folder.name, version)


def _paths(folder: Path, version: str) -> tuple[Path, Path]:
    if not version or "/" in version or version.startswith("."):
        raise ModelRefused(f"{version!r} is no name of a version")
    return folder / f"{version}.evaluation.json", folder / f"{version}.evaluation.sig"


def _read(path: Path, signature_path: Path, keys: Keys) -> bytes:
    content = read_plain(path, LIMIT)
    check_signature(content, read_plain(signature_path, 1024), keys, path, signature_path)
    return content


def _checked(path: Path, parse, line: str, version: str) -> Evaluation:
    try:
        found = parse()
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "evaluation"
        raise ModelRefused(f"{path}: {place}: {first['msg']}") from error
    for field, given, expected in (("line", found.line, line), ("version", found.version, version)):
        if given != expected:
            raise ModelRefused(f"{path}: {field} is {given!r}, expected {expected!r}")
    return found
