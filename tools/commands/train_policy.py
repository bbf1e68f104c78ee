"""`train-policy`: runs the trainer of `nn.policy` on a data directory: a chain of trading policies.

From: candles in Freqtrade's layout, `configs/nn/policy_*.yaml`. To: MLflow, and signed versions in the registry that
`serve` reads.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools.children import run_child
from tools.commands.registry import after_training
from tools.commands.train import data_directory, profile
from tools.home import Home

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class PolicyTraining:
    """What is asked of the trainer; None leaves its own default."""

    datadir: Path | None = None
    pairs: Sequence[str] | None = None
    config: Sequence[str] | None = None
    walk_forward: int = 1
    period: str | None = None
    until: str | None = None
    line: str = "policy-15m"
    steps: int | None = None
    seed: int = 7
    seeds: int = 1
    tracking_uri: str | None = None


def train_policy(asked: PolicyTraining) -> int:
    """Train and return the trainer's exit code; its result, one line per version, goes to stdout."""
    home = Home.find()
    home.make()
    # The tracking address may hold a password: it goes by the environment, which no process list shows.
    environment = home.child_environment(MLFLOW_TRACKING_URI=asked.tracking_uri or home.tracking_uri)
    argv = [*command(asked, data_directory(home, asked.datadir)), "--registry", str(home.registry)]
    if code := run_child(argv, env=environment, cwd=home.root):
        return code
    after_training(home, asked.line)
    return 0


def command(asked: PolicyTraining, datadir: Path) -> list[str]:
    """Return the trainer's command line."""
    argv = [sys.executable, "-m", "nn.policy.train", "--datadir", str(datadir)]
    for word in asked.config or ():
        argv += ["--config", profile(word)]
    for option in ("walk_forward", "period", "until", "line", "steps", "seed", "seeds"):
        value = getattr(asked, option)
        argv += [] if value is None else [f"--{option.replace('_', '-')}", str(value)]
    return argv + (["--pairs", *asked.pairs] if asked.pairs else [])
