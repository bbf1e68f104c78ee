"""Which version decided what: the forecast log against the trades."""

import json

import pandas as pd
import pytest

from tools.report.decisions import UNDECIDED, decisions, read_forecast_log
from tools.report.result import BadResult, read_result

from .conftest import START_MS, STEP

PAIR = "BTC/USDT:USDT"


def when(bar):
    return pd.Timestamp(START_MS + bar * STEP, unit="ms", tz="UTC").isoformat()


def line(*segments, unscored=None, pair=PAIR, timeframe="15m"):
    """Return one answered request; a segment is (version, first bar, last bar)."""
    return {
        "pair": pair, "timeframe": timeframe, "chain_digest": "d" * 64, "unscored": unscored or {}, "source": "service",
        "segments": [{"model_version": name, "first": when(first), "last": when(last), "rows": last - first + 1}
                     for name, first, last in segments],
    }  # fmt: skip


def decided(world, tmp_path, lines, trades):
    log = tmp_path / "forecasts.jsonl"
    log.write_text("".join(json.dumps(each) + "\n" for each in lines))
    backtest = read_result(world.write({"A": world.stats(trades)}))
    return decisions(read_forecast_log(log, "15m"), backtest, STEP, START_MS, backtest["backtest_end_ts"])


def test_a_trade_belongs_to_the_version_of_the_candle_before_its_entry(world, tmp_path):
    trades = [world.trade(PAIR, bar, 3) for bar in (20, 100, 101, 180)]
    found = decided(world, tmp_path, [line(("v1", 50, 99), ("v2", 100, 150), unscored={"warmup": 50})], trades)
    rows = {row["version"]: row for row in found["versions"]}
    assert {name: row["trades"] for name, row in rows.items()} == {"v1": 1, "v2": 1, UNDECIDED: 2}
    assert rows["v1"]["profit"] == pytest.approx(trades[1]["profit_abs"])
    assert sum(row["profit"] for row in rows.values()) == pytest.approx(sum(trade["profit_abs"] for trade in trades))


def test_the_share_of_unscored_candles_is_told_by_reason(world, tmp_path):
    found = decided(world, tmp_path, [line(("v1", 50, 99), unscored={"warmup": 40, "gap": 10})], [])
    assert (found["candles_asked"], found["candles_scored"]) == (100, 50)
    assert found["unscored"] == [{"reason": "warmup", "candles": 40, "share": 0.4},
                                 {"reason": "gap", "candles": 10, "share": 0.1}]  # fmt: skip


def test_of_two_answers_about_the_same_candles_the_later_counts(world, tmp_path):
    lines = [line(("old", 0, 99)), line(("new", 0, 99)), line(("next", 100, 120)), line(("1h", 0, 9), timeframe="1h")]
    found = decided(world, tmp_path, lines, [])
    assert [segment["version"] for segment in found["segments"]] == ["new", "next"]


@pytest.mark.parametrize("text", ["{", "[1]", '{"pair": "A"}', json.dumps(line() | {"segments": [{"first": "x"}]})])
def test_a_malformed_line_is_refused_by_its_number(tmp_path, text):
    log = tmp_path / "forecasts.jsonl"
    log.write_text(json.dumps(line(("v1", 0, 9))) + "\n" + text + "\n")
    with pytest.raises(BadResult, match="line 2 is malformed"):
        read_forecast_log(log, "15m")
