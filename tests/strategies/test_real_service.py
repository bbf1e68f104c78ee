"""Strategies and the real service together: signed models, a socket, unmodified Freqtrade, nothing from the future."""

import json
import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pandas as pd
import pytest
import torch
from freqtrade_process import ROOT, Freqtrade, exchange, write_candles
from stub_service import KEY
from tradekernels.features import BASE_40, feature_set

from nn.data.targets import FORECAST_COLUMNS, TARGET_NAMES
from nn.models.unified import PatchTSTConfig, UnifiedPatchTST
from nn.registry.manifest import Keys, ManifestDraft, write_aliases, write_version
from strategies.shared.forecasts import ForecastSource
from strategies.shared.settings import Settings

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

FEATURES = feature_set(BASE_40, "15m")
CONFIG = PatchTSTConfig(
    n_features=len(FEATURES.names), context_length=96, patch_length=16, stride=8, d_model=16, n_heads=2, n_layers=1,
    d_ff=16, return_scale=(0.02, 0.04, 0.08, 0.16),
)  # fmt: skip
MODEL_KEY = "6d" * 32
VALID_FROM = (datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 1, 20, tzinfo=UTC))
EAGER = {"horizon": "4h", "edge": 1.0, "min_confidence": 0.3, "combine": "nn_only"}  # random weights are rarely sure


def write_registry(folder):
    """Write two signed versions of random weights; return their names."""
    keys, names = Keys(bytes.fromhex(MODEL_KEY)), []
    for seed, valid_from in enumerate(VALID_FROM):
        generator = torch.Generator().manual_seed(seed)
        state = UnifiedPatchTST(CONFIG).state_dict()
        weights = {name: torch.randn(tensor.shape, generator=generator) * 0.2 for name, tensor in state.items()}
        fields = {
            "name": "unified-15m", "kind": "unified_patchtst", "architecture": CONFIG.to_dict(), "timeframe": "15m",
            "pairs": ("BTC/USDT:USDT",), "feature_names": FEATURES.names, "feature_digest": FEATURES.digest,
            "warmup": FEATURES.warmup, "target_names": TARGET_NAMES, "forecast_columns": FORECAST_COLUMNS,
            "scaler": {"median": [0.0] * CONFIG.n_features, "iqr": [0.05] * CONFIG.n_features},
            "class_codes": {"UP": 0, "DOWN": 1, "FLAT": 2}, "cost_model": {"round_trip": 0.0022},
            "trained_from": valid_from - timedelta(days=30), "trained_until": valid_from - timedelta(hours=12),
            "embargo_bars": 48, "valid_from": valid_from, "data_fingerprint": f"{seed:064x}", "metrics": {},
            "libraries": {}, "git_commit": "0" * 40, "config_hash": "c" * 64,
        }  # fmt: skip
        names.append(write_version(folder / "unified-15m", ManifestDraft(**fields), weights, keys).name)
    write_aliases(folder / "unified-15m", keys, {"champion": names[-1]}, names)
    return names


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """The real service; yields its URL and the names of its versions."""
    folder = tmp_path_factory.mktemp("service")
    names = write_registry(folder / "registry")
    (folder / "service.yaml").write_text("stale_after_bars: null\n")  # these candles are of the past
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {"REGISTRY": folder / "registry", "MODEL_KEY": MODEL_KEY, "API_KEY": KEY}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CANDLEWRIGHT_")}
    environment |= {f"CANDLEWRIGHT_{name}": str(value) for name, value in own.items()}
    command = [sys.executable, "-m", "nn.service", "--port", str(port), "--config", str(folder / "service.yaml")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not answers(f"http://127.0.0.1:{port}/readyz"):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", names
    finally:
        process.terminate()
        process.wait(20)


def answers(url):
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_history_and_live_give_the_same_bits(service, make_candles):
    """ASO-1, ASO-6: the newest candle asked alone is the same row as in the whole range."""
    url, names = service
    frame = make_candles(1300, start="2025-01-12")
    history = ForecastSource(Settings(service_url=url)).columns("BTC/USDT:USDT", "15m", frame)
    first = FEATURES.warmup + CONFIG.context_length - 1
    assert history["model_version"].iloc[:first].isna().all()
    assert history["model_version"].iloc[first:].notna().all()
    close_time = frame["date"] + pd.Timedelta("15min")
    assert ((history["model_version"] == names[1]) == (close_time >= VALID_FROM[1]))[first:].all()
    live = ForecastSource(Settings(service_url=url), live=True)
    for rows in (1298, 1299, 1300):
        columns = live.columns("BTC/USDT:USDT", "15m", frame.iloc[:rows])
    pd.testing.assert_frame_equal(columns.iloc[-3:], history.iloc[-3:])


def test_freqtrade_finds_no_bias_with_the_real_service(service, tmp_path):
    """LEK-1 end to end: backtest, lookahead-analysis and recursive-analysis of NNPredictor on served models."""
    strategies = tmp_path / "strategies"
    strategies.mkdir()
    (strategies / "nn_predictor.py").write_text((ROOT / "strategies" / "nn_predictor.py").read_text())
    parameters = {"strategy_name": "NNPredictor", "params": {"buy": EAGER}}
    (strategies / "nn_predictor.json").write_text(json.dumps(parameters))
    log = tmp_path / "forecasts.jsonl"
    with exchange() as port:
        freqtrade = Freqtrade(tmp_path / "ft", port, "futures", service[0])
        write_candles(freqtrade.datadir, "futures", "15m", 4000, "2024-12-20")
        common = ("--strategy-path", strategies, "--timeframe", "15m", "--timerange", "20250102-20250130")
        result, _ = freqtrade.backtest("NNPredictor", *common, CANDLEWRIGHT_FORECAST_LOG=log)
        assert len(result["trades"]) > 10
        for line in map(json.loads, Path(log).read_text().splitlines()):
            assert [part["model_version"] for part in line["segments"]] == service[1]
        one_pair = ("--strategy", "NNPredictor", *common, "--pairs", "BTC/USDT:USDT")
        amounts = ("--minimum-trade-amount", "3", "--targeted-trade-amount", "4", "--allow-limit-orders")
        done = freqtrade.run("lookahead-analysis", *one_pair, *amounts)
        assert "NNPredictor: no bias detected" in done.stdout, done.stdout[-3000:]
        done = freqtrade.run("recursive-analysis", *one_pair, "--startup-candle", "800", "1600")
        assert "No lookahead bias on indicators found" in done.stdout, done.stdout[-3000:]
        assert "No variance on indicator(s) found due to recursive formula" in done.stdout
        assert "found lookahead" not in done.stdout
