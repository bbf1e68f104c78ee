"""Reads a request body without trusting its headers: counted and timed while it arrives (LIM-4).

From: the ASGI channel of `guard`. To: `wire` and `arrow`, as bytes within the limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect
from starlette.types import Message

from .errors import Refused, too_large

JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"
LIMITS = {JSON: 256 << 10, ARROW: 64 << 20}  # bytes
SMALL_BODY = 1 << 20  # bytes; the newest candles of some 20 pairs
LINGER_S = 1.0  # a refused body is read on for so long: closing at once would reset the line and lose the answer

Receive = Callable[[], Awaitable[Message]]


async def read_body(receive: Receive, limit: int, timeout_s: float, grown: Callable[[], None] | None = None) -> bytes:
    """Return the whole body; refuse one that is over `limit` bytes or takes longer than `timeout_s`.

    `grown` is called as soon as it turns out to be no small one.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in _chunks(receive):
                size += len(chunk)
                if size > limit:
                    chunks.clear()
                    break
                if grown is not None and size > SMALL_BODY:
                    grown()
                    grown = None
                chunks.append(chunk)
    except TimeoutError:
        raise Refused(408, "slow_body", f"the body took longer than {timeout_s:g} s") from None
    if size > limit:
        await _linger(receive)
        raise too_large(f"the body has more than {limit} bytes; split the work")
    return b"".join(chunks)


async def _chunks(receive: Receive):
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


async def _linger(receive: Receive) -> None:
    try:
        async with asyncio.timeout(LINGER_S):
            async for _ in _chunks(receive):
                continue
    except (TimeoutError, ClientDisconnect):
        return
