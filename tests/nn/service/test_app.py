"""Places and time limits: live work never waits behind history, and nobody works for a client that is gone (LIM-6)."""

import asyncio
import time

import httpx
import pytest

from nn.service import batching
from nn.service.body import SMALL_BODY
from nn.service.errors import Refused


def test_scoring_that_takes_too_long_is_503(chain, serve, kit):
    ask = serve(chain, live_timeout_s=1e-9)
    response = ask.json(kit.candles(280), as_of="latest")
    assert (response.status_code, response.json()["error"]) == (503, "timeout")
    assert ask.json(kit.candles(280)).status_code == 200


def test_history_waits_for_a_place_and_live_does_not(chain, serve, kit):
    """LIM-6, SRV-8: 429 when no place becomes free in time, and the newest candle is answered meanwhile."""
    ask = serve(chain, bulk_concurrency=1, bulk_timeout_s=0.3)
    frame, owner = kit.candles(280), object()
    headers = {"x-api-key": kit.api_key, "content-type": "application/json"}

    async def run():
        transport = httpx.ASGITransport(ask.app.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
            await ask.app.bulk_places.acquire_on_behalf_of(owner)
            refused = await client.post("/forecast", content=kit.json_body(frame))
            live = await client.post("/forecast", content=kit.json_body(frame, as_of="latest"))
            ask.app.bulk_places.release_on_behalf_of(owner)
            ask.app.settings = ask.app.settings.model_copy(update={"bulk_timeout_s": 60.0})
            served = await client.post("/forecast", content=kit.json_body(frame))
        return refused, live, served

    refused, live, served = asyncio.run(run())
    assert (refused.status_code, refused.json()["error"]) == (429, "overload")
    assert (live.status_code, served.status_code) == (200, 200)


def test_history_that_waits_fills_its_own_places_only(chain, serve, kit):
    """SRV-8, LIM-6: what is beyond the waiting places is 429 at once, and live requests still have all of theirs."""
    ask = serve(chain, max_concurrency=3, bulk_concurrency=1, bulk_waiting=4, bulk_timeout_s=120)
    frame, owner = kit.candles(280), object()
    headers = {"x-api-key": kit.api_key, "content-type": "application/json"}
    places = ask.app.asgi.places

    async def run():
        transport = httpx.ASGITransport(ask.app.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
            await ask.app.bulk_places.acquire_on_behalf_of(owner)
            waiting = []
            for count in range(1, 6):  # one after the other: four places to be read are enough for any number
                waiting.append(asyncio.create_task(client.post("/forecast", content=kit.json_body(frame))))
                while places.taken["history"] < count:
                    await asyncio.sleep(0.005)
            refused = await client.post("/forecast", content=kit.json_body(frame))
            live = [await client.post("/forecast", content=kit.json_body(frame, as_of="latest")) for _ in range(4)]
            ask.app.bulk_places.release_on_behalf_of(owner)
            served = await asyncio.gather(*waiting)
        return refused, live, served

    refused, live, served = asyncio.run(run())
    assert (refused.status_code, refused.json()["error"]) == (429, "overload")
    assert [each.status_code for each in live] == [200] * 4
    assert [each.status_code for each in served] == [200] * 5
    assert set(places.taken.values()) == {0}


@pytest.mark.parametrize("path", ["/forecast", "/rollout"])
def test_a_long_body_that_comes_slowly_keeps_no_small_one_out(chain, serve, kit, path):
    """LIM-6, SRV-8: while it is read it has a place of another kind; when those are taken too, it is 429 at once."""
    ask = serve(chain, max_concurrency=1)
    arrow = {"content-type": "application/vnd.apache.arrow.stream"}
    headers = {"x-api-key": kit.api_key, "content-type": "application/json"}
    places = ask.app.asgi.places

    async def run():
        over = asyncio.Event()

        async def slow():
            yield b"x" * (SMALL_BODY + 1)
            await over.wait()

        transport = httpx.ASGITransport(ask.app.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
            long = asyncio.create_task(client.post(path, content=slow(), headers=arrow))
            while not places.taken["large"]:
                await asyncio.sleep(0.005)
            live = await client.post("/forecast", content=kit.json_body(kit.candles(280), as_of="latest"))
            refused = await client.post(path, content=slow(), headers=arrow)
            over.set()
            return live, refused, await long

    live, refused, long = asyncio.run(run())
    assert live.status_code == 200
    assert (refused.status_code, refused.json()["error"]) == (429, "overload")
    assert long.status_code == 400
    assert set(places.taken.values()) == {0}


def test_work_for_a_client_that_is_gone_ends(ask, kit, monkeypatch):
    ended = []

    def endless(versions, frames, timeframe, columns, last_only, between_batches, known):
        try:
            for _ in range(1000):
                between_batches()
                time.sleep(0.005)
        except Refused as refusal:
            ended.append(refusal.error)
            raise

    monkeypatch.setattr(batching, "score", endless)
    messages = [{"type": "http.request", "body": kit.json_body(kit.candles(280))}, {"type": "http.disconnect"}]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/forecast",
        "query_string": b"",
        "headers": [
            (b"host", b"localhost"),
            (b"x-api-key", kit.api_key.encode()),
            (b"content-type", b"application/json"),
        ],
    }

    async def run():
        async def receive():
            return messages.pop(0)

        async def send(message):
            pass

        await asyncio.wait_for(ask.app.asgi(scope, receive, send), kit.watchdog_s)

    asyncio.run(run())
    assert ended == ["timeout"]


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_need_no_key(ask, path):
    """LIM-1."""
    for method in ("GET", "HEAD"):
        assert ask(method, path, key=None).status_code == 200
