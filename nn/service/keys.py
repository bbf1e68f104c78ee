"""The keys that open the service. From: environment or a 0600 file. To: `guard`, the datahub, the admin port of jobs.

There is no default key: one that is missing or short stops the start (LIM-2). A key file that is replaced while the
service runs is read again: the new key opens at once, the old one for OVERLAP_S more, so that bots can follow (LIM-1).
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

logger = logging.getLogger(__name__)

VARIABLE = "CANDLEWRIGHT_API_KEY"
DEFAULT_FILE = Path("user_data/secrets/service.key")
MIN_LENGTH = 32  # characters
LOOK_S = 1.0  # between two looks at the key files
OVERLAP_S = 600.0  # that a key goes on opening after its file holds another; a restart ends it at once


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


class Keyring:
    """The keys of now: `read` is asked again every LOOK_S and for each unknown key, and `clock` counts seconds.

    What cannot be read, or is no key, changes nothing but the log: a rotation that went wrong shuts nobody out.
    """

    def __init__(self, read: Callable[[], ApiKeys], clock: Callable[[], float] = time.monotonic) -> None:
        self.read, self.clock = read, clock
        self.until = dict.fromkeys(read().digests, math.inf)  # every key there was, and when it ends
        self.looked_at, self.broken = clock(), False

    def find(self, offered: bytes) -> int | None:
        """Return which key this is, counted as they came, looking at all of them in constant time; None if none."""
        now, digest = self.clock(), hashlib.sha256(offered).digest()
        if now - self.looked_at >= LOOK_S or self._place(digest, now) is None:  # a bot may know the new one already
            self.look(now)
        return self._place(digest, now)

    def _place(self, digest: bytes, now: float) -> int | None:
        matches = [hmac.compare_digest(digest, known) & (now < end) for known, end in self.until.items()]
        return matches.index(True) if any(matches) else None

    def look(self, now: float) -> None:
        """Take in what the files hold."""
        self.looked_at = now
        try:
            held = self.read().digests
        except (KeyProblem, OSError) as error:
            if not self.broken:
                logger.error("the keys cannot be read again: %s; those of before go on", error)
            self.broken = True
            return
        self.broken = False
        if {known for known, end in self.until.items() if end == math.inf} == set(held):
            return
        logger.warning("the keys have changed; one that is gone opens for %g s more", OVERLAP_S)
        ending = {known: min(end, now + OVERLAP_S) for known, end in self.until.items()}
        self.until = ending | dict.fromkeys(held, math.inf)


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
