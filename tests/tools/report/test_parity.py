"""What a decision log may be, and how two scorings of a candle are told apart (ASO-6)."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pyarrow as pa
import pytest

from nn.service.arrow import read_arrow
from nn.service.body import LIMITS
from tools.errors import UserError
from tools.report.__main__ import main
from tools.report.parity import MOST_NEEDED, difference, read_decisions

from .conftest import random_walk

CANDLE = {"open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "volume": 10.0}
TEXTS = {"signal": "long", "model_version": "u1", "direction_version": "d1"}
AGAIN = TEXTS | {"reason": None, "stop_long": 0.01}


def decision(minute=0, **changes):
    row = {"pair": "BTC/USDT", "timeframe": "15m", "date": f"2025-01-01T00:{minute:02d}:00+00:00", "candle": CANDLE}
    return row | {"numbers": {"stop_long": 0.01}, "texts": TEXTS} | changes


def log_of(tmp_path, *rows):
    path = tmp_path / "log"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_newest_decisions_are_taken_and_the_last_word_about_a_candle(tmp_path):
    path = log_of(tmp_path, decision(30), decision(0), decision(15), decision(30, numbers={"stop_long": 0.5}))
    found = read_decisions(path, 2)
    assert [row["date"][14:16] for row in found] == ["15", "30"]
    assert found[-1]["numbers"] == {"stop_long": 0.5}
    assert found[0]["opened"] == 1_735_690_500_000


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ([], "line 2 is no decision"),
        (decision(candle={"open": 1.0}), "line 2 is no decision"),
        (decision(date="yesterday"), "line 2 is no decision"),
        (decision(numbers=None), "line 2 is no decision"),
        (decision(texts={}), "line 2 is no decision"),
    ],
)
def test_a_line_that_is_no_decision_is_named(tmp_path, row, words):
    with pytest.raises(UserError, match=words):
        read_decisions(log_of(tmp_path, decision(), row), 500)


def test_slips_are_told_in_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CANDLEWRIGHT_API_KEY", "5" * 64)
    assert main(["parity", str(tmp_path / "none"), "--datadir", str(tmp_path)]) == 2
    assert main(["parity", str(log_of(tmp_path)), "--datadir", str(tmp_path)]) == 2
    assert main(["parity", str(log_of(tmp_path, decision())), "--datadir", str(tmp_path)]) == 2
    assert main(["parity", str(tmp_path / "log"), "--datadir", str(tmp_path), "--last", "0"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0] for line in said] == ["parity"] * 4
    assert "no such decision log" in said[0]
    assert "holds no decision" in said[1]


@pytest.mark.parametrize(
    ("candle", "again", "cause"),
    [
        (CANDLE, AGAIN, None),
        (CANDLE, AGAIN | {"stop_long": 0.01 + 9e-7}, None),
        (CANDLE, AGAIN | {"stop_long": 0.01 + 2e-6}, "unexplained"),
        (CANDLE, AGAIN | {"stop_long": float("nan")}, "unexplained"),
        (CANDLE, AGAIN | {"signal": "short"}, "unexplained"),
        (CANDLE, AGAIN | {"direction_version": "d2"}, "other version"),
        (CANDLE, AGAIN | {"model_version": None, "reason": "no_version"}, "other version"),
        (CANDLE, AGAIN | {"model_version": None, "reason": "gap"}, "gap"),
        (CANDLE | {"close": 1.5001}, AGAIN, "late candle"),
        (None, None, "gap"),
    ],
)
def test_a_difference_has_a_cause(candle, again, cause):
    told = difference(decision(), candle, again)
    assert (told and told[0]) == cause


class Service(BaseHTTPRequestHandler):
    """Takes questions as the service does, bodies over its limits not, and decides on every candle alike."""

    def do_POST(self):
        body, kind = self.rfile.read(int(self.headers["content-length"])), self.headers["content-type"]
        status = 404 if self.path != "/predict" else 413 if len(body) > LIMITS[kind] else 200
        self.send_response(status)
        self.end_headers()
        if status == 200:
            self.wfile.write(decided(read_arrow(body)))

    def log_message(self, *arguments):
        pass


def decided(asked):
    (block,), n = asked.blocks, len(asked.blocks[0].candles["date"])
    dates = pa.array(block.candles["date"], pa.timestamp("ms", "UTC"))
    columns = {name: pa.array([value] * n) for name, value in AGAIN.items()}
    table = pa.table({"date": dates} | columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def test_a_forecast_that_reads_all_that_it_may_is_scored_again(tmp_path, capsys, monkeypatch):
    """Five thousand candles with prices as long as bitcoin's are more than the service takes as JSON."""
    monkeypatch.setenv("CANDLEWRIGHT_API_KEY", "5" * 64)
    frame = random_walk(MOST_NEEDED + 1, seed=1, price=100_000.0)
    (tmp_path / "futures").mkdir()
    frame.to_feather(tmp_path / "futures" / "BTC_USDT_USDT-15m-futures.feather")
    newest = frame.iloc[-1]
    candle = {name: float(newest[name]) for name in CANDLE}
    log = log_of(tmp_path, decision(pair="BTC/USDT:USDT", date=newest["date"].isoformat(), candle=candle))
    with HTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        code = main(["parity", str(log), "--datadir", str(tmp_path), "--url", url])
        server.shutdown()
    assert capsys.readouterr() == ("1 of 1 decisions agree\n", "")
    assert code == 0
