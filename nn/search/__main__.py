"""`python -m nn.search`: candles and a training profile in, the best configuration out, and what it is worth (SEA-1).

stdout: the path of the winner as a training profile. stderr: the story and the table. Exit code 0; 1 if trials or a
database failed on the way, or no trial was completed; 2 if what was asked for cannot be done; 130 after Ctrl-C. The
same command goes on where it stopped. The periods that `train --walk-forward N --period P` judges are never read.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ..forecast.train import MODELS, read_pairs
from ..forecast.train import main as train
from ..forecast.train import parser as train_parser

STORAGE_VARIABLE = "CANDLEWRIGHT_SEARCH_STORAGE"  # for an address with a password: process lists show arguments
POLICY = "policy"  # of --model: not a forecaster
VALUES = ("net return of a day", "weighted Sortino ratio of normal, choppy and trending spells")  # that are made large
TIMEFRAME = "15m"  # of forecasters; a policy's is in its config
ROUNDS = 3  # how often missing trials are started again, such as those of workers that were killed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    options = parser().parse_args(arguments)
    from ..registry.store import StoreProblem
    from .cluster import ClusterProblem
    from .workers import TasksFailed

    try:
        profile = search(options)
    except TasksFailed as error:  # not as it is: its parameters hold the address of the database
        return _fail("; ".join(failure.error for failure in error.failures), 1)
    except (StoreProblem, ClusterProblem, OSError, LookupError) as error:
        return _fail(error, 1)
    except ValueError as error:  # ConfigProblem, SpaceProblem, StudyProblem, BadCandles, TooLittleData
        return _fail(error, 2)
    except KeyboardInterrupt:
        return _fail("interrupted; the same command goes on", 130)
    print(profile)
    if options.train and options.model == POLICY:
        from ..policy.train_trading import main as train_policy

        return train_policy(train_arguments(options, profile))
    if options.train:
        return train(train_arguments(options, profile))
    return 0


def search(options: argparse.Namespace) -> Path:
    """Do what the options say; return the winner's profile."""
    from rich.console import Console

    from .space import layer_of
    from .study import open_study
    from .summary import profile, searched, summarise, table
    from .trials import options_of

    task = make_policy_task(options) if options.model == POLICY else make_task(options)
    study = open_study(options_of(task))
    run_trials(task, options.trials, options.workers, options.ray_address)
    trials = study.trials()
    found = summarise(trials)
    Console(stderr=True).print(table(trials, found, VALUES[options.model == POLICY]))
    if found is None:
        errors = {trial.error for trial in trials if trial.error}
        raise LookupError(f"no trial of study {task['study']['name']} was completed: {'; '.join(sorted(errors))}")
    folder = options.out / task["study"]["name"]
    folder.mkdir(parents=True, exist_ok=True)
    name = task["study"]["name"]
    layer = layer_of(found.best.parameters) | {"search": searched(name, found, task["config"]["search"])}
    if options.model == POLICY:  # whose trainer takes it from its configs
        layer["data"] = layer.get("data", {}) | {"timeframe": task["timeframe"]}
    text = profile(name, found, layer, VALUES[options.model == POLICY])
    written = [json.dumps(vars(trial)) for trial in trials]
    (folder / "trials.jsonl").write_text("\n".join(written) + "\n")
    (folder / "best.yaml").write_text(text)
    log(options, task, found, text, written)
    return folder / "best.yaml"


def make_task(options: argparse.Namespace) -> dict[str, Any]:
    """Return what every worker is told, its share of the trials aside."""
    from ..forecast.config import load_config
    from .space import layer_of, load_space

    kind, first_word, layers = MODELS[options.model]
    options.timeframe = options.timeframe or TIMEFRAME
    config = load_config([*layers, *(name for name in options.config or [] if name not in layers)])
    space = load_space(options.space or first_word)
    config.with_layer(layer_of(space.draw(options.seed, 0)))  # a name that no profile knows shall not cost a trial
    steps = options.inner_folds * config.fit.seeds * config.fit.epochs
    task = shared_terms(options, space, config.hash, first_word, steps, options.pairs)
    told = config.model_dump(mode="json", exclude={"candidates"})
    return task | {"run": "nn.search.trials:run_share", "kind": kind, "config": told}


