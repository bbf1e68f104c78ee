"""`serve`, `mlflow`, `exchange`, `jobs`: start one service, in the background unless asked otherwise.

From: the registry, MLflow's database, a data directory. To: `tools.services`, which keeps pid files and logs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tools.children import run_child
from tools.commands.say import say
from tools.commands.train import data_directory
from tools.errors import UserError
from tools.home import VARIABLES, Home
from tools.ports import LOOPBACK, holder, is_free
from tools.services import DEFAULT_PORTS, start

if TYPE_CHECKING:
    from collections.abc import Sequence


def service_command(port: int) -> list[str]:
    """Return the command line of the inference service; its key is read from a file, never passed here."""
    return [sys.executable, "-m", "nn.service", "--host", LOOPBACK, "--port", str(port)]


def mlflow_command(home: Home, port: int) -> list[str]:
    """Return the command line of the MLflow UI on loopback, answering to local host names alone."""
    return [
        *(sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(port)),
        *("--default-artifact-root", home.mlflow_artifacts.as_uri()),  # the database's address is in the environment
        *("--workers", "1", "--allowed-hosts", f"localhost:{port},{LOOPBACK}:{port}"),
    ]


def exchange_command(port: int, datadir: Path | None, pairs: Sequence[str] | None, days: int, seed: int) -> list[str]:
    """Return the command line of the simulated exchange: `datadir` replayed if there is one, else synthetic."""
    argv = [sys.executable, "-m", "tools.exchange", "--host", LOOPBACK, "--port", str(port)]
    if datadir is not None:
        return [*argv, "--datadir", str(datadir)]
    argv += ["--synthetic", "--seed", str(seed), "--days", str(days)]
    return [*argv, "--pairs", *pairs] if pairs else argv


def serve(port: int | None, foreground: bool) -> int:
    home = Home.find()
    home.make()
    port = port or DEFAULT_PORTS["service"]
    say_key(home, "service")
    return run(home, "service", service_command(port), port, foreground)


def mlflow(port: int | None, foreground: bool) -> int:
    home = Home.find()
    home.make()
    port = port or DEFAULT_PORTS["mlflow"]
    environment = home.child_environment(MLFLOW_BACKEND_STORE_URI=home.tracking_uri)
    return run(home, "mlflow", mlflow_command(home, port), port, foreground, environment)


def exchange(
    port: int | None, foreground: bool, datadir: Path | None, pairs: Sequence[str] | None, days: int, seed: int
) -> int:
    home = Home.find()
    home.make()
    port = port or DEFAULT_PORTS["exchange"]
    if datadir is not None:
        datadir = data_directory(home, datadir)
    return run(home, "exchange", exchange_command(port, datadir, pairs, days, seed), port, foreground)


def jobs(port: int | None, foreground: bool) -> int:
    home = Home.find()
    home.make()
    port = port or DEFAULT_PORTS["jobs"]
    say_key(home, "jobs")
    return run(home, "jobs", [sys.executable, "-m", "tools.jobs", "--port", str(port)], port, foreground)


def say_key(home: Home, name: str) -> None:
    """Say where the key lies that a caller sends, never the key."""
    say(f"its key, sent as X-API-KEY, is {key_place(home, name)}")


def key_place(home: Home, name: str) -> str:
    """Return where this installation has a key from, in words."""
    variable = VARIABLES[name]
    if os.environ.get(variable):
        return f"in the variable {variable}"
    return f"in {os.environ.get(f'{variable}_FILE') or home.secret_file(name)}"


def run(
    home: Home, name: str, command: list[str], port: int, foreground: bool, environment: dict[str, str] | None = None
) -> int:
    """Run a service here, or in the background; say where it answers."""
    if foreground:
        if not is_free(port):
            raise UserError(f"port {port} for {name} is taken by {holder(port)}; choose another with --port")
        return run_child(command, env=environment or home.child_environment(), cwd=home.root)
    say(f"starting {name} on port {port} (a busy machine takes a minute)")
    started = start(home, name, command, port, environment=environment)
    ends = home.typed(f"stop {name}")
    say(f"{name} answers at {started.url} (pid {started.pid}, log {started.log}); `{ends}` ends it")
    print(started.url)
    return 0
