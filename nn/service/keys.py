"""The keys that open the service. From: environment or a 0600 file. To: `guard`.

There is no default key: one that is missing or short stops the start (LIM-2).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

VARIABLE = "CANDLEWRIGHT_API_KEY"
DEFAULT_FILE = Path("user_data/secrets/service.key")
MIN_LENGTH = 32  # characters


class KeyProblem(ValueError):
    """A key is missing, too short or readable by others; the message says where it was looked for, never the key."""


@dataclass(frozen=True)
class ApiKeys:
    """SHA-256 of each accepted key: comparing digests hides the length too. Two while a rotation is under way."""

    digests: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of(cls, *keys: str) -> ApiKeys:
        return cls(tuple(hashlib.sha256(key.encode()).digest() for key in keys))

    def find(self, offered: bytes) -> int | None:
        """Return which key this is, looking at all of them in constant time; None if it is none."""
        digest = hashlib.sha256(offered).digest()
        matches = [hmac.compare_digest(digest, known) for known in self.digests]
        return matches.index(True) if any(matches) else None


def read_api_keys(
    environ: Mapping[str, str] | None = None, variable: str = VARIABLE, default_file: Path = DEFAULT_FILE
) -> ApiKeys:
    """Return the keys from CANDLEWRIGHT_API_KEY, ..._FILE or user_data/secrets/service.key, and ..._PREVIOUS[_FILE].

    Another server has another variable and file: a key opens one door.
    """
    environ = os.environ if environ is None else environ
    current = _key_of(environ, variable, default_file)
    if current is None:
        raise KeyProblem(f"no API key: {variable} and {variable}_FILE are not set and {default_file} does not exist")
    previous = _key_of(environ, f"{variable}_PREVIOUS", None)
    return ApiKeys.of(current) if previous is None else ApiKeys.of(current, previous)


def _key_of(environ: Mapping[str, str], variable: str, default_file: Path | None) -> str | None:
    if text := environ.get(variable):
        return _checked(text, variable)
    if name := environ.get(f"{variable}_FILE"):
        return _read_file(Path(name))
    if default_file is not None and default_file.exists():
        return _read_file(default_file)
    return None


def _read_file(path: Path) -> str:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KeyProblem(f"cannot read the API key file {path}: {error}") from error
    if mode & 0o077:
        raise KeyProblem(f"API key file {path} has mode {mode:04o}, expected 0600: chmod 600 {path}")
    return _checked(text, str(path))


def _checked(text: str, where: str) -> str:
    key = text.strip()
    if len(key) < MIN_LENGTH:
        raise KeyProblem(f"API key in {where} has {len(key)} characters, expected at least {MIN_LENGTH}")
    if not key.isascii() or not key.isprintable():
        raise KeyProblem(f"API key in {where} has characters that no HTTP header carries, expected printable ASCII")
    return key
