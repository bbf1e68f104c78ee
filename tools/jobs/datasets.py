"""The data that jobs may train on: folders below `user_data/data`, named by what is in them (JOB-1).

From: Freqtrade's data directories. To: a fingerprint, the SHA-256 over each candle file's place and content; a request
that names it gets these candles and no others.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from nn.service.errors import Refused
from tools.home import Home

SUFFIXES = (".feather", ".parquet")


def datasets(home: Home) -> dict[str, Path]:
    """Return each data directory by its fingerprint."""
    folders = [path for path in sorted((home.user_data / "data").glob("*")) if path.is_dir() and not path.is_symlink()]
    return {fingerprint(folder): folder for folder in folders if candle_files(folder)}


def candle_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())


def fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in candle_files(folder):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder)} {content}\n".encode())
    return digest.hexdigest()


def find(home: Home, wanted: str) -> Path:
    """Return the data directory with a fingerprint; `Refused` with 404 if none has it (any more)."""
    found = datasets(home).get(wanted)
    if found is None:
        raise Refused(404, "no_dataset", "no data directory has this fingerprint; GET /datasets lists them")
    return found
