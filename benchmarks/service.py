"""Prints how fast the inference service is: history in bulk against the bare model, and the newest candle as JSON.

Run: `python benchmarks/service.py [--rows 61344] [--requests 300]`. It makes a random model in a temporary registry,
starts the real service on a free port and asks over the socket. Ratios of one run count; the numbers are one machine's.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import httpx
import numpy as np
import orjson
import pyarrow as pa
import torch
from tradekernels.features import BASE_40, feature_set

from nn.data.targets import FORECAST_COLUMNS, TARGET_NAMES
from nn.models.unified import PatchTSTConfig, UnifiedPatchTST
from nn.registry.manifest import Keys, ManifestDraft, write_aliases, write_version
from nn.service.scoring import BATCH

KEY, MODEL_KEY = "benchmark-key-of-at-least-32-characters", "ab" * 32
START, BAR_MS = datetime(2024, 1, 1, tzinfo=UTC), 900_000
MODELS = {
    "production": {},
    "small": {"d_model": 32, "n_heads": 4, "n_layers": 1, "d_ff": 64},
}
FEATURES = feature_set(BASE_40, "15m")


def candles(n_rows: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(7)
    close = 100 * np.exp(np.cumsum(generator.normal(0, 0.003, n_rows)))
    opened = np.concatenate(([100.0], close[:-1]))
    date = int(START.timestamp() * 1000) + BAR_MS * np.arange(n_rows)
    high, low = np.maximum(opened, close) * 1.001, np.minimum(opened, close) / 1.001
    return {
        "date": date,
        "open": opened,
        "high": high,
        "low": low,
        "close": close,
        "volume": generator.lognormal(3, 1, n_rows),
    }


def make_registry(folder: Path, config: PatchTSTConfig) -> UnifiedPatchTST:
    torch.manual_seed(7)
    model = UnifiedPatchTST(config).eval()
    valid_from = START - timedelta(days=1)
    draft = ManifestDraft(
        name="unified-15m",
        kind="unified_patchtst",
        architecture=config.to_dict(),
        timeframe="15m",
        pairs=("BTC/USDT:USDT",),
        feature_names=FEATURES.names,
        feature_digest=FEATURES.digest,
        warmup=FEATURES.warmup,
        scaler={"median": [0.0] * len(FEATURES.names), "iqr": [1.0] * len(FEATURES.names)},
        target_names=TARGET_NAMES,
        forecast_columns=FORECAST_COLUMNS,
        class_codes={"UP": 0, "DOWN": 1, "FLAT": 2},
        cost_model={},
        trained_from=valid_from - timedelta(days=100),
        trained_until=valid_from - timedelta(days=1),
        embargo_bars=48,
        valid_from=valid_from,
        data_fingerprint="0" * 64,
        metrics={},
        libraries={},
        git_commit="",
        config_hash="",
    )
    keys = Keys(bytes.fromhex(MODEL_KEY))
    version = write_version(folder / "unified-15m", draft, model.state_dict(), keys).name
    write_aliases(folder / "unified-15m", keys, {"champion": version}, [version])
    return model


def bare_rows_per_s(model: UnifiedPatchTST, n_rows: int, batch: int) -> float:
    """Forward passes over random windows that lie ready in memory: no features, no scaling, no gathering."""
    windows = torch.randn(batch, model.config.context_length, model.config.n_features)
    runs = max(8, n_rows // batch)
    with torch.inference_mode():
        model.forecast(windows)
        started = time.perf_counter()
        for _ in range(runs):
            model.forecast(windows)
    return runs * batch / (time.perf_counter() - started)


def start(registry: Path, folder: Path) -> tuple[subprocess.Popen, str, float]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = folder / "service.yaml"
    settings.write_text("requests_per_second: 100000\nbulk_timeout_s: 600\nstale_after_bars: null\n")
    environ = os.environ | {
        "CANDLEWRIGHT_REGISTRY": str(registry),
        "CANDLEWRIGHT_MODEL_KEY": MODEL_KEY,
        "CANDLEWRIGHT_API_KEY": KEY,
    }
    command = [sys.executable, "-m", "nn.service", "--port", str(port), "--config", str(settings)]
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    while time.perf_counter() - started < 60:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return process, url, time.perf_counter() - started
        except httpx.TransportError:
            time.sleep(0.05)
    process.kill()
    raise SystemExit("the service was not ready in 60 s")


def arrow_body(columns: dict[str, np.ndarray]) -> bytes:
    table = pa.table(columns, metadata={"schema_version": "1", "pair": "BTC/USDT:USDT", "timeframe": "15m"})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def json_body(columns: dict[str, np.ndarray], n_rows: int) -> bytes:
    newest = {name: column[-n_rows:].tolist() for name, column in columns.items()}
    request = {"schema_version": 1, "pair": "BTC/USDT:USDT", "timeframe": "15m", "as_of": "latest", "candles": newest}
    return orjson.dumps(request)


def timed(client: httpx.Client, body: bytes, kind: str) -> tuple[float, httpx.Response]:
    started = time.perf_counter()
    response = client.post("/forecast", content=body, headers={"x-api-key": KEY, "content-type": kind})
    elapsed = time.perf_counter() - started
    response.raise_for_status()
    return elapsed, response


def measure(name: str, n_rows: int, n_requests: int) -> list[tuple[str, str]]:
    config = PatchTSTConfig(n_features=len(FEATURES.names), **MODELS[name])
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        model = make_registry(folder / "registry", config)
        torch.set_num_threads(1)
        bare, bare_large = bare_rows_per_s(model, n_rows // 4, BATCH), bare_rows_per_s(model, n_rows // 4, 512)
        process, url, ready_s = start(folder / "registry", folder)
        try:
            with httpx.Client(base_url=url, timeout=600) as client:
                columns = candles(n_rows)
                bulk_s, response = timed(client, arrow_body(columns), "application/vnd.apache.arrow.stream")
                table = pa.ipc.open_stream(response.content).read_all()
                scored = n_rows - table["model_version"].null_count
                body = json_body(columns, FEATURES.warmup + config.context_length + 16)
                for _ in range(20):
                    timed(client, body, "application/json")
                times = np.array([timed(client, body, "application/json")[0] for _ in range(n_requests)]) * 1000
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
    p50, p95, p99 = np.percentile(times, (50, 95, 99))
    return [
        ("start to ready", f"{ready_s:.1f} s"),
        (f"bulk, {n_rows} candles by Arrow, end to end", f"{bulk_s:.2f} s, {scored / bulk_s:,.0f} rows/s"),
        (f"bare model, batches of {BATCH}", f"{bare:,.0f} rows/s, end to end is {scored / bulk_s / bare:.2f} of it"),
        (
            "bare model, batches of 512",
            f"{bare_large:,.0f} rows/s, end to end is {scored / bulk_s / bare_large:.2f} of it",
        ),
        (f"newest candle by JSON ({len(body) >> 10} kB)", f"p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f} ms"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=61_344)
    parser.add_argument("--requests", type=int, default=300)
    options = parser.parse_args()
    for name in MODELS:
        print(f"\n{name} model, {len(FEATURES.names)} features, 1 thread")
        for what, result in measure(name, options.rows, options.requests):
            print(f"  {what:45} {result}")


if __name__ == "__main__":
    main()
