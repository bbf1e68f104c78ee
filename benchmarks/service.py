"""Prints how fast the inference service is: its backends, history in bulk, newest candles, many bots, memory.

Run: `python benchmarks/service.py [--rows 61344] [--precision auto] [--backend auto] [--long 480000]`. It makes a
random model of the default trading size in a temporary registry, starts the real service on a free port and asks over
the socket. What is compared runs in turns in one run, and the best turn counts; only ratios say something about other
machines.
"""

from __future__ import annotations

import argparse
import asyncio
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
import pyarrow as pa
import torch
from tradekernels.features import CATALOG, feature_set

from nn.data.targets import FORECAST_COLUMNS, TARGET_NAMES
from nn.models.unified import PatchTSTConfig, UnifiedPatchTST
from nn.registry.manifest import Keys, ManifestDraft, write_aliases, write_version
from nn.service.backends.batches import Backend, EagerBackend
from nn.service.backends.choice import Backends, resolved
from nn.service.backends.shared import SharedBackend
from nn.service.scoring import SECTION

KEY, MODEL_KEY = "benchmark-key-of-at-least-32-characters", "ab" * 32
START, BAR_MS = datetime(2024, 1, 1, tzinfo=UTC), 900_000
ARROW = "application/vnd.apache.arrow.stream"
COMPILED_S = 600  # longest wait for the compiler
READY_S = 300  # and for the service


def own_features(name: str) -> bool:
    """Tell whether a feature needs nothing but the candles of its pair, and few of them."""
    alone = feature_set((name,), "15m")
    return alone.warmup <= 600 and not alone.looks_at_pairs and not alone.optional


FEATURES = feature_set([name for name in CATALOG if own_features(name)][:160], "15m")


SETTINGS = """\
requests_per_second: 100000
requests_burst: 100000
max_concurrency: 64
bulk_timeout_s: 600
stale_after_bars: null
"""


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


def start(registry: Path, folder: Path, precision: str, backend: str = "auto") -> tuple[subprocess.Popen, str, float]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = folder / "service.yaml"
    settings.write_text(SETTINGS + f"precision: {precision}\nbackend: {backend}\n")
    environ = os.environ | {
        "CANDLEWRIGHT_REGISTRY": str(registry),
        "CANDLEWRIGHT_MODEL_KEY": MODEL_KEY,
        "CANDLEWRIGHT_API_KEY": KEY,
    }
    command = [sys.executable, "-m", "nn.service", "--port", str(port), "--config", str(settings)]
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    while time.perf_counter() - started < READY_S:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return process, url, time.perf_counter() - started
        except httpx.TransportError:
            time.sleep(0.05)
    process.kill()
    raise SystemExit(f"the service was not ready in {READY_S} s")


def arrow_body(columns: dict[str, np.ndarray], **parameters: str) -> bytes:
    table = pa.table(columns, metadata={"schema_version": "1", "timeframe": "15m"} | parameters)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def history(n_rows: int) -> bytes:
    return arrow_body(candles(n_rows), pair="BTC/USDT:USDT")


def newest(n_pairs: int) -> bytes:
    """Return a request for the newest candle of so many pairs, with no more candles than a score reads."""
    n_rows = FEATURES.warmup + PatchTSTConfig(n_features=1).context_length + 4
    columns = {name: np.tile(column, n_pairs) for name, column in candles(n_rows).items()}
    columns["pair"] = np.repeat([f"P{k}/USDT:USDT" for k in range(n_pairs)], n_rows).astype(object)
    return arrow_body(columns, as_of="latest")


def best_of(functions: dict[str, object], rounds: int) -> dict[str, float]:
    """Return the shortest time of each in seconds, run in turns."""
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(rounds):
        for name, function in functions.items():
            started = time.perf_counter()
            function()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def backends_of(model: UnifiedPatchTST, precision: str, backend: str) -> dict[str, Backend]:
    """Return every backend, those with a compiled encoder last unless they are not wanted; waits for the compiler."""
    found: list[Backend] = [EagerBackend(model), SharedBackend(model, "fp32"), SharedBackend(model, "bf16")]
    if backend == "shared":
        return {each.name: each for each in found if each.name != "shared bf16" or precision == "bf16"}
    for kind in dict.fromkeys(("fp32", precision)):
        choice = Backends("compiled", kind)
        choice.of(model)
        deadline = time.monotonic() + COMPILED_S
        while not choice.has_better(model) and time.monotonic() < deadline:
            time.sleep(0.5)
        found.append(choice.of(model))
    return {backend.name: backend for backend in found}