def make_policy_task(options: argparse.Namespace) -> dict[str, Any]:
    """Return what every worker of a search over policies is told, its share of the trials aside."""
    from ..policy.trading_config import load_trading_config
    from .policy_objective import with_parameters
    from .space import SpaceProblem, load_space

    if options.extend:
        raise ValueError("--extend is of forecasters: training a policy begins its line's chain anew")
    config = load_trading_config(options.config or ["train"])
    options.timeframe = options.timeframe or config.data.timeframe
    config = with_parameters(config, {"data.timeframe": options.timeframe})
    space = load_space(options.space or POLICY)
    if space.spells is None:
        raise SpaceProblem(f"space {options.space or POLICY} has no spells, expected a weight for each kind of market")
    with_parameters(config, space.draw(options.seed, 0))  # a name that no config knows shall not cost a trial
    task = shared_terms(options, space, config.hash, POLICY, options.inner_folds, options.pairs or config.data.pairs)
    return task | {"run": "nn.search.policy_trials:run_share", "config": config.model_dump(mode="json")}


def shared_terms(
    options: argparse.Namespace, space: Any, config_hash: str, first_word: str, steps: int, pairs: Sequence[str] | None
) -> dict[str, Any]:
    """Return the study, the candles and the periods that judge its trials; the periods after them stay unread."""
    from ..data.candles import check_candles
    from ..forecast.dataset import cut
    from ..forecast.schedule import data_end, schedule

    frames = read_pairs(options.datadir, pairs, options.timeframe)
    end = data_end(frames, options.timeframe, options.until)
    until = schedule(end, options.walk_forward, options.period, options.timeframe)[0].trained_until
    inner = schedule(until, options.inner_folds, options.period, options.timeframe)
    known = {pair: cut(frame, options.timeframe, until) for pair, frame in frames.items()}
    prints = [check_candles(frame, pair, options.timeframe).fingerprint for pair, frame in known.items()]
    line = options.line or f"{first_word}-{options.timeframe}"
    print(
        f"search on candles up to {until:%Y-%m-%d %H:%M}, judged from {inner[0].valid_from:%Y-%m-%d %H:%M}; "
        f"{options.walk_forward} x {options.period.days} days after it stay unread",
        file=sys.stderr,
    )
    facts = {
        "config": config_hash[:16], "space": space.model_dump_json(), "pairs": " ".join(frames),
        "candles": " ".join(each[:16] for each in prints), "until": until.isoformat(),
        "inner_folds": str(options.inner_folds), "period": str(options.period), "seed": str(options.seed),
    }  # fmt: skip
    storage = (
        options.storage or os.environ.get(STORAGE_VARIABLE) or f"sqlite:///{(options.out / 'search.db').absolute()}"
    )
    study = {
        "name": options.study or line, "storage": storage, "space": space.model_dump(mode="json"), "seed": options.seed,
        "steps": steps, "facts": facts, "heartbeat_s": options.heartbeat, "sampler": options.sampler,
    }  # fmt: skip
    return {
        "study": study, "line": line, "datadir": str(options.datadir.absolute()), "pairs": list(frames),
        "timeframe": options.timeframe, "until": until.isoformat(), "inner_folds": options.inner_folds,
        "period_s": options.period.total_seconds(),
    }  # fmt: skip


