"""What a stranger may ask of POST /train, and what it is told otherwise (JOB-1, LIM-5)."""

import json

import pytest

from nn.service.errors import Refused
from tools.jobs.requests import Inline, Training, parse

TRAINING = {"dataset": "a" * 64, "config": "test"}
INLINE = {"features": [[1, 2.5]] * 50, "labels": [0, 1] * 25}


def test_both_forms_are_understood():
    assert isinstance(parse(json.dumps(TRAINING).encode()), Training)
    found = parse(json.dumps(INLINE).encode())
    assert isinstance(found, Inline)
    assert found.features[0] == [1.0, 2.5]
    assert found.summary == {"kind": "logistic", "rows": 50, "columns": 2}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no JSON"),
        (b"[1]", "no JSON object"),
        (b"[" * 100_000, "no JSON"),
        (b'{"dataset": NaN}', "no JSON"),
        ({"config": "test"}, "dataset"),
        (TRAINING | {"surprise": 1}, "surprise"),
        (TRAINING | {"dataset": "../../etc"}, "dataset"),
        (TRAINING | {"config": "../test"}, "config"),
        (TRAINING | {"config": "/etc/passwd"}, "config"),
        (TRAINING | {"config": "http://127.0.0.1/x"}, "config"),
        (TRAINING | {"config": "test.yaml"}, "config"),
        (TRAINING | {"walk_forward": 25}, "walk_forward"),
        (TRAINING | {"walk_forward": True}, "walk_forward"),
        (TRAINING | {"period": "0d"}, "period"),
        (TRAINING | {"period": "999w"}, "period"),
        (TRAINING | {"model": "resnet"}, "model"),
        (TRAINING | {"features": [[1.0]]}, "features"),
        (INLINE | {"labels": [3] * 50}, "labels"),
        (INLINE | {"labels": [0] * 49}, "49 rows"),
        (INLINE | {"labels": [0.5] * 50}, "labels"),
        (INLINE | {"features": [[1.0]] * 49 + [[1.0, 2.0]]}, "one length"),
        (INLINE | {"features": [[True]] * 50}, "features"),
        (INLINE | {"features": [["1"]] * 50}, "features"),
        (INLINE | {"features": [[]] * 50}, "one length"),
        (INLINE | {"features": [[1e10]] * 50}, "1e9"),
        (INLINE | {"features": [[1.0]] * 3, "labels": [1] * 3}, "features"),
    ],
)
def test_everything_else_is_refused_with_the_field_s_name(body, words):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Refused, match=words) as caught:
        parse(body)
    assert caught.value.status == 400
