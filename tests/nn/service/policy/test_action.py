"""POST /action and GET /observation, in process: the same bits however asked, and everything hostile refused (LIM)."""

from __future__ import annotations

import json
import math
from pathlib import Path

import jsonschema
import numpy as np
import orjson
import pyarrow as pa
import pytest
from tradekernels.observation import Statistics, observation_set

CONTRACTS = Path(__file__).resolve().parents[4] / "configs" / "contracts"
JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"
NUMBERS = ("target_weight", "value", "cvar")


def contract(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads((CONTRACTS / f"{name}.v1.json").read_text()))


@pytest.fixture
def ask(policies, serve):
    asker = serve(policies)

    def ask(body: bytes, kind: str = JSON, service=asker):
        return service("POST", "/action", content=body, headers={"content-type": kind})

    ask.service = asker
    return ask


@pytest.fixture
def rows(policies_kit, champion):
    return policies_kit.rows(champion, 30)


def refusal(response) -> tuple[int, str]:
    assert set(response.json()) == {"error", "reason"}
    return response.status_code, response.json()["error"]


def test_it_answers_as_the_contract_says_and_with_the_bits_of_the_policy(ask, policies_kit, champion, rows):
    """SRV-3, SRV-7, PPO-4: and the target weights are not all the same."""
    body = policies_kit.body(champion, rows)
    contract("action_request").validate(json.loads(body))
    reply = ask(body).json()
    contract("action_reply").validate(reply)
    columns, quantiles = champion.columns(rows)
    told = np.array([[row[name] for name in NUMBERS] for row in reply["rows"]], np.float32)
    assert told.tobytes() == columns.tobytes()
    assert np.array([row["quantiles"] for row in reply["rows"]], np.float32).tobytes() == quantiles.tobytes()
    assert {row["model_version"] for row in reply["rows"]} == {champion.version}
    assert {row["valid_from"] for row in reply["rows"]} == {"2025-02-02T07:00:00Z"}
    assert np.ptp(told[:, 0]) > 0.01


def test_the_same_rows_are_the_same_bytes_alone_together_and_again(ask, policies_kit, champion, rows):
    together = [orjson.dumps(row) for row in ask(policies_kit.body(champion, rows)).json()["rows"]]
    alone = [orjson.dumps(ask(policies_kit.body(champion, rows[k : k + 1])).json()["rows"][0]) for k in range(30)]
    assert together == alone
    body = policies_kit.body(champion, rows)
    assert ask(body).content == ask(body).content


def test_arrow_says_what_json_says(ask, policies_kit, kit, champion, rows):
    response = ask(policies_kit.arrow(champion, rows), ARROW)
    assert response.headers["content-type"] == ARROW
    table, told = kit.read_reply(response.content), ask(policies_kit.body(champion, rows)).json()["rows"]
    for name in NUMBERS:
        assert table.schema.field(name).type == pa.float32()
        assert table[name].to_pylist() == pa.array([row[name] for row in told], pa.float32()).to_pylist()
    for name in ("model_version", "reason"):
        assert table[name].to_pylist() == [row[name] for row in told]
    assert {f"{each:%Y-%m-%dT%H:%M:%SZ}" for each in table["valid_from"].to_pylist()} == {told[0]["valid_from"]}
    assert table.schema.metadata == {b"schema_version": b"1", b"timeframe": b"15m", b"pair": b"ETH/USDT:USDT"}


def test_4096_rows_are_answered_and_one_more_is_413(ask, policies_kit, kit, champion, rows):
    many = np.resize(rows, (4097, rows.shape[1]))
    assert kit.read_reply(ask(policies_kit.arrow(champion, many[:4096]), ARROW).content).num_rows == 4096
    assert refusal(ask(policies_kit.arrow(champion, many), ARROW)) == (413, "too_large")
    narrow = policies_kit.question(champion, rows) | {"observations": [[0]] * 4097}  # small enough to be read
    assert refusal(ask(orjson.dumps(narrow))) == (413, "too_large")


