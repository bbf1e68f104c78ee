"""Prints how fast policies are served: observations beside an empty answer, histories, and what those cost others.

Run: `python benchmarks/action.py [--rows 61344] [--requests 2000]`. It signs a random policy of the default size for
three pairs in a temporary registry, starts the real service on a free port and asks over the socket. `GET /livez` in
the same turns is the floor: what any answer of this server takes. Compare within one run only; processor time alone
says something on a busy machine.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import httpx
import numpy as np
import orjson
import pyarrow as pa
import torch
from service import ARROW, KEY, MODEL_KEY, START, arrow_body, candles, cpu_ms, peak_mb, show, start
from tradekernels.observation import ObservationSet, fit, observation_set

from nn.models.actor_critic import ActorCritic, ActorCriticConfig
from nn.policy.normalise import Moments
from nn.policy.play import rollout
from nn.policy.version import Policy, write_policy
from nn.registry.manifest import Keys, load_version, write_aliases
from nn.registry.policy_fields import GridFields, PolicyEnvironment, PolicyObjective

JSON = "application/json"
PAIRS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")
GRID = GridFields(tick_size=0.001, lot_size=0.001, min_notional=5.0)


def make_registry(folder: Path, history: dict[str, np.ndarray]) -> Policy:
    """Sign a policy with drawn weights, valid from the first candle on, and return it."""
    observations = observation_set(fit(history, "15m"), PAIRS, len(PAIRS))
    moments = Moments((len(observations.names),))
    moments.add(observations.market(history))
    torch.manual_seed(7)
    model = ActorCritic(ActorCriticConfig(len(observations.names), 1, low=(0.0,), high=(1.0,)))
    with torch.no_grad():
        model.actor.mul_(100.0)  # else every weight is near the middle, and nothing is traded
    keys, valid_from = Keys(bytes.fromhex(MODEL_KEY)), START - timedelta(days=1)
    version = write_policy(
        folder / "policy-15m", model, moments, 0.01, observations, keys,
        name="policy-15m", pairs=PAIRS,
        environment=PolicyEnvironment(grids=dict.fromkeys(PAIRS, GRID), dead_band=0.05),
        objective=PolicyObjective(gamma=0.99, cvar_alpha=0.05),
        cost_model={}, trained_from=valid_from - timedelta(days=100), trained_until=valid_from - timedelta(days=1),
        embargo_bars=0, valid_from=valid_from, data_fingerprint="0" * 64, metrics={}, libraries={}, git_commit="",
        config_hash="",
    )  # fmt: skip
    write_aliases(folder / "policy-15m", keys, {"champion": version.name}, [version.name])
    return Policy.from_loaded(load_version(version, keys))


def questions(observations: ObservationSet, rows: np.ndarray) -> dict[str, bytes]:
    """Return the request for these observations in both forms, by media type."""
    parameters = {"schema_version": 1, "pair": PAIRS[1], "timeframe": "15m", "observation_digest": observations.digest}
    columns = {name: np.ascontiguousarray(rows[:, k]) for k, name in enumerate(observations.names)}
    table = pa.table(columns, metadata={name: str(value) for name, value in parameters.items()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    json_body = orjson.dumps(parameters | {"observations": rows.astype(np.float64).tolist()})
    return {JSON: json_body, ARROW: sink.getvalue().to_pybytes()}


class Asker:
    """Asks on one connection, as a bot does."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=600, headers={"x-api-key": KEY})

    def post(self, path: str, body: bytes, kind: str) -> httpx.Response:
        response = self.client.post(path, content=body, headers={"content-type": kind})
        response.raise_for_status()
        return response

    def alive(self) -> None:
        self.client.get("/livez").raise_for_status()


