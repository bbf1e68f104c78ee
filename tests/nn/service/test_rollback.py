"""PRM-9 by doing it: promote and roll back under a stream of requests to a running service: none dropped or wrong."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

import httpx
import pytest

from nn.registry.promotion import publish

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[3]
FIGURES = ("future_return_1h", "future_return_12h", "best_action_long")


def test_promotion_and_rollback_reach_a_running_service_without_a_wrong_answer(start, registry, kit, tmp_path):
    names = [registry.add(bar, seed) for seed, bar in enumerate((120, 150))]
    line = registry.folder / "unified-15m"
    publish(line, registry.keys, names)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CANDLEWRIGHT_")} | {
        "CANDLEWRIGHT_USER_DATA": str(tmp_path / "user_data"),
        "CANDLEWRIGHT_REGISTRY": str(registry.folder),
        "CANDLEWRIGHT_MODEL_KEY": kit.model_key,
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",  # nobody is there: serving does not wait for MLflow
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }

    def verb(*arguments):
        command = [sys.executable, "-m", "tools", *arguments, "--operator", "Anna", "--reason", "a test"]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def alone(server):
        row = server.ask("POST", "/forecast", content=body, headers={"content-type": "application/json"}).json()
        return row["rows"][0]

    body = kit.json_body(kit.candles(200), as_of="latest")
    assert verb("promote", "--version", names[0]) == names[0]
    limits = "requests_per_second: 5000\nrequests_burst: 5000\nreload_interval_s: 0.3\n"
    server = start(registry.folder, limits)
    right = {names[0]: alone(server)}
    answers, ended = [[], []], threading.Event()

    def keep_asking(mine):
        headers = {"x-api-key": kit.api_key, "content-type": "application/json"}
        with httpx.Client(headers=headers, timeout=kit.watchdog_s, trust_env=False) as client:
            while not ended.is_set():
                response = client.post(server.url + "/forecast", content=body)
                mine.append((response.status_code, response.json()["rows"][0] if response.is_success else None))

    def serves(name):
        return lambda: all(mine and mine[-1][1] and mine[-1][1]["model_version"] == name for mine in answers)

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(keep_asking, mine) for mine in answers]
        try:
            server.wait_for(serves(names[0]))
            assert verb("promote", "--version", names[1]) == names[1]
            server.wait_for(serves(names[1]))
            right[names[1]] = alone(server)
            assert verb("rollback") == names[0]
            server.wait_for(serves(names[0]))
        finally:
            ended.set()
        for each in asking:
            each.result()

    assert right[names[0]] != right[names[1]]
    for mine in answers:
        assert {status for status, _ in mine} == {200}
        assert [name for name, _ in groupby(row["model_version"] for _, row in mine)] == [names[0], names[1], names[0]]
        for _, row in mine:
            for figure in FIGURES:
                assert row[figure] == pytest.approx(right[row["model_version"]][figure], abs=1e-6)
