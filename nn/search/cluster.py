"""Tasks on a Ray cluster, and the only file that knows Ray (SEA-4, SEA-5).

From: `workers`, tasks as JSON texts. To: whichever nodes have a free processor. Each task asks for one processor; this
package travels to the nodes with the job, while Python, its libraries, the compiled kernels and the folders that a task
names must be there, under the same paths.

Ray's job interface runs what it is sent and asks nobody who they are (CVE-2023-48022), and with the address 127.0.0.1
Ray 2.60 listens on all interfaces all the same, because it takes that for a slip. It believes it where clusters are
switched off, so that is what a loopback address sets here, before Ray is imported.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from .call import ONE_THREAD, Outcome, call

PACKAGE = Path(__file__).resolve().parents[1]
LOOPBACK_ONLY = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # "0": listen where --node-ip-address says, also on Linux
REACH_TIMEOUT_S = 5.0
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


class ClusterProblem(RuntimeError):
    """Ray is not installed, or its cluster cannot be reached."""


class Cluster:
    """The nodes behind an address: `host:port`, `auto`, or `local` for a Ray that lives as long as this object."""

    def __init__(self, function: str, address: str, memory: int | None = None) -> None:
        self.function = function
        self._ray = ray = import_ray(address)
        if address != "local":
            check_reachable(resolve(address))
        own = {"_node_ip_address": "127.0.0.1", "include_dashboard": False} if address == "local" else {}
        environment = {"env_vars": ONE_THREAD, "py_modules": [str(PACKAGE)]}
        try:
            ray.init(address=address, runtime_env=environment, configure_logging=False, **own)
        except Exception as error:  # Ray raises what its layers raise
            raise ClusterProblem(f"the Ray cluster at {address} cannot be used: {error}") from error
        # Ray's own retries are off: a task is tried again by `workers`, as often and in the same words as elsewhere.
        self._call = ray.remote(num_cpus=1, max_retries=0, memory=memory)(call)
        self._running: dict[Any, int] = {}

    def submit(self, index: int, task: str) -> None:
        self._running[self._call.remote(self.function, task)] = index

    def outcome(self) -> tuple[int, Outcome]:
        (reference,), _ = self._ray.wait(list(self._running), num_returns=1)
        index = self._running.pop(reference)
        try:
            return index, Outcome(*self._ray.get(reference))
        except self._ray.exceptions.RayError as error:  # the process or its node died, or memory ran out
            said = " ".join(str(error).split())
            return index, Outcome(None, f"{type(error).__name__}: {said[:300]}")

    def close(self) -> None:
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._ray.shutdown()


def import_ray(address: str) -> Any:
    """Return Ray, told to keep to loopback where the address does, and to send no usage statistics."""
    os.environ.update({name: os.environ.get(name, value) for name, value in QUIET.items()})
    if is_loopback(address):
        os.environ[LOOPBACK_ONLY] = "0"
    try:
        import ray
    except ImportError as error:
        raise ClusterProblem(
            'Ray is not installed, but a cluster address is given: pip install "candlewright[cluster]"'
        ) from error
    return ray


def resolve(address: str) -> str:
    """Return `host:port` of `auto`: RAY_ADDRESS, or what `ray start` wrote down last on this machine; else as it is."""
    if address != "auto":
        return address
    written = Path(os.environ.get("RAY_TMPDIR", tempfile.gettempdir())) / "ray" / "ray_current_cluster"
    return os.environ.get("RAY_ADDRESS") or (written.read_text().strip() if written.is_file() else "auto")


def is_loopback(address: str) -> bool:
    """Return whether the cluster behind an address is bound to loopback."""
    host = _host_port(resolve(address))[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in ("localhost", "local")


def check_reachable(address: str) -> None:
    """Raise ClusterProblem unless something listens there; Ray itself would try for minutes, then end the process."""
    host, port = _host_port(address)
    if not port.isdecimal():
        raise ClusterProblem(f"no Ray cluster at {address!r}, expected host:port, or auto beside a running `ray start`")
    try:
        socket.create_connection((host, int(port)), REACH_TIMEOUT_S).close()
    except OSError as error:
        raise ClusterProblem(f"the Ray cluster at {address} cannot be reached: {error}") from error


def _host_port(address: str) -> tuple[str, str]:
    host, _, port = address.rpartition(":")
    return (host.strip("[]"), port) if host else (port, "")


def head_command(host: str = "127.0.0.1", port: int = 6379, *more: str) -> tuple[list[str], dict[str, str]]:
    """Return command line and environment of a Ray head without dashboard that listens on `host` alone.

    Another host than loopback is an explicit wish: it is warned about, and Ray's own token is asked from everyone.
    """
    environment = {**os.environ, **QUIET}
    if is_loopback(f"{host}:{port}"):
        environment[LOOPBACK_ONLY] = "0"
    else:
        environment.setdefault("RAY_AUTH_MODE", "token")
        print(
            f"warning: the Ray head listens on {host}:{port}; whoever reaches it with the token of ~/.ray/auth_token"
            " runs any program on every node (CVE-2023-48022): keep it behind a firewall",
            file=sys.stderr,
        )
    argv = [str(Path(sys.executable).with_name("ray")), "start", "--head", f"--node-ip-address={host}"]
    return [*argv, f"--port={port}", "--include-dashboard=false", "--disable-usage-stats", *more], environment
