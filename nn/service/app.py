"""The endpoints behind the guard, and the whole ASGI application. From: `guard`. To: whoever asked.

Scoring runs in threads, so that the event loop keeps answering: live requests have places of their own and never wait
behind history; history waits for one of a few places, at most as long as its time limit.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial

import orjson
from anyio import CapacityLimiter, to_thread
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from ..data.timeframe import timeframe_ms
from ..models.build import DIRECTION, UNIFIED_PATCHTST
from .arrow import read_arrow, write_arrow
from .batching import Job, Lane, answer_together
from .body import ARROW, JSON, LIMITS, SMALL_BODY, read_body
from .challenger import Challenger
from .errors import Refused
from .guard import Guard, content_type
from .keys import ApiKeys, Keyring
from .metrics import Metrics
from .places import HISTORY, LARGE, LIVE
from .policy.endpoints import PolicyEndpoints
from .reply import Reply, reply_of
from .scoring import STALE, UNCLOSED, Forecasts, withdrawn
from .sending import Pieces
from .settings import ServiceSettings
from .shadow_store import ShadowStore
from .shelf import Shelf
from .versions import Line, ServedVersion
from .watch import Watch
from .wire import Question, read_json, write_json

ANSWERED_BY = {  # the kinds of line that each address asks
    "/forecast": (UNIFIED_PATCHTST,),
    "/direction": (DIRECTION,),
    "/predict": (UNIFIED_PATCHTST, DIRECTION),
}
CLOCK_TOLERANCE_MS = 2000  # a candle may close by the exchange's clock a little before it does by ours
Finished = tuple[tuple[Forecasts, ...], Reply, Iterator[bytes]]
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class ForecastApp:
    """What the endpoints share. `now` is the wall clock in seconds, a parameter so that tests need none."""

    def __init__(
        self,
        shelf: Shelf,
        keys: ApiKeys | Keyring,
        settings: ServiceSettings,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.shelf, self.settings, self.now = shelf, settings, now
        self.metrics = Metrics(self.aliases)
        self.live_places = CapacityLimiter(settings.max_concurrency)
        self.bulk_places = CapacityLimiter(settings.bulk_concurrency)
        self.small_bodies = CapacityLimiter(1)  # a small body is read sooner than a lock changes hands
        self.lane: Lane[Finished] = Lane()
        routes = [
            *(Route(path, self.ask, methods=["POST"]) for path in ANSWERED_BY),
            *PolicyEndpoints(self).routes(),
            Route("/models", self.models, methods=["GET"]),
            Route("/metrics", self.metrics_text, methods=["GET"]),
            Route("/livez", self.livez, methods=["GET"]),
            Route("/readyz", self.readyz, methods=["GET"]),
        ]
        guard = Guard(Router(routes), keys, settings, self.metrics)
        self.asgi: ASGIApp = guard
        self.idle = guard.places.idle
        store = ShadowStore.of_environment(settings.shadow_rows)
        self.challenger = Challenger(store, self.metrics, guard.places.idle, settings.shadow_queue)
        self.watch = Watch(guard.places.idle)
        self.metrics.registry.register(self.watch)

    async def ask(self, request: Request) -> Response:
        path, kind = request.scope["path"], content_type(request.scope)
        ticket = request.scope["ticket"]
        grown = partial(ticket.move, LARGE)
        body = await read_body(request.receive, LIMITS[kind], self.settings.body_timeout_s, grown)
        started = time.perf_counter()
        readers = self.small_bodies if len(body) <= SMALL_BODY else self.live_places
        asked = await to_thread.run_sync(read_arrow if kind == ARROW else read_json, body, limiter=readers)
        del body
        ticket.move(LIVE if asked.live else HISTORY)
        # each line is taken once for the whole answer, whatever is swapped meanwhile
        lines = tuple(self.shelf.line_of(asked.timeframe, each) for each in ANSWERED_BY[path])
        versions = tuple(choose_versions(asked, line) for line in lines)
        limit_s = self.settings.live_timeout_s if asked.live else self.settings.bulk_timeout_s
        async with self.place(request, asked.live, limit_s) as in_time:
            job = Job(asked, lines, versions, in_time, partial(self.finish, kind, asked, lines))
            if asked.live:
                found, reply, pieces = await asyncio.wrap_future(self.lane.ask(job))
            else:
                ((found, reply, pieces),) = await to_thread.run_sync(
                    answer_together, (job,), limiter=self.live_places, abandon_on_cancel=True
                )
        timing = self.metrics.answered(path[1:], started)
        self.metrics.count_signals(reply.signal, reply.probability, asked.live, self.now())
        if not asked.live:
            return Pieces(pieces, kind, self.settings.reply_timeout_s, self.live_places, timing)
        afterwards = BackgroundTask(self.after, asked, lines, found)  # runs once the answer has been sent
        return Response(b"".join(pieces), media_type=kind, headers=timing, background=afterwards)

    async def after(self, asked: Question, lines: tuple[Line, ...], found: tuple[Forecasts, ...]) -> None:
        """Hand a live answer that has gone out to those who only look on."""
        self.challenger.offer(asked, lines, found)
        self.watch.offer(asked, lines, found)

    @asynccontextmanager
    async def place(self, request: Request, live: bool, limit_s: float):
        """Hold a place for the work; yields what the work calls between batches: it ends late or abandoned work."""
        if live:
            yield self.until(limit_s, threading.Event())
            return
        owner, abandoned = object(), threading.Event()
        watch = self.until(limit_s, abandoned)
        try:
            async with asyncio.timeout(limit_s):
                await self.bulk_places.acquire_on_behalf_of(owner)
        except TimeoutError:
            raise Refused(429, "overload", f"no place for history became free in {limit_s:g} s") from None
        client = asyncio.create_task(set_when_gone(request, abandoned))
        try:
            yield watch
        finally:
            abandoned.set()
            client.cancel()
            self.bulk_places.release_on_behalf_of(owner)

    def until(self, limit_s: float, abandoned: threading.Event) -> Callable[[], None]:
        """Return what scoring calls between batches: it raises when the time is over or nobody waits any more."""
        deadline = time.monotonic() + limit_s

        def in_time() -> None:
            if abandoned.is_set() or time.monotonic() > deadline:
                raise Refused(503, "timeout", f"scoring took longer than {limit_s:g} s; split the work")

        return in_time

    def finish(self, kind: str, asked: Question, lines: tuple[Line, ...], found: tuple[Forecasts, ...]) -> Finished:
        """Return what the lines said, the answer, and its form on the wire: a live one's in one piece, made already."""
        if not asked.live:
            reply = reply_of(found, lines)
            return found, reply, encode(kind, asked, reply)
        found = tuple(self.timely(asked, each) for each in found)
        reply = reply_of(found, lines)
        return found, reply, iter((b"".join(encode(kind, asked, reply)),))

    def timely(self, asked: Question, found: Forecasts) -> Forecasts:
        """Withdraw forecasts of candles that closed too long ago (DQ-6) or have not closed yet (DQ-2).

        Nothing is withdrawn where old candles are replayed as live: they keep another clock.
        """
        bars = self.settings.stale_after_bars
        if bars is None:
            return found
        step, now_ms = timeframe_ms(asked.timeframe), self.now() * 1000
        close_ms = found.open_ms + step
        found = withdrawn(found, now_ms > close_ms + bars * step, STALE)
        return withdrawn(found, close_ms > now_ms + CLOCK_TOLERANCE_MS, UNCLOSED)

    async def models(self, request: Request) -> Response:
        self.metrics.requests.labels("models").inc()
        return Response(orjson.dumps({"lines": [describe(line) for line in self.shelf.lines]}), media_type=JSON)

    async def metrics_text(self, request: Request) -> Response:
        return Response(self.metrics.text(), media_type=PROMETHEUS)

    async def livez(self, request: Request) -> Response:
        return Response(b'{"alive":true}', media_type=JSON)

    async def readyz(self, request: Request) -> Response:
        self.shelf.check_ready()
        return Response(b'{"ready":true}', media_type=JSON)

    def aliases(self) -> list[tuple[str, str]]:
        return [(version, alias) for line in self.shelf.lines for alias, version in line.aliases.items()]


