"""The key that signs model versions, and the one accepted beside it. From: environment or a 0600 file. To: `manifest`.

HMAC is symmetric: whoever can check can sign. So each installation has its own key, and a service mounts it read-only.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

VARIABLE = "CANDLEWRIGHT_MODEL_KEY"
DEFAULT_FILE = Path("user_data/secrets/model.key")
MIN_BYTES = 32


class KeyProblem(ValueError):
    """A key is missing, too short or readable by others; the message names where it was looked for, never the key."""


@dataclass(frozen=True)
class Keys:
    """`signing` signs and checks; `previous`, if any, only checks, while a rotation is under way."""

    signing: bytes = field(repr=False)
    previous: bytes | None = field(default=None, repr=False)

    @property
    def accepted(self) -> tuple[bytes, ...]:
        return (self.signing,) if self.previous is None else (self.signing, self.previous)


def read_keys(environ: Mapping[str, str] | None = None) -> Keys:
    """Return the keys from CANDLEWRIGHT_MODEL_KEY, ..._FILE or user_data/secrets/model.key, and ..._PREVIOUS[_FILE]."""
    environ = os.environ if environ is None else environ
    signing = _key_of(environ, VARIABLE, DEFAULT_FILE)
    if signing is None:
        raise KeyProblem(f"no model key: {VARIABLE} and {VARIABLE}_FILE are not set and {DEFAULT_FILE} does not exist")
    return Keys(signing, _key_of(environ, f"{VARIABLE}_PREVIOUS", None))


def _key_of(environ: Mapping[str, str], variable: str, default_file: Path | None) -> bytes | None:
    if text := environ.get(variable):
        return _decode(text, variable)
    if name := environ.get(f"{variable}_FILE"):
        return _read_file(Path(name))
    if default_file is not None and default_file.exists():
        return _read_file(default_file)
    return None


def _read_file(path: Path) -> bytes:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KeyProblem(f"cannot read the model key file {path}: {error}") from error
    if mode & 0o077:
        raise KeyProblem(f"model key file {path} has mode {mode:04o}, expected 0600: chmod 600 {path}")
    return _decode(text, str(path))


def _decode(text: str, where: str) -> bytes:
    text = text.strip()
    try:
        key = bytes.fromhex(text)  # 64 hex digits are 32 bytes, not 64
    except ValueError:
        key = text.encode()
    if len(key) < MIN_BYTES:
        raise KeyProblem(f"model key in {where} has {len(key)} bytes, expected at least {MIN_BYTES}")
    return key
