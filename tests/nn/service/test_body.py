"""A body is counted and timed while it arrives, whatever its headers say (LIM-4)."""

import asyncio

import pytest
from starlette.requests import ClientDisconnect

from nn.service.body import read_body
from nn.service.errors import Refused


def channel(*chunks, then=None):
    """Return a receive function that hands out these chunks, then waits for ever or disconnects."""
    queue = list(chunks)

    async def receive():
        if queue:
            chunk = queue.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(queue) or then is not None}
        if then == "disconnect":
            return {"type": "http.disconnect"}
        return await asyncio.Event().wait()

    return receive


def read(receive, limit=10, timeout_s=60.0):
    return asyncio.run(read_body(receive, limit, timeout_s))


def test_chunks_are_joined_up_to_the_limit():
    assert read(channel(b"12345", b"", b"67890")) == b"1234567890"


def test_one_byte_more_is_refused():
    with pytest.raises(Refused, match="more than 10 bytes") as refusal:
        read(channel(b"12345", b"678901"))
    assert refusal.value.status == 413


def test_a_body_without_end_is_refused_while_it_arrives():
    async def receive():
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    async def slow():
        await asyncio.sleep(0.001)
        return await receive()

    with pytest.raises(Refused) as refusal:
        read(slow)
    assert refusal.value.status == 413


def test_a_slow_body_is_refused():
    with pytest.raises(Refused, match=r"longer than 0\.2 s") as refusal:
        read(channel(b"1", then="wait"), timeout_s=0.2)
    assert (refusal.value.status, refusal.value.error) == (408, "slow_body")


def test_a_client_that_goes_away_ends_the_reading():
    with pytest.raises(ClientDisconnect):
        read(channel(b"1", then="disconnect"))
