"""Long answers leave in pieces that are together what the whole would be, and never look whole when they are not."""

from __future__ import annotations

import asyncio

import pyarrow as pa
import pytest
from anyio import CapacityLimiter

from nn.service import arrow
from nn.service.errors import Refused
from nn.service.sending import Pieces

ARROW = "application/vnd.apache.arrow.stream"


async def nothing_more():
    await asyncio.sleep(3600)


def sent_of(pieces, send_s: float = 0.0, limit_s: float = 5.0) -> tuple[list[dict], BaseException | None]:
    """Return what left, and what ended it, for a client that takes `send_s` for a piece."""
    sent: list[dict] = []

    async def send(message):
        sent.append(message)
        await asyncio.sleep(send_s)

    async def run():
        await Pieces(pieces, ARROW, limit_s, CapacityLimiter(1))({"type": "http"}, nothing_more, send)

    try:
        asyncio.run(run())
    except (Refused, ZeroDivisionError) as error:
        return sent, error
    return sent, None


@pytest.mark.parametrize("path", ["/forecast", "/direction", "/predict"])
def test_an_answer_in_pieces_is_the_answer(both_lines, serve, kit, monkeypatch, path):
    """SRV-6: same columns, types, metadata, words and numbers, wherever a piece ends."""
    ask, body = serve(both_lines), kit.arrow_body(kit.candles(260))
    whole = kit.read_reply(ask.arrow(body, path).content)
    assert whole["date"].num_chunks == 1
    for rows in (1, 7, 259, 260):
        monkeypatch.setattr(arrow, "PIECE", rows)
        found = kit.read_reply(ask.arrow(body, path).content)
        assert found["date"].num_chunks == -(-260 // rows)
        assert found.combine_chunks().equals(whole.combine_chunks(), check_metadata=True)
        assert found.unify_dictionaries().schema.equals(whole.schema, check_metadata=True)


def test_pieces_are_made_when_the_one_before_has_left():
    alive = []

    def pieces():
        for k in range(50):
            alive.append(k)
            yield b"x" * 10

    sent, error = sent_of(pieces())
    assert error is None
    assert [message["type"] for message in sent[:1]] == ["http.response.start"]
    assert not any(name == b"content-length" for name, _ in sent[0]["headers"])
    assert b"".join(message["body"] for message in sent[1:]) == b"x" * 500
    assert [message.get("more_body", False) for message in sent[1:]] == [True] * 50 + [False]

    alive.clear()
    sent, error = sent_of(pieces(), send_s=3600, limit_s=0.2)  # a client that does not read
    assert (alive, error.error) == ([0], "slow_reader")
    assert len(sent) == 1


def test_a_piece_that_fails_ends_the_answer_without_its_end():
    def pieces():
        yield b"first"
        raise ZeroDivisionError

    sent, error = sent_of(pieces())
    assert isinstance(error, ZeroDivisionError)
    assert [message.get("more_body") for message in sent] == [None, True]


def test_what_fails_before_the_first_piece_is_told_by_its_status(ask, kit, monkeypatch):
    monkeypatch.setattr(arrow, "_numbers", lambda column: 1 / 0)
    assert ask.arrow(kit.arrow_body(kit.candles(200))).status_code == 500


def test_an_empty_stream_is_no_answer_that_a_reader_takes():
    with pytest.raises(pa.ArrowInvalid):
        pa.ipc.open_stream(b"").read_all()
