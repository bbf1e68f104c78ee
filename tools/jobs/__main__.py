"""`python -m tools.jobs`: serve the admin endpoint of training jobs on loopback until SIGTERM.

From: the command line, the admin key. To: `app` and `queue`. Without a key of at least 32 characters it does not start.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import sys
from functools import partial

import uvicorn

from nn.service.connections import Connection
from nn.service.keys import ApiKeys, KeyProblem, Keyring, read_api_keys
from tools.children import raise_on_termination
from tools.errors import UserError
from tools.exchange.server import CannotServe, bind
from tools.home import VARIABLES, Home
from tools.jobs.app import JobApp
from tools.jobs.group import Limits
from tools.jobs.queue import Queue
from tools.jobs.schedule import Scheduler, read_fleet
from tools.ports import LOOPBACK
from tools.services import DEFAULT_PORTS


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tools.jobs", description="Training jobs on loopback.")
    made.add_argument("--port", type=int, default=DEFAULT_PORTS["jobs"], help="0 takes any free one [%(default)s]")
    made.add_argument("--max-seconds", type=float, default=Limits.seconds, help="of one job [%(default)s]")
    made.add_argument("--max-memory-mb", type=int, default=Limits.memory >> 20, help="of one job [%(default)s]")
    made.add_argument("--max-processes", type=int, default=Limits.processes, help="of one job [%(default)s]")
    return made


def admin_keys(home: Home) -> ApiKeys:
    """Return the admin keys; one that opens the inference service too is refused."""
    keys = read_api_keys(os.environ, VARIABLES["jobs"], home.secret_file("jobs"))
    there = home.secret_file("service").exists() or VARIABLES["service"] in os.environ
    if there and hashlib.sha256(home.secret("service").encode()).digest() in keys.digests:
        raise KeyProblem("the admin key of jobs is the key of the inference service; expected one of its own")
    return keys


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    home = Home.find()
    try:
        keys = Keyring(partial(admin_keys, home))
        fleet = read_fleet(home)
        bound = bind(LOOPBACK, options.port)
    except (KeyProblem, CannotServe, UserError) as error:
        print(f"jobs: {error}", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    queue = Queue(home, Limits(options.max_seconds, options.max_memory_mb << 20, options.max_processes))
    queue.begin()
    scheduler = Scheduler(home, queue, fleet.schedule)
    scheduler.begin()
    config = uvicorn.Config(
        JobApp(home, queue, keys, scheduler), log_config=None, access_log=False, server_header=False,
        proxy_headers=False, ws="none", http=Connection, lifespan="off", timeout_graceful_shutdown=1,
    )  # fmt: skip
    print(f"jobs ready at http://{LOOPBACK}:{bound.getsockname()[1]}", file=sys.stderr, flush=True)
    raise_on_termination()  # uvicorn raises a signal again once it has shut down: jobs must be ended then
    try:
        uvicorn.Server(config).run(sockets=[bound])
    except KeyboardInterrupt:
        logging.info("asked to end")
    finally:
        scheduler.close()
        queue.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
