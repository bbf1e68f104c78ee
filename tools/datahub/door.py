"""The only way in: host, key, rate and method, checked before a route is looked for (LIM-1, LIM-6, LIM-7).

From: uvicorn, every request. To: `app`. The door is that of the inference service, for paths with a symbol in them.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from nn.service.errors import Refused, bad_request
from nn.service.guard import Endpoint, Guard

OPEN = Endpoint(("GET",), keyed=False)
KEYED = Endpoint(("GET",))


class Door(Guard):
    """`Guard`, with every path but /ping behind the key, be there anything at it or not."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def check(self, scope: Scope) -> Endpoint:
        headers = Headers(scope=scope)
        self.check_host(headers)
        endpoint = OPEN if scope["path"] == "/ping" else KEYED
        if endpoint.keyed and not self.buckets[self.check_key(headers)].take():
            raise Refused(429, "rate_limit", "more requests per second than this key may send")
        if scope["method"] not in endpoint.methods:
            raise Refused(405, "method_not_allowed", "the datahub is read only, expected GET")
        if not scope["path"].isprintable():  # a router would leave a line break at the end out of the symbol
            raise bad_request("the path has characters that are none of a symbol")
        return endpoint