def naive(model: UnifiedPatchTST, batch: int) -> object:
    """Return the forward passes that a plain program would make: windows ready in memory, large batches, eager."""
    windows = torch.randn(batch, model.config.context_length, model.config.n_features)

    def run() -> None:
        with torch.inference_mode():
            for _ in range(SECTION // batch):
                model.forecast(windows)

    return run


def bare(backend: Backend) -> object:
    """Return the forward passes of a backend over one section of rows that lie ready in memory, scaled."""
    length = 96
    rows = np.random.default_rng(7).normal(size=(SECTION + length - 1, len(FEATURES.names))).astype(np.float32)
    ends = np.arange(length - 1, len(rows))
    return lambda: backend.forecast(rows, ends)


def post(client: httpx.Client, body: bytes) -> httpx.Response:
    response = client.post("/forecast", content=body, headers={"x-api-key": KEY, "content-type": ARROW})
    response.raise_for_status()
    return response


def latencies(client: httpx.Client, body: bytes, count: int) -> np.ndarray:
    """Return the milliseconds of each of so many requests, one after another."""
    times = []
    for _ in range(count + 10):
        started = time.perf_counter()
        post(client, body)
        times.append(time.perf_counter() - started)
    return np.array(times[10:]) * 1000


def many_bots(url: str, body: bytes, n_bots: int, polls: int) -> np.ndarray:
    """Return the milliseconds of each request of bots that all ask at the same moment, several times.

    Bots are processes of their own; here one process plays all of them, so it writes and reads bare sockets: an HTTP
    client library would spend more time on fifty requests than the service does.
    """
    address = url.removeprefix("http://")
    head = f"POST /forecast HTTP/1.1\r\nhost: {address}\r\nx-api-key: {KEY}\r\ncontent-type: {ARROW}\r\n"
    request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
        started = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"a bot was answered {head[:60]!r}")
        await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
        return time.perf_counter() - started

    async def run() -> list[float]:
        host, _, port = address.partition(":")
        lines = [await asyncio.open_connection(host, int(port)) for _ in range(n_bots)]
        times = [each for _ in range(polls + 1) for each in await asyncio.gather(*(ask(*line) for line in lines))]
        for _, writer in lines:
            writer.close()
        return times[n_bots:]

    return np.array(asyncio.run(run())) * 1000


def cpu_ms(process: subprocess.Popen, do, count: int) -> float:
    """Return the milliseconds of processor time that the service spends on each of `count` requests of `do`."""

    def spent() -> int:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])  # user and system, in ticks

    before = spent()
    do()
    return (spent() - before) * 1000 / os.sysconf("SC_CLK_TCK") / count


def peak_mb(process: subprocess.Popen, do) -> float:
    """Return the highest resident memory of a process in MB while `do` runs."""
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    do()
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def wait_until_compiled(client: httpx.Client) -> float:
    """Return the seconds until the service answers by its compiled backend: its chain digest changes then."""
    started = time.perf_counter()

    def digest() -> str:
        return client.get("/models", headers={"x-api-key": KEY}).json()["lines"][0]["chain_digest"]

    first = digest()
    while digest() == first and time.perf_counter() - started < COMPILED_S:
        time.sleep(0.5)
    return time.perf_counter() - started


def show(what: str, result: str) -> None:
    print(f"  {what:58} {result}", flush=True)


def spread(times: np.ndarray) -> str:
    p50, p99 = np.percentile(times, (50, 99))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, {len(times)} requests"


def measure(options: argparse.Namespace) -> None:
    config = PatchTSTConfig(n_features=len(FEATURES.names))
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        model = make_registry(folder / "registry", config)
        process, url, ready_s = start(folder / "registry", folder, options.precision, options.backend)
        try:
            with httpx.Client(base_url=url, timeout=600) as client:
                show("start to ready", f"{ready_s:.1f} s")
                if options.backend == "auto":
                    show("ready to compiled, serving meanwhile", f"{wait_until_compiled(client):.0f} s")
                all_of_them(model, process, url, client, options)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def all_of_them(
    model: UnifiedPatchTST, process: subprocess.Popen, url: str, client: httpx.Client, options: argparse.Namespace
) -> None:
    torch.set_num_threads(1)
    found = backends_of(model, options.precision, options.backend)
    runs = {"naive eager": naive(model, 256)} | {name: bare(backend) for name, backend in found.items()}
    best = best_of(runs, options.rounds)
    for name, seconds in best.items():
        show(f"{name}, windows/s", f"{SECTION / seconds:8,.0f}  {best['naive eager'] / seconds:.2f} x naive eager")
    fastest = list(found)[-1]
    body = history(options.rows)
    times = best_of({"bare": runs[fastest], "end to end": lambda: post(client, body)}, 3)
    n_windows = options.rows - FEATURES.warmup - 95
    needed = times["bare"] * n_windows / SECTION
    show(f"{options.rows:,} candles of 1 pair end to end", f"{times['end to end']:.2f} s")
    show(f"  over the bare passes of {fastest}", f"{times['end to end'] / needed:.2f}")
    times = best_of({"bare": runs[fastest], "end to end": lambda: [post(client, body) for _ in range(3)]}, 2)
    needed = 3 * times["bare"] * n_windows / SECTION
    show(f"{options.rows:,} candles of 3 pairs, one after another", f"{times['end to end']:.2f} s")
    show("  over the bare passes", f"{times['end to end'] / needed:.2f}")
    one, twenty = newest(1), newest(20)
    show("newest candle of 1 pair", spread(latencies(client, one, options.requests)))
    show("newest candle of 20 pairs in one request", spread(latencies(client, twenty, options.requests)))
    show("50 bots at once, 1 pair each", spread(many_bots(url, one, 50, 6)))
    for what, do, count in (
        ("1 pair", lambda: latencies(client, one, 90), 100),
        ("20 pairs", lambda: latencies(client, twenty, 90), 100),
        ("50 bots at once", lambda: many_bots(url, one, 50, 3), 200),
    ):
        show(f"processor time of the service a request, {what}", f"{cpu_ms(process, do, count):.1f} ms")
    for n_rows in (options.rows, options.long):
        long = history(n_rows)
        show(f"peak memory over {n_rows:,} candles", f"{peak_mb(process, lambda b=long: post(client, b)):,.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=61_344)
    parser.add_argument("--long", type=int, default=480_000)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--backend", choices=("auto", "shared"), default="auto", help="shared: nothing is compiled")
    options = parser.parse_args()
    options.precision = resolved(options.precision)
    print(f"default trading model, {len(FEATURES.names)} features, {options.precision}, 1 thread")
    measure(options)


if __name__ == "__main__":
    main()
