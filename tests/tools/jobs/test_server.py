"""The job server on a real socket: its door, its queue, its limits, its end; and SRV-14 from request to gate."""

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from nn.registry.keys import read_keys
from nn.registry.manifest import load_aliases, load_version
from nn.registry.moves import read_moves
from tools.jobs.group import Limits
from tools.jobs.queue import Queue
from tools.jobs.schedule import Entry, Scheduler

from .job_server import ROOT, JobServer, make_home, marked, wait_for, write_candles

pytestmark = pytest.mark.e2e
OLD_KEY = "the-admin-key-before-the-rotation-0123456789"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server in the middle of a key rotation."""
    with JobServer(make_home(tmp_path_factory.mktemp("jobs")), CANDLEWRIGHT_JOBS_KEY_PREVIOUS=OLD_KEY) as server:
        yield server


def test_a_replaced_key_file_needs_no_restart(tmp_path):
    """LIM-1, JOB-1: the old key goes on for a while; the key of the inference service is none even then."""
    home = make_home(tmp_path)
    with JobServer(home) as server:
        new, old, path = "n" * 40, server.key, home.secret_file("jobs")
        fresh = path.with_name("fresh")
        for key in (home.secret("service"), new):
            fresh.write_text(key)
            fresh.chmod(0o600)
            fresh.replace(path)
            if key != new:
                wait_for(lambda: server.ask().status_code == 200 and "inference service" in server.log.read_text(), 120)
                assert server.ask(headers={"x-api-key": key}).status_code == 401
        wait_for(lambda: server.ask(headers={"x-api-key": new}).status_code == 200, 120)
        assert server.ask(headers={"x-api-key": old}).status_code == 200
        told = server.log.read_text()
        assert new not in told
        assert old not in told


def test_the_door(server):
    """LIM-1, LIM-3, LIM-4, LIM-7: the same answers as the inference service's."""
    json_type = {"content-type": "application/json"}
    asked = [
        (401, {"headers": {"x-api-key": "wrong" * 10}}),
        (401, {"headers": {"x-api-key": server.home.secret_file("service").read_text().strip()}}),
        (401, {"path": "/nothing", "headers": {"x-api-key": ""}}),
        (403, {"headers": {"host": "evil.example"}}),
        (404, {"path": "/nothing"}),
        (404, {"path": "/jobs/../../etc/passwd"}),
        (404, {"path": "/jobs/" + "0" * 32}),
        (405, {"path": "/train"}),
        (405, {"method": "DELETE"}),
        (415, {"method": "POST", "path": "/train", "content": b"x", "headers": {"content-type": "text/plain"}}),
        (415, {"method": "POST", "path": "/train", "content": b"x",
               "headers": {"content-type": "application/vnd.bentoml+pickle"}}),
        (413, {"method": "POST", "path": "/train", "content": b" " * (257 << 10), "headers": json_type}),
        (400, {"method": "POST", "path": "/train", "content": b"{", "headers": json_type}),
        (400, {"method": "POST", "path": "/train", "json": {"dataset": "a" * 64, "config": "gates"}}),
        (400, {"method": "POST", "path": "/train", "json": {"dataset": "a" * 64, "config": "service"}}),
        (404, {"method": "POST", "path": "/train", "json": {"dataset": "a" * 64, "config": "test"}}),
        (200, {"path": "/livez", "headers": {"x-api-key": ""}}),
        (200, {"headers": {"x-api-key": OLD_KEY}}),
        (200, {}),
    ]  # fmt: skip
    for status, request in asked:
        answer = server.ask(**request)
        assert (answer.status_code, request) == (status, request)
        assert set(answer.json()) == {"error", "reason"} or status == 200
    assert server.key not in server.log.read_text()


def test_one_runs_four_wait_and_the_next_is_told_to_come_back(server):
    """JOB-2; the logistic baseline learns what it is shown."""
    jobs = [server.post().json()["id"] for _ in range(5)]
    refused = server.post()
    assert (refused.status_code, refused.json()["error"]) == (429, "queue_full")
    assert "retry-after" in refused.headers
    for job in jobs[1:]:
        assert server.ask("DELETE", f"/jobs/{job}").json()["state"] == "cancelled"
    assert server.ask("DELETE", f"/jobs/{jobs[1]}").status_code == 409
    done = server.wait(jobs[0], "done", "failed")
    assert done["state"] == "done", (server.home.user_data / "jobs" / jobs[0] / "log.txt").read_text()
    assert done["report"]["accuracy"] == 1.0
    assert done["report"]["held_out_rows"] == 28
    assert not list(server.home.registry.iterdir())


def test_a_running_job_is_ended_with_all_its_processes(server):
    job = server.post().json()["id"]
    server.wait(job, "running")
    wait_for(lambda: job in marked(), 120)
    server.ask("DELETE", f"/jobs/{job}")
    assert server.wait(job, "cancelled")["reason"] == "cancelled by request"
    assert job not in marked()


