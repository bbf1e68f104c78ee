"""The page is up to date, valid, and what the application does: every address, status and media type in it (SRV-7)."""

from __future__ import annotations

import asyncio
import json

import jsonschema
import pytest

from nn.service import openapi
from nn.service.guard import ENDPOINTS

PAGE = json.loads(openapi.FILE.read_text())
JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"
QUESTIONS = ["/forecast", "/direction", "/predict"]


def test_the_file_is_up_to_date():
    """`python -m nn.service.openapi` writes it again."""
    assert openapi.FILE.read_text() == openapi.text()


@pytest.mark.parametrize("name", PAGE["components"]["schemas"])
def test_its_schemas_are_schemas(name):
    jsonschema.Draft202012Validator.check_schema(PAGE["components"]["schemas"][name])


def test_every_address_and_method_is_in_it_and_no_other(ask):
    assert {path: {method.upper() for method in item} for path, item in PAGE["paths"].items()} == {
        path: set(endpoint.methods) for path, endpoint in ENDPOINTS.items()
    }
    for path, endpoint in ENDPOINTS.items():
        refused = ask("DELETE", path)
        assert (refused.status_code, refused.headers["allow"]) == (405, ", ".join(endpoint.methods))


def conforms(response, path: str, method: str) -> int:
    """Hold an answer to what the page says of this status; return the status."""
    declared = PAGE["paths"][path][method.lower()]["responses"][str(response.status_code)]
    kind = response.headers["content-type"]
    schema = declared["content"][kind]["schema"]
    if kind == JSON:
        jsonschema.validate(response.json(), schema | {"components": PAGE["components"]})
    return response.status_code


@pytest.mark.parametrize("path", QUESTIONS)
def test_every_status_of_a_question_happens_as_declared(serve, both_lines, registry, kit, path):
    """And no other does: the set of those seen here is the set on the page."""
    ask, frame = serve(both_lines, body_timeout_s=0.2), kit.candles(230)
    good, plain = kit.json_body(frame), {"content-type": JSON}

    async def slow():
        yield b"{"
        await asyncio.sleep(5)

    answers = [
        ask.json(frame, path),
        ask.arrow(kit.arrow_body(frame), path),
        ask.json(frame, path, extra=1),
        ask("POST", path, key="x" * 40, content=good, headers=plain),
        ask("POST", path, content=good, headers=plain | {"host": "evil.example"}),
        ask("PUT", path, content=good, headers=plain),
        ask("POST", path, content=slow(), headers=plain),
        ask.json(frame, path, feature_digest="0" * 64),
        ask("POST", path, content=b" " * 300_000, headers=plain),
        ask("POST", path, content=good, headers={"content-type": "text/plain"}),
        serve(registry).json(frame, path),
    ]
    limited = serve(both_lines, requests_burst=1, requests_per_second=1e-9)
    limited("GET", "/models")
    answers.append(limited.json(frame, path))
    seen = {conforms(answer, path, "POST") for answer in answers}
    assert seen == {int(status) for status in PAGE["paths"][path]["post"]["responses"]}
    kinds = {answer.headers["content-type"] for answer in answers if answer.status_code == 200}
    assert kinds == set(PAGE["paths"][path]["post"]["responses"]["200"]["content"])


@pytest.mark.parametrize("path", ["/models", "/metrics", "/livez", "/readyz"])
def test_what_is_read_answers_as_declared(serve, both_lines, registry, path):
    ask = serve(both_lines)
    assert conforms(ask("GET", path), path, "GET") == 200
    assert conforms(ask("GET", path, headers={"host": "evil.example"}), path, "GET") == 403
    assert ("401" in PAGE["paths"][path]["get"]["responses"]) == (ask("GET", path, key=None).status_code == 401)
    assert conforms(serve(registry)("GET", path), path, "GET") == (503 if path == "/readyz" else 200)
