"""Sends a long answer piece by piece, as fast as it is read and no faster (LIM-6).

From: `app`. To: the server's socket. A piece is made when the one before has left, so that an answer is never held
twice, and a client that does not read costs one piece, not an answer. There is no length in advance: an answer that
breaks off, because its time is over or a piece failed, lacks the last chunk of HTTP, and nobody takes it for whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

from anyio import CapacityLimiter, to_thread
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .errors import Refused


class Pieces(Response):
    """An answer of status 200 whose pieces are made in a thread, one at a time.

    Parameters
    ----------
    pieces : iterator of bytes
        Read once.
    media_type : str
    limit_s : float
        From the first piece to the last.
    limiter : CapacityLimiter
        Of the threads that make pieces.
    headers : mapping, optional
        More of them.
    """

    def __init__(
        self,
        pieces: Iterator[bytes],
        media_type: str,
        limit_s: float,
        limiter: CapacityLimiter,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(media_type=media_type, headers=headers)
        del self.headers["content-length"]
        self.pieces, self.limit_s, self.limiter = pieces, limit_s, limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        first = await self.next()  # what fails here is still told by a status
        try:
            async with asyncio.timeout(self.limit_s):
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                piece = first
                while piece is not None:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    piece = await self.next()
                await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            raise Refused(503, "slow_reader", f"the answer was not read in {self.limit_s:g} s") from None

    async def next(self) -> bytes | None:
        return await to_thread.run_sync(next, self.pieces, None, limiter=self.limiter)
