"""POST /action, POST /rollout and GET /observation, behind the guard. From: `app`, whose places and limits they share.

An action is live: read, answered and written in one thread of its own, one after another, so that it waits for no
forecast. One of many rows would make all others wait in that thread: it is answered in a place of history. A rollout is
history: it waits for one of these few places, pauses while live requests are in progress, and leaves in pieces.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import orjson
from anyio import CapacityLimiter, to_thread
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...models.build import ACTOR_CRITIC
from ..arrow import read_arrow as read_candles_arrow
from ..arrow import write_arrow as write_candles_arrow
from ..body import ARROW, JSON, LIMITS, read_body
from ..errors import Refused, bad_request
from ..guard import content_type
from ..places import HISTORY, LARGE, LIVE
from ..sending import Pieces
from ..wire import TIMEFRAME
from ..wire import read_json as read_candles_json
from ..wire import write_json as write_candles_json
from .action import Actions, act, write_arrow, write_json
from .question import ActionParameters, Observations, read_arrow, read_json
from .rollout import rolled
from .served import ServedPolicy

if TYPE_CHECKING:
    from ..app import ForecastApp
    from ..versions import Line

FEW_ROWS = 64 << 10  # bytes of a body; a bot's one row takes a few kB
LONGEST_PAUSE_S, PAUSE_S = 0.005, 0.0005  # of a rollout between steps, while live requests are in progress


class PolicyEndpoints:
    def __init__(self, app: ForecastApp) -> None:
        self.app = app
        self.one_by_one = CapacityLimiter(1)  # an action is over sooner than a lock changes hands

    def routes(self) -> list[Route]:
        return [
            Route("/action", self.action, methods=["POST"]),
            Route("/rollout", self.rollout, methods=["POST"]),
            Route("/observation", self.observation, methods=["GET"]),
        ]

    async def action(self, request: Request) -> Response:
        app, kind = self.app, content_type(request.scope)
        grown = partial(request.scope["ticket"].move, LARGE)
        body = await read_body(request.receive, LIMITS[kind], app.settings.body_timeout_s, grown)
        live = len(body) <= FEW_ROWS
        request.scope["ticket"].move(LIVE if live else HISTORY)
        started = time.perf_counter()
        limit_s = app.settings.live_timeout_s if live else app.settings.bulk_timeout_s
        async with app.place(request, live, limit_s) as in_time:
            thread = self.one_by_one if live else app.live_places
            content, asked, line, found = await to_thread.run_sync(self.answer, kind, body, in_time, limiter=thread)
        afterwards = None if line.challenger is None else BackgroundTask(self.after, asked, line, found)
        return Response(  # what comes afterwards runs once the answer has been sent
            content, media_type=kind, headers=app.metrics.answered("action", started), background=afterwards
        )

    async def after(self, asked: Observations, line: Line, found: Actions) -> None:
        """Hand an action that has gone out to the challenger."""
        self.app.challenger.offer_action(asked, line, found)

    def answer(self, kind: str, body: bytes, in_time: Callable[[], None]) -> tuple[bytes, Observations, Line, Actions]:
        """Return the answer to a body, and what was asked of which line and found; runs in a thread."""
        in_time()  # those that waited too long for the thread need no answer any more
        asked = read_arrow(body) if kind == ARROW else read_json(body)
        line, champion = self.champion(asked.parameters.timeframe)
        found = act(asked, champion, self.app.now() * 1000, self.app.settings.stale_after_bars)
        if (found.reason_codes < 0).any():
            self.app.metrics.last_success.set(self.app.now())
        return encode(kind, asked.parameters, champion, found), asked, line, found

    def champion(self, timeframe: str) -> tuple[Line, ServedPolicy]:
        """Return the policy line of a timeframe and its champion; `Refused` with 503 or 409 where there is none."""
        line = self.app.shelf.line_of(timeframe, ACTOR_CRITIC)
        if line.champion is None:
            raise Refused(503, "no_model", f"model line {line.name} has no champion")
        return line, line.champion

    async def rollout(self, request: Request) -> Response:
        app, kind = self.app, content_type(request.scope)
        grown = partial(request.scope["ticket"].move, LARGE)
        body = await read_body(request.receive, LIMITS[kind], app.settings.body_timeout_s, grown)
        started = time.perf_counter()
        read = read_candles_arrow if kind == ARROW else read_candles_json
        asked = await to_thread.run_sync(read, body, limiter=app.live_places)
        del body
        if asked.live:
            raise bad_request("a rollout answers every candle: as_of must be each")
        request.scope["ticket"].move(HISTORY)
        line = app.shelf.line_of(asked.timeframe, ACTOR_CRITIC)
        chain: tuple[ServedPolicy, ...] = line.chain
        if asked.feature_digest and any(each.feature_digest != asked.feature_digest for each in chain):
            raise Refused(409, "layout_mismatch", "feature_digest is not the observation that the model line reads")
        async with app.place(request, False, app.settings.bulk_timeout_s) as in_time:
            reply = await to_thread.run_sync(
                rolled, asked, chain, line.chain_digest, self.considerate(in_time),
                limiter=app.live_places, abandon_on_cancel=True,
            )  # fmt: skip
        timing = app.metrics.answered("rollout", started)
        pieces = write_candles_arrow(asked, reply) if kind == ARROW else iter((write_candles_json(asked, reply),))
        return Pieces(pieces, kind, app.settings.reply_timeout_s, app.live_places, timing)

    def considerate(self, in_time: Callable[[], None]) -> Callable[[], None]:
        """Return what a rollout calls between steps: it lets live requests have the interpreter, for a while."""

        def between() -> None:
            in_time()
            end = time.monotonic() + LONGEST_PAUSE_S
            while not self.app.idle() and time.monotonic() < end:
                time.sleep(PAUSE_S)

        return between

    async def observation(self, request: Request) -> Response:
        asked = request.query_params.multi_items()
        if len(asked) != 1 or asked[0][0] != "timeframe" or not re.fullmatch(TIMEFRAME.strip("^$"), asked[0][1]):
            raise bad_request("expected one parameter, timeframe, such as /observation?timeframe=15m")
        timeframe = asked[0][1]
        _, champion = self.champion(timeframe)
        self.app.metrics.requests.labels("observation").inc()
        return Response(orjson.dumps(described(champion, timeframe)), media_type=JSON)


def encode(kind: str, parameters: ActionParameters, champion: ServedPolicy, found: Actions) -> bytes:
    return (write_arrow if kind == ARROW else write_json)(parameters, champion, found)


def described(champion: ServedPolicy, timeframe: str) -> dict[str, object]:
    """Return what a bot builds its observations with; configs/contracts/observation.v1.json is the schema."""
    said, account = champion.manifest.observation, champion.manifest.environment
    assert said is not None, "a policy is refused without it"
    assert account is not None, "a policy is refused without it"
    return {
        "schema_version": 1,
        "timeframe": timeframe,
        "model_version": champion.version,
        "valid_from": f"{champion.manifest.valid_from:%Y-%m-%dT%H:%M:%SZ}",
        "observation_digest": champion.feature_digest,
        "statistics": said.statistics,
        "tokens": said.tokens,
        "max_num_tokens": said.max_num_tokens,
        "dead_band": account.dead_band,
        "can_short": account.can_short,
        "cash": account.cash,
    }
