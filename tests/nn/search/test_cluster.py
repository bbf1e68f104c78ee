"""SEA-4, SEA-5: a real Ray cluster of two nodes gives what local processes give, also when one node dies."""

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest
import yaml

from nn.forecast.walk_forward import Side
from nn.search.__main__ import main
from nn.search.cluster import ClusterProblem, head_command, is_loopback
from nn.search.workers import run_tasks

from .conftest import manifests

HERE = Path(__file__).parent
NODE = ("--num-cpus=1", "--object-store-memory=80000000", "--include-log-monitor=false", "--block")
# `ray start --address` has no second node on loopback; Ray's own tests make one as here (ray.cluster_utils.Cluster).
SECOND_NODE = """
import signal, sys
from ray._private.node import Node
from ray._private.parameter import RayParams
given = RayParams(gcs_address=sys.argv[1], temp_dir=sys.argv[2], node_ip_address="127.0.0.1", num_cpus=1,
                  object_store_memory=80000000, include_log_monitor=False)
node = Node(given, head=False, shutdown_at_exit=True, spawn_reaper=True)
print("second node runs", flush=True)
signal.pause()
"""


def quiet(done):
    pass


@contextlib.contextmanager
def running(argv, environment, log):
    """A Ray node: `ray start --block` and everything below it, killed at the end however that comes."""
    with open(log, "ab") as output:
        process = psutil.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield process
    finally:
        kill(process)


def kill(process):
    family = [process]
    with contextlib.suppress(psutil.NoSuchProcess):
        family += process.children(recursive=True)
    for each in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    assert psutil.wait_procs(family, timeout=120)[1] == []


def raylet(process):
    """Return the id of the node's raylet, the parent of its workers, once it runs."""
    for each in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if each.name() == "raylet":
                return each.pid
    return None


def wait_for(what, condition, log, timeout_s=120.0):
    end = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < end, f"{what}: not after {timeout_s} s\n{Path(log).read_text()}"
        time.sleep(0.05)
    return found


# Not importorskip: Ray reads its environment when it is imported, and `nn.search.cluster` sets it before that.
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")


@pytest.fixture(scope="module")
def two_nodes():
    """Address and the two `ray start` processes, each a node with one processor; /tmp keeps socket paths short."""
    folder = tempfile.mkdtemp(prefix="cw", dir="/tmp")
    log = f"{folder}/log"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    try:
        with contextlib.ExitStack() as nodes:
            environment = nodes.enter_context(pytest.MonkeyPatch.context())
            environment.setenv("PYTHONPATH", str(HERE))
            environment.setenv("RAY_AUTH_MODE", "disabled")  # whatever token lies in the home of who runs the tests
            head = nodes.enter_context(running(*head_command("127.0.0.1", port, f"--temp-dir={folder}", *NODE), log))
            wait_for("the head", lambda: "Ray runtime started" in Path(log).read_text(), log)
            argv = [sys.executable, "-c", SECOND_NODE, address, folder]
            second = nodes.enter_context(running(argv, head_command()[1], log))
            wait_for("the second node", lambda: "second node runs" in Path(log).read_text(), log)
            yield address, head, second
    finally:
        shutil.rmtree(folder)


POLICY = """
data: {episode_days: 1}
learning: {total_steps: 1024, n_copies: 8, network: {hidden: [8], n_quantiles: 21}, ppo: {n_steps: 64, epochs: 1}}
"""


@needs_ray
@pytest.mark.e2e
def test_policies_are_searched_on_two_nodes_as_here_and_the_winner_is_trained(
    two_nodes, tmp_path, capsys, monkeypatch, candles, write_market, empty_database
):
    """SEA-2 to SEA-4, EVA-9: the same trials and the same winner, whose judgement counts all that were tried."""
    pytest.importorskip("optuna", reason="Optuna is not installed")
    monkeypatch.setenv("CANDLEWRIGHT_MODEL_KEY", "k" * 40)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "small.yaml").write_text(POLICY)
    market = write_market(candles)

    def searched(name, *more):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(empty_database, folder / "mlflow.db")
        argv = [
            "--model", "policy", "--config", "train", "--config", str(tmp_path / "small.yaml"), "--datadir",
            str(market), "--walk-forward", "1", "--period", "2d", "--inner-folds", "1", "--trials", "4", "--sampler",
            "random", "--out", str(folder), "--registry", str(folder / "registry"), "--tracking-uri",
            f"sqlite:///{folder}/mlflow.db", *more,
        ]  # fmt: skip
        assert main(argv) == 0
        best, *versions = map(Path, capsys.readouterr().out.splitlines())
        return best.with_name("trials.jsonl").read_text(), best.read_text(), versions

    trials, best, (version,) = searched("cluster", "--workers", "2", "--ray-address", two_nodes[0], "--train")
    assert (trials, best) == searched("here", "--workers", "1")[:2]
    assert len(trials.splitlines()) == trials.count('"state": "complete"') == 4
    judged = json.loads(version.with_name(f"{version.name}.evaluation.json").read_text())["trading"]
    assert judged["trials"] == 4 + 1  # its own training is a try, too
    assert judged["trials_deviation"] == yaml.safe_load(best)["search"]["sharpe_deviation"] > 0
    assert json.loads((version.parent / "aliases.json").read_text())["aliases"] == {"challenger": version.name}


