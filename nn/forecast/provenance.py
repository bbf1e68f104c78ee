"""What a run was made with: git commit and library versions. To: the manifest and the tags of the run (TRN-6)."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("candlewright", "mlflow", "numpy", "pandas", "safetensors", "torch", "tradekernels")
ROOT = Path(__file__).resolve().parents[2]


def git_commit() -> str:
    """Return the commit of this clone, with -dirty behind it when files were changed; unknown outside a clone."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found.stdout.strip() or "unknown"


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide a result."""
    return {"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}}


def run_tags(data_fingerprint: str, feature_digest: str, config_hash: str, seed: int) -> dict[str, str]:
    """Return what identifies a run's inputs."""
    return {
        "data_fingerprint": data_fingerprint,
        "feature_digest": feature_digest,
        "config_hash": config_hash,
        "git_commit": git_commit(),
        "seed": str(seed),
        **{f"library.{name}": number for name, number in library_versions().items()},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
