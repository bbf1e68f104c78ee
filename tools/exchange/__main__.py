"""`python -m tools.exchange`: start the simulated exchange on a synthetic market or on a data directory.

From: the command line. To: `server.py`. stderr tells when it is ready; SIGTERM stops it.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from .datadir import datadir_market
from .market import Market
from .server import CannotServe, bind, serve
from .synthetic.market import synthetic_market
from .wire.app import create_app

PORT = 8086
PAIRS = ["BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"]
END = "2025-10-01"  # fixed, so that a seed alone names a market


def midnight(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="python -m tools.exchange", description="Binance's public REST on loopback.")
    command.add_argument("--host", default="127.0.0.1", help="loopback address (default %(default)s)")
    command.add_argument("--port", type=int, default=PORT, help="0 takes any free port (default %(default)s)")
    source = command.add_mutually_exclusive_group()
    source.add_argument("--synthetic", action="store_true", help="a seeded market (the default)")
    source.add_argument("--datadir", type=Path, help="serve this Freqtrade data directory, e.g. user_data/data/binance")
    market = command.add_argument_group("synthetic market")
    market.add_argument("--seed", type=int, default=7, help="the same seed gives the same market (default %(default)s)")
    market.add_argument("--pairs", nargs="+", default=PAIRS, metavar="PAIR", help="listed on spot and futures both")
    market.add_argument("--days", type=int, default=200, help="length of the history (default %(default)s)")
    market.add_argument("--end", type=midnight, default=END, help="the midnight at which it ends (default %(default)s)")
    market.add_argument("--timeframe", default="1m", help="finest candles, base of all others (default %(default)s)")
    market.add_argument("--planted-trend", type=float, default=0.0, help="a drift to forecast, 0 to 1 (0: fair games)")
    return command


def source_market(options: argparse.Namespace) -> Market:
    if options.datadir:
        return datadir_market(options.datadir)
    span = (options.days, options.end, options.timeframe)
    return synthetic_market(options.seed, options.pairs, *span, options.planted_trend)


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        bound = bind(options.host, options.port)  # first: a taken port should not cost the time to make a market
        with bound:
            market = source_market(options)
            serve(create_app(market), bound, market.description)
    except (CannotServe, ValueError) as error:
        print(f"exchange: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
