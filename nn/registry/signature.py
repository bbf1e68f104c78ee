"""HMAC-SHA256 over a file's bytes, as 64 lower-case hex digits beside it (REG-2). Used by: `manifest`, `aliases`."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from .files import ModelRefused
from .keys import Keys


def sign(content: bytes, key: bytes) -> bytes:
    """Return the signature as it lies on disk."""
    return hmac.new(key, content, hashlib.sha256).hexdigest().encode()


def check_signature(content: bytes, signatures: bytes, keys: Keys, content_path: Path, signature_path: Path) -> None:
    """Refuse unless a line of the signature file is right for this content under an accepted key; constant time."""
    good = False
    for line in signatures.split(b"\n")[:2]:  # alias files have two while they are being replaced
        for key in keys.accepted:
            good |= hmac.compare_digest(line, sign(content, key))
    if not good:
        raise ModelRefused(f"{signature_path} does not sign {content_path}: one of the two was changed, or the key")
