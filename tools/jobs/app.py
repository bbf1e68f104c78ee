"""The admin endpoint: POST /train, GET /jobs, GET and DELETE /jobs/<id>, GET /datasets and /schedule (JOB-1, JOB-4).

GET /livez is open. From: whoever holds the admin key, on loopback. To: `queue`. Refusals are those of the inference
service (LIM-8): 401 no or wrong key, 403 foreign host, 404, 405, 409, 413, 415, 400 malformed, 429 queue full.
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import asdict
from typing import Any

import orjson
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from nn.service.body import JSON, LIMITS, read_body
from nn.service.errors import Refused
from nn.service.keys import ApiKeys, Keyring
from tools.home import Home
from tools.jobs.datasets import datasets, find
from tools.jobs.queue import Queue
from tools.jobs.requests import Training, parse
from tools.jobs.schedule import Scheduler
from tools.ports import LOOPBACK

logger = logging.getLogger(__name__)

HOSTS = (LOOPBACK, "localhost")
METHODS = {
    "/train": ("POST",),
    "/jobs": ("GET",),
    "/datasets": ("GET",),
    "/schedule": ("GET",),
    "/jobs/": ("GET", "DELETE"),
}
JOB = re.compile(r"/jobs/([0-9a-f]{32})")
BODY_S = 5.0


class JobApp:
    """An ASGI application: six paths need no framework."""

    def __init__(self, home: Home, queue: Queue, keys: ApiKeys | Keyring, scheduler: Scheduler) -> None:
        self.home, self.queue, self.keys, self.scheduler = home, queue, keys, scheduler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        if scope["type"] != "http":
            return
        try:
            status, answer = await self.answer(scope, receive)
        except Refused as refusal:
            logger.warning("%s refused: %d %s", scope["method"], refusal.status, refusal.error)
            status, answer = refusal.status, {"error": refusal.error, "reason": refusal.reason}
        except Exception:
            logger.exception("a request failed")
            status, answer = 500, {"error": "internal", "reason": "the server failed on this request; its log says how"}
        body = orjson.dumps(answer)
        headers = [(b"content-type", JSON.encode()), (b"content-length", str(len(body)).encode())]
        headers += [(b"retry-after", b"60")] if status == 429 else []
        headers += [(b"connection", b"close")] if status in (408, 413) else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def answer(self, scope: Scope, receive: Receive) -> tuple[int, Any]:
        """Return status and content; the cheapest and least telling checks come first."""
        headers, path = Headers(scope=scope), scope["path"]
        check_host(headers)
        if path == "/livez":
            return 200, {"alive": True}
        offered = headers.getlist("x-api-key")
        if len(offered) != 1 or self.keys.find(offered[0].encode("latin-1")) is None:
            raise Refused(401, "unauthorized", "X-API-KEY is missing or wrong")
        job = JOB.fullmatch(path)
        methods = METHODS.get("/jobs/" if job else path)
        if methods is None:
            raise Refused(404, "not_found", "there is nothing at this path")
        if scope["method"] not in methods:
            raise Refused(405, "method_not_allowed", f"this path takes {', '.join(methods)}")
        if path == "/train":
            return await self.train(headers, receive)
        if path == "/datasets":
            found = await asyncio.to_thread(datasets, self.home)
            return 200, {"datasets": [{"fingerprint": mark, "name": path.name} for mark, path in found.items()]}
        if path == "/schedule":
            return 200, {"schedule": self.scheduler.shown()}
        if job is None:
            return 200, {"jobs": [asdict(each) for each in self.queue.all()]}
        if scope["method"] == "DELETE":
            return 200, asdict(self.queue.cancel(job[1]))
        return 200, asdict(self.queue.find(job[1])) | {"report": self.queue.report(job[1])}

    async def train(self, headers: Headers, receive: Receive) -> tuple[int, Any]:
        if headers.getlist("content-type") not in ([JSON], [f"{JSON}; charset=utf-8"]):
            raise Refused(415, "content_type", f"the content type must be {JSON}")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Refused(415, "content_type", "bodies with a content encoding are not read")
        request = parse(await read_body(receive, LIMITS[JSON], BODY_S))
        if isinstance(request, Training):
            check_profile(request)
            await asyncio.to_thread(find, self.home, request.dataset)
        job = self.queue.add(request)
        logger.info("job %s taken in: %s", job.id, job.request)
        return 202, asdict(job)


def check_host(headers: Headers) -> None:
    hosts = headers.getlist("host")
    if len(hosts) != 1 or hosts[0].rsplit(":", 1)[0].lower() not in HOSTS:
        raise Refused(403, "foreign_host", "the Host header names no host of this server")


def check_profile(request: Training) -> None:
    """Refuse a config that is no profile of `configs/nn`, and one that is but cannot be trained."""
    from nn.forecast.config import PROFILES, ConfigProblem, load_config

    try:
        if not (PROFILES / f"{request.config}.yaml").is_file():
            raise ConfigProblem("no such file")
        load_config([request.config])
    except ConfigProblem:
        raise Refused(400, "bad_request", f"config: {request.config!r} is no training profile") from None
