"""The OpenAPI page of the service: `python -m nn.service.openapi` writes configs/contracts/openapi.v1.json.

From: the contracts beside it and the table of endpoints in `guard`. To: people and generators of clients, as a file:
the port itself shows no page (SRV-3). A test holds the file to this module, and this module to what the server does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .body import ARROW, JSON
from .guard import ENDPOINTS, Endpoint
from .wire import TIMEFRAME

CONTRACTS = Path(__file__).resolve().parents[2] / "configs" / "contracts"
FILE = CONTRACTS / "openapi.v1.json"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
Json = dict[str, object]

REQUESTS = {  # the contract of a request, by its address
    "/forecast": "forecast_request",
    "/direction": "forecast_request",
    "/predict": "forecast_request",
    "/action": "action_request",
    "/rollout": "rollout_request",
}
REPLIES = {
    "/forecast": "forecast_reply",
    "/direction": "direction_reply",
    "/predict": "decision_reply",
    "/action": "action_reply",
    "/rollout": "rollout_reply",
}
LISTS = {"/models": "models_reply", "/observation": "observation"}  # what is read without a body
SUMMARIES = {
    "/forecast": "The 24 targets of every candle, by the unified line",
    "/direction": "Probabilities of UP, DOWN and FLAT at four horizons, by the direction line",
    "/predict": "Signal, stake, stops and targets, from both lines",
    "/action": "The weight to hold now, by the champion of the policy line",
    "/rollout": "The weights that the policy line would have held over a history, in a simulated account",
    "/observation": "What a bot needs to build the observations of the champion of the policy line",
    "/models": "Lines, versions, valid_from and digests",
    "/metrics": "Prometheus metrics",
    "/livez": "The process lives",
    "/readyz": "A champion is loaded and no line was refused",
}
ERRORS = {  # the LIM table: status, words of `error`, meaning
    400: (("bad_request",), "malformed, unknown key, not finite, bad pair, rows out of order"),
    401: (("unauthorized",), "no key or a wrong one"),
    403: (("foreign_host",), "the Host header names no host of this service"),
    405: (("method_not_allowed",), "another method"),
    408: (("slow_body",), "the body took too long"),
    409: (("layout_mismatch",), "the digest of features or observation is not the one of the model line"),
    413: (("too_large",), "more bytes, rows or pairs than are read at once"),
    415: (("content_type",), "another content type, or a content encoding"),
    429: (("overload", "rate_limit"), "too many at once, or per second and key; ask again after Retry-After seconds"),
    503: (("no_model", "not_ready", "timeout"), "nothing that may answer; never an invented signal"),
}
OF_EVERY = (403, 405)
OF_KEYED = (401, 429)
OF_QUESTIONS = (400, 408, 409, 413, 415, 503)
PARAMETERS: dict[str, list[Json]] = {  # of the address, by the address
    "/observation": [
        {"name": "timeframe", "in": "query", "required": True, "schema": {"type": "string", "pattern": TIMEFRAME}}
    ]
}
OF_OTHERS = {"/readyz": (503,), "/observation": (400, 409, 503)}


def openapi() -> Json:
    """Return the whole page."""
    names = dict.fromkeys((*REQUESTS.values(), *LISTS.values(), *REPLIES.values()))
    schemas = {name: contract(name) for name in names}
    schemas["error"] = error_schema([word for words, _ in ERRORS.values() for word in words])
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Candlewright inference service",
            "version": "1",
            "description": "Answers of signed models, each candle by a version that existed when it closed. "
            "The Arrow forms are described in the schemas of the JSON forms.",
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        "servers": [{"url": "http://127.0.0.1:3000"}],
        "paths": {path: path_item(path, endpoint) for path, endpoint in ENDPOINTS.items()},
        "components": {
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-KEY"}},
            "schemas": schemas,
        },
    }


def contract(name: str) -> Json:
    schema = json.loads((CONTRACTS / f"{name}.v1.json").read_text(encoding="utf-8"))
    return {key: value for key, value in schema.items() if key != "$schema"}


def error_schema(words: list[str]) -> Json:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["error", "reason"],
        "properties": {
            "error": {"enum": words, "description": "for programs"},
            "reason": {"type": "string", "maxLength": 300, "description": "for people; no stack, path or version"},
        },
    }


def path_item(path: str, endpoint: Endpoint) -> Json:
    return {method.lower(): operation(path, endpoint, method) for method in endpoint.methods}


def operation(path: str, endpoint: Endpoint, method: str) -> Json:
    asks = bool(endpoint.content_types)
    statuses = OF_EVERY + OF_KEYED * endpoint.keyed + OF_QUESTIONS * asks + OF_OTHERS.get(path, ())
    errors = {str(status): error_answer(status, method) for status in sorted(statuses)}
    good = {"description": "The answer"} | content(answers(path), method)
    described: Json = {
        "operationId": f"{method.lower()}_{path[1:]}",
        "summary": SUMMARIES[path],
        "responses": {"200": good, **errors},
        "security": [{"key": []}] if endpoint.keyed else [],
    }
    if asks:
        binary: Json = {"description": "an Arrow IPC stream, as the schema of the JSON form says"}
        timing: Json = {
            "schema": {"type": "string"},
            "description": "answer;dur= and the ms from body read to answer found",
        }
        described["responses"] = {"200": good | {"headers": {"Server-Timing": timing}}, **errors}
        described["requestBody"] = {
            "required": True,
            "content": {JSON: {"schema": reference(REQUESTS[path])}, ARROW: {"schema": binary}},
        }
    if path in PARAMETERS:
        described["parameters"] = PARAMETERS[path]
    return described


def answers(path: str) -> dict[str, Json]:
    """Return the schema of a good answer by media type."""
    if path in REPLIES:
        return {JSON: reference(REPLIES[path]), ARROW: {}}
    if path in LISTS:
        return {JSON: reference(LISTS[path])}
    if path == "/metrics":
        return {TEXT: {"type": "string"}}
    word = {"/livez": "alive", "/readyz": "ready"}[path]
    only: Json = {"type": "object", "additionalProperties": False, "required": [word]}
    return {JSON: only | {"properties": {word: {"const": True}}}}


def error_answer(status: int, method: str) -> Json:
    words, meaning = ERRORS[status]
    narrowed: Json = {"properties": {"error": {"enum": list(words)}}}
    answer: Json = {"description": meaning} | content({JSON: {"allOf": [reference("error"), narrowed]}}, method)
    if status == 405:
        answer["headers"] = {"Allow": {"schema": {"type": "string"}}}
    if status == 429:
        answer["headers"] = {"Retry-After": {"schema": {"type": "string", "pattern": "^[0-9]+$"}}}
    return answer


def content(schemas: dict[str, Json], method: str) -> Json:
    if method == "HEAD":
        return {}
    return {"content": {kind: {"schema": schema} for kind, schema in schemas.items()}}


def reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def text() -> str:
    return json.dumps(openapi(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
    print(FILE)
    sys.exit(0)
