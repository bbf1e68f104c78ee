"""HTTP/1.1 connections that are ended when nothing comes (LIM-6). From: `__main__`. To: uvicorn, as its protocol.

uvicorn times the pause after an answer, not the one before a question: who connects and says nothing, or a header a
minute, would keep a place among the open files for ever. Bodies are timed by `body`, answers by `sending`, the rest of
a refused body here. What is no HTTP is told so in the form of all other errors (LIM-8).
"""

from __future__ import annotations

import asyncio
import resource

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from .body import JSON
from .errors import bad_request

HEAD_S = 10.0  # from connecting, or the first byte of a later question, to the end of its headers; or of a refused body


class Connection(H11Protocol):
    head_s = HEAD_S
    _head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._asks_nothing():
            self._await_head()
        else:
            self._head_came()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, and end the connection; where an answer has begun already, only that."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = bad_request("this is no valid HTTP").body()
            length = str(len(body)).encode()
            if self.conn.our_state is h11.SEND_RESPONSE and self.scope["method"] == "HEAD":
                body = b""
            headers = [(b"content-type", JSON.encode()), (b"content-length", length), (b"connection", b"close")]
            for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _asks_nothing(self) -> bool:
        """Tell whether no question is being read or answered: none has come, or the rest of one that was refused."""
        return self.conn.their_state is h11.IDLE or self.conn.our_state is h11.DONE

    def _await_head(self) -> None:
        if self._head is None:
            self._head = self.loop.call_later(self.head_s, self._give_up)

    def _head_came(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _give_up(self) -> None:
        self._head = None
        if self._asks_nothing() and not self.transport.is_closing():
            self.transport.close()


def allow_many() -> None:
    """Raise the number of files that this process may have open to what the system permits it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
