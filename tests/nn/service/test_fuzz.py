"""The real server on a real socket, asked by schemathesis what its page allows and what it does not (LIM table).

No 5xx but the 503s that the page declares, every answer as the page says, whatever comes.
"""

from __future__ import annotations

import json
import shutil
import warnings

import httpx
import jsonschema
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nn.models.build import ACTOR_CRITIC
from nn.service.openapi import FILE

from ..policy.small_policy import write_small_policy

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own imports
    import schemathesis
    from schemathesis.checks import load_all_checks, not_a_server_error
    from schemathesis.specs.openapi.checks import positive_data_acceptance

pytestmark = [pytest.mark.slow, pytest.mark.e2e]
load_all_checks()
ARROW = "application/vnd.apache.arrow.stream"
QUESTIONS = ["/forecast", "/direction", "/predict", "/rollout"]
PAGE = json.loads(FILE.read_text())
NOT_ASKED = [positive_data_acceptance, not_a_server_error]  # undeclared ones fail by their status
MODEST = settings(
    max_examples=15, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)  # fmt: skip


@schemathesis.serializer(ARROW)
def as_it_is(context, value):
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@schemathesis.deserializer(ARROW)
def not_read(context, response):
    return None


schemathesis.openapi.media_type(ARROW, st.binary(max_size=300))
schema = schemathesis.openapi.from_dict(PAGE)


@pytest.fixture(scope="module")
def home(both_lines, tmp_path_factory):
    """A registry with a line of every kind."""
    registry = type(both_lines)(tmp_path_factory.mktemp("fuzzed") / "registry")
    shutil.copytree(both_lines.folder, registry.folder)
    registry.publish(write_small_policy(registry.folder / "policy-15m", registry.keys).name, line="policy-15m")
    return registry


@pytest.fixture(scope="module")
def policy(home):
    return home.shelf().line_of("15m", ACTOR_CRITIC).champion.policy


@pytest.fixture(scope="module")
def fuzzed(start, home):
    return start(home.folder, "requests_per_second: 100000\nrequests_burst: 100000\n")


def test_the_page_is_openapi():
    schema.validate()


@schema.parametrize()
@MODEST
def test_no_request_breaks_it(case, fuzzed):
    """A 503 is on the page, a 500 is not. Good data may still be 400: that rows ascend on a grid is no JSON schema."""
    response = case.call(base_url=fuzzed.url, headers={"X-API-KEY": fuzzed.key})
    case.validate_response(response, excluded_checks=NOT_ASKED, headers={"X-API-KEY": fuzzed.key})


def refused_or_answered(fuzzed, path: str, body: bytes) -> httpx.Response:
    response = fuzzed.ask("POST", path, content=body, headers={"content-type": ARROW})
    if response.status_code == 200:
        pa.ipc.open_stream(response.content).read_all().validate(full=True)
    else:
        declared = PAGE["paths"][path]["post"]["responses"]
        assert str(response.status_code) in declared, response.text
        assert response.status_code < 500, response.text
        content = declared[str(response.status_code)]["content"]["application/json"]["schema"]
        jsonschema.validate(response.json(), content | {"components": PAGE["components"]})
    return response


@settings(MODEST, max_examples=80)
@given(data=st.data())
def test_damaged_streams_are_refused(fuzzed, kit, data):
    """Bits turned, ends cut, pieces doubled, lengths made huge; compressed ones too."""
    codec = data.draw(st.sampled_from([None, "lz4", "zstd"]))
    several = data.draw(st.booleans())
    frame = kit.candles(160)
    table = kit.pairs_table({"BTC/USDT": frame, "ETH/USDT": frame}) if several else kit.arrow_table(frame)
    body = damaged(data, kit.stream_of(table, compression=codec))
    refused_or_answered(fuzzed, data.draw(st.sampled_from(QUESTIONS)), body)