def run_trials(task: dict[str, Any], n_trials: int, workers: int, address: str | None) -> None:
    """Share the missing trials among workers until there are so many."""
    from .study import open_study
    from .trials import options_of
    from .workers import run_tasks

    study = open_study(options_of(task))
    for _ in range(ROUNDS):
        missing = n_trials - sum(trial.counts for trial in study.trials())
        if missing <= 0:
            return
        begun = f"{datetime.now():%Y%m%dT%H%M%S}.{os.getpid()}"
        shares = [missing // workers + (number < missing % workers) for number in range(min(workers, missing))]
        tasks = [{**task, "n_trials": share, "worker": f"{begun}.{n}"} for n, share in enumerate(shares)]
        run_tasks(task["run"], tasks, len(tasks), address)


def log(options: argparse.Namespace, task: dict[str, Any], found: Any, text: str, trials: list[str]) -> None:
    """Put the study into MLflow: its terms, its winner, every trial with its returns."""
    from ..forecast.provenance import git_commit
    from ..registry.store import Store, tracking_uri

    name, facts = task["study"]["name"], task["study"]["facts"]
    store = Store(tracking_uri(options.tracking_uri), task["line"])
    params = {f"best.{key}": json.dumps(value) for key, value in found.best.parameters.items()}
    with store.run(f"search {name}", facts | params, {"search": name, "git_commit": git_commit()}) as run:
        run.log_metrics(found.metrics())
        run.log_text(text, "best.yaml")
        run.log_text("\n".join(trials), "trials.jsonl")


def train_arguments(options: argparse.Namespace, profile: Path) -> list[str]:
    """Return the command line that trains the winner, which then is the challenger."""
    argv = ["--datadir", str(options.datadir)]
    below = options.config or (["train"] if options.model == POLICY else [])
    if options.model != POLICY:
        argv += ["--model", options.model, "--timeframe", options.timeframe, "--workers", str(options.workers)]
        argv += ["--ray-address", options.ray_address] if options.ray_address else []
        argv += ["--extend"] if options.extend else []
    for name in [*below, str(profile)]:
        argv += ["--config", name]
    argv += [
        "--walk-forward",
        str(options.walk_forward),
        "--period",
        f"{round(options.period.total_seconds() / 3600)}h",
    ]
    argv += ["--seed", str(options.seed), "--registry", str(options.registry)]
    for name in ("until", "line", "checkpoints"):
        value = getattr(options, name)
        text = value.isoformat() if isinstance(value, datetime) else str(value)
        argv += [f"--{name.replace('_', '-')}", text] if value else []
    if options.tracking_uri:
        os.environ["MLFLOW_TRACKING_URI"] = options.tracking_uri
    return argv + (["--pairs", *options.pairs] if options.pairs else [])


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line: all that training knows, and what a search adds."""
    made = argparse.ArgumentParser(
        prog="python -m nn.search", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[train_parser()], add_help=False, conflict_handler="resolve",
    )  # fmt: skip
    made.add_argument(
        "--model", choices=[*MODELS, POLICY], default="unified",
        help="what is searched for: a forecaster, or policy, whose --config are those of nn.policy.train [unified]",
    )  # fmt: skip
    made.add_argument("--timeframe", help="length of a candle [15m, of a policy that of its config]")
    made.add_argument("--trials", type=int, default=20, metavar="N", help="trials that the study shall have [20]")
    made.add_argument("--space", metavar="NAME|FILE", help="what may change, of configs/nn/search [as --model]")
    made.add_argument("--study", metavar="NAME", help="name under which it goes on [the line]")
    made.add_argument("--storage", metavar="URL", help=f"database [{STORAGE_VARIABLE}, else SQLite in --out]")
    made.add_argument("--sampler", choices=("auto", "optuna", "random"), default="auto", help="[Optuna if installed]")
    made.add_argument("--out", type=Path, default=Path("user_data/search"), help="folder of results [user_data/search]")
    made.add_argument("--inner-folds", type=int, default=2, metavar="N", help="periods that judge each trial [2]")
    made.add_argument("--heartbeat", type=int, default=15, metavar="S", help="sign of life of a trial, seconds [15]")
    made.add_argument("--train", action="store_true", help="train the winner as a challenger")
    return made


def _fail(error: object, code: int) -> int:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