def choose_versions(asked: Question, line: Line) -> tuple[ServedVersion, ...]:
    """Return the versions that a question is put to: the champion for the newest candle, the chain for history."""
    if asked.live and line.champion is None:
        raise Refused(503, "no_model", f"model line {line.name} has no champion")
    versions = (line.champion,) if asked.live and line.champion else line.chain
    if asked.feature_digest and any(each.feature_digest != asked.feature_digest for each in versions):
        raise Refused(409, "layout_mismatch", "feature_digest is not the one that the model line reads")
    return versions


def encode(kind: str, asked: Question, reply: Reply) -> Iterator[bytes]:
    return write_arrow(asked, reply) if kind == ARROW else iter((write_json(asked, reply),))


async def set_when_gone(request: Request, abandoned: threading.Event) -> None:
    """Set the event when the client closes the connection before it has its answer."""
    while (await request.receive())["type"] != "http.disconnect":
        continue
    abandoned.set()


def describe(line: Line) -> dict[str, object]:
    """Return a line as GET /models shows it; configs/contracts/models_reply.v1.json is the schema."""
    newest = line.champion or line.chain[-1]
    return {
        "name": line.name,
        "kind": line.kind,
        "timeframe": line.timeframe,
        "chain_digest": line.chain_digest,
        "champion": line.aliases.get("champion"),
        "feature_digest": newest.feature_digest,
        "warmup": max(each.warmup for each in line.versions),
        "context_length": max(each.context_length for each in line.versions),
        "versions": [
            {
                "version": each.version,
                "valid_from": f"{each.manifest.valid_from:%Y-%m-%dT%H:%M:%SZ}",
                "trained_until": f"{each.manifest.trained_until:%Y-%m-%dT%H:%M:%SZ}",
                "aliases": sorted(alias for alias, version in line.aliases.items() if version == each.version),
                "feature_digest": each.feature_digest,
                **({"backend": each.backend.name} if isinstance(each, ServedVersion) else {}),
            }
            for each in line.versions
        ],
    }
