"""A policy line in the real process: killed, frozen, swapped while asked, and asked about now beside two histories."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

pytestmark = pytest.mark.e2e
JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"
SETTINGS = "requests_per_second: 100000\nrequests_burst: 100000\nreload_interval_s: 0.1\n"
PAIR = "ETH/USDT:USDT"
ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def home(tmp_path_factory, policies):
    """A registry of this file's own, with a policy line alone."""
    folder = tmp_path_factory.mktemp("home") / "registry"
    shutil.copytree(policies.folder, folder)
    return type(policies)(folder)


@pytest.fixture(scope="module")
def server(start, home):
    return start(home.folder, SETTINGS)


@pytest.fixture(scope="module")
def body(policies_kit, champion):
    return policies_kit.body(champion, policies_kit.rows(champion, 1))


def action(server, body, timeout=120.0) -> httpx.Response:
    headers = {"x-api-key": server.key, "content-type": JSON}
    return httpx.post(server.url + "/action", content=body, headers=headers, timeout=timeout)


def rollout(server, candles: bytes, timeout=120.0) -> httpx.Response:
    headers = {"x-api-key": server.key, "content-type": ARROW}
    return httpx.post(server.url + "/rollout", content=candles, headers=headers, timeout=timeout)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_lines_of_the_docs_work(server, kit, policies_kit, champion, tmp_path):
    """docs/service.md, as it stands but for the port."""
    text = (ROOT / "docs" / "service.md").read_text()
    blocks = [block for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) if "$service/" in block]
    assert len(blocks) == 3
    (tmp_path / "user_data" / "secrets").mkdir(parents=True)
    (tmp_path / "user_data" / "secrets" / "service.key").write_text(server.key + "\n")
    (tmp_path / "candles.arrow").write_bytes(kit.arrow_body(kit.candles(2950), pair=PAIR))
    question = policies_kit.question(champion, policies_kit.rows(champion, 1))
    slots = ", ".join(map(repr, question["observations"][0]))
    given = f"digest={champion.observations.digest}\nclosed={champion.valid_from_ms}\nslots='{slots}'\n"
    script = given + "\n".join(blocks).replace("http://127.0.0.1:3000", server.url)
    done = subprocess.run(["bash", "-ec", script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    told, acted = map(json.loads, done.stdout.replace("}{", "}\n{").splitlines())
    assert told["observation_digest"] == champion.observations.digest
    assert acted["rows"][0]["model_version"] == champion.version
    assert kit.read_reply((tmp_path / "positions.arrow").read_bytes()).num_rows == 2950


def test_a_reload_drops_no_request_and_mixes_no_chains(server, home, policies_kit, kit, body):
    """SRV-9: actions by one champion after the other, and each rollout by the versions of one chain."""
    candles = kit.arrow_body(kit.candles(3150), pair=PAIR)
    line = home.shelf().line_of("15m", "actor_critic")
    chains, acted, rolled, ended = [{each.version for each in line.chain}], [], [], threading.Event()

    def keep_acting():
        while not ended.is_set():
            response = action(server, body)
            acted.append((response.status_code, response.json()["rows"][0]["model_version"]))

    def keep_rolling():
        while not ended.is_set():
            response = rollout(server, candles)
            versions = set(kit.read_reply(response.content)["model_version"].to_pylist()) - {None}
            rolled.append((response.status_code, versions))

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(keep_acting), pool.submit(keep_rolling)]
        try:
            for seed in (10, 20, 30):
                names = [policies_kit.add(home, bar, seed) for bar in (2900 + seed, 3000 + seed)]
                chains.append(set(names))
                home.publish(*names, line=policies_kit.line)
                server.wait_for(lambda new=names[1]: acted and acted[-1][1] == new)
                server.wait_for(lambda new=names[1]: rolled and new in rolled[-1][1])
        finally:
            ended.set()
        for each in asking:
            each.result()
    assert {code for code, _ in (*acted, *rolled)} == {200}
    assert len({version for _, version in acted}) == 4
    for _, versions in rolled:
        assert any(versions <= chain for chain in chains)


def test_a_refused_candidate_leaves_the_old_champion_acting(server, home, policies_kit, body):
    before = action(server, body).content
    name = policies_kit.add(home, 3000, 40)
    weights = home.folder / policies_kit.line / name / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    home.publish(name, line=policies_kit.line)
    server.wait_for(lambda: "keeps serving" in server.log.read_text())
    assert action(server, body).content == before
    home.publish(policies_kit.add(home, 3000, 41), line=policies_kit.line)
    server.wait_for(lambda: action(server, body).content != before)


def test_frozen_it_costs_a_timeout_and_comes_back(server, body, kit):
    """SIGSTOP while eight bots ask: no answer, so no entry; after SIGCONT the same process answers the same."""
    before = action(server, body).content
    server.process.send_signal(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(action, server, body, timeout=0.5) for _ in range(16)]
            assert all(isinstance(each.exception(kit.watchdog_s), httpx.TimeoutException) for each in asked)
    finally:
        server.process.send_signal(signal.SIGCONT)
    server.wait_for(lambda: action(server, body, timeout=5).content == before)


def test_the_present_passes_two_histories_and_a_kill_ends_all(server, start, home, kit, body, policies_kit):
    """LIM-6: actions are answered while two rollouts work and a third waits; killed, the next one has the same bytes.

    That no action waits for a rollout is shown by order, not by a clock: fifty come back before the first history.
    """
    long = kit.arrow_body(kit.candles(150_000), pair=PAIR)
    short = kit.arrow_body(kit.candles(3150), pair=PAIR)
    told = rollout(server, short).content
    answered = action(server, body).content
    with ThreadPoolExecutor(3) as pool:
        histories = [pool.submit(rollout, server, long) for _ in range(3)]
        server.wait_for(lambda: server.ask(path="/livez").status_code == 200)
        with httpx.Client(headers={"x-api-key": server.key, "content-type": JSON}, timeout=kit.watchdog_s) as client:
            answers = [client.post(server.url + "/action", content=body).content for _ in range(50)]
        assert set(answers) == {answered}
        assert not any(each.done() for each in histories)
        server.stop(signal.SIGKILL)
        assert all(isinstance(each.exception(kit.watchdog_s), httpx.TransportError) for each in histories)
    again = start(home.folder, SETTINGS)
    assert (rollout(again, short).content, action(again, body).content) == (told, answered)
    assert np.isfinite(kit.read_reply(told)["target_weight"].to_numpy()[-1])
    names = [policies_kit.add(home, 3001, 50)]
    home.publish(*names, line=policies_kit.line)
    again.wait_for(lambda: action(again, body).json()["rows"][0]["model_version"] == names[0])
