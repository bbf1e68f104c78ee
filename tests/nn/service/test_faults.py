"""Faults by doing them to the real process: killed, frozen, no disk, no registry, reloaded while asked (SRV-9)."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest

pytestmark = pytest.mark.e2e
JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"
LINES = ("unified-15m", "direction-15m")
SETTINGS = "requests_per_second: 100000\nrequests_burst: 100000\nreload_interval_s: 0.1\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory, both_lines):
    """A registry of this file's own, which it may move away."""
    folder = tmp_path_factory.mktemp("home") / "registry"
    shutil.copytree(both_lines.folder, folder)
    return type(both_lines)(folder)


@pytest.fixture(scope="module")
def server(start, home):
    return start(home.folder, SETTINGS)


def predict(server, kit, n_rows=230, as_of="latest", timeout=120.0) -> httpx.Response:
    headers = {"x-api-key": server.key, "content-type": JSON}
    body = kit.json_body(kit.candles(n_rows), as_of=as_of)
    return httpx.post(server.url + "/predict", content=body, headers=headers, timeout=timeout)


def shadow(server, name: str) -> float:
    lines = dict(line.rsplit(" ", 1) for line in server.ask(path="/metrics").text.splitlines() if line[0] != "#")
    return float(lines.get(f"candlewright_shadow_{name}", 0))


def test_the_same_request_twice_is_the_same_answer(server, kit):
    for as_of in ("each", "latest"):
        assert predict(server, kit, as_of=as_of).content == predict(server, kit, as_of=as_of).content


def test_a_reload_of_both_lines_drops_no_request_and_mixes_no_chains(server, home, kit):
    """SRV-9: every reply over history has versions of one chain of each line, whatever was swapped meanwhile."""
    chains = {line: [set(version_names(server, line))] for line in LINES}
    answers, ended = [], threading.Event()

    def keep_asking():
        while not ended.is_set():
            response = predict(server, kit, as_of="each")
            rows = response.json()["rows"] if response.status_code == 200 else []
            versions = ({row["model_version"] for row in rows}, {row["direction_version"] for row in rows})
            answers.append((response.status_code, *versions))

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(keep_asking) for _ in range(2)]
        try:
            for seed in (10, 20, 30):
                for line in LINES:
                    names = [home.add(bar, seed + bar, line) for bar in (150 + seed, 200 + seed)]
                    chains[line].append(set(names))
                    home.publish(*names, line=line)
                server.wait_for(lambda new=names[-1]: any(new in each[2] for each in answers[-2:]))
        finally:
            ended.set()
        for each in asking:
            each.result()
    assert {code for code, *_ in answers} == {200}
    for _, unified, direction in answers:
        for line, found in zip(LINES, (unified, direction), strict=True):
            assert any(found - {None} <= chain for chain in chains[line])


def version_names(server, line: str) -> list[str]:
    [found] = [each for each in server.ask(path="/models").json()["lines"] if each["name"] == line]
    return [each["version"] for each in found["versions"]]


def test_a_registry_that_vanishes_leaves_what_serves(server, home, kit):
    away = home.folder.with_name("away")
    for stand_in in ("nothing", "a file"):
        home.folder.rename(away)
        if stand_in == "a file":
            home.folder.write_text("not a folder")
        time.sleep(0.4)  # some looks long
        assert predict(server, kit).status_code == 200
        home.folder.unlink(missing_ok=True)
        away.rename(home.folder)
    newest = home.add(190, 77)
    home.publish(newest)
    server.wait_for(lambda: version_names(server, "unified-15m") == [newest])
    assert predict(server, kit).json()["rows"][0]["model_version"] == newest


def test_a_disk_that_takes_nothing_stops_no_answer(server, home, kit):
    """Serials and shadow answers cannot be written; live answers go on, a reload too, and all recovers by itself."""
    champion, challenger = home.add(190, 78), home.add(190, 79)
    process = psutil.Process(server.process.pid)
    before = process.rlimit(psutil.RLIMIT_FSIZE)
    process.rlimit(psutil.RLIMIT_FSIZE, (0, before[1]))
    try:
        home.publish_aliases({"champion": champion, "challenger": challenger}, champion)
        server.wait_for(lambda: predict(server, kit).json()["rows"][0]["model_version"] == champion)
        server.wait_for(lambda: shadow(server, 'dropped_total{reason="store"}') > 0)
        assert server.ask().status_code == 200
    finally:
        process.rlimit(psutil.RLIMIT_FSIZE, before)
    assert predict(server, kit, 231).status_code == 200
    server.wait_for(lambda: shadow(server, 'scored_total{kind="unified_patchtst"}') > 0)


def test_a_frozen_service_costs_a_timeout_and_comes_back(server, kit):
    """SIGSTOP for seconds while eight clients ask: they time out; after SIGCONT the same process answers all."""
    server.process.send_signal(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(predict, server, kit, timeout=0.5) for _ in range(24)]
            assert all(isinstance(each.exception(kit.watchdog_s), httpx.TimeoutException) for each in asked)
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert server.wait_for(lambda: predict(server, kit, timeout=5)).status_code == 200
    with ThreadPoolExecutor(8) as pool:
        assert {each.status_code for each in pool.map(lambda _: predict(server, kit), range(16))} == {200}


def test_memory_stays_where_it_is_over_many_requests(server, kit):
    """No more than 20 kB a request, which is less than a request and its answer have."""
    process = psutil.Process(server.process.pid)
    frame = kit.candles(152)
    bodies = {
        JSON: kit.json_body(frame, as_of="latest"),
        ARROW: kit.arrow_body(frame, as_of="latest"),
    }
    with httpx.Client(headers={"x-api-key": kit.api_key}, timeout=kit.watchdog_s) as client:

        def ask(count: int) -> None:
            for k in range(count):
                kind = (JSON, ARROW)[k % 2]
                path = ("/predict", "/forecast", "/direction")[k % 3]
                response = client.post(server.url + path, content=bodies[kind], headers={"content-type": kind})
                assert response.status_code == 200

        ask(200)
        before = process.memory_info().rss
        ask(600)
    assert process.memory_info().rss - before < 12 << 20


def test_killed_in_the_middle_of_a_reload_it_serves_again(server, start, home, kit):
    """kill -9 while alias files change and requests run; what it remembered of serials is whole."""
    names = [home.add(150, 200 + k) for k in range(4)]
    with ThreadPoolExecutor(2) as pool:
        asking = pool.submit(lambda: [predict(server, kit) for _ in range(1000)])
        for k in range(8):
            home.publish(names[k % 4])
            time.sleep(0.03)
        server.stop(signal.SIGKILL)
        assert isinstance(asking.exception(kit.watchdog_s), httpx.TransportError)
    again = start(home.folder, SETTINGS)
    assert predict(again, kit).json()["rows"][0]["model_version"] == names[3]
    assert "cannot be read" not in again.log.read_text()
    home.publish(names[0])
    again.wait_for(lambda: version_names(again, "unified-15m") == [names[0]])
