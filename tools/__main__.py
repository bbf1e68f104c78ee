"""The verbs of `tools/start.sh`: names, options and help; the work is in `tools.commands`.

From: the command line. To: one function of `tools.commands` per verb, imported only when its verb is asked for, so
that an answer costs a fraction of a second. stdout carries the result, stderr the story, the exit code the verdict.
"""

from __future__ import annotations

import difflib
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tools.children import raise_on_termination
from tools.errors import UserError

UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # click's, wherever this typer keeps its click
app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # a fault of ours is a plain traceback, which is easier to send in
    help="Candlewright: Freqtrade strategies with forecasts from a served, versioned model.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)

INTERRUPTED = 130  # exit code after Ctrl-C or SIGTERM
SEVERAL = ("--pairs", "--strategy", "--config")  # options that take one or more values: `--pairs A B C`

Datadir = Annotated[Path | None, typer.Option(help="Freqtrade data directory [default: USER_DATA/data/binance].")]
Pairs = Annotated[list[str] | None, typer.Option(help="Pairs, such as BTC/USDT:USDT ETH/USDT:USDT.")]
Micro = Annotated[bool, typer.Option("--micro", help="Replay every order in a book and tell the haircut.")]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Port on 127.0.0.1 [default: the service's own].")]
Foreground = Annotated[bool, typer.Option("--foreground", help="Stay in this terminal; Ctrl-C ends it.")]
Seed = Annotated[int, typer.Option(help="Seed of all random draws.")]
Line = Annotated[str | None, typer.Option(help="Model line, such as unified-15m [default: the only one].")]
AnyLine = Annotated[str | None, typer.Option("--line", help="Model line, such as unified-15m [default: all].")]
Operator = Annotated[str | None, typer.Option(help="Who answers for the move.")]
Reason = Annotated[str | None, typer.Option(help="Why, for the move log.")]
Rest = Annotated[list[str] | None, typer.Argument(help="More arguments for the program behind the verb, after `--`.")]


@app.callback()
def main_options(
    user_data: Annotated[
        Path | None, typer.Option(help="Another folder for data, models, logs and keys [default: user_data].")
    ] = None,
) -> None:
    """Remember the options that stand before the verb."""
    if user_data is not None:
        os.environ["CANDLEWRIGHT_USER_DATA"] = str(user_data.absolute())


@app.command()
def demo(
    days: Annotated[int, typer.Option(help="Days of synthetic 15m candles.")] = 150,
    seed: Seed = 7,
    planted_trend: Annotated[float, typer.Option(help="What the market hides for a model to find; 0: nothing.")] = 0.4,
) -> int:
    """Do the main job offline: synthetic market, three model versions, service, two backtests, reports."""
    from tools.commands.demo import demo as run

    return run(days, seed, planted_trend)


@app.command("test")
def run_tests(
    fast: Annotated[bool, typer.Option("--fast", help="Leave out the slow and the end-to-end tests.")] = False,
    rest: Rest = None,
) -> int:
    """Lint, check types and run all tests."""
    from tools.commands.test import test as run

    return run(fast, rest or [])


@app.command()
def setup() -> int:
    """Make the environment, the folders and the keys; nothing else (every other verb does this first)."""
    from tools.commands.setup import setup as run

    return run()


WalkForward = Annotated[int, typer.Option(min=1, help="Versions in the chain, each valid for the period after it.")]
Period = Annotated[str | None, typer.Option(help="Length of one such period, such as 31d.")]
Until = Annotated[str | None, typer.Option(help="Ignore candles from this day on, such as 2025-10-01.")]
Timeframe = Annotated[str, typer.Option(help="Timeframe of the candles.")]
Profiles = Annotated[list[str] | None, typer.Option("--config", help="Profiles or YAML files, later ones win [base].")]
Workers = Annotated[int, typer.Option(min=1, help="Trainings side by side, in processes of their own.")]


@app.command()
def train(
    datadir: Datadir = None,
    pairs: Pairs = None,
    timeframe: Timeframe = "15m",
    model: Annotated[str, typer.Option(help="both, unified (or patchtst), direction, mtst.")] = "both",
    walk_forward: WalkForward = 1,
    period: Period = None,
    until: Until = None,
    config: Profiles = None,
    line: Annotated[str | None, typer.Option(help="Name of the model line [default: MODEL-TIMEFRAME].")] = None,
    tracking_uri: Annotated[str | None, typer.Option(help="MLflow server or database [default: SQLite].")] = None,
    seed: Seed = 7,
    inner_folds: Annotated[
        int, typer.Option(min=0, help="Inner folds that choose among the profile's candidates.")
    ] = 0,
    workers: Workers = 1,
    ray_address: Annotated[str | None, typer.Option(help="Ray cluster for the trainings, HOST:PORT.")] = None,
) -> int:
    """Train forecasters, log them in MLflow, sign them and hand them to the service; goes on after a kill."""
    from tools.commands.train import Training
    from tools.commands.train import train as run

    return run(
        Training(
            datadir,
            pairs,
            timeframe,
            model,
            walk_forward,
            period,
            until,
            config,
            line,
            tracking_uri,
            seed,
            inner_folds,
            workers,
            ray_address,
        )
    )


@app.command()
def search(
    datadir: Datadir = None,
    pairs: Pairs = None,
    timeframe: Annotated[
        str | None, typer.Option(help="Length of a candle [default: 15m, of a policy that of its config].")
    ] = None,
    model: Annotated[str, typer.Option(help="unified (or patchtst), direction, mtst, policy.")] = "unified",
    trials: Annotated[
        int, typer.Option(min=1, help="Trials that the study shall have; the same command goes on.")
    ] = 20,
    workers: Workers = 1,
    walk_forward: Annotated[
        int, typer.Option(min=1, help="Periods at the end that stay unread, as `train` judges.")
    ] = 3,
    period: Period = None,
    until: Until = None,
    config: Profiles = None,
    space: Annotated[str | None, typer.Option(help="What may change, of configs/nn/search [default: MODEL].")] = None,
    study: Annotated[str | None, typer.Option(help="Name of the study [default: the line].")] = None,
    storage: Annotated[str | None, typer.Option(help="Database, such as postgresql://... [default: SQLite].")] = None,
    ray_address: Annotated[str | None, typer.Option(help="Ray cluster for the trials, HOST:PORT.")] = None,
    tracking_uri: Annotated[str | None, typer.Option(help="MLflow server or database [default: SQLite].")] = None,
    winner: Annotated[bool, typer.Option("--train", help="Train the winner, which then is the challenger.")] = False,
    rest: Rest = None,
) -> int:
    """Search for a configuration by what it earns after costs, and say how much of that may be luck."""
    from tools.commands.search import search as run

    options = {
        "timeframe": timeframe, "model": model, "walk-forward": str(walk_forward), "period": period, "until": until,
        "space": space, "study": study, "ray-address": ray_address,
    }  # fmt: skip
    return run(datadir, pairs, trials, workers, options, config, storage, tracking_uri, winner, rest or [])


@app.command("train-unified")
def train_unified(
    datadir: Datadir = None,
    pairs: Pairs = None,
    timeframe: Timeframe = "15m",
    walk_forward: WalkForward = 3,
    period: Period = None,
    until: Until = None,
    config: Profiles = None,
    seed: Seed = 7,
) -> int:
    """Train the unified model from data to judged versions: three of them, one a month."""
    from tools.commands.train import Training
    from tools.commands.train import train as run

    return run(Training(datadir, pairs, timeframe, "unified", walk_forward, period, until, config, seed=seed))


@app.command("quick-direction")
def quick_direction(
    datadir: Datadir = None,
    pairs: Pairs = None,
    timeframe: Timeframe = "15m",
    walk_forward: WalkForward = 1,
    period: Period = None,
    until: Until = None,
    config: Profiles = None,
    seed: Seed = 7,
) -> int:
    """Train the small direction model from data to a judged version, in minutes."""
    from tools.commands.train import Training
    from tools.commands.train import train as run

    return run(Training(datadir, pairs, timeframe, "mtst", walk_forward, period, until, config, seed=seed))


@app.command("train-policy")
def train_policy(
    datadir: Datadir = None,
    pairs: Pairs = None,
    config: Annotated[
        list[str] | None, typer.Option("--config", help="configs/nn/policy_NAME.yaml or files, later ones win [train].")
    ] = None,
    walk_forward: WalkForward = 1,
    period: Period = None,
    until: Until = None,
    line: Annotated[str, typer.Option(help="Name of the model line.")] = "policy-15m",
    steps: Annotated[int | None, typer.Option(min=1, help="Of each training [default: the config's].")] = None,
    seed: Seed = 7,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each version, to tell skill from luck.")] = 1,
    tracking_uri: Annotated[str | None, typer.Option(help="MLflow server or database [default: SQLite].")] = None,
) -> int:
    """Train trading policies (PPO), log them in MLflow, judge and sign them; goes on after a kill."""
    from tools.commands.train_policy import PolicyTraining
    from tools.commands.train_policy import train_policy as run

    return run(
        PolicyTraining(datadir, pairs, config, walk_forward, period, until, line, steps, seed, seeds, tracking_uri)
    )


@app.command()
def versions(
    line: AnyLine = None,
    moves: Annotated[bool, typer.Option("--moves", help="The log: who moved which alias, when and why.")] = False,
    resign: Annotated[bool, typer.Option("--resign", help="Sign all again with the present key (rotation).")] = False,
) -> int:
    """List model versions with aliases, verdict and key figures."""
    from tools.commands.registry import versions as run

    return run(line, moves, resign)


@app.command()
def promote(
    line: Line = None,
    version: Annotated[str | None, typer.Option(help="Version to promote [default: the challenger].")] = None,
    operator: Operator = None,
    reason: Reason = None,
    override_leak: Annotated[
        bool, typer.Option("--override-leak", help="An accuracy too good to be honest is skill, says the operator.")
    ] = False,
) -> int:
    """Let a version trade if its gates allow it, or if a named operator wants it."""
    from tools.commands.registry import promote as run

    return run(line, version, operator, reason, override_leak)


@app.command()
def rollback(line: Line = None, operator: Operator = None, reason: Reason = None) -> int:
    """Let the champion before the present one trade again; a running service follows by itself."""
    from tools.commands.registry import rollback as run

    return run(line, operator, reason)


@app.command()
def jobs(port: Port = None, foreground: Foreground = False) -> int:
    """Start the training jobs' admin endpoint on 127.0.0.1:8085, with a key of its own."""
    from tools.commands.background import jobs as run

    return run(port, foreground)


@app.command()
def serve(port: Port = None, foreground: Foreground = False) -> int:
    """Start the inference service (BentoML) on 127.0.0.1:3000."""
    from tools.commands.background import serve as run

    return run(port, foreground)


@app.command()
def mlflow(port: Port = None, foreground: Foreground = False) -> int:
    """Start the MLflow UI on 127.0.0.1:5000."""
    from tools.commands.background import mlflow as run

    return run(port, foreground)


@app.command()
def exchange(
    port: Port = None,
    foreground: Foreground = False,
    datadir: Annotated[
        Path | None, typer.Option(help="Freqtrade data directory to replay [default: a synthetic market].")
    ] = None,
    pairs: Annotated[list[str] | None, typer.Option(help="Pairs of a synthetic market, such as BTC/USDT:USDT.")] = None,
    days: Annotated[int, typer.Option(min=1, max=3660, help="Days of synthetic candles.")] = 200,
    seed: Seed = 7,
) -> int:
    """Start the simulated exchange on 127.0.0.1:8086: a synthetic market, or a data directory replayed."""
    from tools.commands.background import exchange as run

    return run(port, foreground, datadir, pairs, days, seed)


@app.command()
def datahub(
    port: Port = None,
    foreground: Foreground = False,
    exchange: Annotated[str, typer.Option(help="sim, none, or ccxt's name of an exchange.")] = "sim",
    datadir: Annotated[Path | None, typer.Option(help="Freqtrade data directory, asked when all else is down.")] = None,
    bot: Annotated[str | None, typer.Option(help="A bot's REST API, such as http://127.0.0.1:8080.")] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Follow the bot's candles by its websocket.")] = False,
    pairs: Pairs = None,
    timeframe: Annotated[str, typer.Option(help="Of /health and of the bot.")] = "15m",
) -> int:
    """Start the datahub on 127.0.0.1:8082: last prices and candles, read only."""
    from tools.commands.datahub import datahub as run

    return run(port, foreground, exchange, datadir, bot, stream, pairs, timeframe)


@app.command()
def backtest(
    strategy: Annotated[list[str] | None, typer.Option(help="Strategies, one report each [NNPredictor].")] = None,
    timerange: Annotated[str | None, typer.Option(help="Freqtrade's form: 20250701-20250930.")] = None,
    datadir: Datadir = None,
    pairs: Pairs = None,
    timeframe: Annotated[str | None, typer.Option(help="Instead of the strategy's own.")] = None,
    mode: Annotated[str, typer.Option(help="futures or spot.")] = "futures",
    exchange: Annotated[str, typer.Option(help="sim (offline) or binance (its market list is asked).")] = "sim",
    micro: Micro = False,
    rest: Rest = None,
) -> int:
    """Run `freqtrade backtesting` with the served forecasts and write a report."""
    from tools.commands.backtest import backtest as run

    return run(strategy or ["NNPredictor"], timerange, datadir, pairs, timeframe, mode, exchange, rest or [], micro)


@app.command()
def freqtrade(
    rest: Annotated[
        list[str], typer.Argument(metavar="COMMAND", help="The Freqtrade command, then, after `--`, its arguments.")
    ],
    mode: Annotated[str, typer.Option(help="futures or spot.")] = "futures",
    exchange: Annotated[str, typer.Option(help="sim or binance.")] = "sim",
) -> int:
    """Run any Freqtrade command on the merged configuration, such as `freqtrade download-data -- --days 30`."""
    from tools.commands.freqtrade import freqtrade as run

    return run(rest[0], rest[1:], mode, exchange)


@app.command()
def report(
    result: Annotated[Path | None, typer.Argument(help="A backtest result [default: the newest].")] = None,
    datadir: Datadir = None,
    out: Annotated[Path | None, typer.Option(help="The HTML file to write.")] = None,
    micro: Micro = False,
) -> int:
    """Turn a backtest result into one HTML page."""
    from tools.commands.backtest import report_again

    return report_again(result, datadir, out, micro)


@app.command()
def status() -> int:
    """List the services that run, their ports and logs."""
    from tools.commands.status import status as run

    return run()


@app.command()
def stop(
    name: Annotated[str | None, typer.Argument(help="One service [default: all that were started here].")] = None,
) -> int:
    """End the services that start.sh started, and nothing else."""
    from tools.commands.status import stop as run

    return run(name)


@app.command()
def doctor(json: Annotated[bool, typer.Option("--json", help="Findings as JSON on stdout.")] = False) -> int:
    """Check Python, compiler, packages, ports, disk, data, registry, service and exchange."""
    from tools.commands.doctor import doctor as run

    return run(json)


@app.command("help")
def help_(verb: Annotated[str | None, typer.Argument(help="A verb.")] = None) -> int:
    """Show the verbs, or the options of one."""
    return main([verb, "--help"] if verb else ["--help"])


def spread(arguments: list[str]) -> list[str]:
    """Return `--pairs A B` as `--pairs A --pairs B`, which is what typer reads."""
    result: list[str] = []
    option = None
    for position, argument in enumerate(arguments):
        if argument == "--":
            return result + arguments[position:]
        if argument.startswith("-"):
            option = argument if argument in SEVERAL else None
        elif option and result[-1] != option:
            result.append(option)
        result.append(argument)
    return result


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return its exit code; a user's slip is one line, never a traceback."""
    arguments = sys.argv[1:] if arguments is None else arguments
    raise_on_termination()
    try:
        code = app(spread(arguments) or ["--help"], prog_name="tools/start.sh", standalone_mode=False)
    except UsageError as error:
        return complain(one_line(error))
    except UserError as error:
        return complain(str(error))
    except (KeyboardInterrupt, typer.Abort):
        return complain("interrupted", code=INTERRUPTED)
    return complain("interrupted", code) if code == INTERRUPTED else int(code or 0)  # typer makes a Ctrl-C a number


def one_line(error) -> str:
    """Return a slip of the command line as one line with the nearest known word."""
    message = error.format_message().splitlines()[0]
    if (option := getattr(error, "option_name", None)) and error.ctx is not None and message.startswith("No such"):
        known = [name for parameter in error.ctx.command.params for name in parameter.opts if name.startswith("--")]
        return f"no option {option}; the nearest known one is {nearest(option, known)}"
    if message.startswith("No such command"):
        verb = message.split("'")[1]
        known = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
        return f"no verb {verb}; the nearest known one is {nearest(verb, known)} (`tools/start.sh help` lists them)"
    verb = error.ctx.info_name if error.ctx is not None and error.ctx.parent is not None else ""
    return f"{message.rstrip('.')} (see `tools/start.sh help{' ' + verb if verb else ''}`)"


def nearest(word: str, known: list[str]) -> str:
    """Return the known word that is most like this one."""
    return max(known, key=lambda each: difflib.SequenceMatcher(None, word, each).ratio())


def complain(sentence: str, code: int = 2) -> int:
    print(f"candlewright: {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
