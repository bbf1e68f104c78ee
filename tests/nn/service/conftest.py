"""A toy model line, signed and complete, and ways to ask a service about it: in process, no socket, no clock."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pytest
import torch
import yaml
from tradekernels.features import feature_set

from nn.data.targets import TARGET_NAMES
from nn.models.build import empty_model
from nn.models.direction import DirectionConfig
from nn.models.unified import PatchTSTConfig
from nn.registry.manifest import Keys, ManifestDraft, write_aliases, write_version
from nn.service.app import ForecastApp
from nn.service.keys import ApiKeys
from nn.service.settings import ServiceSettings
from nn.service.shelf import Shelf

OLD_KEY = "the-key-before-the-rotation-0123456789"
API_KEY = "toy-key-that-opens-only-this-test-service"
MODEL_KEY = "6d" * 32
START = datetime(2025, 1, 1, tzinfo=UTC)
BAR = timedelta(minutes=15)
BAR_MS = 900_000
JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"
FEATURES = feature_set(("log_return", "volume_ratio", "range_pct", "ema_9_ratio", "roc_10", "hour_sin"), "15m")
CONFIG = PatchTSTConfig(
    n_features=len(FEATURES.names), context_length=16, patch_length=8, stride=4, d_model=16, n_heads=2, n_layers=1,
    d_ff=16, return_scale=(0.002, 0.004, 0.008, 0.016),
)  # fmt: skip
DIRECTION_CONFIG = DirectionConfig(
    n_features=len(FEATURES.names), context_length=12, patch_lengths=(3, 6), d_model=8, n_heads=2, n_layers=1, d_ff=8
)
KINDS = {"unified": ("unified_patchtst", CONFIG), "direction": ("direction", DIRECTION_CONFIG)}  # by a line's prefix
OHLCV = ("open", "high", "low", "close", "volume")
WATCHDOG_S = 120  # ends a test that waits for what never comes; nothing is measured by it
CALM = {"live_timeout_s": 60.0, "body_timeout_s": 60.0}  # a busy machine keeps these; tests of limits set their own


def make_candles(n_rows: int, seed: int = 7, first: datetime = START) -> pd.DataFrame:
    """A random walk: date as int64 milliseconds, OHLCV."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.003, n_rows)))
    opened = np.concatenate(([100.0], close[:-1]))
    spread = 1 + rng.uniform(0, 0.002, n_rows)
    return pd.DataFrame(
        {
            "date": int(first.timestamp() * 1000) + BAR_MS * np.arange(n_rows),
            "open": opened,
            "high": np.maximum(opened, close) * spread,
            "low": np.minimum(opened, close) / spread,
            "close": close,
            "volume": rng.lognormal(3, 1, n_rows),
        }
    )


@dataclass
class ToyRegistry:
    """A registry folder with lines of small random models."""

    folder: Path
    keys: Keys = field(default_factory=lambda: Keys(bytes.fromhex(MODEL_KEY)))

    def add(self, bar: int, seed: int = 0, line: str = "unified-15m", config=None, **changes) -> str:
        """Write a version that is valid from the open of candle `bar`; return its name. The line tells the kind."""
        generator = torch.Generator().manual_seed(seed)
        kind, usual = KINDS.get(line.split("-")[0], KINDS["unified"])
        config = config or usual
        model = empty_model(kind, config.to_dict())
        weights = {name: torch.randn(t.shape, generator=generator) * 0.2 for name, t in model.state_dict().items()}
        valid_from = START + bar * BAR
        fields = {
            "name": line,
            "kind": kind,
            "architecture": config.to_dict(),
            "timeframe": "15m",
            "pairs": ("BTC/USDT:USDT",),
            "feature_names": FEATURES.names,
            "feature_digest": FEATURES.digest,
            "warmup": FEATURES.warmup,
            "scaler": {"median": [0.0] * CONFIG.n_features, "iqr": [0.01, 1.0, 0.01, 0.01, 0.02, 1.0]},
            "target_names": TARGET_NAMES,
            "forecast_columns": model.columns,
            "class_codes": {"UP": 0, "DOWN": 1, "FLAT": 2},
            "cost_model": {"round_trip": 0.0022},
            "trained_from": valid_from - 2000 * BAR,
            "trained_until": valid_from - 48 * BAR,
            "embargo_bars": 48,
            "valid_from": valid_from,
            "data_fingerprint": f"{seed:064x}",
            "metrics": {},
            "libraries": {},
            "git_commit": "0" * 40,
            "config_hash": "c" * 64,
        }
        return write_version(self.folder / line, ManifestDraft(**(fields | changes)), weights, self.keys).name

    def publish(self, *chain: str, champion: str | None = None, line: str = "unified-15m") -> None:
        """Sign an alias file with this chain, the last of it as champion unless another is named."""
        write_aliases(self.folder / line, self.keys, {"champion": champion or chain[-1]}, chain)

    def publish_aliases(self, aliases: dict[str, str], *chain: str, line: str = "unified-15m") -> None:
        write_aliases(self.folder / line, self.keys, aliases, chain)

    def shelf(self) -> Shelf:
        """Return a shelf that has looked once."""
        shelf = Shelf(self.folder, environ={"CANDLEWRIGHT_MODEL_KEY": MODEL_KEY})
        shelf.look()
        return shelf


