"""`backtest` and `report`: Freqtrade's own backtest, with everything it asks for started beside it.

From: candles in a data directory, the registry's chain of versions. To: Freqtrade's result, a report in
`user_data/reports/`. The simulated exchange and, for neural strategies, the inference service live only as long
as the backtest, on free ports; a service that start.sh already runs is used as it is.
"""

from __future__ import annotations

import difflib
import json
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tools.commands.background import exchange_command, key_place, service_command
from tools.commands.freqtrade import layers
from tools.commands.say import say
from tools.commands.train import data_directory
from tools.errors import UserError
from tools.freqtrade import at_port, merged_config, run_freqtrade
from tools.home import Home
from tools.ports import free_port
from tools.services import Running, running, tail, temporary

if TYPE_CHECKING:
    from collections.abc import Sequence


SOURCES = {  # what a strategy asks for decisions with, and the kinds of the lines that decide then
    "forecast_source": {"unified_patchtst", "direction"},
    "policy_source": {"actor_critic"},
}


@dataclass(frozen=True)
class Backtest:
    """One finished backtest: where its parts lie."""

    strategy: str
    result: Path
    report: Path
    summary: dict[str, Any]


def backtest(
    strategies: Sequence[str],
    timerange: str | None,
    datadir: Path | None,
    pairs: Sequence[str] | None,
    timeframe: str | None,
    mode: str,
    exchange: str,
    rest: Sequence[str],
    micro: bool = False,
) -> int:
    """Run one backtest and report per strategy; return 0 if all of them finished."""
    home = Home.find()
    home.make()
    data = data_directory(home, datadir)
    done = run_backtests(home, strategies, timerange, data, pairs, timeframe, mode, exchange, rest, micro=micro)
    for each in done:
        print(each.report)
    return 0 if len(done) == len(strategies) else 1


def run_backtests(
    home: Home,
    strategies: Sequence[str],
    timerange: str | None,
    datadir: Path,
    pairs: Sequence[str] | None,
    timeframe: str | None,
    mode: str,
    exchange: str,
    rest: Sequence[str] = (),
    freqtrade_log: Path | None = None,
    micro: bool = False,
) -> list[Backtest]:
    """Start what the backtests need, run them one after the other, report each, end what was started.

    With `freqtrade_log`, Freqtrade's own words go there and not to the terminal. With `micro`,
    each report replays the orders in a book.
    """
    if not any(word.split("=")[0] == "--strategy-path" for word in rest):
        for name in strategies:
            require_strategy(home, name)
    overrides: dict[str, Any] = {"strategy_path": str(home.root / "strategies")}
    if pairs:
        overrides["exchange"] = {"pair_whitelist": list(pairs)}
    config = merged_config(home, layers(mode, exchange), overrides)
    done = []
    with ExitStack() as stack:
        if exchange == "sim":
            port = free_port()
            say("starting the simulated exchange for its list of markets")
            command = exchange_command(port, datadir, pairs, 0, 0)
            stack.enter_context(temporary(home, f"exchange-{port}", command, port))
            config = at_port(config, port)
        environment = {}
        wanted = set().union(*(lines_of(home, name) for name in strategies))
        if config.get("candlewright", {}).get("replay_file"):  # forecasts are in the file
            wanted -= SOURCES["forecast_source"]
        if wanted:
            environment["CANDLEWRIGHT_SERVICE_URL"] = service_url(home, stack, wanted)
        for name in strategies:
            log = home.logs / f"forecasts-{name}-{time.strftime('%Y%m%dT%H%M%S')}.jsonl"
            argv = ["--strategy", name, "--datadir", str(datadir), "--export", "trades", "--cache", "none"]
            argv += ["--timerange", timerange] if timerange else []
            argv += ["--timeframe", timeframe] if timeframe else []
            say(f"freqtrade backtesting {name}")
            began = time.monotonic()
            environment["CANDLEWRIGHT_FORECAST_LOG"] = str(log)
            before = last_result(home)
            code = run_freqtrade(home, "backtesting", config, [*argv, *rest], freqtrade_log, environment)
            result = last_result(home)
            if code or result is None or result == before:  # Freqtrade ends with 0 after options that it refuses
                why = f"ended with exit code {code}" if code else "ended without a result"
                words = f"in {freqtrade_log}" if freqtrade_log else "above"
                say(f"[red]freqtrade backtesting {name} {why}[/red]; its own words are {words}")
                continue
            say(f"{name}: backtest done in {time.monotonic() - began:.0f} s")
            if log.exists():
                log.rename(forecast_log(home, result))
            done.append(write_report(home, name, result, datadir, micro=micro))
    return done


def require_strategy(home: Home, name: str) -> None:
    """Refuse a strategy that neither this project nor the user's own folder has, before anything is started.

    Raises
    ------
    UserError
        The message names the nearest one.
    """
    folders = (home.root / "strategies", home.user_data / "strategies")
    paths = [path for folder in folders for path in folder.rglob("*.py") if path.is_file()]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in paths]  # the user's may be of any kind
    known = [found for text in texts for found in re.findall(r"^class (\w+)\(", text, re.MULTILINE)]
    if name not in known:
        nearest = difflib.get_close_matches(name, known, 1, 0.0)
        raise UserError(
            f"--strategy {name}: no such strategy in {folders[0]} or {folders[1]}; the nearest is {nearest[0]}; "
            "one that lies elsewhere is found by `-- --strategy-path FOLDER`"
        )