@settings(MODEST, max_examples=40)
@given(data=st.data())
def test_damaged_streams_of_observations_are_refused(fuzzed, policy, kit, data):
    rows = np.zeros((20, 58), np.float32)
    columns = {name: rows[:, k] for k, name in enumerate(policy.observations.names)}
    parameters = {"schema_version": "1", "pair": "ETH/USDT:USDT", "timeframe": "15m"}
    table = pa.table(columns, metadata=parameters | {"observation_digest": policy.observations.digest})
    whole = kit.stream_of(table, compression=data.draw(st.sampled_from([None, "lz4", "zstd"])))
    assert refused_or_answered(fuzzed, "/action", whole).status_code == 200
    refused_or_answered(fuzzed, "/action", damaged(data, whole))


def damaged(data, stream: bytes) -> bytes:
    """Return a stream with one to four wounds."""
    body = bytearray(stream)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, max(len(body) - 9, 0)) | st.integers(0, min(1500, len(body) - 9)))
        match data.draw(st.sampled_from(["bit", "cut", "huge", "negative", "double"])):
            case "bit":
                body[place] ^= 1 << data.draw(st.integers(0, 7))
            case "cut":
                del body[place : place + data.draw(st.integers(1, 5000))]
            case "huge":
                body[place : place + 8] = data.draw(st.integers(1 << 31, (1 << 62))).to_bytes(8, "little")
            case "negative":
                body[place : place + 4] = b"\xff\xff\xff\xff"
            case "double":
                body[place:place] = body[place : place + 64]
        if len(body) < 16:
            break
    return bytes(body)


def hostile_columns(frame) -> dict[str, pa.Array]:
    """The close price in every form that is not a plain float64."""
    close = frame["close"].to_numpy()
    return {
        "float32": pa.array(close, pa.float32()),
        "decimal": pa.array([int(value) for value in close], pa.decimal128(20, 4)),
        "words": pa.array([str(value) for value in close]),
        "dictionary": pa.array(close).dictionary_encode(),
        "nested": pa.array([{"close": value} for value in close]),
        "list": pa.array([[value] for value in close]),
        "fixed list": pa.FixedSizeListArray.from_arrays(pa.array(np.repeat(close, 2)), 2),
        "run ends": pa.RunEndEncodedArray.from_arrays(pa.array([len(close)], pa.int32()), pa.array([100.0])),
        "null": pa.nulls(len(close)),
        "with null": pa.array([None, *close[1:]], pa.float64()),
        "extension": pa.ExtensionArray.from_storage(pa.opaque(pa.float64(), "t", "v"), pa.array(close)),
        "nan": pa.array([np.nan, *close[1:]]),
        "infinite": pa.array([np.inf, *close[1:]]),
        "negative": pa.array(-close),
        "tiny": pa.array(np.full(len(close), 5e-324)),
    }


def test_no_other_type_of_column_is_read(fuzzed, kit):
    """LIM-3, LIM-5."""
    frame = kit.candles(160)
    for name, column in hostile_columns(frame).items():
        table = kit.arrow_table(frame)
        table = table.set_column(table.schema.get_field_index("close"), "close", column)
        assert refused_or_answered(fuzzed, "/predict", kit.stream_of(table)).status_code == 400, name


def test_pairs_that_come_twice_or_are_none_are_refused(fuzzed, kit):
    frame = kit.candles(160)
    tables = [
        kit.pairs_table({"BTC/USDT": frame, "../etc": frame}),
        kit.pairs_table({"BTC/USDT": frame, "": frame}),
        pa.concat_tables(
            [kit.pairs_table({"BTC/USDT": frame, "ETH/USDT": frame}), kit.pairs_table({"BTC/USDT": frame})]
        ),
        kit.pairs_table({f"P{k}/USDT": frame.tail(1) for k in range(1100)}),
        kit.pairs_table({"BTC/USDT": frame}, as_of="each"),
        kit.pairs_table({"BTC/USDT": frame}).append_column("pair", pa.array(["BTC/USDT"] * 160)),
        kit.pairs_table({"BTC/USDT": frame}, pair="BTC/USDT"),
    ]
    for number, table in enumerate(tables):
        assert refused_or_answered(fuzzed, "/predict", kit.stream_of(table)).status_code in (400, 413), number


def test_it_still_answers_after_all_that(fuzzed, kit):
    for path in QUESTIONS:
        assert refused_or_answered(fuzzed, path, kit.arrow_body(kit.candles(230))).status_code == 200
    assert "Traceback" not in fuzzed.log.read_text()