def test_a_pair_that_it_was_not_trained_on_is_null_with_the_reason(ask, policies_kit, kit, champion, rows):
    reply = ask(policies_kit.body(champion, rows, pair="XRP/USDT:USDT")).json()
    contract("action_reply").validate(reply)
    assert [row["reason"] for row in reply["rows"]] == ["unknown_pair"] * 30
    assert {row[name] for row in reply["rows"] for name in (*NUMBERS, "quantiles", "model_version")} == {None}
    table = kit.read_reply(ask(policies_kit.arrow(champion, rows, pair="XRP/USDT:USDT"), ARROW).content)
    assert table["reason"].to_pylist() == ["unknown_pair"] * 30
    assert table["target_weight"].null_count == table["valid_from"].null_count == 30


@pytest.mark.parametrize(
    ("late_bars", "reason"), [(0, None), (2, None), (2.01, "stale"), (-0.001, None), (-1, "unclosed")]
)
def test_a_candle_that_is_not_over_or_too_old_is_not_acted_on(
    serve, policies, ask, policies_kit, kit, champion, rows, late_bars, reason
):
    """DQ-2, DQ-6, by the close_time that the request tells."""
    closed = champion.valid_from_ms + 40 * kit.bar_ms
    service = serve(policies, now_ms=closed + int(late_bars * kit.bar_ms))
    told = ask(policies_kit.body(champion, rows[:1], close_time=closed), service=service).json()
    contract("action_reply").validate(told)
    assert told["rows"][0]["reason"] == reason
    arrow = ask(policies_kit.arrow(champion, rows[:1], close_time=closed), ARROW, service)
    assert kit.read_reply(arrow.content)["reason"].to_pylist() == [reason]


def test_nothing_is_acted_on_before_valid_from(serve, policies, ask, policies_kit, kit, champion, rows):
    """ASO-1: by the close of the candle, where a replay tells it too; by the clock where nothing is told."""
    for close_ms, reason in ((champion.valid_from_ms - kit.bar_ms, "no_version"), (champion.valid_from_ms, None)):
        told = ask(policies_kit.body(champion, rows[:1], close_time=close_ms)).json()["rows"]
        assert [row["reason"] for row in told] == [reason]
        service = serve(policies, now_ms=close_ms)
        told = ask(policies_kit.body(champion, rows[:1]), service=service).json()["rows"]
        assert [row["reason"] for row in told] == [reason]


def changed(rows, slot: int, value: float) -> list[list[float]]:
    values = rows[:2].astype(float).tolist()
    values[1][slot] = value
    return values


HOSTILE = {
    "no row": lambda rows: [],
    "an empty row": lambda rows: [[]],
    "a slot too few": lambda rows: rows[:, :-1].tolist(),
    "a slot too many": lambda rows: np.pad(rows, ((0, 0), (0, 1))).tolist(),
    "unequal rows": lambda rows: [rows[0].tolist(), rows[1].tolist()[:-1]],
    "1e308": lambda rows: changed(rows, 3, 1e308),
    "beyond the range of its slot": lambda rows: changed(rows, 21, 1.5),
    "below the range of its slot": lambda rows: changed(rows, 21, -0.5),
    "words": lambda rows: [["0.1"] * rows.shape[1]],
    "a flag": lambda rows: [[True] * rows.shape[1]],
    "null": lambda rows: [[None] * rows.shape[1]],
    "one row alone": lambda rows: rows[0].tolist(),
    "nested": lambda rows: [[[0.1]] * rows.shape[1]],
    "an object": lambda rows: {"0": rows[0].tolist()},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_observation_is_400(ask, policies_kit, champion, rows, name):
    """LIM-5."""
    question = policies_kit.question(champion, rows) | {"observations": HOSTILE[name](rows)}
    assert refusal(ask(orjson.dumps(question))) == (400, "bad_request")


@pytest.mark.parametrize(
    "changes",
    [
        {"extra": 1}, {"schema_version": 2}, {"schema_version": True}, {"timeframe": "15x"}, {"pair": "../etc"},
        {"observation_digest": "no digest"}, {"observation_digest": None}, {"close_time": 1.5}, {"close_time": -1},
        {"close_time": 10**15}, {"close_time": "1"},
    ],
)  # fmt: skip
def test_strict_parameters(ask, policies_kit, champion, rows, changes):
    assert refusal(ask(policies_kit.body(champion, rows, **changes))) == (400, "bad_request")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "0x1"])