def in_turns(functions: dict, count: int) -> dict[str, np.ndarray]:
    """Return the milliseconds of each call, the functions called one after the other in every turn."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(count + 20):
        for name, function in functions.items():
            started = time.perf_counter()
            function()
            if turn >= 20:
                times[name].append((time.perf_counter() - started) * 1000)
    return {name: np.array(each) for name, each in times.items()}


def spread(times: np.ndarray, floor: np.ndarray) -> str:
    p50, p99 = np.percentile(times, (50, 99))
    return f"p50 {p50:.2f} ms ({p50 / np.median(floor):.1f} x /livez), p99 {p99:.2f} ms, best {times.min():.2f} ms"


def measure(options: argparse.Namespace) -> None:
    history = candles(options.rows)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        policy = make_registry(folder / "registry", history)
        process, url, ready_s = start(folder / "registry", folder, "fp32")
        try:
            show("start to ready", f"{ready_s:.1f} s")
            actions(policy, process, url, history, options.requests)
            histories(policy, process, url, history, options.requests)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def actions(policy: Policy, process: subprocess.Popen, url: str, history: dict[str, np.ndarray], count: int) -> None:
    rows = policy.observations.market(history, 1)[-4096:]
    asker, one, many = Asker(url), questions(policy.observations, rows[-1:]), questions(policy.observations, rows)
    found = in_turns(
        {
            "GET /livez": asker.alive,
            "JSON": lambda: asker.post("/action", one[JSON], JSON),
            "Arrow": lambda: asker.post("/action", one[ARROW], ARROW),
            "the policy itself, in this process": lambda: policy.columns(rows[-1:]),
        },
        count,
    )
    for name, times in found.items():
        show(f"one observation, {name}", spread(times, found["GET /livez"]))
    for name, ask in (("GET /livez", asker.alive), ("JSON", lambda: asker.post("/action", one[JSON], JSON))):
        spent = cpu_ms(process, lambda ask=ask: [ask() for _ in range(count)], count)
        show(f"processor time of the service a request, {name}", f"{spent:.2f} ms")
    found = in_turns({"GET /livez": asker.alive, "Arrow": lambda: asker.post("/action", many[ARROW], ARROW)}, 20)
    show("4,096 observations, Arrow", spread(found["Arrow"], found["GET /livez"]))


def histories(policy: Policy, process: subprocess.Popen, url: str, history: dict, count: int) -> None:
    asker, n_rows = Asker(url), len(history["date"])
    bodies = [arrow_body(history, pair=pair) for pair in PAIRS]

    def three() -> None:
        for body in bodies:
            asker.post("/rollout", body, ARROW)

    times = {"bare": np.inf, "served": np.inf}
    for _ in range(3):
        for name, do in (
            ("bare", lambda: [rollout(policy, history, pair) for pair in PAIRS]),
            ("served", three),
        ):
            started = time.perf_counter()
            do()
            times[name] = min(times[name], time.perf_counter() - started)
    per_candle = times["served"] / 3 / n_rows * 1e6
    show(f"{n_rows:,} candles of 3 pairs, one after another", f"{times['served']:.2f} s, {per_candle:.1f} us a candle")
    show("  over the rollouts alone, in this process", f"{times['served'] / times['bare']:.2f}")
    for long in (n_rows, 8 * n_rows):
        body = arrow_body(candles(long), pair=PAIRS[0])
        peak = peak_mb(process, lambda body=body: asker.post("/rollout", body, ARROW))
        show(f"peak memory over {long:,} candles", f"{peak:,.0f} MB")
    beside_histories(policy, url, history, bodies, min(count, 500))


def beside_histories(policy: Policy, url: str, history: dict, bodies: list[bytes], count: int) -> None:
    """Show what actions and empty answers take while two rollouts work all the time."""
    ended = threading.Event()

    def keep_rolling(body: bytes) -> None:
        mine = Asker(url)
        while not ended.is_set():
            mine.post("/rollout", body, ARROW)

    rolling = [threading.Thread(target=keep_rolling, args=(body,)) for body in bodies[:2]]
    for each in rolling:
        each.start()
    try:
        one, asker = questions(policy.observations, policy.observations.market(history, 1)[-1:]), Asker(url)
        asks = {"GET /livez": asker.alive, "JSON": lambda: asker.post("/action", one[JSON], JSON)}
        for name, times in in_turns(asks, count).items():
            p50, p99 = np.percentile(times, (50, 99))
            show(f"beside two rollouts, {name}", f"p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    finally:
        ended.set()
        for each in rolling:
            each.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=61_344)
    parser.add_argument("--requests", type=int, default=2000)
    options = parser.parse_args()
    print("default policy, 58 slots, three pairs, 1 thread")
    measure(options)


if __name__ == "__main__":
    main()
