"""The OpenAPI page is what the endpoints of a policy line do: each status on it happens, and no other."""

from __future__ import annotations

import asyncio
import json

import jsonschema
import pytest

from nn.service import openapi
from nn.service.errors import Refused
from nn.service.shelf import Place

PAGE = json.loads(openapi.FILE.read_text())
JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"


def conforms(response, path: str, method: str) -> int:
    """Hold an answer to what the page says of this status; return the status."""
    declared = PAGE["paths"][path][method]["responses"][str(response.status_code)]
    kind = response.headers["content-type"]
    schema = declared["content"][kind]["schema"]
    if kind == JSON:
        jsonschema.validate(response.json(), schema | {"components": PAGE["components"]})
    return response.status_code


@pytest.fixture
def forms(policies_kit, champion, kit):
    """By address: a good body in both forms, one of another layout, one that is malformed."""
    rows, frame = policies_kit.rows(champion, 3), kit.candles(60)
    other = {"observation_digest": "0" * 64}
    return {
        "/action": (
            policies_kit.body(champion, rows),
            policies_kit.arrow(champion, rows),
            policies_kit.body(champion, rows, **other),
            policies_kit.body(champion, rows, extra=1),
        ),
        "/rollout": (
            kit.json_body(frame),
            kit.arrow_body(frame),
            kit.json_body(frame, feature_digest="0" * 64),
            kit.json_body(frame, as_of="latest"),
        ),
    }


@pytest.mark.parametrize("path", ["/action", "/rollout"])
def test_every_status_of_a_question_happens_as_declared(serve, policies, registry, forms, path):
    good, stream, other_layout, malformed = forms[path]
    ask, plain = serve(policies, body_timeout_s=0.2), {"content-type": JSON}

    async def slow():
        yield b"{"
        await asyncio.sleep(5)

    answers = [
        ask("POST", path, content=good, headers=plain),
        ask("POST", path, content=stream, headers={"content-type": ARROW}),
        ask("POST", path, content=malformed, headers=plain),
        ask("POST", path, key="x" * 40, content=good, headers=plain),
        ask("POST", path, content=good, headers=plain | {"host": "evil.example"}),
        ask("PUT", path, content=good, headers=plain),
        ask("POST", path, content=slow(), headers=plain),
        ask("POST", path, content=other_layout, headers=plain),
        ask("POST", path, content=b" " * 300_000, headers=plain),
        ask("POST", path, content=good, headers={"content-type": "text/plain"}),
        serve(registry)("POST", path, content=good, headers=plain),
    ]
    limited = serve(policies, requests_burst=1, requests_per_second=1e-9)
    limited("GET", "/models")
    answers.append(limited("POST", path, content=good, headers=plain))
    seen = {conforms(answer, path, "post") for answer in answers}
    assert seen == {int(status) for status in PAGE["paths"][path]["post"]["responses"]}
    kinds = {answer.headers["content-type"] for answer in answers if answer.status_code == 200}
    assert kinds == set(PAGE["paths"][path]["post"]["responses"]["200"]["content"])


def test_every_status_of_the_observation_happens_as_declared(serve, policies, registry):
    ask, path = serve(policies), "/observation?timeframe=15m"
    limited = serve(policies, requests_burst=1, requests_per_second=1e-9)
    limited("GET", "/models")
    conflict = Refused(409, "layout_mismatch", "model line policy-15m was refused; the log of the service says why")
    refused = serve(registry)  # test_lines.py makes the shelf say so
    refused.app.shelf.places["policy-15m"] = Place(refusal=conflict)
    answers = [
        ask("GET", path),
        ask("GET", "/observation"),
        ask("GET", path, key=None),
        ask("GET", path, headers={"host": "evil.example"}),
        ask("DELETE", path),
        limited("GET", path),
        serve(registry)("GET", path),
        refused("GET", path),
    ]
    seen = {conforms(answer, "/observation", "get") for answer in answers}
    assert seen == {int(status) for status in PAGE["paths"]["/observation"]["get"]["responses"]}
