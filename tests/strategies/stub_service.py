"""A forecast service that stands in for the real one: the same wire, no model, on a real socket.

From: the requests of `strategies/shared` (or of Freqtrade around it). To: decisions that are a causal function of
the last 48 closes, the same bits whichever range they are asked for in. `faults` is what the next replies do wrong.
"""

import contextlib
import json
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
from tradekernels.observation import fit, observation_set

WARMUP, CONTEXT = 512, 96  # what BASE_40 and the default unified model read
DIRECTION_CONTEXT = 168  # the direction model's: the longer of the two decides what a decision reads
KEY = "k" * 32
HORIZONS = {"15m": 1, "1h": 4, "4h": 16, "12h": 48}


def decision_columns(open_, high, low, close, volume, strength=1.0):
    """Return the number columns: the past move of each horizon, turned round, is what comes next."""
    columns = {}
    for name, bars in HORIZONS.items():
        move = np.zeros(len(close))
        move[bars:] = close[bars:] / close[:-bars] - 1
        up = np.clip(0.4 - 10 * move, 0.05, 0.75)
        columns[f"probability_up_{name}"], columns[f"probability_down_{name}"] = up, 0.8 - up
        columns[f"expected_return_{name}"] = -strength * move
        if name == "4h":
            spread = np.abs(move) + 0.005
            columns |= {"stake_multiplier": np.clip(0.5 + 5 * np.abs(move), 0, 1)}
            columns |= {"stop_long": spread / (1 + spread), "stop_short": spread}
            columns |= {"target_long": spread / 2 + 0.005, "target_short": spread / 2 + 0.005}
            columns |= {"signal_probability": np.maximum(up, 0.8 - up)}
    return columns