def lines_of(home: Home, strategy: str) -> set[str]:
    """Return the kinds of the lines that a strategy asks the service for; one of a user's own asks for forecasts."""
    for path in (home.root / "strategies").glob("*.py"):
        text = path.read_text()
        if f"class {strategy}(" in text:
            return set().union(*(kinds for source, kinds in SOURCES.items() if source in text))
    return SOURCES["forecast_source"]


def service_url(home: Home, stack: ExitStack, wanted: set[str]) -> str:
    """Return the address of the running service, or of one started for the length of the stack."""
    if (service := running(home, "service")) is not None:
        say(f"using the inference service at {service.url}")
        wait_for_model(home, service, wanted)
        return service.url
    port = free_port()
    say("starting the inference service")
    started = stack.enter_context(temporary(home, f"service-{port}", service_command(port), port))
    wait_for_model(home, started, wanted)
    return started.url


def wait_for_model(home: Home, service: Running, wanted: set[str], seconds: float = 5.0) -> None:
    """Wait until all lines are loaded that decisions take; a backtest needs their chains, not champions.

    If some are missing it is told and goes on: a strategy of the user's own may ask for no more.

    Raises
    ------
    UserError
        If there is none: a backtest without a single forecast would tell nothing. The message says why and what to do.
    """
    deadline = time.monotonic() + seconds
    headers = {"X-API-KEY": home.secret("service")}
    while True:
        try:
            answer = httpx.get(f"{service.url}/models", headers=headers, timeout=30.0, trust_env=False)
        except httpx.HTTPError as error:
            ends = home.typed(f"stop {service.name}")
            raise UserError(f"{service.url} does not answer ({error}); `{ends}` ends it") from None
        if answer.status_code == 401:
            raise UserError(f"{service.url} was started with another key than the one {key_place(home, 'service')}")
        kinds = {line["kind"] for line in answer.json()["lines"]} if answer.status_code == 200 else set()
        if kinds >= wanted:
            return
        if time.monotonic() > deadline:
            if kinds:
                missing = " or ".join(sorted(wanted - kinds))
                say(f"the inference service has no {missing} line: a strategy that asks it will not trade")
                return
            verb = "train-policy" if wanted == SOURCES["policy_source"] else "train"
            raise UserError(
                f"the inference service has no model that it may serve ({answer.text.strip()[:300]}); "
                f"train one with `{home.typed(verb)}`. The end of {service.log}:\n{tail(Path(service.log))}"
            )
        time.sleep(0.25)


def last_result(home: Home) -> Path | None:
    """Return the backtest result that Freqtrade wrote last, None if there is none."""
    folder = home.user_data / "backtest_results"
    try:
        return folder / json.loads((folder / ".last_result.json").read_text())["latest_backtest"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forecast_log(home: Home, result: Path) -> Path:
    """Return where the forecasts that a backtest was given are written down, if it asked for any."""
    return home.logs / f"forecasts-{result.stem.removeprefix('backtest-result-')}.jsonl"


def write_report(
    home: Home, strategy: str | None, result: Path, datadir: Path, out: Path | None = None, micro: bool = False
) -> Backtest:
    """Write the HTML page and its JSON beside each other and return where; without a name, of the result's strategy.

    Raises
    ------
    UserError
        If it cannot be written; the report has told why.
    """
    name = f"{strategy or 'report'}-{result.stem.removeprefix('backtest-result-')}.html"
    page = out or home.user_data / "reports" / name
    page.parent.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "tools.report", str(result), "--datadir", str(datadir)]
    argv += ["--out", str(page), "--json", str(page.with_suffix(".json"))]
    argv += ["--strategy", strategy] if strategy else []
    argv += ["--micro"] if micro else []
    argv += ["--forecast-log", str(log)] if (log := forecast_log(home, result)).exists() else []
    code = subprocess.run(argv, env=home.child_environment(), cwd=home.root, stdout=sys.stderr, check=False).returncode
    if code:
        raise UserError(f"the report on {result} could not be written (exit code {code}); its own words are above")
    say(f"report: {page}")
    summary = json.loads(page.with_suffix(".json").read_text())
    return Backtest(summary["run"]["strategy"], result, page, summary)


def report_again(result: Path | None, datadir: Path | None, out: Path | None, micro: bool = False) -> int:
    """`report`: write the page of an older result, or of the newest."""
    home = Home.find()
    home.make()
    chosen = result.absolute() if result else last_result(home)
    if chosen is None:
        raise UserError(
            f"{home.user_data / 'backtest_results'}: no backtest result; `{home.typed('backtest')}` makes one"
        )
    if not chosen.exists():
        raise UserError(f"{chosen}: no such backtest result")
    print(write_report(home, None, chosen, data_directory(home, datadir), out and out.absolute(), micro).report)
    return 0
