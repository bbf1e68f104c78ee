"""`train`: runs the trainer of `nn.forecast` on a data directory.

From: candles in Freqtrade's layout, `configs/nn`. To: MLflow, and signed versions in the registry that `serve` reads.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from tools.children import run_child
from tools.errors import UserError
from tools.home import Home

if TYPE_CHECKING:
    from collections.abc import Sequence


def data_directory(home: Home, datadir: Path | None) -> Path:
    """Return the data directory to use.

    Raises
    ------
    UserError
        If it is not there; the message says how to fill it.
    """
    chosen = (datadir or home.user_data / "data" / "binance").absolute()
    if not chosen.is_dir():
        raise UserError(
            f"{chosen}: no such data directory; name one with --datadir, or fill it: "
            "`tools/start.sh freqtrade download-data --exchange binance -- --days 365 --timeframes 15m`"
        )
    return chosen


def train(
    datadir: Path | None,
    pairs: Sequence[str] | None,
    timeframe: str,
    walk_forward: int,
    period: str | None,
    until: str | None,
    config: Sequence[str] | None,
    line: str | None,
    tracking_uri: str | None,
    seed: int,
    output: TextIO | None = None,
) -> int:
    """Train and return the trainer's exit code; its result (one line per version) goes to `output`, else to stdout."""
    home = Home.find()
    home.make()
    argv = [sys.executable, "-m", "nn.forecast.train", "--datadir", str(data_directory(home, datadir))]
    argv += ["--timeframe", timeframe, "--walk-forward", str(walk_forward), "--seed", str(seed)]
    argv += ["--registry", str(home.registry)]
    for profile in config or ["base"]:
        argv += ["--config", profile]
    for option, value in (("--period", period), ("--until", until), ("--line", line)):
        argv += [option, value] if value else []
    argv += ["--pairs", *pairs] if pairs else []
    # The tracking address may hold a password: it goes by the environment, which no process list shows.
    environment = home.child_environment(MLFLOW_TRACKING_URI=tracking_uri or home.tracking_uri)
    return run_child(argv, env=environment, cwd=home.root, stdout=output)
