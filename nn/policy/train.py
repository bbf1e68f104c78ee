"""`python -m nn.policy.train --env NAME`: learn a policy for a Gymnasium environment and say what it earns.

With `--datadir` it is trading policies that are learned: see `train_trading`.

stdout: the return of every judged episode, one a line. stderr: the story. Exit code 0, 2 for a user's slip, 1 for a
training that broke.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from . import public


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if any(word.split("=")[0] == "--datadir" for word in words):
        from .train_trading import main as train_trading  # candles, MLflow and signatures: not for a public task

        return train_trading(words)
    options = parser().parse_args(words)
    if options.env is None:
        parser().error("expected --env NAME, a public task, or --datadir DIR, candles to learn trading on")
    return public.run(options)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m nn.policy.train", description=(__doc__ or "").splitlines()[0])
    made.add_argument("--env", metavar="NAME", help="Gymnasium id, such as CartPole-v1 (or --datadir, for candles)")
    made.add_argument("--config", metavar="NAME|FILE", help="of configs/nn/policy [that of the environment's name]")
    made.add_argument("--steps", type=int, help="instead of the config's total_steps")
    made.add_argument("--seed", type=natural, default=7, help="of weights, draws and the environment [7]")
    made.add_argument("--checkpoint", type=Path, metavar="FOLDER", help="keep the unfinished training there")
    made.add_argument("--resume", action="store_true", help="go on from what is in --checkpoint, if anything is")
    return made


def natural(word: str) -> int:
    """Return a whole number from 0 on."""
    if not word.isdecimal():
        raise argparse.ArgumentTypeError(f"{word!r}, expected a whole number from 0 on")
    return int(word)


if __name__ == "__main__":
    sys.exit(main())