@dataclass
class Asker:
    """Asks an ASGI application as a client would."""

    app: ForecastApp

    def __call__(self, method: str, path: str, key: str | None = API_KEY, **request) -> httpx.Response:
        headers = {"x-api-key": key} if key is not None else {}
        headers |= request.pop("headers", {})

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app.asgi)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3000") as client:
                return await client.request(method, path, headers=headers, **request)

        return asyncio.run(ask())

    def json(self, frame: pd.DataFrame, path: str = "/forecast", **changes) -> httpx.Response:
        return self("POST", path, content=json_body(frame, **changes), headers={"content-type": "application/json"})

    def arrow(self, content: bytes, path: str = "/forecast") -> httpx.Response:
        return self("POST", path, content=content, headers={"content-type": "application/vnd.apache.arrow.stream"})


def json_body(frame: pd.DataFrame, **changes) -> bytes:
    candles = {name: frame[name].tolist() for name in ("date", *OHLCV)}
    request = {"schema_version": 1, "pair": "BTC/USDT:USDT", "timeframe": "15m", "candles": candles}
    return orjson.dumps(request | changes)


def arrow_table(frame: pd.DataFrame, **changes: str | None) -> pa.Table:
    """The Arrow form of a request; a parameter changed to None is left out."""
    columns = {"date": pa.array(frame["date"], pa.int64()).cast(pa.timestamp("ms", tz="UTC"))}
    columns |= {name: pa.array(frame[name], pa.float64()) for name in OHLCV}
    parameters = {"schema_version": "1", "pair": "BTC/USDT:USDT", "timeframe": "15m"} | changes
    return pa.table(columns, metadata={name: value for name, value in parameters.items() if value is not None})


def pairs_table(frames: dict[str, pd.DataFrame], **changes: str | None) -> pa.Table:
    """The Arrow form of a request for the newest candles of several pairs."""
    whole = arrow_table(pd.concat(frames.values()), **({"pair": None, "as_of": "latest"} | changes))
    return whole.append_column("pair", pa.array([pair for pair, frame in frames.items() for _ in range(len(frame))]))


def stream_of(table: pa.Table, **options) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def arrow_body(frame: pd.DataFrame, **changes: str | None) -> bytes:
    return stream_of(arrow_table(frame, **changes))


def read_reply(content: bytes) -> pa.Table:
    return pa.ipc.open_stream(content).read_all()


