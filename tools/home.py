"""Where everything of one installation lies, and the environment that its processes are given.

From: `CANDLEWRIGHT_HOME` (set by start.sh; else the folder above this package) and the caller's own environment.
To: every command in `tools`, and through `child_environment` the service, the trainer and Freqtrade.
"""

from __future__ import annotations

import os
import secrets
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

VARIABLES = {"model": "CANDLEWRIGHT_MODEL_KEY", "service": "CANDLEWRIGHT_API_KEY", "jobs": "CANDLEWRIGHT_JOBS_KEY"}


@dataclass(frozen=True)
class Home:
    """The folders of one installation; `root` is the clone, `user_data` what running it writes."""

    root: Path
    user_data: Path

    @classmethod
    def find(cls) -> Home:
        """Return the home named by the environment, or the clone that this file lies in."""
        root = Path(os.environ.get("CANDLEWRIGHT_HOME") or Path(__file__).resolve().parents[1])
        return cls(root, Path(os.environ.get("CANDLEWRIGHT_USER_DATA") or root / "user_data").absolute())

    def typed(self, words: str) -> str:
        """Return a verb as a person types it to reach this folder."""
        elsewhere = self.user_data != (self.root / "user_data").absolute()
        option = f"--user-data {shlex.quote(str(self.user_data))} " if elsewhere else ""
        return f"tools/start.sh {option}{words}"

    @property
    def run(self) -> Path:
        """Pid files and merged configurations: gone when nothing runs."""
        return self.user_data / "run"

    @property
    def logs(self) -> Path:
        return self.user_data / "logs"

    @property
    def configs(self) -> Path:
        return self.root / "configs"

    @property
    def registry(self) -> Path:
        return Path(os.environ.get("CANDLEWRIGHT_REGISTRY") or self.user_data / "registry").absolute()

    @property
    def tracking_uri(self) -> str:
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.user_data / 'mlflow' / 'mlflow.db'}"

    @property
    def mlflow_artifacts(self) -> Path:
        return self.user_data / "mlflow" / "artifacts"

    def secret_file(self, name: str) -> Path:
        return self.user_data / "secrets" / f"{name}.key"

    def secret(self, name: str) -> str:
        """Return a key as this installation's services read it: from the environment, a file it names, or ours."""
        variable = VARIABLES[name]
        if text := os.environ.get(variable):
            return text.strip()
        return Path(os.environ.get(f"{variable}_FILE") or self.secret_file(name)).read_text(encoding="utf-8").strip()

    def make(self) -> None:
        """Make the folders, and the keys of this installation if there are none yet."""
        for folder in (self.run, self.logs, self.registry, self.user_data / "mlflow", self.user_data / "data"):
            folder.mkdir(parents=True, exist_ok=True)
        for name in VARIABLES:
            make_key(self.secret_file(name))

    def child_environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a child process: ours, plus where its room finds folders and keys.

        Keys travel as file names, never as values or arguments, so that no process list shows one.
        """
        own = {
            "CANDLEWRIGHT_HOME": str(self.root),
            "CANDLEWRIGHT_USER_DATA": str(self.user_data),
            "CANDLEWRIGHT_REGISTRY": str(self.registry),
            "CANDLEWRIGHT_FORECAST_CACHE": str(self.user_data / "cache" / "forecasts"),
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "BENTOML_DO_NOT_TRACK": "True",
        }
        for name in ("model", "service"):  # the admin key of the job server is for that server alone
            if (variable := VARIABLES[name]) not in os.environ:
                own.setdefault(f"{variable}_FILE", os.environ.get(f"{variable}_FILE", str(self.secret_file(name))))
        # The interpreter's own folder first: `freqtrade`, `bentoml` and `mlflow` are those of this environment.
        own["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        return {**os.environ, **own, **more}


def make_key(path: Path) -> bool:
    """Write a fresh random key of 64 hex digits, readable by its owner alone; return whether it was made.

    An existing key is never touched: replacing one makes every signature it wrote worthless.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return True