@needs_ray
@pytest.mark.e2e
def test_two_nodes_give_what_local_processes_give_and_the_loss_of_one_changes_nothing(
    two_nodes, tmp_path, capfd, chain, candles, write_market
):
    address, head, second = two_nodes
    side = Side(write_market(candles.tail(2200).reset_index(drop=True)), 2, address)
    assert manifests(chain("cluster", side)) == manifests(chain("here"))  # TRN-12: the folds of a chain
    assert "trained here" not in " ".join(capfd.readouterr().err.split())

    tasks = [{"seed": seed, "folder": str(tmp_path / "both"), "nodes": 2} for seed in range(4)]
    (tmp_path / "both").mkdir()
    on_cluster = run_tasks("search_tasks:on_a_node", tasks, address=address, on_done=quiet)
    assert {each.name.split("-")[-1] for each in (tmp_path / "both").iterdir()} == {
        str(raylet(head)),
        str(raylet(second)),
    }
    assert run_tasks("search_tasks:on_a_node", tasks, workers=2, on_done=quiet) == on_cluster

    for node in (head, second):  # SEA-5: nobody else's network reaches any of it
        listening = [
            connection.laddr.ip
            for process in [node, *node.children(recursive=True)]
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert set(listening) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
        assert listening

    lost = tmp_path / "lost"
    lost.mkdir()
    tasks = [{"seed": seed, "folder": str(lost), "wait_for": str(tmp_path / "node lost")} for seed in range(4)]
    number = raylet(second)

    def lose_a_node():
        try:
            wait_for("a task on the second node", lambda: list(lost.glob(f"*-node-{number}")), os.devnull)
            kill(second)
        finally:
            (tmp_path / "node lost").touch()

    killer = threading.Thread(target=lose_a_node)
    killer.start()
    assert run_tasks("search_tasks:on_a_node", tasks, address=address, on_done=quiet) == on_cluster
    killer.join()
    assert "is tried again" in capfd.readouterr().err
    hit = next(lost.glob(f"*-node-{number}")).name.split("-node-")[0]
    assert len(list(lost.glob(f"{hit}-node-*"))) == 2  # it ran again, on the node that is left


@needs_ray
def test_an_address_where_nobody_listens_is_a_sentence():
    with pytest.raises(ClusterProblem, match=r"the Ray cluster at 127\.0\.0\.1:9 cannot be reached"):
        run_tasks("m:f", [{}], address="127.0.0.1:9")


def test_a_head_keeps_to_loopback_unless_told_and_then_warns(monkeypatch, capsys):
    """SEA-5."""
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    argv, environment = head_command(port=7000)
    assert {"--node-ip-address=127.0.0.1", "--include-dashboard=false", "--disable-usage-stats"} <= set(argv)
    assert environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert capsys.readouterr().err == ""
    argv, environment = head_command("192.0.2.7", 7000)
    assert "--node-ip-address=192.0.2.7" in argv
    assert environment["RAY_AUTH_MODE"] == "token"
    assert "warning: the Ray head listens on 192.0.2.7:7000" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1:1", True), ("localhost:1", True), ("[::1]:1", True), ("local", True), ("192.0.2.7:6379", False),
     ("ray.example:6379", False)],
)  # fmt: skip
def test_loopback_is_told_from_a_network(address, expected):
    assert is_loopback(address) is expected


@pytest.mark.parametrize(("written", "expected"), [("127.0.0.1:6379", True), ("192.0.2.7:6379", False), (None, False)])
def test_auto_reads_which_cluster_was_started_here(tmp_path, monkeypatch, written, expected):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / "ray").mkdir()
    if written:
        (tmp_path / "ray" / "ray_current_cluster").write_text(written)
    assert is_loopback("auto") is expected
