"""Runs Freqtrade, unmodified, on layers of configuration that are merged into one private file.

From: `configs/freqtrade/*.json` (base, mode, exchange), the caller's overrides, secrets from the environment alone
(`FREQTRADE__SECTION__KEY`, which Freqtrade reads itself). To: a file of mode 0600 under `user_data/run/`, removed
when Freqtrade has ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.children import run_child
from tools.errors import UserError
from tools.services import tail

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tools.home import Home

SECRET_KEYS = {"key", "secret", "password", "uid", "token", "jwt_secret_key", "ws_token", "bearer_token"}
SIMULATED_PORT = 8086  # the port that configs/freqtrade/sim.json is written for


def merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return two configuration layers as one: objects are merged key by key, anything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def read_layer(path: Path) -> dict[str, Any]:
    """Read one layer.

    Raises
    ------
    UserError
        If the file is missing, is not a JSON object, or holds a secret (those come from the environment).
    """
    try:
        layer = json.loads(path.read_text())
    except FileNotFoundError:
        known = ", ".join(sorted(other.stem for other in path.parent.glob("*.json")))
        raise UserError(f"{path}: no such configuration layer; this folder has: {known or 'none'}") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error})") from None
    if not isinstance(layer, dict):
        raise UserError(f"{path}: a layer is a JSON object, this is a {type(layer).__name__}")
    if found := next(_secrets(layer, ""), None):
        variable = "FREQTRADE__" + found.replace(".", "__").upper()
        raise UserError(f"{path}: {found} holds a secret; delete it there and set {variable} in the environment")
    return layer


def merged_config(home: Home, layers: Sequence[str], overrides: dict[str, Any]) -> dict[str, Any]:
    """Return the layers of these names, left to right, with `overrides` above them all."""
    config: dict[str, Any] = {}
    for name in layers:
        path = Path(name) if name.endswith(".json") else home.configs / "freqtrade" / f"{name}.json"
        config = merge(config, read_layer(path))
    return merge(config, overrides)


def at_port(value: Any, port: int) -> Any:
    """Return a configuration with the simulated exchange's port replaced in every address."""
    if isinstance(value, dict):
        return {key: at_port(item, port) for key, item in value.items()}
    if isinstance(value, list):
        return [at_port(item, port) for item in value]
    if isinstance(value, str):
        return value.replace(f"127.0.0.1:{SIMULATED_PORT}", f"127.0.0.1:{port}")
    return value


@contextlib.contextmanager
def private_config(home: Home, config: dict[str, Any]) -> Iterator[Path]:
    """Write the merged configuration where only its owner can read it; remove it at the end."""
    home.run.mkdir(parents=True, exist_ok=True)
    path = home.run / f"freqtrade-{os.getpid()}.config"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(config, file, indent=1)
        yield path
    finally:
        path.unlink(missing_ok=True)


def run_freqtrade(
    home: Home,
    command: str,
    config: dict[str, Any],
    arguments: Sequence[str],
    log: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Run one Freqtrade command on a merged configuration and return its exit code.

    What Freqtrade says goes to stderr, because stdout carries our result; with `log` it goes to that file instead, and
    its end to stderr if Freqtrade fails.
    """
    with private_config(home, config) as path, contextlib.ExitStack() as stack:
        argv = [sys.executable, "-m", "freqtrade", command, "--config", str(path), "--userdir", str(home.user_data)]
        output = stack.enter_context(open(log, "ab")) if log else sys.stderr
        code = run_child(
            [*argv, *arguments],
            env=home.child_environment(**(environment or {})),
            cwd=home.root,
            stdout=output,
            stderr=subprocess.STDOUT if log else None,
        )
    if code and log:
        print(f"freqtrade {command} ended with exit code {code}; the end of {log}:\n{tail(log)}", file=sys.stderr)
    return code


def _secrets(layer: dict[str, Any], prefix: str) -> Iterator[str]:
    for key, value in layer.items():
        if isinstance(value, dict):
            yield from _secrets(value, f"{prefix}{key}.")
        elif key in SECRET_KEYS and isinstance(value, str) and value:
            yield f"{prefix}{key}"