@dataclass
class Server:
    """A running service and a way to ask it; `log` is where it writes its story."""

    process: subprocess.Popen
    url: str
    log: Path
    key: str

    def ask(self, method="GET", path="/readyz", key="", **request) -> httpx.Response:
        headers = {"x-api-key": key or self.key} | request.pop("headers", {})
        return httpx.request(method, self.url + path, headers=headers, timeout=WATCHDOG_S, **request)

    def forecast(self, body, kind=JSON) -> httpx.Response:
        return self.ask("POST", "/forecast", content=body, headers={"content-type": kind})

    def wait_for(self, condition):
        """Return the first true value of `condition()`, asked again and again."""
        end = time.monotonic() + WATCHDOG_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if found := condition():
                    return found
            except httpx.TransportError:
                time.sleep(0.02)
            time.sleep(0.05)
        raise AssertionError(f"not in {WATCHDOG_S} s; the log says:\n{self.log.read_text()}")

    def stop(self, how=signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(WATCHDOG_S)


class Kit:
    """What tests of this room share, reachable without imports between test files."""

    old_key = OLD_KEY
    api_key, model_key, start, bar_ms, features, config = API_KEY, MODEL_KEY, START, BAR_MS, FEATURES, CONFIG
    watchdog_s = WATCHDOG_S
    candles = staticmethod(make_candles)
    json_body = staticmethod(json_body)
    arrow_body = staticmethod(arrow_body)
    arrow_table = staticmethod(arrow_table)
    pairs_table = staticmethod(pairs_table)
    stream_of = staticmethod(stream_of)
    read_reply = staticmethod(read_reply)
    first_scored = FEATURES.warmup + CONFIG.context_length - 1  # row of a frame without gaps


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    return Kit


@pytest.fixture
def registry(tmp_path) -> ToyRegistry:
    return ToyRegistry(tmp_path / "registry")


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> ToyRegistry:
    """Three versions, valid from candles 150, 200 and 260; the last is the champion."""
    registry = ToyRegistry(tmp_path_factory.mktemp("registry"))
    registry.publish(*(registry.add(bar, seed) for seed, bar in enumerate((150, 200, 260))))
    return registry


@pytest.fixture(scope="module")
def both_lines(tmp_path_factory) -> ToyRegistry:
    """A unified line valid from candles 150 and 200, a direction line from 160 and 210; the last are champions."""
    registry = ToyRegistry(tmp_path_factory.mktemp("registry"))
    for first, line in ((150, "unified-15m"), (160, "direction-15m")):
        registry.publish(*(registry.add(first + 50 * seed, seed, line) for seed in range(2)), line=line)
    return registry


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Return a function that puts a service in front of a registry, with these settings; `now_ms` stands still.

    Without it, candles keep a clock of their own, and none is stale or unclosed.
    """

    monkeypatch.setenv("CANDLEWRIGHT_SHADOW", str(tmp_path / "shadow" / "answers.sqlite"))

    def serve(registry: ToyRegistry, now_ms: int | None = None, keys: ApiKeys | None = None, **settings) -> Asker:
        replayed = {"stale_after_bars": None} if now_ms is None else {}
        values = CALM | {"requests_per_second": 1000.0, "requests_burst": 1000} | replayed | settings
        now = (lambda: now_ms / 1000) if now_ms is not None else (lambda: START.timestamp())
        return Asker(ForecastApp(registry.shelf(), keys or ApiKeys.of(API_KEY), ServiceSettings(**values), now=now))

    return serve


@pytest.fixture
def ask(chain, serve) -> Asker:
    return serve(chain)


@pytest.fixture(scope="module")
def start(tmp_path_factory, kit):
    """Return a function that starts a service on a registry; all of them are ended with the tests of this file."""
    running = []

    def start(registry: Path, settings: str = "", path: str = "/readyz") -> Server:
        folder = tmp_path_factory.mktemp("server")
        given = CALM | {"stale_after_bars": None} | (yaml.safe_load(settings) or {})
        (folder / "service.yaml").write_text(yaml.safe_dump(given))
        environ = {name: value for name, value in os.environ.items() if not name.startswith("CANDLEWRIGHT")} | {
            "CANDLEWRIGHT_REGISTRY": str(registry),
            "CANDLEWRIGHT_MODEL_KEY": kit.model_key,
            "CANDLEWRIGHT_API_KEY": kit.api_key,
            "CANDLEWRIGHT_API_KEY_PREVIOUS": OLD_KEY,
        }
        command = [sys.executable, "-m", "nn.service", "--port", "0", "--config", str(folder / "service.yaml")]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(command, env=environ, cwd=folder, stderr=log, stdout=log, start_new_session=True)
        running.append(process)
        server = Server(process, "", folder / "log", kit.api_key)
        server.url = server.wait_for(lambda: re.search(r" starts on (http://\S+)", server.log.read_text()))[1]
        server.wait_for(lambda: server.ask(path=path).status_code == 200)
        return server

    yield start
    for process in running:
        process.kill()
        process.wait(WATCHDOG_S)
