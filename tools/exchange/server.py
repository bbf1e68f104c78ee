"""Bind to loopback and serve until told to stop.

From: `__main__.py`. To: Freqtrade, over HTTP.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import sys

import uvicorn
from fastapi import FastAPI

BACKLOG = 512
GRACE = 1  # seconds that open requests get when the server stops


class CannotServe(Exception):
    """The address is not one to serve on."""


def loopback(host: str) -> str:
    """Return the address of a loopback host; refuse any other: an exchange without keys is for this machine only."""
    address = "127.0.0.1" if host == "localhost" else host
    try:
        allowed = ipaddress.ip_address(address).is_loopback
    except ValueError:
        allowed = False
    if not allowed:
        raise CannotServe(f"host is {host}; the simulated exchange serves this machine only, expected 127.0.0.1 or ::1")
    return address


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to the port; 0 takes any free one."""
    address = loopback(host)
    if not 0 <= port <= 65535:
        raise CannotServe(f"port is {port}, expected 0 to 65535")
    bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((address, port))
        bound.listen(BACKLOG)  # now, because two sockets may share a bound port until one of them listens
    except OSError as error:
        bound.close()
        fault = "taken by another program" if error.errno == errno.EADDRINUSE else f"unusable ({error.strerror})"
        raise CannotServe(f"port {port} of {address} is {fault}; choose another with --port") from error
    return bound


class Server(uvicorn.Server):
    """uvicorn, saying where it listens once it does."""

    ready_line = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(self.ready_line, file=sys.stderr, flush=True)


def serve(app: FastAPI, bound: socket.socket, description: str) -> None:
    """Serve on a bound socket until SIGTERM or SIGINT."""
    host, port = bound.getsockname()[:2]
    server = Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE))
    server.ready_line = f"exchange ready at http://{f'[{host}]' if ':' in host else host}:{port} ({description})"
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises Ctrl-C again once it has shut down in peace
        server.run(sockets=[bound])