def test_numbers_that_json_does_not_have(ask, policies_kit, champion, rows, number):
    body = policies_kit.body(champion, rows[:1]).replace(b'"observations":[[', f'"observations":[[{number},'.encode())
    assert refusal(ask(body)) == (400, "bad_request")


def hostile_tables(policies_kit, champion, rows) -> dict[str, pa.Table]:
    table = policies_kit.table(champion, rows)
    first, second = table.column_names[:2]
    numbers = table[first].to_numpy()

    def with_first(column: pa.Array) -> pa.Table:
        return table.set_column(0, first, column)

    return {
        "float64": with_first(pa.array(numbers.astype(np.float64))),
        "words": with_first(pa.array([str(each) for each in numbers])),
        "dictionary": with_first(pa.array(numbers).dictionary_encode()),
        "extension": with_first(pa.ExtensionArray.from_storage(pa.opaque(pa.float32(), "t", "v"), pa.array(numbers))),
        "null": with_first(pa.array([None, *numbers[1:]], pa.float32())),
        "nan": with_first(pa.array(np.where(np.arange(len(numbers)) == 3, np.nan, numbers), pa.float32())),
        "infinite": with_first(pa.array(np.full(len(numbers), np.inf), pa.float32())),
        "another order": table.select([second, first, *table.column_names[2:]]),
        "twice": table.append_column(first, table[first]),
        "missing": table.drop_columns([first]),
        "another name": table.rename_columns(["x", *table.column_names[1:]]),
        "empty": table.slice(0, 0),
        "no columns": pa.table({}, metadata=table.schema.metadata),
        "2000 columns": pa.table({str(k): numbers for k in range(2000)}, metadata=table.schema.metadata),
    }


def test_streams_that_hold_no_observations_are_400(ask, policies_kit, kit, champion, rows):
    """LIM-3, LIM-5."""
    for name, table in hostile_tables(policies_kit, champion, rows).items():
        assert refusal(ask(kit.stream_of(table), ARROW)) == (400, "bad_request"), name
    for body in (b"", b"no arrow", kit.arrow_body(kit.candles(20)), policies_kit.arrow(champion, rows)[:-900]):
        assert refusal(ask(body, ARROW)) == (400, "bad_request")


def test_another_layout_is_409(ask, policies_kit, champion, rows):
    """OBS-57: by the digest, before anybody looks at the rows."""
    for changes in ({"observation_digest": "0" * 64}, {"observation_digest": "0" * 64, "observations": [[0.0]]}):
        assert refusal(ask(policies_kit.body(champion, rows, **changes))) == (409, "layout_mismatch")
    assert refusal(ask(policies_kit.arrow(champion, rows, observation_digest="0" * 64), ARROW))[0] == 409


def test_the_guard_is_that_of_all(ask, serve, policies, policies_kit, champion, rows):
    """LIM-1, LIM-3, LIM-4, LIM-6, LIM-7."""
    body, plain = policies_kit.body(champion, rows), {"content-type": JSON}
    service = ask.service
    for path in ("/action", "/rollout"):
        assert refusal(service("POST", path, key=None, content=body, headers=plain)) == (401, "unauthorized")
        foreign = plain | {"host": "evil.example"}
        assert refusal(service("POST", path, content=body, headers=foreign)) == (403, "foreign_host")
        assert refusal(service("GET", path)) == (405, "method_not_allowed")
        assert refusal(service("POST", path, content=b" " * 300_000, headers=plain)) == (413, "too_large")
        for kind in ("text/plain", "application/vnd.bentoml+pickle"):
            refused = service("POST", path, content=body, headers={"content-type": kind})
            assert refusal(refused) == (415, "content_type")
    assert refusal(service("GET", "/observation?timeframe=15m", key=None)) == (401, "unauthorized")
    limited = serve(policies, requests_burst=1, requests_per_second=1e-9)
    assert ask(body, service=limited).status_code == 200
    assert refusal(ask(body, service=limited)) == (429, "rate_limit")


def test_no_place_is_429_and_no_time_is_503(serve, policies, ask, policies_kit, champion, rows, monkeypatch):
    service = serve(policies, max_concurrency=1)
    monkeypatch.setitem(service.app.asgi.places.taken, "live", 1)
    assert refusal(ask(policies_kit.body(champion, rows), service=service)) == (429, "overload")
    late = serve(policies, live_timeout_s=1e-9)
    assert refusal(ask(policies_kit.body(champion, rows), service=late)) == (503, "timeout")


