"""HMAC-SHA256 over a file's bytes, as 64 lower-case hex digits beside it (REG-2).

Used by: `manifest`, `aliases`, `evaluations` for whole files, `moves` for lines.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from .files import ModelRefused, write_whole
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


def replace_signed(content_path: Path, signature_path: Path, before: bytes | None, content: bytes, keys: Keys) -> None:
    """Replace a file and its signature so that what lies there verifies at every moment.

    Two files cannot be replaced in one step. So the signature file first holds both signatures, then the content
    changes, then the old signature goes.

    Parameters
    ----------
    before : bytes or None
        What lies there now, if the caller has verified it. What nobody verified is never signed again.
    """
    signature = sign(content, keys.signing)
    old = b"" if before is None else b"\n" + sign(before, keys.signing)
    write_whole(signature_path, signature + old)
    write_whole(content_path, content)
    write_whole(signature_path, signature)
