"""`python -m nn.policy.train --config train --datadir DIR`: candles in, a chain of signed trading policies out.

stdout: one folder per version, oldest first. stderr: the story. Exit code 0; 1 if training, the disk or MLflow failed
on the way; 2 if what was asked for cannot be done, with one sentence that says why.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..forecast.options import add_places, date, line_name, period, positive
from ..forecast.schedule import data_end, schedule
from ..forecast.train import read_pairs
from ..registry.files import ModelRefused
from ..registry.keys import read_keys
from .config import PolicyConfigProblem
from .trading_config import TradingConfig, load_trading_config


def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit code."""
    options = parser().parse_args(arguments)
    from ..registry.store import StoreProblem  # imports of a second or two: after the options are known to be good

    try:
        for folder in train(options):
            print(folder)
    except (StoreProblem, ModelRefused, ArithmeticError, OSError) as error:
        return _fail(error, 1)
    except ValueError as error:  # PolicyConfigProblem, KeyProblem, BadCandles, TooLittleData
        return _fail(error, 2)
    except KeyboardInterrupt:
        return _fail("interrupted; the chain is as it was before, and the same command goes on", 130)
    return 0


def train(options: argparse.Namespace) -> list[Path]:
    """Do what the options say; return the folders of the new versions."""
    from ..registry.store import Store, tracking_uri
    from .progress import PolicyProgress
    from .walk_forward import Plan, train_policies

    config, keys = configured(options), read_keys()
    timeframe = config.data.timeframe
    frames = read_pairs(options.datadir, options.pairs or config.data.pairs, timeframe)
    end = data_end(frames, timeframe, options.until)
    folds = schedule(end, options.walk_forward, options.period, timeframe)
    line = options.line or f"policy-{timeframe}"
    checkpoints = options.checkpoints or options.registry.parent / "checkpoints"
    plan = Plan(line, config, options.seed, options.seeds, options.registry, keys, checkpoints)
    store = Store(tracking_uri(options.tracking_uri), line)
    progress = PolicyProgress(len(folds) * options.seeds, config.learning.total_steps)
    return train_policies(plan, frames, folds, store, progress)


def configured(options: argparse.Namespace) -> TradingConfig:
    """Return the config that the options name, its number of steps replaced where they give one."""
    config = load_trading_config(options.config or ["train"])
    if options.steps is not None:
        config = config.model_copy(
            update={"learning": config.learning.model_copy(update={"total_steps": options.steps})}
        )
    learning = config.learning
    least = learning.ppo.n_steps * learning.n_copies
    if learning.total_steps < least:
        raise PolicyConfigProblem(f"total_steps is {learning.total_steps}, fewer than one round of {least} steps")
    return config


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m nn.policy.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--config", action="append", metavar="NAME|FILE", help="configs/nn/policy_NAME.yaml, later ones win [train]"
    )
    made.add_argument("--datadir", type=Path, required=True, help="Freqtrade data directory of one exchange")
    made.add_argument("--pairs", nargs="+", metavar="PAIR", help="such as BTC/USDT:USDT [the config's, else all]")
    made.add_argument("--walk-forward", type=positive, default=3, metavar="N", help="versions in the chain [3]")
    made.add_argument("--period", type=period, default="30d", help="how long each is valid, such as 30d or 12h [30d]")
    made.add_argument("--until", type=date, metavar="DATE", help="end of the last period, UTC [end of the data]")
    made.add_argument("--seed", type=int, default=7, help="of first weights, draws and the environment [7]")
    made.add_argument(
        "--seeds", type=positive, default=1, metavar="N",
        help="trainings of each version; the first is signed, all are judged, to tell skill from luck [1]",
    )  # fmt: skip
    made.add_argument("--steps", type=int, help="of each training, instead of the config's total_steps")
    made.add_argument("--line", type=line_name, help="model line [policy-TIMEFRAME]")
    add_places(made)
    return made


def _fail(error: object, code: int) -> int:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return code