def test_many_rows_wait_with_history_and_delay_no_single_one(
    serve, policies, ask, policies_kit, kit, champion, rows, monkeypatch
):
    """LIM-6: forty such questions at once took the one thread of actions, and every bot's row came too late."""
    service = serve(policies)
    many = policies_kit.arrow(champion, np.repeat(rows[:1], 4096, axis=0))
    one = policies_kit.arrow(champion, rows[:1])
    places = service.app.asgi.places
    monkeypatch.setitem(places.taken, "history", places.limits["history"])
    assert refusal(ask(many, ARROW, service)) == (429, "overload")
    assert ask(one, ARROW, service).status_code == 200
    monkeypatch.setitem(places.taken, "history", 0)
    monkeypatch.setitem(places.taken, "live", places.limits["live"])
    assert ask(many, ARROW, service).status_code == 200


def test_an_answer_that_is_no_number_is_null(ask, policies_kit, champion, rows, monkeypatch):
    """Weights are finite, but a product of them may overflow; LIM-9."""
    line = ask.service.app.shelf.lines[0]
    forward = line.champion.policy.forward
    monkeypatch.setattr(forward, "unit", np.float32(math.inf))
    told = ask(policies_kit.body(champion, rows[:3])).json()
    contract("action_reply").validate(told)
    assert [row["reason"] for row in told["rows"]] == ["not_finite"] * 3


def test_a_bot_can_build_what_the_champion_reads(ask, policies_kit, champion):
    """GET /observation: the set built from it has the digest, and its rows are answered."""
    response = ask.service("GET", "/observation?timeframe=15m")
    assert response.status_code == 200
    told = response.json()
    contract("observation").validate(told)
    made = observation_set(Statistics.from_json(told["statistics"]), told["tokens"], told["max_num_tokens"])
    assert made.digest == told["observation_digest"] == champion.observations.digest
    assert (told["model_version"], told["dead_band"], told["can_short"]) == (champion.version, 0.05, False)
    frame = policies_kit.candles(2900)
    rows = made.market(frame, made.tokens.index("ETH/USDT:USDT"))[-3:]
    body = policies_kit.body(champion, rows, observation_digest=made.digest)
    assert [row["reason"] for row in ask(body).json()["rows"]] == [None] * 3


@pytest.mark.parametrize(
    "query", ["", "?", "?timeframe=", "?timeframe=15x", "?timeframe=15m&x=1", "?timeframe=15m&timeframe=15m", "?x=15m"]
)
def test_observation_takes_a_timeframe_and_nothing_else(ask, query):
    assert refusal(ask.service("GET", f"/observation{query}")) == (400, "bad_request")
    assert refusal(ask.service("GET", "/observation?timeframe=4h")) == (503, "no_model")


def test_the_model_list_tells_the_line(ask, champion):
    told = ask.service("GET", "/models").json()
    contract("models_reply").validate(told)
    [line] = told["lines"]
    assert (line["name"], line["kind"], line["champion"]) == ("policy-15m", "actor_critic", champion.version)
    assert (line["feature_digest"], line["warmup"], line["context_length"]) == (champion.observations.digest, 2880, 1)
    assert len(line["versions"]) == 3


def test_what_the_contract_forbids_would_be_seen(ask, policies_kit, champion, rows):
    told = ask(policies_kit.body(champion, rows[:1])).json()
    for change in ({"reason": "stale"}, {"target_weight": 1.5}, {"target_weight": None}, {"model_version": None}):
        broken = json.loads(json.dumps(told))
        broken["rows"][0] |= change
        assert not contract("action_reply").is_valid(broken), change


def test_requests_are_counted(ask, policies_kit, champion, rows):
    """MET-13."""
    ask(policies_kit.body(champion, rows))
    ask.service("GET", "/observation?timeframe=15m")
    text = ask.service("GET", "/metrics").text
    for endpoint in ("action", "observation"):
        assert f'candlewright_inference_requests_total{{endpoint="{endpoint}"}} 1.0' in text
