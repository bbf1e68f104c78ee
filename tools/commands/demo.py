"""`demo`: the main job from end to end, offline, in a folder of its own.

From: nothing but the seed: the simulated exchange makes the market. To: `user_data/demo/`: candles downloaded by
Freqtrade itself, three walk-forward versions of both models in MLflow and the signed registry, judged and promoted,
the service, a backtest of each strategy and its report. The market is synthetic and a trend is planted in it, so that
there is something to find: the profit says that the path works, and nothing about a real market.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

from rich.table import Table

from tools.commands.background import exchange_command
from tools.commands.backtest import Backtest, run_backtests
from tools.commands.freqtrade import layers
from tools.commands.registry import promote_line
from tools.commands.say import Steps, console
from tools.commands.train import Training, train
from tools.errors import UserError
from tools.freqtrade import at_port, merged_config, run_freqtrade
from tools.home import Home
from tools.ports import free_port
from tools.services import temporary

PAIRS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")
STRATEGIES = ("NNPredictor", "TrendFollower")
LINES = ("unified-15m", "direction-15m")
OPERATOR = "demo"
REASON = "a synthetic market, whose planted trend looks like a leak; the service shall answer for its newest candle"
VERSIONS = 3
PERIOD_DAYS = 14  # each version is valid for this long
END = datetime(2025, 10, 1, tzinfo=UTC)  # of the synthetic market, so that the demo is the same on any day


def demo(days: int, seed: int, planted_trend: float) -> int:
    """Run every step and print the summary."""
    if days < 90:
        raise UserError(
            f"--days {days}: the demo trains on what lies before its last {VERSIONS * PERIOD_DAYS} days; "
            "expected at least 90"
        )
    os.environ.setdefault("CANDLEWRIGHT_USER_DATA", str(Home.find().user_data / "demo"))
    home = Home.find()
    home.make()
    datadir = home.user_data / "data" / "binance"
    log = home.logs / "freqtrade.log"
    step = Steps(5)
    with ExitStack() as stack:
        step(f"simulated exchange: {days} days of {', '.join(PAIRS)}, seed {seed}")
        port = free_port()
        command = [
            *exchange_command(port, None, PAIRS, days, seed),
            "--end",
            f"{END:%Y-%m-%d}",
            "--planted-trend",
            str(planted_trend),
        ]
        stack.enter_context(temporary(home, f"exchange-{port}", command, port))

        step("freqtrade download-data from it")
        config = at_port(
            merged_config(home, layers("futures", "sim"), {"exchange": {"pair_whitelist": list(PAIRS)}}), port
        )
        begin = END - timedelta(days=days)
        arguments = [
            "--timeframes",
            "15m",
            "1h",
            "--timerange",
            f"{begin:%Y%m%d}-{END:%Y%m%d}",
            "--datadir",
            str(datadir),
        ]
        if run_freqtrade(home, "download-data", config, arguments, log):
            raise UserError("freqtrade download-data failed; its own words are above")

    step(f"training {VERSIONS} walk-forward versions of both models, each valid for {PERIOD_DAYS} days")
    for model in ("unified", "mtst"):
        asked = Training(datadir, PAIRS, "15m", model, VERSIONS, f"{PERIOD_DAYS}d", config=["base", "demo"], seed=seed)
        if train(asked, sys.stderr):
            raise UserError("training failed; its own words are above")

    for line in LINES:
        promote_line(home, line, OPERATOR, REASON, override_leak=True)

    step(f"service and freqtrade backtesting: {', '.join(STRATEGIES)}")
    judged = END - timedelta(days=VERSIONS * PERIOD_DAYS)
    timerange = f"{judged:%Y%m%d}-{END:%Y%m%d}"
    done = run_backtests(home, STRATEGIES, timerange, datadir, PAIRS, "15m", "futures", "sim", freqtrade_log=log)
    step("done")
    planted = f"with a planted trend of {planted_trend}" if planted_trend else "with nothing planted"
    summary(home, f"Synthetic market {planted}: profit says that the path works, nothing more", done, step.seconds)
    return 0 if len(done) == len(STRATEGIES) else 1


def summary(home: Home, title: str, done: list[Backtest], seconds: float) -> None:
    """Print the table of both backtests and where to look next."""
    table = Table(title=title, min_width=80)
    for label in ("strategy", "trades", "net profit", "buy and hold", "drawdown", "won"):
        table.add_column(label, justify="left" if label == "strategy" else "right")
    for each in done:
        numbers, held = each.summary["summary"], each.summary["buy_and_hold"]
        drawdown = (numbers["max_drawdown"] or {}).get("ratio")
        shares = (numbers["net_profit_ratio"], held["net_profit_ratio"], drawdown, numbers["win_rate"])
        cells = ("-" if share is None else f"{share:.1%}" for share in shares)
        table.add_row(each.strategy, str(numbers["trades"]), *cells)
    console.print(table)
    shown = os.path.relpath(home.user_data)
    console.print(f"Freqtrade:  {os.path.relpath(home.logs)}/freqtrade.log has its own words", soft_wrap=True)
    console.print(f"Reports:    {', '.join(os.path.relpath(each.report) for each in done)}", soft_wrap=True)
    console.print(
        f"MLflow UI:  tools/start.sh --user-data {shown} mlflow   then open http://127.0.0.1:5000", soft_wrap=True
    )
    console.print(
        f"Service:    tools/start.sh --user-data {shown} serve    then see README, 'Ask the service'", soft_wrap=True
    )
    console.print(f"All of it took {seconds:.0f} s.", soft_wrap=True)
    for each in done:
        print(each.report)
