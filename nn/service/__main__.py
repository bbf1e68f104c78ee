"""Starts the inference service: `python -m nn.service [--host 127.0.0.1] [--port 3000] [--config FILE]`.

From: the command line and the environment. To: one process, which is BentoML's worker itself: its process manager would
open two more ports that take commands without a key, and leave a worker behind when it is killed.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import socket
import sys
import warnings
from collections.abc import Sequence

from .keys import KeyProblem, read_api_keys
from .settings import VARIABLE, BadSettings, ServiceSettings, read_settings

GRACE_S = 3  # seconds that requests in progress get after SIGTERM
KEEP_ALIVE_S = 75  # longer than the pause between two live requests of a one-minute strategy


class BadAddress(ValueError):
    """An address that the service may not or cannot listen on."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.config:
        os.environ[VARIABLE] = options.config
    try:
        settings = read_settings()
        read_api_keys()
        listener = listen(options.host, options.port, settings)
    except (KeyProblem, BadSettings, BadAddress) as error:
        print(f"nn.service: {error}", file=sys.stderr)
        return 2
    serve(listener, settings)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nn.service", description="Serve forecasts of signed models.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; not loopback only with allow_remote")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--config", metavar="FILE", help="settings, default configs/nn/service.yaml")
    return parser


def listen(host: str, port: int, settings: ServiceSettings) -> socket.socket:
    """Return a bound socket; refuse an address that is not loopback unless the settings allow it (SEC-1)."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise BadAddress(f"host is {host!r}, expected an IP address or localhost") from None
    if not address.is_loopback:
        if not settings.allow_remote:
            raise BadAddress(f"{host} is not a loopback address; allow_remote: true in the settings permits it")
        print(f"nn.service: WARNING: listening on {host}, which others can reach", file=sys.stderr)
    listener = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((str(address), port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise BadAddress(f"cannot listen on {host} port {port}: {error}") from error
    return listener


def serve(listener: socket.socket, settings: ServiceSettings) -> None:
    """Run the service in this process until a signal ends it."""
    os.environ.update({"OMP_NUM_THREADS": str(settings.torch_threads), "BENTOML_DO_NOT_TRACK": "True"})
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="pathspec")  # of BentoML's own imports
    import uvicorn  # after the environment is set: torch and BentoML read it when imported

    from .connections import Connection, allow_many
    from .service import NAME, nn_infer

    allow_many()
    configure_logging()
    host, port = listener.getsockname()[:2]
    print(f"{NAME} starts on http://{host}:{port}", file=sys.stderr, flush=True)
    config = uvicorn.Config(
        nn_infer.to_asgi(),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        http=Connection,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises Ctrl-C again once it has shut down in peace
        uvicorn.Server(config).run(sockets=[listener])


def configure_logging() -> None:
    """Log to stderr: time, level, place, sentence. Keys and bodies are never logged (LIM-8)."""
    import logging

    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, force=True, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for name in ("uvicorn.error", "bentoml", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
