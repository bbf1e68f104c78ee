"""Background services: started once, found again through a pid file, stopped only if we started them.

From: argument lists of `tools.commands`. To: `user_data/run/NAME.json` (pid, creation time, port) and
`user_data/logs/KIND.log`; a service of a backtest is named KIND-PORT. A pid file whose process is gone, or whose pid
belongs to another process by now, is stale.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil

from tools.errors import UserError
from tools.ports import LOOPBACK, holder, is_free

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tools.home import Home

DEFAULT_PORTS = {"service": 3000, "mlflow": 5000, "exchange": 8086, "datahub": 8082, "jobs": 8085}
CHILDREN: dict[int, subprocess.Popen] = {}  # what this process itself started, so that it can be waited for
READY_PATHS = {
    "service": "/livez",
    "mlflow": "/health",
    "exchange": "/api/v3/ping",
    "datahub": "/ping",
    "jobs": "/livez",
}


@dataclass(frozen=True)
class Running:
    """A service of ours that is alive."""

    name: str
    pid: int
    created: float  # seconds since the epoch, of the process: tells it from a later one with the same pid
    port: int
    log: str
    detail: str = ""

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def process(self) -> psutil.Process | None:
        """Return the process if it is still the one that was started."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return None
        return process if same else None

    def ready(self, timeout: float = 1.0) -> bool:
        """Return whether it answers on its port."""
        try:
            kind = self.name.split("-")[0]
            return httpx.get(self.url + READY_PATHS[kind], timeout=timeout, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False


def running(home: Home, name: str) -> Running | None:
    """Return the service of this name if we started it and it lives; forget it otherwise."""
    path = home.run / f"{name}.json"
    try:
        found = Running(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):  # a pid file cut short by a crash says nothing that can be trusted
        path.unlink(missing_ok=True)
        return None
    if found.process() is None:
        path.unlink(missing_ok=True)
        return None
    return found


def all_running(home: Home) -> list[Running]:
    """Return every live service of ours, by name."""
    return [found for path in sorted(home.run.glob("*.json")) if (found := running(home, path.stem))]


def start(
    home: Home,
    name: str,
    command: Sequence[str],
    port: int,
    *,
    environment: Mapping[str, str] | None = None,
    wait: float = 180.0,
    detail: str = "",
) -> Running:
    """Start a service in the background and return once it answers.

    Raises
    ------
    UserError
        If it runs already, the port is taken (the message says by whom), or it dies or stays silent for `wait` seconds.
    """
    if already := running(home, name):
        ends = home.typed(f"stop {name}")
        raise UserError(f"{name} runs already (pid {already.pid}, {already.url}); `{ends}` ends it")
    if not is_free(port):
        raise UserError(f"port {port} for {name} is taken by {holder(port)}; stop that, or choose another with --port")
    home.logs.mkdir(parents=True, exist_ok=True)
    home.run.mkdir(parents=True, exist_ok=True)
    log = home.logs / f"{name.split('-')[0]}.log"  # one file per kind, those of a backtest's own services too
    with open(log, "ab") as output:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment) if environment is not None else home.child_environment(),
            cwd=home.user_data.parent,
            start_new_session=True,  # a Ctrl-C in the terminal is not meant for a background service
        )
    CHILDREN[process.pid] = process
    started = Running(name, process.pid, psutil.Process(process.pid).create_time(), port, str(log), detail)
    try:
        write_json(home.run / f"{name}.json", asdict(started))
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise UserError(
                    f"{name} ended at once (exit code {process.returncode}); the end of {log}:\n{tail(log)}"
                )
            if started.ready():
                return started
            time.sleep(0.1)
        raise UserError(f"{name} did not answer on port {port} within {wait:.0f} s; the end of {log}:\n{tail(log)}")
    except BaseException:  # a Ctrl-C or a full disk included: nothing is left that `stop` could not find
        end(process.pid)
        (home.run / f"{name}.json").unlink(missing_ok=True)
        raise


def stop(home: Home, name: str, grace: float = 10.0) -> bool:
    """End a service that we started, with its children; return whether there was one."""
    found = running(home, name)
    if found is None:
        return False
    end(found.pid, grace)
    (home.run / f"{name}.json").unlink(missing_ok=True)
    return True


def end(pid: int, grace: float = 10.0) -> None:
    """End a process and its children: asked first, killed after `grace` seconds."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    for member in family:
        _signal(member, "terminate")
    _, alive = psutil.wait_procs(family, timeout=grace)
    for member in alive:
        _signal(member, "kill")
    psutil.wait_procs(alive, timeout=grace)
    if child := CHILDREN.pop(pid, None):
        child.wait(grace)


@contextmanager
def temporary(home: Home, name: str, command: Sequence[str], port: int, **options) -> Iterator[Running]:
    """Run a service for the length of a `with` block; it is stopped whatever happens inside."""
    started = start(home, name, command, port, **options)
    try:
        yield started
    finally:
        stop(home, name)


def tail(path: Path, lines: int = 15) -> str:
    """Return the last lines of a log, indented."""
    try:
        text = path.read_text(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return "    (no log)"
    return "\n".join(f"    {line}" for line in text)


def write_json(path: Path, value: object) -> None:
    """Write a small JSON file whole or not at all."""
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(value, indent=1))
    os.replace(partial, path)


def _signal(process: psutil.Process, action: str) -> None:
    try:
        getattr(process, action)()
    except psutil.NoSuchProcess:
        return