def candles(rows, start="2024-01-01", timeframe="15m", seed=9):
    """Return a random walk: what the stub's statistics are fitted on."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.003, rows)))
    opened = np.concatenate([close[:1], close[:-1]])
    frame = {"open": opened, "high": np.maximum(opened, close), "low": np.minimum(opened, close), "close": close}
    date = pd.date_range(start, periods=rows, freq=timeframe.replace("m", "min"), tz="UTC", unit="ms")
    return pd.DataFrame({"date": date, **frame, "volume": rng.lognormal(3, 1, rows)})


def rolled_columns(close, can_short=False, strength=1.0):
    """Return the columns of a rollout: buy what has fallen over 16 bars, sell what has risen; no costs, no quantising.

    The target follows the move in steps of 0.2, so that it changes now and then, and is 0 (or short) half of the time.
    """
    move = np.zeros(len(close))
    move[16:] = close[16:] / close[:-16] - 1
    target = np.clip(np.round(-60 * strength * move * 5) / 5, -0.8 if can_short else 0.0, 0.8)
    held, weight = np.zeros(len(close)), 0.0
    for row in range(1, len(close)):  # what was wanted one bar ago, moved by the price since
        grown = 1 + target[row - 1] * (close[row] / close[row - 1] - 1)
        weight = target[row - 1] * close[row] / close[row - 1] / grown
        held[row] = weight
    flat = np.zeros(len(close))
    return {
        "target_weight": target, "value": -move, "cvar": -np.abs(move), "held_weight": held,
        "cash_ratio": np.clip(1 - held, 0, 1), "position_ratio": np.tanh(held), "volume_imbalance": flat,
        "trade_intensity": flat, "realized_spread": flat, "agent_fill_ratio": flat,
    }  # fmt: skip


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
    direction_versions: list = field(
        default_factory=lambda: [
            {"version": "d1", "valid_from": "2024-12-25T00:00:00Z", "trained_until": "2024-12-24T00:00:00Z"},
            {"version": "d2", "valid_from": "2025-01-20T00:00:00Z", "trained_until": "2025-01-19T00:00:00Z"},
        ]
    )
    policy_versions: list = field(
        default_factory=lambda: [
            {"version": "p1", "valid_from": "2024-12-21T00:00:00Z", "trained_until": "2024-12-20T00:00:00Z"},
            {"version": "p2", "valid_from": "2025-01-25T00:00:00Z", "trained_until": "2025-01-24T00:00:00Z"},
        ]
    )
    policy_digest: str = "e" * 64  # of the chain
    policy_can_short: bool = False
    policy_strength: float = 1.0  # of the answer to a past move: the weaker, the fewer trades
    tokens: tuple = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT", "BTC/USDT", "ETH/USDT", "SOL/USDT")
    observed: list = field(default_factory=list)  # the rows that /action was asked with
    kinds: tuple = ("unified_patchtst", "direction", "actor_critic")  # of the lines that are served
    chain_digest: str = "a" * 64
    direction_digest: str = "d" * 64
    warmup: int = WARMUP
    context_length: int = CONTEXT
    faults: list = field(default_factory=list)  # each entry serves one POST's reply; see `Handler.do_POST`
    requests: list = field(default_factory=list)  # (method, path, rows, as_of)
    port: int = 0
    stop: object = None  # call it to end the service before its block does
    strength: float = 1.0  # share of a past move that is forecast to come back: the weaker, the fewer trades

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def lines(self):
        common = {"timeframe": self.timeframe, "warmup": self.warmup, "feature_digest": "f" * 64}
        unified = {
            "name": f"unified-{self.timeframe}", "kind": "unified_patchtst", "chain_digest": self.chain_digest,
            "context_length": self.context_length, "champion": self.versions[-1]["version"], "versions": self.versions,
        }  # fmt: skip
        direction = {
            "name": f"direction-{self.timeframe}", "kind": "direction", "chain_digest": self.direction_digest,
            "context_length": DIRECTION_CONTEXT, "champion": self.direction_versions[-1]["version"],
            "versions": self.direction_versions,
        }  # fmt: skip
        policy = {
            "name": f"policy-{self.timeframe}", "kind": "actor_critic", "chain_digest": self.policy_digest,
            "context_length": 1, "champion": self.policy_versions[-1]["version"], "versions": self.policy_versions,
            "warmup": self.observations.warmup,
        }  # fmt: skip
        return [common | line for line in (unified, direction, policy) if line["kind"] in self.kinds]

    @cached_property
    def observations(self):
        """What the stub's policy reads."""
        statistics = fit(candles(1500, timeframe=self.timeframe), self.timeframe)
        return observation_set(statistics, self.tokens, len(self.tokens))

    def told(self):
        """Answer GET /observation."""
        champion = self.policy_versions[-1]
        return {
            "schema_version": 1, "timeframe": self.timeframe, "model_version": champion["version"],
            "valid_from": champion["valid_from"], "observation_digest": self.observations.digest,
            "statistics": self.observations.statistics.to_json(), "tokens": self.tokens,
            "max_num_tokens": len(self.tokens), "dead_band": 0.05, "can_short": self.policy_can_short, "cash": 10_000.0,
        }  # fmt: skip

    def target(self, row, pair):
        """Return the target weight of one observation: in the market while RSI is below 50."""
        return 0.6 if row[self.observations.names.index("rsi")] < 0 else 0.0

    def act(self, asked):
        """Answer POST /action, or 409 for rows of another observation."""
        if asked["observation_digest"] != self.observations.digest:
            return 409, {"error": "layout_mismatch", "reason": "the champion reads another observation"}
        rows, champion = np.array(asked["observations"], dtype=np.float32), self.policy_versions[-1]
        self.observed.extend(rows)
        answers = []
        for row in rows:
            target = self.target(row, asked["pair"])
            answer = {"target_weight": target, "value": 0.01, "cvar": -0.02, "quantiles": [-0.02, 0.04]}
            answers.append(
                answer | {"model_version": champion["version"], "valid_from": champion["valid_from"], "reason": None}
            )
        return 200, {name: asked[name] for name in ("schema_version", "pair", "timeframe")} | {"rows": answers}

    def roll(self, request: pa.Table) -> pa.Table:
        """Answer POST /rollout: as of each candle's own close, after the observation's warm-up."""
        parameters = {key.decode(): value.decode() for key, value in request.schema.metadata.items()}
        dates = request["date"].cast(pa.int64()).to_numpy()
        first = min(self.observations.warmup, len(dates))
        names, acted = self.version_names(self.policy_versions, dates)
        acted &= np.arange(len(dates)) >= first
        columns = {name: np.full(len(dates), np.nan) for name in rolled_columns(np.ones(1))}
        if acted.any():
            start = int(acted.argmax())
            close = request["close"].to_numpy()[start:]
            for name, values in rolled_columns(close, self.policy_can_short, self.policy_strength).items():
                columns[name][start:] = values
        out = {"date": pa.array(dates, type=pa.timestamp("ms", "UTC"))}
        out["model_version"] = pa.array(list(np.where(acted, names, None)), pa.string()).dictionary_encode()
        out["reason"] = pa.array([None if each else "warmup" for each in acted], pa.string()).dictionary_encode()
        out |= {name: pa.array(values.astype(np.float32), mask=~acted) for name, values in columns.items()}
        metadata = {"timeframe": parameters["timeframe"], "schema_version": "1", "pair": parameters["pair"]}
        return pa.table(out).replace_schema_metadata(metadata | {"chain_digest": self.policy_digest})

    def version_names(self, versions, dates):
        """Return the newest version that is valid at the close of each candle, and where there is one."""
        minutes = {"m": 1, "h": 60}[self.timeframe[-1]] * int(self.timeframe[:-1])
        valid_from = np.array([_ms(version["valid_from"]) for version in versions])
        newest = np.searchsorted(valid_from, dates + minutes * 60_000, side="right") - 1
        return np.array([version["version"] for version in versions], dtype=object)[newest], newest >= 0

    def answer(self, request: pa.Table) -> pa.Table:
        """Decide as of each candle's own close, or on the newest candle of each pair."""
        parameters = {key.decode(): value.decode() for key, value in request.schema.metadata.items()}
        metadata = {"timeframe": parameters["timeframe"], "schema_version": "1"}
        metadata |= {"chain_digest": self.chain_digest, "direction_chain_digest": self.direction_digest}
        if "pair" not in parameters:
            pairs = request["pair"].to_pylist()
            starts = [row for row, pair in enumerate(pairs) if row == 0 or pairs[row - 1] != pair]
            parts = [
                self.decide(request.slice(start, end - start), True).append_column("pair", pa.array([pairs[start]]))
                for start, end in zip(starts, [*starts[1:], len(pairs)], strict=True)
            ]
            return pa.concat_tables(parts).replace_schema_metadata(metadata)
        answer = self.decide(request, parameters["as_of"] == "latest")
        return answer.replace_schema_metadata(metadata | {"pair": parameters["pair"]})

    def decide(self, request: pa.Table, newest_only: bool) -> pa.Table:
        dates = request["date"].cast(pa.int64()).to_numpy()
        columns = decision_columns(
            *(request[name].to_numpy() for name in ("open", "high", "low", "close", "volume")), self.strength
        )
        warm = np.arange(len(dates)) >= self.warmup + max(self.context_length, DIRECTION_CONTEXT) - 1
        scored, names = warm.copy(), {}
        for name, versions in (("model_version", self.versions), ("direction_version", self.direction_versions)):
            names[name], valid = self.version_names(versions, dates)
            scored &= valid
        signal = np.where(columns["probability_up_4h"] > 0.4, "BUY", "SELL")
        reason = np.where(scored, None, np.where(warm, "no_version", "warmup"))
        out = {"date": pa.array(dates, type=pa.timestamp("ms", "UTC"))}
        for name, words in {**names, "signal": signal}.items():
            out[name] = pa.array(list(np.where(scored, words, None)), pa.string()).dictionary_encode()
        out |= {"reason": pa.array(list(reason), pa.string()).dictionary_encode()}
        out |= {name: pa.array(values.astype(np.float32), mask=~scored) for name, values in columns.items()}
        return pa.table(out).slice(len(dates) - 1 if newest_only else 0)


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
            if self.path.startswith("/observation"):
                missing = "actor_critic" not in service.kinds
                return self.reply(503 if missing else 200, json.dumps({} if missing else service.told()).encode())
            return self.reply(200, json.dumps({"lines": service.lines()}).encode())

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/action":
                request = json.loads(body)
                service.requests.append(("POST", self.path, len(request["observations"]), request["pair"]))
            else:
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
                self.send_header("Location", "http://127.0.0.1:9/predict")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            if fault == "garbage":
                return self.reply(200, b"\x00not arrow")
            if self.path == "/action":
                status, answer = service.act(request)
                return self.reply(status, json.dumps(fault(answer) if callable(fault) else answer).encode())
            table = service.roll(request) if self.path == "/rollout" else service.answer(request)
            if table is None:
                return self.reply(200, b"\x00not arrow")
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

    server = Server(("127.0.0.1", port), Handler)
    service.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()

    def stop():
        """Be gone: the port is closed, and so are kept-alive connections."""
        if not thread.is_alive():
            return
        server.shutdown()
        thread.join()
        server.server_close()
        for connection in server.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    service.stop = stop
    try:
        yield service
    finally:
        stop()


