"""PRM-9, PRM-10 by doing it: the verbs move a policy line while a running service is asked to act and to roll out."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import groupby

import httpx
import orjson
import pytest

from nn.registry.evaluations import write_evaluation
from nn.registry.promotion import publish
from tools.__main__ import main as tools

pytestmark = pytest.mark.e2e
JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"
SETTINGS = "requests_per_second: 100000\nrequests_burst: 100000\nreload_interval_s: 0.1\n"
BY_ANNA = ("--operator", "Anna", "--reason", "a test")


def judged(line: str, version: str, begin, tries: float, deflated_sharpe: float) -> dict:
    """What the trainer would have signed of a policy that earned well; how many were tried is what differs."""
    rivals = ("flat", "buy_and_hold", "random", "linear")
    trading = {"trades": 40.0, "net_return": 0.03, "max_drawdown": 0.10}
    return {
        "schema_version": 1, "line": line, "version": version, "begin": begin, "end": begin + timedelta(days=1),
        "rows": 96, "metrics": {"sortino": 2.0, "cvar_5": -0.02},
        "baselines": {name: {"sortino": 0.0} for name in rivals},
        "trading": trading | {"trials": tries, "deflated_sharpe": deflated_sharpe},
        "verdict": {"beats_baselines": True, "reasons": []},
    }  # fmt: skip


def test_gates_refuse_an_operator_promotes_and_one_command_goes_back_under_a_stream_of_requests(
    start, registry, policies_kit, kit, tmp_path, monkeypatch, capsys
):
    bars = (2900, 3000)
    names = [policies_kit.add(registry, bar, seed) for seed, bar in enumerate(bars)]
    folder = registry.folder / policies_kit.line
    publish(folder, registry.keys, names)
    for name, bar, tries, figure in zip(names, bars, (1.0, 400.0), (0.8, 0.3), strict=True):
        begin = kit.start + bar * timedelta(minutes=15)
        write_evaluation(folder, name, judged(folder.name, name, begin, tries, figure), registry.keys)
    for name, value in {
        "CANDLEWRIGHT_USER_DATA": str(tmp_path / "user_data"),
        "CANDLEWRIGHT_REGISTRY": str(registry.folder),
        "CANDLEWRIGHT_MODEL_KEY": kit.model_key,
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",  # nobody is there: serving does not wait for MLflow
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }.items():
        monkeypatch.setenv(name, value)

    def verb(*arguments, code=0):
        assert tools([*arguments, "--line", folder.name]) == code
        said = capsys.readouterr()
        return said.err if code else said.out.strip()

    assert verb("promote", "--version", names[0]) == names[0]  # every gate passes, nobody's word is needed
    server = start(registry.folder, SETTINGS)
    policies = [policies_kit.policy(registry, name) for name in names]
    rows = policies_kit.rows(policies[0], 1)
    body, candles = policies_kit.body(policies[0], rows), kit.arrow_body(kit.candles(3050), pair=policies_kit.pair)
    right = {each.version: each.columns(rows)[0][0].tolist() for each in policies}
    acted, rolled, ended = [[], []], [], threading.Event()

    def keep_asking(path, kind, content, answers, pause_s):
        headers = {"x-api-key": kit.api_key, "content-type": kind}
        with httpx.Client(headers=headers, timeout=120, trust_env=False) as client:
            while not ended.wait(pause_s):
                response = client.post(server.url + path, content=content)
                answers.append((response.status_code, response.content))

    def acts(name):
        return lambda: all(mine and name.encode() in mine[-1][1] for mine in acted)

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(keep_asking, "/action", JSON, body, mine, 0.02) for mine in acted]
        asking.append(pool.submit(keep_asking, "/rollout", ARROW, candles, rolled, 0.2))
        try:
            server.wait_for(acts(names[0]))
            said = verb("promote", code=1)
            assert "EVA-9" in said
            assert "1 of 9 gates failed" in said
            assert verb("promote", *BY_ANNA) == names[1]
            server.wait_for(acts(names[1]))
            assert verb("rollback", *BY_ANNA) == names[0]
            server.wait_for(acts(names[0]))
            server.wait_for(lambda: len(rolled) > 1)
        finally:
            ended.set()
        for each in asking:
            each.result()

    assert {status for status, _ in (*rolled, *acted[0], *acted[1])} == {200}
    assert len({content for _, content in rolled}) == 1  # history is the chain's, whoever is champion
    assert right[names[0]] != right[names[1]]
    for mine in acted:
        answered = [orjson.loads(content)["rows"][0] for _, content in mine]
        assert [name for name, _ in groupby(row["model_version"] for row in answered)] == [names[0], names[1], names[0]]
        for row in answered:
            told = [row[name] for name in ("target_weight", "value", "cvar")]
            assert told == pytest.approx(right[row["model_version"]], rel=1e-6)
