"""/direction and /predict through the whole application, in both forms (SRV-3, SRV-15, ENS-1..3)."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pyarrow as pa
import pytest

from nn.data.target_table import DIRECTION_COLUMNS, FORECAST_COLUMNS
from nn.service.decision import DECISION_COLUMNS, decide

CONTRACTS = Path(__file__).resolve().parents[3] / "configs" / "contracts"
REPLIES = {"/forecast": "forecast_reply", "/direction": "direction_reply", "/predict": "decision_reply"}


def contract(path: str) -> dict:
    return json.loads((CONTRACTS / f"{REPLIES[path]}.v1.json").read_text())


def matrix(rows: list[dict], columns: tuple[str, ...]) -> np.ndarray:
    return np.array([[row[name] for name in columns] for row in rows], dtype=np.float32)  # None becomes NaN


@pytest.mark.parametrize("path", REPLIES)
@pytest.mark.parametrize("as_of", ["each", "latest"])
def test_json_is_as_the_contract_says(serve, both_lines, kit, path, as_of):
    """SRV-7: and /predict says signal and probability first, for people (SRV-3)."""
    response = serve(both_lines).json(kit.candles(230), path, as_of=as_of)
    assert response.status_code == 200
    jsonschema.validate(response.json(), contract(path))
    rows = response.json()["rows"]
    assert len(rows) == (230 if as_of == "each" else 1)
    assert rows[-1]["model_version"] is not None
    if path == "/predict":
        assert list(rows[-1])[2:4] == ["signal", "signal_probability"]
        assert list(rows[0]) == list(contract(path)["properties"]["rows"]["items"]["properties"])


@pytest.mark.parametrize("path", REPLIES)
def test_arrow_and_json_say_the_same(serve, both_lines, kit, path):
    ask, frame = serve(both_lines), kit.candles(230)
    rows = ask.json(frame, path).json()["rows"]
    table = kit.read_reply(ask.arrow(kit.arrow_body(frame), path).content)
    assert table.num_rows == len(rows)
    for name in table.column_names:
        if table.schema.field(name).type == pa.float32():
            assert table[name].to_pylist() == pa.array([row[name] for row in rows], pa.float32()).to_pylist()
        elif name != "date":
            assert table[name].to_pylist() == [row[name] for row in rows]
    lines = {line["kind"]: line["chain_digest"] for line in ask("GET", "/models").json()["lines"]}
    told = {name: value.decode() for name, value in table.schema.metadata.items() if name.endswith(b"chain_digest")}
    main = lines["direction" if path == "/direction" else "unified_patchtst"]
    expected = {b"chain_digest": main}
    assert told == expected | ({b"direction_chain_digest": lines["direction"]} if path == "/predict" else {})


@pytest.mark.parametrize("path", REPLIES)
@pytest.mark.parametrize("as_of", ["each", "latest"])
def test_every_item_of_a_reply_is_there(serve, both_lines, kit, path, as_of):
    """SRV-5: who said it, since when it may and what it read, in both forms; and the latency, apart."""
    ask, frame = serve(both_lines), kit.candles(230)
    response = ask.json(frame, path, as_of=as_of)
    rows, told = response.json()["rows"], response.json()["versions"]
    named = {row[name] for row in rows for name in row if name in ("model_version", "direction_version")} - {None}
    listed = {each["version"]: each for line in ask("GET", "/models").json()["lines"] for each in line["versions"]}
    assert {each["version"] for each in told} == named
    assert told == [{name: listed[each["version"]][name] for name in each} for each in told]
    assert len(told) == (1 if as_of == "latest" else 2) * (2 if path == "/predict" else 1)
    other = ask.arrow(kit.arrow_body(frame, as_of=as_of), path)
    assert json.loads(kit.read_reply(other.content).schema.metadata[b"versions"]) == told
    for each in (response, other):
        name, milliseconds = each.headers["server-timing"].split(";dur=")
        assert name == "answer"
        assert 0 <= float(milliseconds) < 60_000
    wanted = {
        "/forecast": {"close_time", "direction_4h_up", "best_action_long", "future_return_4h", "max_drawdown_4h",
                      "signal_strength", "risk_reward_ratio", "optimal_hold_time", "confidence_4h"},
        "/direction": {"close_time", *DIRECTION_COLUMNS},
        "/predict": {"close_time", "signal", "signal_probability", "stake_multiplier", "stop_long", "stop_short",
                     "target_long", "target_short", "expected_return_4h"},
    }  # fmt: skip
    assert wanted[path] <= set(rows[-1])


def test_a_decision_is_made_of_what_both_lines_say(serve, both_lines, kit):
    """ENS-1: the columns of /predict follow from the answers of /forecast and /direction, bit by bit."""
    ask, frame = serve(both_lines), kit.candles(400)
    unified, direction, decided = (ask.json(frame, path).json()["rows"] for path in REPLIES)
    expected = decide(matrix(unified, FORECAST_COLUMNS), matrix(direction, DIRECTION_COLUMNS))
    np.testing.assert_array_equal(matrix(decided, DECISION_COLUMNS), expected.values)
    for row, (one, other, told) in enumerate(zip(unified, direction, decided, strict=True)):
        both = one["reason"] is None and other["reason"] is None
        if both:
            assert told["model_version"] == one["model_version"]
            assert told["direction_version"] == other["model_version"]
            assert told["signal"] == ("BUY", "SELL", "HOLD")[expected.signal[row]]
            assert told["reason"] == ("disagree" if expected.disagree[row] else None)
        else:
            assert told["reason"] == one["reason"] or one["reason"] is None
            assert {told[name] for name in ("signal", "model_version", "direction_version")} == {None}
    assert expected.known.sum() == 400 - 159  # the direction line begins ten candles later


def test_the_newest_candles_of_several_pairs_get_a_decision_each(serve, both_lines, kit):
    ask = serve(both_lines)
    frames = {f"{coin}/USDT:USDT": kit.candles(230, seed) for seed, coin in enumerate(("BTC", "ETH", "SOL"))}
    for path in REPLIES:
        table = kit.read_reply(ask.arrow(kit.stream_of(kit.pairs_table(frames)), path).content)
        assert table["pair"].to_pylist() == list(frames)
        assert b"pair" not in table.schema.metadata
        for row, (pair, frame) in enumerate(frames.items()):
            [alone] = ask.json(frame, path, pair=pair, as_of="latest").json()["rows"]
            assert alone["model_version"] == table["model_version"][row].as_py()
            for name in table.column_names:
                if table.schema.field(name).type == pa.float32():
                    assert pa.scalar(alone[name], pa.float32()) == table[name][row]


@pytest.mark.parametrize("there", ["unified", "direction"])
def test_a_line_that_is_not_there_is_named(serve, registry, kit, there):
    missing = {"unified": "direction", "direction": "unified"}[there]
    registry.publish(registry.add(150, line=f"{there}-15m"), line=f"{there}-15m")
    ask = serve(registry)
    assert ask("GET", "/readyz", key=None).status_code == 200  # it can answer what it has
    for path in ("/predict", {"unified": "/forecast", "direction": "/direction"}[missing]):
        refused = ask.json(kit.candles(200), path)
        assert (refused.status_code, refused.json()["error"]) == (503, "no_model")
        assert f"no {missing} model line" in refused.json()["reason"]
    assert ask.json(kit.candles(200), {"unified": "/forecast", "direction": "/direction"}[there]).status_code == 200


def test_without_a_champion_history_is_answered_and_the_newest_candle_is_not(serve, registry, kit):
    """LIM-9: either line without one is enough."""
    registry.publish(registry.add(150))
    name = registry.add(150, line="direction-15m")
    registry.publish_aliases({"challenger": name}, name, line="direction-15m")
    ask = serve(registry)
    refused = ask.json(kit.candles(200), "/predict", as_of="latest")
    assert (refused.status_code, refused.json()["error"]) == (503, "no_model")
    assert "direction-15m has no champion" in refused.json()["reason"]
    assert ask.json(kit.candles(200), "/predict").json()["rows"][-1]["signal"] is not None
    assert ask.json(kit.candles(200), as_of="latest").status_code == 200


def test_a_refused_line_does_not_speak_for_another(serve, registry, kit):
    """A line whose files were changed is the reason for its own address, and for /predict, and no other."""
    registry.publish(registry.add(150))
    name = registry.add(150, line="direction-15m")
    registry.publish(name, line="direction-15m")
    weights = registry.folder / "direction-15m" / name / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    ask = serve(registry)
    assert ask.json(kit.candles(200)).status_code == 200
    for path in ("/direction", "/predict"):
        refused = ask.json(kit.candles(200), path)
        assert (refused.status_code, refused.json()["error"]) == (503, "no_model")
        assert "direction-15m was refused" in refused.json()["reason"]


def test_a_stale_candle_is_no_decision(serve, both_lines, kit):
    """DQ-6."""
    frame = kit.candles(230)
    late = int(frame["date"].iloc[-1]) + 4 * kit.bar_ms
    [row] = serve(both_lines, now_ms=late).json(frame, "/predict", as_of="latest").json()["rows"]
    assert (row["signal"], row["reason"]) == (None, "stale")


def test_a_clock_that_jumps_back_says_unclosed_and_recovers_by_itself(serve, both_lines, kit):
    """DQ-2: a candle of the clock's future gets no decision; places, rates and time limits keep another clock."""
    frame = kit.candles(230)
    closed = int(frame["date"].iloc[-1]) + kit.bar_ms
    ask = serve(both_lines, now_ms=closed)
    now = [closed, closed - 3_600_000, closed]
    rows = []
    for each in now:
        ask.app.now = lambda each=each: each / 1000
        rows += ask.json(frame, "/predict", as_of="latest").json()["rows"]
    assert [row["reason"] for row in rows][1] == "unclosed"
    assert rows[1]["signal"] is None
    assert rows[0] == rows[2]
    assert rows[0]["signal"] is not None


def test_signals_are_counted(serve, both_lines, kit):
    """MET-13, MET-14: by endpoint and by one of three signals."""
    ask = serve(both_lines)
    rows = [row for path in ("/direction", "/predict") for row in ask.json(kit.candles(230), path).json()["rows"]]
    lines = dict(line.rsplit(" ", 1) for line in ask("GET", "/metrics").text.splitlines() if line[0] != "#")
    for endpoint in ("direction", "predict"):
        assert lines[f'candlewright_inference_requests_total{{endpoint="{endpoint}"}}'] == "1.0"
    counted = [float(lines[f'candlewright_predictions_total{{signal="{name}"}}']) for name in ("BUY", "SELL", "HOLD")]
    assert sum(counted) == sum(row["model_version"] is not None for row in rows)
