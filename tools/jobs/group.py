"""The processes of one job: started as a group, watched against its limits, ended whole (JOB-2).

Every process of a job carries its id in the environment: so none is confused with a stranger, not after a restart of
the server and not when a process id is used again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from tools.home import VARIABLES, Home

MARK = "CANDLEWRIGHT_JOB"
LOOK_S = 0.25
GRACE_S = 5.0  # between asking and killing


@dataclass(frozen=True)
class Limits:
    seconds: float = 6 * 3600.0
    memory: int = 4 << 30  # bytes, of all processes of a job together
    processes: int = 8


@dataclass(frozen=True)
class Ending:
    state: str  # done, failed, cancelled
    reason: str


def run(
    home: Home, job: str, folder: Path, limits: Limits, cancelled: threading.Event,
    started: Callable[[int], None] = lambda pid: None,
) -> Ending:  # fmt: skip
    """Run a job to its end, however it comes; none of its processes is left then."""
    environment = {name: value for name, value in home.child_environment().items() if VARIABLES["jobs"] not in name}
    environment |= {MARK: job, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.jobs.work", str(folder), str(limits.memory)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=home.root,
            start_new_session=True,
        )  # fmt: skip
    try:
        started(process.pid)
        stopped = _watch(process, limits, cancelled)
    finally:
        end(job, process)
    if stopped is not None:
        return stopped
    if process.returncode:
        return Ending("failed", f"exit code {process.returncode}; its log says why")
    return Ending("done", "")


def _watch(process: subprocess.Popen, limits: Limits, cancelled: threading.Event) -> Ending | None:
    """Return why it has to stop, None once it has ended by itself."""
    deadline = time.monotonic() + limits.seconds
    while process.poll() is None:
        if cancelled.wait(LOOK_S):
            return Ending("cancelled", "cancelled by request")
        if time.monotonic() > deadline:
            return Ending("failed", f"ran longer than {limits.seconds:g} s")
        sizes = list(_sizes(process.pid))
        if len(sizes) > limits.processes:
            return Ending("failed", f"had {len(sizes)} processes, at most {limits.processes} are allowed")
        if sum(sizes) > limits.memory:
            return Ending("failed", f"used {sum(sizes) >> 20} MB, at most {limits.memory >> 20} MB are allowed")
    return None


def _sizes(pid: int):
    """Yield the resident bytes of a process and of its descendants."""
    try:
        leader = psutil.Process(pid)
        family = [leader, *leader.children(recursive=True)]
    except psutil.Error:
        return
    for member in family:
        try:
            yield member.memory_info().rss
        except psutil.Error:
            continue


def members(job: str) -> list[psutil.Process]:
    """Return every living process that carries this job's mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == job and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def end(job: str, process: subprocess.Popen | None = None) -> None:
    """End what is left of a job: asked first, killed after a while."""
    for signum in (signal.SIGTERM, signal.SIGKILL):
        left = members(job)
        for member in left:
            try:
                os.kill(member.pid, signum)
            except ProcessLookupError:
                continue
        psutil.wait_procs(left, timeout=GRACE_S)
    if process is not None:
        process.wait(GRACE_S)
