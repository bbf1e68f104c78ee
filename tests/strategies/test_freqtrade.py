"""Both strategies in unmodified Freqtrade processes, on the simulated exchange: load, trade, look ahead at nothing."""

import json
import re

import pytest
from freqtrade_process import Freqtrade, exchange, write_candles
from stub_service import StubService, running

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ROWS, START = 5000, "2024-12-20"  # 52 days of 15m candles; v1 is valid from 2025-01-01, v2 from 2025-02-01
TIMERANGE = "20250101-20250208"


@pytest.fixture(scope="module")
def exchange_port():
    with exchange() as port:
        yield port


@pytest.fixture
def freqtrade(tmp_path, exchange_port, stub):
    """Futures, three pairs of 15m candles, a stub service."""
    one = Freqtrade(tmp_path / "ft", exchange_port, "futures", stub.url)
    write_candles(one.datadir, "futures", "15m", ROWS, START)
    return one


def trades_of(result, **wanted):
    return [trade for trade in result["trades"] if all(trade[key] == value for key, value in wanted.items())]


def test_all_strategies_are_listed(tmp_path, exchange_port):
    """FTL-8: nothing else at the top level is one. In spot mode a class that may short does not load."""
    done = Freqtrade(tmp_path, exchange_port, "spot").run("list-strategies")
    rows = [line for line in done.stdout.splitlines() if ".py" in line]
    assert len(rows) == 3
    assert all(" OK " in row for row in rows), done.stdout


