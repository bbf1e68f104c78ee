"""`python -m tools.report rank`: strategies x pairs x periods, ordered by Sortino out of sample (EVA-8).

From: Freqtrade's own backtests, one per strategy, pair and period, run here; or reports that were written before. To: a
table on stdout, and `rank.json` and `rank.csv` with the lineage of every row: hash of the strategy's file, model
versions, fingerprint of the candles, hash of the config. A row of a model is out of sample by itself, since no candle
is scored by a version that did not exist; whether the rules of a strategy were made on the same candles, only who made
them can say. The best of many rows is luck in part, and the table says how many there were.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

from tools.errors import UserError

Document = dict[str, Any]
PERIOD = re.compile(r"\d{8}-\d{8}")
COLUMNS = (
    "rank", "strategy", "pair", "begin", "end", "sortino", "sharpe", "profit", "max_drawdown", "trades", "scored",
    "strategy_sha256", "model_versions", "data", "config_sha256",
)  # fmt: skip
SHOWN = ("rank", "strategy", "pair", "begin", "end", "sortino", "sharpe", "profit", "max_drawdown", "trades", "scored")


def main(arguments: Sequence[str]) -> int:
    """Return the exit code: 0 ranked, 1 some cells failed or nothing to rank, 2 wrong usage."""
    options = parser().parse_args(arguments)
    try:
        if options.reports:
            documents, failed = [read_document(path) for path in options.reports], 0
        else:
            documents, failed = run_matrix(options)
    except UserError as error:
        print(f"rank: {error}", file=sys.stderr)
        return 1
    if not documents:
        print("rank: no backtest finished, nothing to rank", file=sys.stderr)
        return 1
    rows = ranked(documents)
    write(rows, options.out)
    print(table(rows))
    if failed:
        print(f"rank: {failed} of {failed + len(documents)} backtests did not finish", file=sys.stderr)
    return 1 if failed else 0


def run_matrix(options: argparse.Namespace) -> tuple[list[Document], int]:
    """Run every cell; return the documents of those that finished, and how many did not."""
    from tools.commands.backtest import run_backtests
    from tools.commands.train import data_directory
    from tools.home import Home

    if not (options.strategies and options.pairs and options.periods):
        raise UserError("name --strategies, --pairs and --periods to run, or --reports to rank what is there")
    home = Home.find()
    home.make()
    datadir, documents, failed = data_directory(home, options.datadir), [], 0
    for period, pair in product(options.periods, options.pairs):
        try:
            done = run_backtests(
                home, options.strategies, period, datadir, [pair], options.timeframe, options.mode, options.exchange
            )
        except UserError as error:  # of this cell: no candles, no model; the others may do
            print(f"rank: {pair} {period}: {error}", file=sys.stderr)
            done = []
        documents += [each.summary for each in done]
        failed += len(options.strategies) - len(done)
    return documents, failed


def read_document(path: Path) -> Document:
    """Return the JSON of a report; UserError if it is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        row_of(found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no report of this project: {type(error).__name__} {error}") from None
    return found


def row_of(document: Document) -> dict[str, Any]:
    """Return a backtest as a row of COLUMNS, without its rank."""
    run, summary, lineage, models = (document[key] for key in ("run", "summary", "lineage", "model_versions"))
    versions = sorted({segment["version"] for segment in models["segments"]}) if models else []
    return {
        "strategy": run["strategy"],
        "pair": " ".join(pair["pair"] for pair in document["pairs"]) or " ".join(lineage["data"]),
        "begin": day(run["start"]),
        "end": day(run["end"]),
        "sortino": summary["sortino"],
        "sharpe": summary["sharpe"],
        "profit": summary["net_profit_ratio"],
        "max_drawdown": summary["max_drawdown"]["ratio"],
        "trades": summary["trades"],
        "scored": models["candles_scored"] / models["candles_asked"] if models and models["candles_asked"] else None,
        "strategy_sha256": lineage["strategy_sha256"],
        "model_versions": " ".join(versions),
        "data": " ".join(f"{pair}={mark}" for pair, mark in sorted(lineage["data"].items())),
        "config_sha256": lineage["config_sha256"],
    }


def ranked(documents: Iterable[Document]) -> list[dict[str, Any]]:
    """Return the rows, best Sortino first; rows without one, such as those without a loss or a trade, come last."""
    rows = sorted(map(row_of, documents), key=lambda row: (order(row["sortino"]), row["strategy"], row["begin"]))
    return [{"rank": number, **row} for number, row in enumerate(rows, 1)]


def order(sortino: float | None) -> float:
    return math.inf if sortino is None else -sortino


def day(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d}"


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as text, and what to make of the first."""
    shown: dict[str, Callable[[Any], str]] = {
        "sortino": "{:.2f}".format, "sharpe": "{:.2f}".format, "profit": "{:.2%}".format,
        "max_drawdown": "{:.2%}".format, "scored": "{:.0%}".format,
    }  # fmt: skip
    cells = [[*SHOWN]] + [
        ["-" if row[name] is None else shown.get(name, str)(row[name]) for name in SHOWN] for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join([*lines, f"{len(rows)} backtests were compared: the best of them looks better than it is."])


def write(rows: Sequence[dict[str, Any]], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rank.json").write_text(json.dumps(rows, indent=1, allow_nan=False), encoding="utf-8")
    with (folder / "rank.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tools.report rank", description=__doc__.splitlines()[0])
    made.add_argument("--strategies", nargs="+", metavar="NAME")
    made.add_argument("--pairs", nargs="+", metavar="PAIR", help="such as BTC/USDT:USDT; each alone")
    made.add_argument("--periods", nargs="+", type=_period, metavar="YYYYMMDD-YYYYMMDD")
    made.add_argument("--datadir", type=Path, help="Freqtrade data directory of one exchange")
    made.add_argument("--timeframe")
    made.add_argument("--mode", default="futures", choices=("futures", "spot"))
    made.add_argument("--exchange", default="sim", choices=("sim", "binance"))
    made.add_argument("--reports", nargs="+", type=Path, metavar="JSON", help="rank these reports, run nothing")
    made.add_argument("--out", type=Path, default=Path("user_data/reports"), help="folder [%(default)s]")
    return made


def _period(text: str) -> str:
    try:
        if not PERIOD.fullmatch(text):
            raise ValueError(text)
        begin, end = (datetime.strptime(part, "%Y%m%d") for part in text.split("-"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no period, expected one such as 20250701-20250801") from None
    if begin >= end:
        raise argparse.ArgumentTypeError(f"{text!r} ends before it begins")
    return text
