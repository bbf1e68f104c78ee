"""The routes: ping, health, price, history, metrics, and their OpenAPI page. From: `door`. To: `hub`.

Every answer that is no success is `{error, reason}` (LIM-8); the page lists them all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from nn.service.errors import Refused, bad_request
from nn.service.keys import ApiKeys, Keyring
from nn.service.settings import ServiceSettings

from .door import Door
from .hub import MAX_LIMIT, Hub
from .replies import CandleReply, Error, HealthReply, HistoryReply, Pong, PriceReply, SeriesHealth, SourceHealth
from .source import COLUMNS
from .symbols import PATTERN, Timeframe, parse_pair, seconds

KEY = APIKeyHeader(name="X-API-KEY", auto_error=False, description="Checked before anything else.")
SYMBOL = "A pair: BTC_USDT, BTC_USDT_USDT, or URL-encoded as Freqtrade writes it, BTC%2FUSDT%3AUSDT."
FAULTS = {  # by whom: the door, a wrong question, a source
    "door": {401: "No key, or a wrong one.", 403: "Foreign Host.", 405: "Read only.", 429: "Too many requests."},
    "question": {400: "Malformed.", 404: "No source knows it."},
    "source": {502: "A source told nonsense.", 503: "The sources are down."},
}
Symbol = Annotated[str, Path(description=SYMBOL, pattern=PATTERN, max_length=52, examples=["BTC_USDT_USDT"])]


class NoQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")


class HistoryQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    timeframe: Timeframe = Field(Timeframe("15m"), description="Length of a candle.")
    limit: int = Field(200, ge=1, description=f"Newest candles wanted; above {MAX_LIMIT} it is cut, with a warning.")


def create_app(
    hub: Hub,
    keys: ApiKeys | Keyring,
    pairs: Sequence[str],
    timeframe: str,
    background: Callable[[], Awaitable[None]] | None = None,
) -> ASGIApp:
    """Return the guarded application; `background` runs as long as it does (the bot's stream)."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.ensure_future(background()) if background else None
        yield
        if task:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await hub.close()

    app = FastAPI(title="Candlewright datahub", version="1", lifespan=life, docs_url=None, redoc_url=None)

    @app.get("/ping", responses=faults("question", "door", leave=(401, 404)))
    async def ping(query: Annotated[NoQuery, Query()]) -> Pong:
        """Tell that the process lives; the one path without a key."""
        return Pong(status="pong")

    @app.get("/health", dependencies=[Depends(KEY)], responses=faults("question", "door", leave=(404,)))
    async def health(query: Annotated[NoQuery, Query()]) -> HealthReply:
        """Tell the last closed candle and its age, of each pair that this hub watches."""
        series = await asyncio.gather(*(series_health(hub, pair, timeframe) for pair in pairs))
        late = 2 * seconds(timeframe)
        well = all(each.age_s is not None and each.age_s < late for each in series)
        sources = [
            SourceHealth(source=name, breaker="open" if b.open else "closed") for name, b in hub.breakers.items()
        ]
        return HealthReply(status="ok" if well else "degraded", pairs=series, sources=sources)

    @app.get("/price/{symbol:path}", dependencies=[Depends(KEY)], responses=faults("question", "door", "source"))
    async def price(symbol: Symbol, query: Annotated[NoQuery, Query()]) -> PriceReply:
        """Tell the last price, its source and its time."""
        pair = parse_pair(symbol)
        told = await hub.price(pair)
        return PriceReply(symbol=pair, price=told.price.value, time=moment(told.price.time_ms), source=told.source)

    @app.get("/history/{symbol:path}", dependencies=[Depends(KEY)], responses=faults("question", "door", "source"))
    async def history(symbol: Symbol, query: Annotated[HistoryQuery, Query()]) -> HistoryReply:
        """Tell the newest closed candles."""
        pair = parse_pair(symbol)
        found = await hub.history(pair, query.timeframe.value, min(query.limit, MAX_LIMIT))
        cut = f"limit was cut to {MAX_LIMIT}" if query.limit > MAX_LIMIT else None
        candles = [
            CandleReply(open_time=moment(row[0]), open=row[1], high=row[2], low=row[3], close=row[4], volume=row[5])
            for row in zip(*(found.frame[name].tolist() for name in COLUMNS), strict=True)
        ]
        warning = "; ".join(filter(None, (cut, found.warning))) or None
        return HistoryReply(
            symbol=pair, timeframe=query.timeframe.value, source=found.source, candles=candles, warning=warning
        )

    @app.get("/metrics", include_in_schema=False, dependencies=[Depends(KEY)])
    async def metrics() -> Response:
        return Response(hub.metrics.page(), media_type="text/plain; version=0.0.4")

    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _internal)
    app.openapi = lambda: _page(app)  # type: ignore[method-assign]
    return Door(app, keys, ServiceSettings.model_validate({}), hub.metrics)  # type: ignore[arg-type]


async def series_health(hub: Hub, pair: str, timeframe: str) -> SeriesHealth:
    """Return how old the newest candle is; the cache answers all but the first question of a candle."""
    try:
        found = await hub.history(pair, timeframe, 1)
        if found.frame.empty:
            raise Refused(404, "unknown_series", "no candle has closed yet")
    except Refused as refusal:
        return SeriesHealth(symbol=pair, timeframe=timeframe, last_closed=None, age_s=None, error=refusal.reason)
    closed = int(found.frame["date"].iloc[-1]) + seconds(timeframe) * 1000
    age = hub.clock() - closed / 1000
    return SeriesHealth(symbol=pair, timeframe=timeframe, last_closed=moment(closed), age_s=age, error=found.warning)


def moment(time_ms: float) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC)


def faults(*kinds: str, leave: Sequence[int] = ()) -> dict[int | str, dict[str, Any]]:
    found = {status: words for kind in kinds for status, words in FAULTS[kind].items() if status not in leave}
    return {status: {"model": Error, "description": words} for status, words in sorted(found.items())}


async def _refused(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refused)
    return Response(refusal.body(), refusal.status, media_type="application/json")


async def _malformed(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, RequestValidationError)
    first = fault.errors()[0]
    where = ".".join(str(part) for part in first["loc"][:2])
    if first["type"] == "extra_forbidden":  # its name is the caller's own
        return await _refused(request, bad_request("the query has a parameter that this path does not know"))
    return await _refused(request, bad_request(f"{where}: {first['msg']}"))


async def _http(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    words = {
        404: ("not_found", "there is nothing at this path"),
        405: ("method_not_allowed", "the datahub is read only"),
    }
    error, reason = words.get(fault.status_code, ("bad_request", "the request cannot be answered"))
    return await _refused(request, Refused(fault.status_code, error, reason))


async def _internal(request: Request, fault: Exception) -> Response:
    return await _refused(request, Refused(500, "internal", "the datahub failed on this request; its log says how"))


def _page(app: FastAPI) -> dict[str, Any]:
    """Return FastAPI's page without its 422: a malformed request is 400 here."""
    if not app.openapi_schema:
        page = get_openapi(title=app.title, version=app.version, routes=app.routes)
        for path in page["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            page["components"]["schemas"].pop(name, None)
        app.openapi_schema = page
    return app.openapi_schema
