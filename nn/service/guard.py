"""The only door of the service: who may ask, for what, in which form and how often (LIM-1..LIM-8).

From: BentoML's server, every HTTP request. To: the endpoints of `app`, which see nothing that failed a check here.
BentoML's own routes (index, docs.json, schema.json, healthz) lie behind this door and are never reached.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .body import ARROW, JSON
from .errors import Refused, bad_request
from .keys import ApiKeys, Keyring
from .metrics import Metrics
from .places import Places
from .settings import ServiceSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Endpoint:
    methods: tuple[str, ...]
    keyed: bool = True
    content_types: tuple[str, ...] = ()


ENDPOINTS = {
    "/forecast": Endpoint(("POST",), content_types=(JSON, ARROW)),
    "/direction": Endpoint(("POST",), content_types=(JSON, ARROW)),
    "/predict": Endpoint(("POST",), content_types=(JSON, ARROW)),
    "/action": Endpoint(("POST",), content_types=(JSON, ARROW)),
    "/rollout": Endpoint(("POST",), content_types=(JSON, ARROW)),
    "/observation": Endpoint(("GET",)),
    "/models": Endpoint(("GET",)),
    "/metrics": Endpoint(("GET",)),
    "/livez": Endpoint(("GET", "HEAD"), keyed=False),
    "/readyz": Endpoint(("GET", "HEAD"), keyed=False),
}


class TokenBucket:
    """Lets `rate` requests through per second on average, and at most `burst` at once."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float]) -> None:
        self.rate, self.burst, self.clock = rate, burst, clock
        self.tokens, self.filled_at = self.burst, clock()

    def take(self) -> bool:
        now = self.clock()
        self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Guard:
    """ASGI middleware; `clock` counts seconds and is a parameter so that tests need not wait."""

    def __init__(
        self,
        app: ASGIApp,
        keys: ApiKeys | Keyring,
        settings: ServiceSettings,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.app, self.keys, self.metrics = app, keys, metrics
        self.allowed_hosts = {host.lower() for host in settings.allowed_hosts}
        self.places = Places(settings)
        rate, burst = settings.requests_per_second, settings.requests_burst
        self.buckets: defaultdict[int, TokenBucket] = defaultdict(lambda: TokenBucket(rate, burst, clock))  # by key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        if scope["type"] != "http":
            return
        answer = Answer(send)
        try:
            endpoint = self.check(scope)
            if endpoint.keyed:
                with self.places.ticket() as ticket:
                    await self.app({**scope, "ticket": ticket}, receive, answer)
            else:
                await self.app(scope, receive, answer)
        except Refused as refusal:
            self.metrics.errors.labels(refusal.error).inc()
            level = logging.DEBUG if refusal.error == "not_ready" else logging.WARNING  # probes ask again and again
            logger.log(level, "%s %s refused: %d %s", scope["method"], known_path(scope), refusal.status, refusal.error)
            await answer.refuse(refusal)
        except ClientDisconnect:
            logger.info("%s: the client went away", known_path(scope))
        except Exception:
            self.metrics.errors.labels("internal").inc()
            logger.exception("%s %s failed", scope["method"], known_path(scope))
            await answer.refuse(Refused(500, "internal", "the service failed on this request; its log says how"))

    def check(self, scope: Scope) -> Endpoint:
        """Return what is asked; raise `Refused` unless it may go in. The cheapest, least telling checks come first."""
        headers = Headers(scope=scope)
        self.check_host(headers)
        endpoint = ENDPOINTS.get(scope["path"])
        if endpoint is None:
            raise Refused(404, "not_found", "there is nothing at this path")
        if endpoint.keyed:
            key = self.check_key(headers)
            if not self.buckets[key].take():
                raise Refused(429, "rate_limit", "more requests per second than this key may send")
        if scope["method"] not in endpoint.methods:
            allowed = ", ".join(endpoint.methods)
            raise Refused(405, "method_not_allowed", f"this path takes {allowed}", allow=allowed)
        if endpoint.content_types:
            check_content_type(headers, endpoint.content_types)
            if scope["query_string"]:
                raise bad_request("this path takes no parameters beside the body")
        return endpoint

    def check_host(self, headers: Headers) -> None:
        hosts = headers.getlist("host")
        name = without_port(hosts[0]).lower() if len(hosts) == 1 else ""
        if name not in self.allowed_hosts:
            raise Refused(403, "foreign_host", "the Host header names no host of this service")

    def check_key(self, headers: Headers) -> int:
        offered = headers.getlist("x-api-key")
        key = self.keys.find(offered[0].encode("latin-1")) if len(offered) == 1 else None
        if key is None:
            raise Refused(401, "unauthorized", "X-API-KEY is missing or wrong")
        return key


class Answer:
    """Passes messages on and remembers whether an answer has begun: after that an error can only end it."""

    def __init__(self, send: Send) -> None:
        self.send, self.begun = send, False

    async def __call__(self, message: Message) -> None:
        self.begun = self.begun or message["type"] == "http.response.start"
        await self.send(message)

    async def refuse(self, refusal: Refused) -> None:
        if self.begun:
            return
        body = refusal.body()
        headers = [(b"content-type", JSON.encode()), (b"content-length", str(len(body)).encode())]
        if refusal.status in (408, 413):
            headers.append((b"connection", b"close"))  # the rest of the body was not read
        if refusal.allow:
            headers.append((b"allow", refusal.allow.encode()))
        if refusal.status == 429:
            headers.append((b"retry-after", b"1"))
        await self.send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def check_content_type(headers: Headers, allowed: tuple[str, ...]) -> None:
    """Refuse all but the plain forms: no other type, no parameter but JSON's charset, no encoding (LIM-3)."""
    given = headers.getlist("content-type")
    kind = given[0].lower().replace("; ", ";") if len(given) == 1 else ""
    if kind == f"{JSON};charset=utf-8":
        kind = JSON
    if kind not in allowed:
        raise Refused(415, "content_type", f"the content type must be {' or '.join(allowed)}")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "content_type", "bodies with a content encoding are not read")


def content_type(scope: Scope) -> str:
    """Return which of the two forms a request that passed the guard has."""
    return ARROW if Headers(scope=scope)["content-type"].lower() == ARROW else JSON


def without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def known_path(scope: Scope) -> str:
    """Return the path for the log; of an unknown one not even that, since callers choose it."""
    return scope["path"] if scope["path"] in ENDPOINTS else "(unknown path)"
