"""The page against the wire, by schemathesis: no answer that it does not declare, whatever is sent."""

import pytest
import schemathesis
from hubs import KEY, Scripted, served
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from nn.service.guard import TokenBucket

CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.mark.slow
def test_every_answer_is_one_that_the_page_declares(make_hub, monkeypatch):
    """A source of good data and one of prices that cannot be: 200 and 400, and no 5xx but 502."""
    monkeypatch.setattr(TokenBucket, "take", lambda self: True)  # its 429 would hide the rest
    good, bad = Scripted(), Scripted()
    bad.value, bad.answer = 0.0, bad.answer.assign(close=-1.0)
    seen = set()
    for source in (good, bad):
        with served(make_hub(source)) as client:
            schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
            for found in schema.get_all_operations():
                fuzz(found.ok(), str(client.base_url), seen)
    assert {200, 400} <= seen <= {200, 400, 404, 405, 502}


def fuzz(operation, address, seen):
    @settings(max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def ask(case):
        answer = case.call(base_url=address, headers={"X-API-KEY": KEY})
        seen.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    ask()
