"""The one way to say no: a status, a word for programs and a sentence for people (LIM-8).

From: every file of this room. To: `guard`, which turns it into JSON `{error, reason}` without stack, path or version.
"""

from __future__ import annotations

import orjson

from ..registry.files import ModelRefused

REASON_LENGTH = 300  # characters; what a caller sent may stand in a reason, but not all of it


class Refused(Exception):
    """A request that gets no forecast.

    Parameters
    ----------
    status : int
        HTTP status, by the table LIM.
    error : str
        One word that programs compare, such as `layout_mismatch`.
    reason : str
        One sentence naming the thing, the value and what was expected.
    allow : str
        The methods that this address takes, of a 405 (RFC 9110, 15.5.6).
    """

    def __init__(self, status: int, error: str, reason: str, allow: str = "") -> None:
        super().__init__(reason)
        self.allow = allow
        self.status, self.error = status, error
        self.reason = reason if len(reason) <= REASON_LENGTH else reason[: REASON_LENGTH - 3] + "..."

    def body(self) -> bytes:
        return orjson.dumps({"error": self.error, "reason": self.reason})


class LayoutMismatch(ModelRefused):
    """A version reads other features, or another observation, than this build of tradekernels computes."""


def bad_request(reason: str) -> Refused:
    return Refused(400, "bad_request", reason)


def too_large(reason: str) -> Refused:
    return Refused(413, "too_large", reason)
