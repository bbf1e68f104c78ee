"""The queue: one job runs, four wait, the next is refused; what happened survives a restart (JOB-2).

From: `app`. To: `user_data/jobs/ID/`: `job.json` (state), `request.json`, `log.txt`, `report.json`.
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections import deque
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from nn.service.errors import Refused
from tools.home import Home
from tools.jobs import group
from tools.jobs.group import Limits
from tools.jobs.requests import Request
from tools.services import write_json

logger = logging.getLogger(__name__)

WAITING = 4
SHOWN = 200  # jobs in one answer, newest first; all stay on disk
LIVE = ("queued", "running")


@dataclass(frozen=True)
class Job:
    """What GET /jobs/<id> tells; times are UTC."""

    id: str
    request: dict[str, Any]
    state: str = "queued"  # queued, running, done, failed, cancelled, lost
    reason: str = ""
    created: str = field(default_factory=lambda: now())
    started: str | None = None
    ended: str | None = None


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Queue:
    """Call `begin` once, `close` at the end; every method may be called from any thread."""

    def __init__(self, home: Home, limits: Limits) -> None:
        self.home, self.limits = home, limits
        self.folder = home.user_data / "jobs"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.jobs: dict[str, Job] = {}
        self.waiting: deque[str] = deque()
        self.changed = threading.Condition()
        self.cancelled: dict[str, threading.Event] = {}
        self.closing = False
        self.thread = threading.Thread(target=self._work, name="jobs", daemon=True)

    def begin(self) -> None:
        """Read what was there before; what a server before us left unfinished is ended and lost."""
        for path in sorted(self.folder.glob("*/job.json")):
            try:
                job = Job(**json.loads(path.read_text()))
            except (OSError, ValueError, TypeError) as error:
                logger.error("%s cannot be read (%s): this job is forgotten", path, error)
                continue
            if job.state in LIVE:
                group.end(job.id)
                job = replace(job, state="lost", ended=now(), reason=f"the job server ended while it was {job.state}")
                self._store(job)
            self.jobs[job.id] = job
        self.thread.start()

    def add(self, request: Request) -> Job:
        """Take a job in; `Refused` with 429 while one runs and four wait."""
        with self.changed:
            if len([job for job in self.jobs.values() if job.state in LIVE]) > WAITING:
                raise Refused(429, "queue_full", f"one job runs and {WAITING} wait; ask again later")
            job = Job(uuid.uuid4().hex, request.summary)
            folder = self.folder / job.id
            folder.mkdir(mode=0o700)
            write_json(folder / "request.json", request.model_dump())
            self._store(job)
            self.jobs[job.id] = job
            self.cancelled[job.id] = threading.Event()
            self.waiting.append(job.id)
            self.changed.notify_all()
            return job

    def find(self, job_id: str) -> Job:
        with self.changed:
            if (job := self.jobs.get(job_id)) is None:
                raise Refused(404, "no_job", "there is no job of this id")
            return job

    def all(self) -> list[Job]:
        """Return the jobs, newest first."""
        with self.changed:
            return sorted(self.jobs.values(), key=lambda job: job.created, reverse=True)[:SHOWN]

    def report(self, job_id: str) -> dict[str, Any] | None:
        path = self.folder / self.find(job_id).id / "report.json"
        return json.loads(path.read_text()) if path.exists() else None

    def cancel(self, job_id: str) -> Job:
        """End a job that waits or runs; one that has ended is refused with 409."""
        with self.changed:
            job = self.find(job_id)
            if job.state not in LIVE:
                raise Refused(409, "ended", f"the job is {job.state} already")
            self.cancelled[job_id].set()
            if job.state == "queued":
                self.waiting.remove(job_id)
                job = self._change(job_id, state="cancelled", ended=now(), reason="cancelled by request")
            return job

    def close(self) -> None:
        """End what runs; it and what waits are lost, and say so."""
        with self.changed:
            self.closing = True
            for job_id, job in list(self.jobs.items()):
                if job.state in LIVE:
                    self._change(
                        job_id, state="lost", ended=now(), reason=f"the job server ended while it was {job.state}"
                    )
                    self.cancelled[job_id].set()
            self.waiting.clear()
            self.changed.notify_all()
        self.thread.join(timeout=3 * group.GRACE_S)

    def _work(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.waiting or self.closing)
                if self.closing:
                    return
                job_id = self.waiting.popleft()
                self._change(job_id, state="running", started=now())
            try:
                ending = group.run(self.home, job_id, self.folder / job_id, self.limits, self.cancelled[job_id])
            except Exception as error:
                logger.exception("job %s could not be run", job_id)
                ending = group.Ending("failed", f"could not be run: {type(error).__name__}")
            with self.changed:
                if self.jobs[job_id].state == "running":
                    self._change(job_id, state=ending.state, reason=ending.reason, ended=now())
                self.cancelled.pop(job_id, None)

    def _change(self, job_id: str, **changes: Any) -> Job:
        self.jobs[job_id] = replace(self.jobs[job_id], **changes)
        self._store(self.jobs[job_id])
        return self.jobs[job_id]

    def _store(self, job: Job) -> None:
        try:
            write_json(self.folder / job.id / "job.json", asdict(job))
        except OSError as error:
            logger.error("job %s cannot be written (%s): a restart would not know it", job.id, error)
