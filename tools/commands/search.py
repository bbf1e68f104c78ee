"""`search`: runs `nn.search` on a data directory. To: `user_data/search`, whose best.yaml `train --config` takes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tools.children import run_child
from tools.commands.train import data_directory, profile
from tools.home import Home


def search(
    datadir: Path | None,
    pairs: Sequence[str] | None,
    trials: int,
    workers: int,
    options: dict[str, str | None],
    config: Sequence[str] | None,
    storage: str | None,
    tracking_uri: str | None,
    train: bool,
    rest: Sequence[str],
) -> int:
    """Search and return the exit code; options without a value are left to `nn.search`."""
    home = Home.find()
    home.make()
    argv = [sys.executable, "-m", "nn.search", "--datadir", str(data_directory(home, datadir))]
    argv += ["--registry", str(home.registry), "--out", str(home.user_data / "search")]
    argv += ["--trials", str(trials), "--workers", str(workers)]
    for word in config or []:
        argv += ["--config", profile(word)]
    for name, value in options.items():
        argv += [f"--{name}", profile(value) if name == "space" else value] if value else []
    argv += ["--train"] if train else []
    argv += [*rest, *(["--pairs", *pairs] if pairs else [])]
    # Addresses may hold passwords: they go by the environment, which no process list shows.
    secret = {"CANDLEWRIGHT_SEARCH_STORAGE": storage} if storage else {}
    environment = home.child_environment(MLFLOW_TRACKING_URI=tracking_uri or home.tracking_uri, **secret)
    return run_child(argv, env=environment, cwd=home.root)
