"""A bot's counters: they survive a reload, are served on loopback alone, and a taken port stops nothing (CLT-7)."""

import socket

import httpx
import pytest
from freqtrade_process import free_port

from strategies.shared import metrics
from strategies.shared.client import ForecastClient, ForecastUnavailable
from strategies.shared.forecasts import forecast_source


def sample(name, **labels):
    return metrics.REGISTRY.get_sample_value(name, {"client": "forecasts", **labels}) or 0


def test_requests_errors_and_latency_are_counted(stub, monkeypatch):
    names = ("http_client_requests_total", "http_client_latency_seconds_count")
    before, refused = [sample(name) for name in names], sample("http_client_errors_total", cause="key")
    client = ForecastClient(stub.url)
    client.models()
    monkeypatch.setenv("CANDLEWRIGHT_API_KEY", "w" * 32)
    with pytest.raises(ForecastUnavailable):
        client.models()
    client.close()
    assert [sample(name) - was for name, was in zip(names, before, strict=True)] == [2, 2]
    assert sample("http_client_errors_total", cause="key") - refused == 1


def test_a_reloaded_bot_exports_on_the_port_that_it_has(caplog):
    """/reload_config starts the strategy again in the same process: no second server, no duplicated series."""
    port = free_port()
    config = {"runmode": "dry_run", "candlewright": {"metrics_port": port}}
    forecast_source(config)
    forecast_source(config)
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    assert "http_client_requests_total" in text
    assert "candle_to_signal_seconds_bucket" in text
    assert caplog.text == ""


def test_a_backtest_exports_nothing_and_a_taken_port_is_a_warning(caplog):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        forecast_source({"runmode": "backtest", "candlewright": {"metrics_port": port}})
        assert caplog.text == ""
        forecast_source({"runmode": "live", "candlewright": {"metrics_port": port}})
    assert f"No metrics on port {port}" in caplog.text


def test_without_the_library_nothing_is_counted_and_nothing_fails(monkeypatch, caplog):
    monkeypatch.setattr(metrics, "CollectorRegistry", None)
    metrics.asked(0.1, "slow")
    metrics.rejected("TTL")
    metrics.decided(1.0)
    metrics.passed("BTC/USDT", "long", "edge", 0.5)
    metrics.export(1)
    assert "prometheus_client is not installed" in caplog.text
