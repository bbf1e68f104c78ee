"""The BentoML service `nn_infer`. From: BentoML's server, one process. To: `app`, which answers every request.

Models load in the constructor, never at import (SRV-2); without a champion the service lives and is not ready.
BentoML brings life cycle, packaging and server; its own routes and deserialisers are never reached, because `Front`
hands every request to the guarded application (KTW-13, KTW-14).
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")  # before BentoML looks: no telemetry

import bentoml
import torch
from starlette.types import ASGIApp, Receive, Scope, Send

from .app import ForecastApp
from .backends.choice import Backends
from .keys import Keyring, read_api_keys
from .settings import read_settings
from .shelf import Shelf

NAME = "nn_infer"
SWITCH_S = 0.0005  # how long history keeps the interpreter from a live request; Python's own 5 ms add up hop by hop
LOOPBACK, PORT = "127.0.0.1", 3000
TIMEOUT_S = 3600.0  # BentoML's own limit answers without a reason: ours come first, see `settings`


class Front:
    """ASGI middleware that takes every request out of BentoML's hands; only start and stop go on to it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        else:
            await bentoml.get_current_service().app.asgi(scope, receive, send)


class Inference:
    """Forecasts of signed models, each candle by the version that was allowed at its close."""

    def __init__(self) -> None:
        settings = read_settings()
        torch.set_num_threads(settings.torch_threads)
        sys.setswitchinterval(SWITCH_S)
        self.shelf = Shelf.of_environment(Backends(settings.backend, settings.precision))
        self.app = ForecastApp(self.shelf, Keyring(read_api_keys), settings)
        self.shelf.look()
        self.shelf.watch(settings.reload_interval_s)

    @bentoml.on_shutdown
    def close(self) -> None:
        self.app.challenger.close()
        self.app.watch.close()
        self.shelf.close()


nn_infer = bentoml.service(
    name=NAME,
    workers=1,
    http={"host": LOOPBACK, "port": PORT},
    traffic={"timeout": TIMEOUT_S},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)(Inference)
nn_infer.add_asgi_middleware(Front)