def test_decisions_are_traded_both_ways_cached_and_optimised_without_the_service(freqtrade, stub, tmp_path):
    """NNP-2, ENS-2, STR-3: each trade has its own stop, target and stake; a repeated backtest asks for the model list
    only (CLT-3); hyperopt of the thresholds asks nothing at all, though the service is gone and two workers share it.
    """
    log = tmp_path / "forecasts.jsonl"
    arguments = ("--timerange", TIMERANGE, "--timeframe", "15m")
    result, output = freqtrade.backtest("NNPredictor", *arguments, CANDLEWRIGHT_FORECAST_LOG=log)
    trades = result["trades"]
    assert "No forecast" not in output
    assert "Gates of BTC/USDT:USDT short over" in output
    assert len(trades) > 30
    assert {trade["is_short"] for trade in trades} == {True, False}
    buckets = {trade["enter_tag"] for trade in trades}
    assert len(buckets) > 4
    assert all(re.fullmatch("nn_(long|short)_[5-9][05]", tag) for tag in buckets)
    reasons = {trade["exit_reason"] for trade in trades}
    assert (
        {"nn_reversal", "roi", "stop_loss"}
        <= reasons
        <= {"nn_reversal", "roi", "stop_loss", "force_exit", "liquidation"}
    )
    stops = [abs(trade["initial_stop_loss_abs"] / trade["open_rate"] - 1) for trade in trades]
    assert all(0.049 < stop < 0.051 for stop in stops)  # Freqtrade's own first stop, before the fill's
    assert all(abs(trade["stop_loss_abs"] / trade["open_rate"] - 1) < 0.0501 for trade in trades)
    assert len({round(abs(trade["stop_loss_abs"] / trade["open_rate"] - 1), 3) for trade in trades}) > 10
    taken = trades_of(result, exit_reason="roi")
    assert len({round(abs(trade["close_rate"] / trade["open_rate"] - 1), 3) for trade in taken}) > 3
    assert min(abs(trade["close_rate"] / trade["open_rate"] - 1) for trade in taken) > 0.0033  # pays the edge
    first_stakes = {trade["stake_amount"] for trade in trades[:3]}
    assert max(first_stakes) < 0.95 * 9900 / 3  # below the share of the wallet that risk allows
    segments = [json.loads(line) for line in log.read_text().splitlines()]
    versions = [[(part["model_version"], part["direction_version"]) for part in line["segments"]] for line in segments]
    assert versions == [[("v1", "d1"), ("v1", "d2"), ("v2", "d2")]] * 3
    again, _ = freqtrade.backtest("NNPredictor", *arguments, CANDLEWRIGHT_FORECAST_LOG=log)
    assert again["trades"] == trades
    assert [method for method, *_ in stub.requests].count("POST") == 3
    assert [json.loads(line)["source"] for line in log.read_text().splitlines()] == ["service"] * 3 + ["cache"] * 3

    asked = len(stub.requests)
    stub.stop()
    done = freqtrade.run(
        "hyperopt", "--strategy", "NNPredictor", *arguments, "--hyperopt-loss", "SharpeHyperOptLoss", "--epochs", "4",
        "--spaces", "buy", "sell", "-j", "2", "--random-state", "7", "--disable-param-export", "--print-all",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert "Answers that were given before are used" in done.stdout
    assert "No forecast" not in done.stdout
    counts = re.findall(r"│ +\d/4 │ +(\d+) │", done.stdout)
    assert len(counts) == 4, done.stdout[-3000:]
    assert len(set(counts)) > 2  # the thresholds decide
    assert len(stub.requests) == asked


def test_a_service_that_is_down_opens_nothing_and_stops_nothing_else(freqtrade, stub):
    """STR-4, CLT-5: no entries, one warning, and Freqtrade ends well."""
    url = stub.url
    freqtrade.config.write_text(freqtrade.config.read_text().replace(url, "http://127.0.0.1:9"))
    result, output = freqtrade.backtest("NNPredictor", "--timerange", TIMERANGE)
    assert result["trades"] == []
    assert output.count("No entries will be made") == 1
    assert "tools/start.sh serve" in output


def test_a_service_that_dies_in_a_trade_leaves_the_stop_at_work(freqtrade, stub):
    """Forecasts end in the middle: open trades get no reversal, the stop closes them; nothing opens after it."""
    from datetime import UTC, datetime

    end = datetime(2025, 1, 20, tzinfo=UTC).timestamp() * 1000
    answer = stub.answer

    def until_then(request):
        import numpy as np
        import pyarrow as pa

        table = answer(request)
        gone = table["date"].cast(pa.int64()).to_numpy() >= end
        for position, name in enumerate(table.column_names[1:], 1):
            column = table[name].combine_chunks()
            if name == "reason":
                column = column.dictionary_decode().fill_null("gap").dictionary_encode()
            else:
                if name in ("model_version", "direction_version", "signal"):
                    column = column.dictionary_decode()
                column = pa.array(
                    [None if lost else value for value, lost in zip(column.to_pylist(), np.asarray(gone), strict=True)],
                    column.type,
                )
            table = table.set_column(position, name, column)
        return table

    stub.answer = until_then
    result, _ = freqtrade.backtest("NNPredictor", "--timerange", TIMERANGE)
    assert trades_of(result)
    assert all(trade["open_timestamp"] <= end + 900_000 for trade in result["trades"])
    later = [trade for trade in result["trades"] if trade["close_timestamp"] > end + 900_000]
    assert later
    assert {trade["exit_reason"] for trade in later} <= {"stop_loss", "roi", "force_exit"}
    assert any(trade["exit_reason"] == "stop_loss" for trade in later)


def test_the_trend_follower_trades_its_rules(tmp_path, exchange_port):
    """TRE-3..5 in a real backtest. On 1h candles the trail is often hit before the next open shows the target."""
    one = Freqtrade(tmp_path, exchange_port, "spot")
    write_candles(one.datadir, "spot", "1h", 5000, "2024-06-01", volatility=0.006)
    result, _ = one.backtest("TrendFollower", "--timerange", "20240801-20241220")
    assert len(result["trades"]) > 20
    assert {trade["enter_tag"] for trade in result["trades"]} == {"tf_breakout"}
    reasons = {trade["exit_reason"] for trade in result["trades"]}
    assert {"stop_loss", "trailing_stop_loss"} <= reasons
    assert reasons <= {"tf_tp", "stop_loss", "trailing_stop_loss", "force_exit"}


def test_the_predictor_trades_long_only_on_spot(tmp_path, exchange_port, stub):
    """DAT-11: the same class loads in spot mode."""
    one = Freqtrade(tmp_path, exchange_port, "spot", stub.url)
    write_candles(one.datadir, "spot", "15m", ROWS, START)
    result, _ = one.backtest("NNPredictor", "--timerange", TIMERANGE)
    assert result["trades"]
    assert not any(trade["is_short"] for trade in result["trades"])


def test_freqtrade_finds_no_lookahead_and_no_recursion(freqtrade):
    """CAT-1, STR-2, by Freqtrade's own tools; NNPredictor with the real service is in test_real_service.py."""
    strategy = "TrendFollower"
    done = freqtrade.run(
        "lookahead-analysis", "--strategy", strategy, "--timeframe", "15m", "--timerange", TIMERANGE,
        "--minimum-trade-amount", "5", "--targeted-trade-amount", "6", "--pairs", "BTC/USDT:USDT",
        "--allow-limit-orders",
    )  # fmt: skip
    assert f"{strategy}: no bias detected" in done.stdout, done.stdout[-3000:]
    done = freqtrade.run(
        "recursive-analysis", "--strategy", strategy, "--timeframe", "15m", "--timerange", TIMERANGE,
        "--startup-candle", "800", "1600", "--pairs", "BTC/USDT:USDT",
    )  # fmt: skip
    assert "No lookahead bias on indicators found" in done.stdout, done.stdout[-3000:]
    assert (
        "No variance on indicator(s) found due to recursive formula" in done.stdout
    )  # 800 candles are as good as 1600
    assert "found lookahead" not in done.stdout


def test_two_services_in_turn():
    """The stub of these tests ends with its block and frees its port."""
    with running() as first:
        port = first.port
    with running(StubService(), port) as second:
        assert second.port == port
