"""Connections whose questions were refused or are none (LIM-6, LIM-8); `test_hostile` has them on the whole service."""

from __future__ import annotations

import asyncio
import logging
from itertools import repeat

import pytest
import uvicorn
from uvicorn.server import ServerState

from nn.service.connections import Connection

WATCHDOG_S = 60


async def refusing(scope, receive, send):
    """Refuse without reading the body, as the guard does without a key."""
    await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"no"})


async def waiting(scope, receive, send):
    await receive()


def talk(app, begin: bytes, until: bytes, pieces=()) -> bytes:
    """Return all that is answered until the connection ends; `pieces` follow once `until` has come."""

    async def run():
        config = uvicorn.Config(app, lifespan="off", log_config=None)
        config.load()
        loop, state = asyncio.get_running_loop(), ServerState()
        server = await loop.create_server(lambda: Connection(config, state, {}), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(begin)
        found = await reader.readuntil(until)
        rest = asyncio.create_task(reader.read())
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.01)
            if rest.done():
                break
        found += await rest
        writer.close()
        server.close()
        return found

    return asyncio.run(asyncio.wait_for(run(), WATCHDOG_S))


@pytest.mark.parametrize("pieces", [[b"x"], repeat(b"x")], ids=["silent", "a byte now and then"])
def test_the_rest_of_a_refused_body_is_not_waited_for(monkeypatch, pieces):
    """LIM-6: anybody may be refused, and kept an open file for ever by one byte after that."""
    monkeypatch.setattr(Connection, "head_s", 0.05)
    head = b"POST /forecast HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
    assert talk(refusing, head, b"\r\n\r\nno", pieces).startswith(b"HTTP/1.1 401")


def test_a_question_behind_a_refused_body_is_heard():
    head = b"POST /forecast HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    assert talk(refusing, head, b"\r\n\r\nno", [b"xx", b"x" + last]).count(b"HTTP/1.1 401") == 2


def test_an_answer_to_no_head_has_no_body(caplog):
    """LIM-8: RFC 9110, 9.3.2; it was an error in the log of the service, and half an answer."""
    caplog.set_level(logging.ERROR)
    head = b"HEAD /livez HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"
    assert talk(waiting, head, b"\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert not caplog.records