@pytest.mark.parametrize(
    ("option", "words"),
    [("--max-seconds=0.3", "ran longer than 0.3 s"), ("--max-memory-mb=40", "used|exit code"),
     ("--max-processes=0", "had 1 processes")],
)  # fmt: skip
def test_a_job_over_its_limit_is_ended_and_says_so(tmp_path, option, words):
    with JobServer(make_home(tmp_path), option) as server:
        job = server.post().json()["id"]
        reason = server.wait(job, "failed")["reason"]
        assert any(word in reason for word in words.split("|"))
        assert job not in marked()


def test_a_server_killed_and_started_again_tells_what_was_lost(tmp_path):
    home = make_home(tmp_path)
    with JobServer(home) as server:
        running, waiting = server.post().json()["id"], server.post().json()["id"]
        wait_for(lambda: running in marked(), 120)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(120)
    with JobServer(home) as server:
        assert running not in marked()
        for job, was in ((running, "running"), (waiting, "queued")):
            found = server.ask(path=f"/jobs/{job}").json()
            assert (found["state"], found["reason"]) == ("lost", f"the job server ended while it was {was}")
        ended = server.post().json()["id"]
        wait_for(lambda: ended in marked(), 120)
        server.process.terminate()
        assert server.process.wait(120) == 0
        assert ended not in marked()


@pytest.mark.parametrize("key", [None, "short", "service"])
def test_without_an_own_long_key_it_does_not_start(tmp_path, key):
    home = make_home(tmp_path)
    path = home.secret_file("jobs")
    path.unlink()
    if key is not None:
        path.write_text(home.secret_file("service").read_text() if key == "service" else key)
        path.chmod(0o600)
    server = JobServer(home)
    done = subprocess.run(
        [sys.executable, "-m", "tools.jobs", "--port", "0"],
        cwd=ROOT, env=server.environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "key" in done.stderr
    assert "Traceback" not in done.stderr


def test_srv_14_from_request_to_gate(server):
    """POST /train, signed version stored, challenger visible, gate decides (SRV-14, JOB-3)."""
    write_candles(server.home.user_data / "data" / "synthetic")
    (dataset,) = server.ask(path="/datasets").json()["datasets"]
    asked = {"dataset": dataset["fingerprint"], "config": "test", "period": "3d"}
    answer = server.post(asked)
    assert answer.status_code == 202
    job = server.wait(answer.json()["id"], "done", "failed", seconds=400)
    assert job["state"] == "done", (server.home.user_data / "jobs" / job["id"] / "log.txt").read_text()[-4000:]

    line, keys = server.home.registry / "unified-15m", read_keys({
        "CANDLEWRIGHT_MODEL_KEY_FILE": str(server.home.secret_file("model"))})  # fmt: skip
    (version,) = job["report"]["versions"]
    manifest = load_version(line / version, keys).manifest
    assert manifest.valid_from == datetime(2025, 2, 10, tzinfo=UTC) - pd.Timedelta(days=3)
    aliases = load_aliases(line, keys)
    assert aliases.aliases == {"challenger": version}
    assert [move.action for move in read_moves(line, keys, aliases)] == ["publish"]
    assert job["report"]["gates_pass"] is False
    failed = {gate["id"] for gate in job["report"]["gates"] if not gate["passed"]}
    assert failed
    promoted = subprocess.run(
        [sys.executable, "-m", "tools", "promote"],
        cwd=ROOT, env=server.environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert promoted.returncode == 1, promoted.stderr
    assert load_aliases(line, keys).aliases == {"challenger": version}


def test_the_schedule_optimises_and_adds_to_the_chain(server, monkeypatch):
    """JOB-4, SEA-6, TRN-10 by doing it, after the job above: a fast clock, the real queue, a search and a training."""
    home, begin = server.home, datetime(2025, 2, 10, tzinfo=UTC)
    monkeypatch.setenv("CANDLEWRIGHT_USER_DATA", str(home.user_data))
    monkeypatch.delenv("CANDLEWRIGHT_REGISTRY", raising=False)
    line, keys = home.registry / "unified-15m", read_keys({
        "CANDLEWRIGHT_MODEL_KEY_FILE": str(home.secret_file("model"))})  # fmt: skip
    if not line.exists():
        test_srv_14_from_request_to_gate(server)
    before = load_aliases(line, keys)
    entry = Entry(task="optimise", enabled=True, begin=begin, dataset="synthetic", config="test", period="2d", trials=1,
                  inner_folds=1)  # fmt: skip
    moments = iter([begin, begin + timedelta(weeks=1)])
    queue = Queue(home, Limits())
    scheduler = Scheduler(home, queue, {"weekly": entry}, lambda: next(moments).timestamp())
    queue.begin()
    try:
        assert scheduler.tick() == []
        (job,) = scheduler.tick()
        wait_for(lambda: queue.find(job.id).state in ("done", "failed"), 300)
        assert queue.find(job.id).state == "done", (home.user_data / "jobs" / job.id / "log.txt").read_text()[-3000:]
    finally:
        queue.close()
    assert job.id not in marked()
    report, aliases = queue.report(job.id), load_aliases(line, keys)
    assert "trials: 1" in report["search"]
    assert aliases.chain == (*before.chain, *report["versions"])
    assert aliases.aliases == {"challenger": report["versions"][0]}
    assert [move.action for move in read_moves(line, keys, aliases)][-1] == "publish"