def main(port, scenario):
    """Serve as a process of its own, which a test may stop, freeze or kill.

    `scenario` is a JSON file, read with every question: `long` and `short` are pairs that are wanted, and `faults` what
    is wrong with the answer about a pair, or with the common answer about several (under the name "all").
    """

    def told(request):
        wish = json.loads(Path(scenario).read_text())
        table = StubService.answer(service, request)
        metadata = {key.decode(): value.decode() for key, value in request.schema.metadata.items()}
        pairs = request["pair"].unique().to_pylist() if "pair" in request.column_names else [metadata["pair"]]
        up = np.array([0.7 if pair in wish["long"] else 0.1 if pair in wish["short"] else 0.4 for pair in pairs])
        expected = np.where(up == 0.4, 0.0, np.sign(up - 0.4) * 0.02)
        columns = {"probability_up_4h": up, "probability_down_4h": 0.8 - up, "expected_return_4h": expected}
        fault = wish["faults"].get("all" if len(pairs) > 1 else pairs[0])
        if fault == "nan":
            columns["stop_long"] = np.full(len(pairs), np.nan)
        for name, values in columns.items():
            table = table.set_column(table.column_names.index(name), name, pa.array(values.astype("f4")))
        if fault == "version":
            words = pa.array(["v9"] * len(pairs)).dictionary_encode()
            table = table.set_column(table.column_names.index("model_version"), "model_version", words)
        if fault == "time":
            later = pa.array(table["date"].cast(pa.int64()).to_numpy() + 900_000, pa.timestamp("ms", "UTC"))
            table = table.set_column(0, "date", later)
        if fault == "pair":
            table = table.replace_schema_metadata({**table.schema.metadata, b"pair": b"XRP/USDT"})
        return None if fault == "garbage" else table

    service = StubService()
    service.answer = told
    with running(service, port):
        print(service.port, flush=True)
        signal.pause()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
