"""`python -m nn --mode data|train|backtest|evaluate --config NAME`: the whole pipeline, a step at a time (TRN-1).

From: the command line. To: the command behind each step, with whatever options follow:

    data       nn.forecast.look    what a version could learn from: windows, classes, memory
    train      nn.forecast.train   walk-forward chains of signed versions
    backtest   nn.forecast.history forecasts of every candle, each by the version that existed at its close
    evaluate   nn.forecast.evaluate  a version beside the baselines; of a line policy-... nn.policy.judge

Exit codes are those of the command: 0; 1 if it failed on the way; 2 if it cannot be done, with one sentence why.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

MODES = {
    "data": "nn.forecast.look",
    "train": "nn.forecast.train",
    "backtest": "nn.forecast.history",
    "evaluate": "nn.forecast.evaluate",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one step; options that are not ours are the step's own."""
    given = argparse.ArgumentParser(
        prog="python -m nn", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="--mode NAME --help shows the options of a step", add_help=False, allow_abbrev=False,
    )  # fmt: skip
    given.add_argument("--mode", choices=list(MODES))
    options, rest = given.parse_known_args(arguments)
    if options.mode is None:
        given.print_help()
        return 0 if {"-h", "--help"} & set(rest) else 2
    return import_module(module_of(options.mode, rest)).main(rest)


def module_of(mode: str, rest: Sequence[str]) -> str:
    """Return the module behind a step: lines of trading policies are judged by what they earn."""
    named = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    named.add_argument("--line", default="")
    policy = named.parse_known_args(list(rest))[0].line.startswith("policy-")
    return "nn.policy.judge_line" if policy and mode == "evaluate" else MODES[mode]


if __name__ == "__main__":
    sys.exit(main())
