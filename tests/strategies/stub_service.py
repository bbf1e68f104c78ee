"""A forecast service that stands in for the real one: the same wire, no model, on a real socket.

From: the requests of `strategies/shared` (or of Freqtrade around it). To: forecasts that are a causal function of
the last 48 closes, the same bits whichever range they are asked for in. `faults` is what the next replies do wrong.
"""

import contextlib
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import numpy as np
import pyarrow as pa

WARMUP, CONTEXT = 512, 96  # what BASE_40 and the default model read
KEY = "k" * 32
HORIZONS = {"15m": 1, "1h": 4, "4h": 16, "12h": 48}
REACHES = ("1pct_4h", "2pct_4h", "3pct_12h", "5pct_12h")


def forecast_columns(open_, high, low, close, volume, strength=1.0):
    """Return the 38 columns: the past move of each horizon, turned round, is what comes next."""
    columns = {}
    past = {}
    for name, bars in HORIZONS.items():
        move = np.zeros(len(close))
        move[bars:] = close[bars:] / close[:-bars] - 1
        past[name] = move
        columns[f"future_return_{name}"] = -strength * move
    for name in HORIZONS:
        up = np.clip(0.4 - 10 * past[name], 0.05, 0.75)
        columns[f"direction_{name}_up"] = up
        columns[f"direction_{name}_down"] = 0.8 - up
        columns[f"direction_{name}_flat"] = np.full(len(close), 0.2)
    reach = {f"{side}_will_reach_{reach}": np.full(len(close), 0.5) for side in ("long", "short") for reach in REACHES}
    columns |= reach
    spread = np.abs(past["4h"]) + 0.005
    columns |= {"max_drawdown_1h": spread / 2, "max_drawdown_4h": spread, "max_rally_1h": spread / 2}
    columns |= {"max_rally_4h": spread, "best_action_long": columns["direction_4h_up"]}
    columns |= {"best_action_short": columns["direction_4h_down"], "best_action_hold": columns["direction_4h_flat"]}
    columns |= {
        name: np.full(len(close), 0.5) for name in ("signal_strength", "risk_reward_ratio", "optimal_hold_time")
    }
    columns |= {f"confidence_{name}": np.full(len(close), 0.7) for name in HORIZONS}
    return columns


@dataclass
class StubService:
    """Settings of the stub; change them while it runs."""

    timeframe: str = "15m"
    versions: list = field(
        default_factory=lambda: [
            {"version": "v1", "valid_from": "2025-01-01T00:00:00Z", "trained_until": "2024-12-31T00:00:00Z"},
            {"version": "v2", "valid_from": "2025-02-01T00:00:00Z", "trained_until": "2025-01-31T00:00:00Z"},
        ]
    )
    chain_digest: str = "a" * 64
    warmup: int = WARMUP
    context_length: int = CONTEXT
    faults: list = field(default_factory=list)  # each entry serves one /forecast reply; see `Handler.do_POST`
    requests: list = field(default_factory=list)  # (method, path, rows, as_of)
    port: int = 0
    strength: float = 1.0  # share of a past move that is forecast to come back: the weaker, the fewer trades

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def lines(self):
        common = {
            "name": f"unified-{self.timeframe}",
            "kind": "unified_patchtst",
            "timeframe": self.timeframe,
            "chain_digest": self.chain_digest,
        }
        sizes = {"warmup": self.warmup, "context_length": self.context_length, "feature_digest": "f" * 64}
        return [common | sizes | {"champion": self.versions[-1]["version"], "versions": self.versions}]

    def answer(self, request: pa.Table) -> pa.Table:
        """Score a request as of each candle's own close."""
        parameters = {key.decode(): value.decode() for key, value in request.schema.metadata.items()}
        dates = request["date"].cast(pa.int64()).to_numpy()
        columns = forecast_columns(
            *(request[name].to_numpy() for name in ("open", "high", "low", "close", "volume")), self.strength
        )
        minutes = {"m": 1, "h": 60}[self.timeframe[-1]] * int(self.timeframe[:-1])
        valid_from = np.array([_ms(version["valid_from"]) for version in self.versions])
        newest = np.searchsorted(valid_from, dates + minutes * 60_000, side="right") - 1
        warm = np.arange(len(dates)) >= self.warmup + self.context_length - 1
        scored = warm & (newest >= 0)
        if parameters["as_of"] == "latest":
            scored &= np.arange(len(dates)) == len(dates) - 1
        names = np.array([version["version"] for version in self.versions], dtype=object)
        version = np.where(scored, names[newest], None)
        reason = np.where(scored, None, np.where(warm, "no_version", "warmup"))
        out = {"date": pa.array(dates, type=pa.timestamp("ms", "UTC"))}
        out |= {"model_version": pa.array(list(version), pa.string()).dictionary_encode()}
        out |= {"reason": pa.array(list(reason), pa.string()).dictionary_encode()}
        out |= {name: pa.array(values.astype(np.float32), mask=~scored) for name, values in columns.items()}
        metadata = {"pair": parameters["pair"], "timeframe": parameters["timeframe"], "chain_digest": self.chain_digest}
        return pa.table(out).replace_schema_metadata(metadata)


def stream(table: pa.Table) -> bytes:
    """Return an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _ms(iso: str) -> int:
    return int(np.datetime64(iso.removesuffix("Z"), "ms").astype(np.int64))


@contextlib.contextmanager
def running(service: StubService | None = None, port: int = 0):
    """Serve a stub until the block ends."""
    service = service or StubService()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            service.requests.append(("GET", self.path, 0, ""))
            if self.headers["X-API-KEY"] != KEY:
                return self.reply(401, b'{"error":"unauthorized","reason":"wrong key"}')
            return self.reply(200, json.dumps({"lines": service.lines()}).encode())

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with pa.ipc.open_stream(body) as reader:
                request = reader.read_all()
            service.requests.append(("POST", self.path, len(request), request.schema.metadata[b"as_of"].decode()))
            if self.headers["X-API-KEY"] != KEY:
                return self.reply(401, b'{"error":"unauthorized","reason":"wrong key"}')
            fault = service.faults.pop(0) if service.faults else None
            if isinstance(fault, int):
                return self.reply(fault, b'{"error":"refused","reason":"as the test wants"}')
            if isinstance(fault, float):
                time.sleep(fault)
            if fault == "drop":
                return self.close()
            if fault == "drip":
                return self.drip()
            if fault == "redirect":
                self.send_response(307)
                self.send_header("Location", "http://127.0.0.1:9/forecast")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            if fault == "garbage":
                return self.reply(200, b"\x00not arrow")
            table = service.answer(request)
            return self.reply(200, stream(fault(table) if callable(fault) else table))

        def reply(self, status, body):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def drip(self):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(100):
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    time.sleep(0.05)

        def close(self):
            self.close_connection = True

        def log_message(self, *arguments):
            """Say nothing: the requests are in `service.requests`."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 32
        connections: ClassVar[list] = []

        def process_request(self, request, client_address):
            self.connections.append(request)
            super().process_request(request, client_address)

        def handle_error(self, request, client_address):
            """A client that gave up is what some tests want."""

    with Server(("127.0.0.1", port), Handler) as server:
        service.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
            for connection in server.connections:  # a service that stops ends its kept-alive connections
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
