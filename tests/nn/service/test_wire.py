"""The wire: JSON and Arrow give the same numbers, both keep to the contracts, and nothing malformed gets in (LIM-5)."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import orjson
import pyarrow as pa
import pytest

from nn.data.targets import FORECAST_COLUMNS

CONTRACTS = Path(__file__).resolve().parents[3] / "configs" / "contracts"


def contract(name):
    schema = json.loads((CONTRACTS / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("as_of", ["each", "latest"])
def test_request_and_reply_keep_to_the_contracts(ask, kit, as_of):
    """SRV-7."""
    frame = kit.candles(170)
    contract("forecast_request.v1").validate(json.loads(kit.json_body(frame, as_of=as_of)))
    reply = ask.json(frame, as_of=as_of).json()
    contract("forecast_reply.v1").validate(reply)
    assert list(reply["rows"][0]) == ["date", "close_time", "model_version", "reason", *FORECAST_COLUMNS]
    assert [row["date"] for row in reply["rows"]] == (
        frame["date"].tolist() if as_of == "each" else [frame["date"].iloc[-1]]
    )
    assert reply["rows"][-1]["close_time"] == frame["date"].iloc[-1] + kit.bar_ms


def test_the_model_list_keeps_to_its_contract(ask, kit):
    reply = ask("GET", "/models").json()
    contract("models_reply.v1").validate(reply)
    [line] = reply["lines"]
    assert (line["name"], line["timeframe"], line["champion"]) == (
        "unified-15m",
        "15m",
        line["versions"][-1]["version"],
    )
    assert [version["valid_from"] for version in line["versions"]] == [
        "2025-01-02T13:30:00Z",
        "2025-01-03T02:00:00Z",
        "2025-01-03T17:00:00Z",
    ]
    assert line["warmup"] + line["context_length"] - 1 == kit.first_scored
    assert {version["backend"] for version in line["versions"]} == {"shared fp32"}


def test_a_reply_that_breaks_the_contract_would_be_seen(ask, kit):
    """The schema is not empty talk: a forecast beside a reason, a column too few and a probability of 2 are errors."""
    schema = contract("forecast_reply.v1")
    reply = ask.json(kit.candles(160)).json()
    for change in ({"reason": "gap"}, {"best_action_long": 2.0}, {"model_version": None}, {"extra": 1}):
        broken = json.loads(json.dumps(reply))
        broken["rows"][-1] |= change
        assert not schema.is_valid(broken)
    del reply["rows"][-1]["confidence_1h"]
    assert not schema.is_valid(reply)


def test_arrow_and_json_give_the_same_bits(ask, kit):
    """SRV-4."""
    frame = kit.candles(300).drop(index=range(220, 225)).reset_index(drop=True)
    rows = ask.json(frame).json()["rows"]
    response = ask.arrow(kit.arrow_body(frame))
    table = kit.read_reply(response.content)
    assert response.headers["content-type"] == "application/vnd.apache.arrow.stream"
    assert table["date"].cast(pa.int64()).to_pylist() == frame["date"].tolist() == [row["date"] for row in rows]
    for name in ("model_version", "reason"):
        assert table[name].to_pylist() == [row[name] for row in rows]
    for name in FORECAST_COLUMNS:
        numbers = [row[name] for row in rows]
        assert [value is None for value in numbers] == table[name].is_null().to_pylist()
        mine = np.array([np.nan if value is None else value for value in numbers], dtype=np.float32)
        theirs = table[name].fill_null(float("nan")).to_numpy()
        np.testing.assert_array_equal(mine.view(np.uint32), theirs.view(np.uint32), err_msg=name)
    assert {None, "gap", "no_version"} <= set(table["reason"].to_pylist())


def test_the_arrow_reply_has_the_promised_schema(ask, kit):
    table = kit.read_reply(ask.arrow(kit.arrow_body(kit.candles(170))).content)
    word = pa.dictionary(pa.int32(), pa.string())
    assert table.schema.types == [pa.timestamp("ms", tz="UTC"), word, word] + [pa.float32()] * len(FORECAST_COLUMNS)
    assert table.column_names == ["date", "model_version", "reason", *FORECAST_COLUMNS]
    [line] = ask("GET", "/models").json()["lines"]
    digest, [version, *_] = line["chain_digest"], line["versions"]
    told = [{name: version[name] for name in ("version", "valid_from", "feature_digest")}]
    assert table.schema.metadata == {
        b"versions": orjson.dumps(told),
        b"schema_version": b"1",
        b"pair": b"BTC/USDT:USDT",
        b"timeframe": b"15m",
        b"chain_digest": digest.encode(),
    }


def test_latest_is_the_newest_candle_by_the_champion(registry, serve, kit):
    """ASO-1, SRV-4: also where the champion is older than the newest version of the chain."""
    names = [registry.add(bar, seed) for seed, bar in enumerate((120, 150))]
    registry.publish(*names, champion=names[0])
    ask = serve(registry)
    frame = kit.candles(200)
    [row] = ask.json(frame, as_of="latest").json()["rows"]
    assert (row["date"], row["model_version"]) == (frame["date"].iloc[-1], names[0])
    assert ask.json(frame).json()["rows"][-1]["model_version"] == names[1]
    early = ask.json(frame[:119], as_of="latest").json()["rows"]
    assert [(each["reason"], each["future_return_1h"]) for each in early] == [("no_version", None)]


def test_a_stale_newest_candle_gets_no_live_forecast(chain, serve, kit):
    """DQ-6: 2 timeframes old is the limit; history is never stale."""
    frame = kit.candles(280)
    close = int(frame["date"].iloc[-1]) + kit.bar_ms
    for age_ms, reason in ((2 * kit.bar_ms, None), (2 * kit.bar_ms + 1, "stale")):
        ask = serve(chain, now_ms=close + age_ms)
        [row] = ask.json(frame, as_of="latest").json()["rows"]
        assert row["reason"] == reason
        assert (row["best_action_long"] is None) == (reason is not None)
        assert ask.json(frame).json()["rows"][-1]["reason"] is None
    ask = serve(chain, now_ms=close * 2, stale_after_bars=None)
    assert ask.json(frame, as_of="latest").json()["rows"][0]["reason"] is None


def test_another_feature_digest_is_409(ask, kit):
    """LIM: layout_mismatch."""
    frame = kit.candles(160)
    assert ask.json(frame, feature_digest=kit.features.digest).status_code == 200
    response = ask.json(frame, feature_digest="0" * 64)
    assert (response.status_code, response.json()["error"]) == (409, "layout_mismatch")
    assert ask.arrow(kit.arrow_body(frame, feature_digest="0" * 64)).status_code == 409


def test_a_timeframe_without_a_line_is_503(ask, kit):
    """LIM-9: no model means no answer."""
    frame = kit.candles(20)
    frame["date"] += 3 * kit.bar_ms * np.arange(20)
    response = ask.json(frame, timeframe="1h")
    assert (response.status_code, response.json()["error"]) == (503, "no_model")


def changed(frame, column, row, value):
    candles = {name: frame[name].tolist() for name in frame}
    candles[column][row] = value
    return {"candles": candles}


MALFORMED = {
    "not an object": lambda f: [1],
    "unknown key": lambda f: {"extra": 1},
    "unknown key below": lambda f: {"candles": {name: f[name].tolist() for name in f} | {"peers": []}},
    "missing column": lambda f: {"candles": {name: f[name].tolist() for name in f if name != "high"}},
    "another schema": lambda f: {"schema_version": 2},
    "schema as text": lambda f: {"schema_version": "1"},
    "schema as truth": lambda f: {"schema_version": True},
    "pair in lower case": lambda f: {"pair": "btc/USDT"},
    "pair with a path": lambda f: {"pair": "../../etc/passwd"},
    "pair with a newline": lambda f: {"pair": "BTC/USDT\n"},
    "pair is a number": lambda f: {"pair": 5},
    "timeframe unknown": lambda f: {"timeframe": "15"},
    "timeframe in weeks": lambda f: {"timeframe": "1w"},
    "as_of unknown": lambda f: {"as_of": "future"},
    "digest too short": lambda f: {"feature_digest": "abc"},
    "number as text": lambda f: changed(f, "close", 1, "100"),
    "number as truth": lambda f: changed(f, "close", 1, True),
    "null in a column": lambda f: changed(f, "close", 1, None),
    "nested column": lambda f: changed(f, "close", 1, [100.0]),
    "date as float": lambda f: changed(f, "date", 1, 1.5),
    "date too large": lambda f: changed(f, "date", -1, 2**63),
    "date in nanoseconds": lambda f: changed(f, "date", -1, int(f["date"].iloc[-1]) * 10**6),
    "date negative": lambda f: changed(f, "date", 0, -900_000),
    "date off the grid": lambda f: changed(f, "date", 1, int(f["date"].iloc[1]) + 1),
    "date repeated": lambda f: changed(f, "date", 1, int(f["date"].iloc[0])),
    "rows out of order": lambda f: {"candles": {name: f[name][::-1].tolist() for name in f}},
    "unequal lengths": lambda f: {"candles": {name: f[name].tolist() for name in f} | {"volume": [1.0]}},
    "no rows": lambda f: {"candles": {name: [] for name in f}},
    "price zero": lambda f: changed(f, "low", 1, 0.0),
    "price negative": lambda f: changed(f, "open", 1, -1.0),
    "volume negative": lambda f: changed(f, "volume", 1, -1.0),
    "high below low": lambda f: changed(f, "high", 1, float(f["low"].iloc[1]) * 0.9),
    "close above high": lambda f: changed(f, "close", 1, float(f["high"].iloc[1]) * 1.1),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_json_is_400_with_the_reason(ask, kit, name):
    """LIM-5 and DQ-1..3, at the border."""
    change = MALFORMED[name](kit.candles(8))
    base = orjson.loads(kit.json_body(kit.candles(8)))
    body = orjson.dumps(base | change if isinstance(change, dict) else change)
    response = ask("POST", "/forecast", content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["error"]) == (400, "bad_request")
    assert len(response.json()["reason"]) > 10
    assert "Traceback" not in response.text
    assert "pydantic" not in response.text


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_400(ask, kit, text):
    """LIM-5."""
    body = kit.json_body(kit.candles(8)).replace(b'"volume":[', b'"volume":[' + text.encode() + b",")
    response = ask("POST", "/forecast", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b'{"a":1}x', b"null", b'"text"'])
def test_what_is_no_json_object_is_400(ask, body):
    response = ask("POST", "/forecast", content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["error"]) == (400, "bad_request")


def test_a_reason_names_value_and_expectation(ask, kit):
    response = ask.json(kit.candles(8), **changed(kit.candles(8), "high", 3, 1.0))
    assert "row 3" in response.json()["reason"]
    assert "high 1.0" in response.json()["reason"]


def test_a_pair_of_the_pattern_is_let_in(ask, kit):
    for pair in ("BTC/USDT", "1000PEPE/USDT:USDT"):
        assert ask.json(kit.candles(8), pair=pair).status_code == 200


def test_several_pairs_get_a_row_each(ask, kit):
    """One request for many pairs, by the champion, the same bits as each pair asked alone."""
    frames = {f"{name}/USDT:USDT": kit.candles(290 + k, seed=k) for k, name in enumerate(("BTC", "ETH", "SOL"))}
    frames["NEW/USDT:USDT"] = kit.candles(300)[260:]
    response = ask.arrow(kit.stream_of(kit.pairs_table(frames)))
    table = kit.read_reply(response.content)
    assert table.column_names == ["pair", "date", "model_version", "reason", *FORECAST_COLUMNS]
    assert b"pair" not in table.schema.metadata
    assert table["pair"].to_pylist() == list(frames)
    assert table["reason"].to_pylist() == [None, None, None, "warmup"]
    for row, (pair, frame) in zip(table.to_pylist(), frames.items(), strict=True):
        alone = kit.read_reply(ask.arrow(kit.arrow_body(frame, pair=pair, as_of="latest")).content)
        assert alone.to_pylist() == [{name: value for name, value in row.items() if name != "pair"}]


def test_a_newest_candle_that_has_not_closed_gets_no_live_forecast(chain, serve, kit):
    """DQ-2: it would be scored on a price that is still moving; two seconds between clocks are forgiven."""
    frame = kit.candles(280)
    close = int(frame["date"].iloc[-1]) + kit.bar_ms
    for early_ms, reason in ((2000, None), (2001, "unclosed")):
        ask = serve(chain, now_ms=close - early_ms)
        [row] = ask.json(frame, as_of="latest").json()["rows"]
        assert (row["reason"], row["future_return_1h"] is None) == (reason, reason is not None)


def test_of_several_pairs_only_the_stale_ones_are_withheld(chain, serve, kit):
    frames = {"BTC/USDT": kit.candles(280), "ETH/USDT": kit.candles(290)}
    close = int(frames["ETH/USDT"]["date"].iloc[-1]) + kit.bar_ms
    table = kit.read_reply(serve(chain, now_ms=close).arrow(kit.stream_of(kit.pairs_table(frames))).content)
    assert table["reason"].to_pylist() == ["stale", None]
    assert table["future_return_1h"].is_null().to_pylist() == [True, False]
