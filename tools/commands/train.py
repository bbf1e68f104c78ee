"""`train`: runs the trainer of `nn.forecast` on a data directory, for one model line or for both.

From: candles in Freqtrade's layout, `configs/nn`. To: MLflow, and signed versions in the registry that `serve` reads.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from tools.children import run_child
from tools.commands.registry import after_training
from tools.errors import UserError
from tools.home import Home

if TYPE_CHECKING:
    from collections.abc import Sequence


# What --model means to the trainer; the strategies need a line of both kinds.
MODELS = {"both": ("unified", "direction"), "unified": ("unified",), "patchtst": ("patchtst",),
          "direction": ("direction",), "mtst": ("mtst",)}  # fmt: skip

DOWNLOAD = "freqtrade download-data --exchange binance -- --days 700 --timeframes 15m 1h"
LINES = {"patchtst": "unified", "mtst": "direction"}  # first word of the line, where it is not the model's own


def data_directory(home: Home, datadir: Path | None) -> Path:
    """Return the data directory to use.

    Raises
    ------
    UserError
        If it is not there; the message says how to fill it.
    """
    chosen = (datadir or home.user_data / "data" / "binance").absolute()
    if not chosen.is_dir():
        fill = home.typed(DOWNLOAD)
        raise UserError(f"{chosen}: no such data directory; name one with --datadir, or fill it: `{fill}`")
    return chosen


def profile(word: str) -> str:
    """Return a profile's name as it is, and a file as the caller's folder has it: trainers run in the clone."""
    return str(Path(word).absolute()) if word.endswith((".yaml", ".yml")) else word


@dataclass(frozen=True)
class Training:
    """What is asked of the trainer; None leaves its own default."""

    datadir: Path | None = None
    pairs: Sequence[str] | None = None
    timeframe: str = "15m"
    model: str = "both"  # of MODELS
    walk_forward: int = 1
    period: str | None = None
    until: str | None = None
    config: Sequence[str] | None = None
    line: str | None = None
    tracking_uri: str | None = None
    seed: int = 7
    inner_folds: int = 0
    workers: int = 1
    ray_address: str | None = None


def train(asked: Training, output: TextIO | None = None) -> int:
    """Train and return the trainer's exit code; its result (one line per version) goes to `output`, else to stdout.

    Raises
    ------
    UserError
        If the model is unknown, or one line is named for both models.
    """
    if asked.model not in MODELS:
        raise UserError(f"--model {asked.model}: expected {', '.join(MODELS)}")
    if asked.line and len(MODELS[asked.model]) > 1:
        raise UserError(f"--line {asked.line}: both models cannot share a line; say --model unified or direction too")
    home = Home.find()
    home.make()
    datadir = data_directory(home, asked.datadir)
    # The tracking address may hold a password: it goes by the environment, which no process list shows.
    environment = home.child_environment(MLFLOW_TRACKING_URI=asked.tracking_uri or home.tracking_uri)
    for model in MODELS[asked.model]:
        argv = [*command(asked, datadir, model), "--registry", str(home.registry)]
        if code := run_child(argv, env=environment, cwd=home.root, stdout=output):
            return code
        after_training(home, asked.line or f"{LINES.get(model, model)}-{asked.timeframe}")
    return 0


def command(asked: Training, datadir: Path, model: str) -> list[str]:
    """Return the trainer's command line for one model."""
    argv = [sys.executable, "-m", "nn.forecast.train", "--model", model, "--datadir", str(datadir)]
    argv += ["--timeframe", asked.timeframe, "--walk-forward", str(asked.walk_forward), "--seed", str(asked.seed)]
    argv += ["--inner-folds", str(asked.inner_folds), "--workers", str(asked.workers)]
    for word in asked.config or ["base"]:
        argv += ["--config", profile(word)]
    for option in ("period", "until", "line", "ray_address"):
        value = getattr(asked, option)
        argv += [f"--{option.replace('_', '-')}", value] if value else []
    return argv + (["--pairs", *asked.pairs] if asked.pairs else [])
