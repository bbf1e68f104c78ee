"""`python -m nn.forecast.train --model unified|direction|mtst`: candles in, a chain of signed versions out.

stdout: one folder per version, oldest first. stderr: the story. Exit code 0; 1 if training or MLflow failed on the
way; 2 if what was asked for cannot be done, with one sentence that says why.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..data.candles import list_pairs, read_candles
from ..registry.files import ModelRefused
from ..registry.keys import read_keys
from .config import load_config
from .options import add_places, count, date, line_name, period, positive

# What --model means: kind of network, first word of its line, profiles below those that were asked for.
MODELS = {
    "unified": ("unified_patchtst", "unified", ("base",)),
    "patchtst": ("unified_patchtst", "unified", ("base",)),
    "direction": ("direction", "direction", ("base",)),
    "mtst": ("direction", "direction", ("base", "mtst")),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    options = parser().parse_args(arguments)
    from ..registry.store import StoreProblem  # imports of a second or two: after the options are known to be good
    from ..search.workers import TasksFailed
    from .fit import TrainingFailed

    try:
        for folder in train(options):
            print(folder)
    except (StoreProblem, TrainingFailed, TasksFailed, ModelRefused, OSError) as error:
        return _fail(error, 1)
    except ValueError as error:  # ConfigProblem, KeyProblem, BadCandles, TooLittleData, unknown features
        return _fail(error, 2)
    except KeyboardInterrupt:
        return _fail("interrupted; the chain is as it was before, and the same command goes on", 130)
    return 0


def train(options: argparse.Namespace) -> list[Path]:
    """Do what the options say; return the folders of the new versions."""
    from ..registry.store import Store, tracking_uri
    from .dataset import resolve_features
    from .progress import TrainingProgress
    from .walk_forward import Plan, Side, data_end, schedule, train_chain

    kind, first_word, _ = MODELS[options.model]
    config, keys = load_config(profiles(options)), read_keys()
    resolve_features(config.data.features, options.timeframe)
    frames = read_pairs(options.datadir, options.pairs, options.timeframe)
    end = data_end(frames, options.timeframe, options.until)
    if options.until is not None and options.until > end:
        print(f"note: the candles end at {end:%Y-%m-%d %H:%M}, before --until", file=sys.stderr)
    folds = schedule(end, options.walk_forward, options.period, options.timeframe)
    line = options.line or f"{first_word}-{options.timeframe}"
    side = None
    if options.workers > 1 or options.ray_address is not None:
        side = Side(options.datadir, options.workers, options.ray_address)
    checkpoints = options.checkpoints or options.registry.parent / "checkpoints"
    plan = Plan(
        line, options.timeframe, config, options.seed, options.registry, keys, kind, checkpoints,
        options.inner_folds, options.period, side, options.extend,
    )  # fmt: skip
    store = Store(tracking_uri(options.tracking_uri), line)
    with TrainingProgress(len(folds), config.fit.seeds * config.fit.epochs) as progress:
        return train_chain(plan, frames, folds, store, progress)


def profiles(options: argparse.Namespace) -> list[str]:
    """Return the profiles that a model lies on, and those that were asked for over them."""
    return [*MODELS[options.model][2], *(profile for profile in options.config or [] if profile != "base")]


def read_pairs(datadir: Path, pairs: Sequence[str] | None, timeframe: str) -> dict[str, pd.DataFrame]:
    """Return the checked candles of the pairs, of all that have this timeframe when none is named."""
    names = list(dict.fromkeys(pairs)) if pairs else list_pairs(datadir, timeframe)
    if not names:
        raise ValueError(f"{datadir} has no {timeframe} candles of any pair")
    frames = {}
    for pair in names:
        frames[pair], report = read_candles(datadir, pair, timeframe)
        print(report, file=sys.stderr)
    return frames


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m nn.forecast.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--model", choices=list(MODELS), default="unified",
        help="unified (also called patchtst): all 24 targets; direction: which way; mtst: the same, small [unified]",
    )  # fmt: skip
    made.add_argument("--config", action="append", metavar="NAME|FILE", help="profile, laid over those before [base]")
    made.add_argument("--datadir", type=Path, required=True, help="Freqtrade data directory of one exchange")
    made.add_argument("--pairs", nargs="+", metavar="PAIR", help="such as BTC/USDT:USDT [all with this timeframe]")
    made.add_argument("--timeframe", default="15m", help="length of a candle [15m]")
    made.add_argument("--walk-forward", type=int, default=3, metavar="N", help="versions in the chain [3]")
    made.add_argument("--period", type=period, default="31d", help="how long each is valid, such as 31d or 12h [31d]")
    made.add_argument("--until", type=date, metavar="DATE", help="end of the last period, UTC [end of the data]")
    made.add_argument("--seed", type=int, default=7, help="of first weights, dropout and order [7]")
    made.add_argument("--line", type=line_name, help="model line [unified-TIMEFRAME or direction-TIMEFRAME]")
    made.add_argument(
        "--inner-folds", type=count, default=0, metavar="N",
        help="periods before each version's end that choose among the profile's candidates [0: none]",
    )  # fmt: skip
    made.add_argument("--workers", type=positive, default=1, metavar="N", help="trainings side by side [1]")
    made.add_argument("--ray-address", metavar="HOST:PORT", help="Ray cluster that sees the same folders [none]")
    made.add_argument(
        "--extend", action="store_true",
        help="add to the line's chain: versions valid before these go on scoring history [begin a new chain]",
    )  # fmt: skip
    add_places(made)
    return made


def _fail(error: object, code: int) -> int:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
