"""Starts the datahub: `python -m tools.datahub [--port 8082] [--exchange sim] [--datadir DIR] [--bot URL]`.

From: the command line; keys from the environment or a 0600 file (nn.service.keys), the bot's login from the variables
that Freqtrade reads itself. To: one process on loopback.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import logging
import os
import socket
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvicorn

from nn.service.connections import Connection
from nn.service.keys import KeyProblem, Keyring, read_api_keys
from tools.errors import UserError
from tools.exchange.server import CannotServe, bind
from tools.freqtrade import SIMULATED_PORT, at_port, merged_config
from tools.home import Home
from tools.ports import LOOPBACK

from .app import create_app
from .bot import Bot
from .cache import CandleCache
from .data_directory import DataDirectory
from .exchange import Exchange
from .hub import Hub
from .metrics import Metrics
from .stream import follow
from .symbols import Timeframe, parse_pair

if TYPE_CHECKING:
    from .source import Source

PORT = 8082
PAIRS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")
GRACE_S = 2
LOGIN = ("FREQTRADE__API_SERVER__USERNAME", "FREQTRADE__API_SERVER__PASSWORD", "FREQTRADE__API_SERVER__WS_TOKEN")


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="python -m tools.datahub", description="Prices and candles on loopback.")
    command.add_argument("--port", type=int, default=PORT, help="0 takes any free port (default %(default)s)")
    command.add_argument("--exchange", default="sim", help="sim, none, or ccxt's name of one (default %(default)s)")
    command.add_argument("--exchange-port", type=int, default=SIMULATED_PORT, help="of sim (default %(default)s)")
    command.add_argument("--datadir", type=Path, help="Freqtrade data directory, asked when all else is down")
    command.add_argument("--bot", metavar="URL", help="a bot's REST API, asked before the exchange")
    command.add_argument("--stream", action="store_true", help="follow the bot's message websocket as well")
    command.add_argument("--pairs", nargs="+", default=PAIRS, metavar="PAIR", help="what /health watches")
    command.add_argument(
        "--timeframe", default="15m", choices=[t.value for t in Timeframe], help="of /health and the bot"
    )
    command.add_argument("--cache-mb", type=int, default=512, help="most that the cache may hold (default %(default)s)")
    return command


def sources(options: argparse.Namespace, home: Home, offline: bool) -> list[Source]:
    """Return the sources in the order in which they are asked.

    Raises
    ------
    UserError
        If one cannot be made, or none was asked for.
    """
    found: list[Source] = []
    username, password, _ = (os.environ.get(name, "") for name in LOGIN)
    if options.bot:
        check_bot_url(options.bot, offline)
        found.append(Bot(options.bot, username, password, options.timeframe))
    if options.exchange != "none":
        exchange = "sim" if offline else options.exchange
        found.append(make_exchange(exchange, options.exchange_port, home))
    if options.datadir:
        if not options.datadir.is_dir():
            raise UserError(f"{options.datadir}: no such data directory")
        found.append(DataDirectory(options.datadir, options.timeframe))
    if not found:
        raise UserError("no source: name one with --exchange, --bot or --datadir")
    return found


def make_exchange(name: str, port: int, home: Home) -> Exchange:
    """Return an exchange, with the settings of its Freqtrade layer if it has one."""
    settings = {}
    if (home.configs / "freqtrade" / f"{name}.json").is_file():
        section = at_port(merged_config(home, [name], {}), port)["exchange"]
        name, settings = section.get("name", name), section.get("ccxt_config", {})
        if name == "binance":  # both markets in two requests; ccxt would read a third, settled in coins
            settings = {
                **settings,
                "options": {**settings.get("options", {}), "fetchMarkets": {"types": ["spot", "linear"]}},
            }
    try:
        return Exchange(name, settings)
    except ValueError as error:
        raise UserError(str(error)) from None


def check_bot_url(url: str, offline: bool) -> None:
    """Refuse what is no http address, has a login in it (process lists show it), or is not local when offline."""
    address = urlsplit(url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise UserError("--bot is no address, expected one such as http://127.0.0.1:8080")
    if address.username or address.password:
        raise UserError(f"--bot holds a login; leave it out and set {LOGIN[0]} and {LOGIN[1]} in the environment")
    try:
        local = address.hostname == "localhost" or ipaddress.ip_address(address.hostname).is_loopback
    except ValueError:
        local = False
    if offline and not local:
        raise UserError(f"--bot {address.hostname}: OFFLINE_MODE=1 keeps to this machine, expected a loopback address")
    if address.scheme == "http" and not local:
        print(f"datahub: WARNING: the bot's login goes to {address.hostname} unencrypted", file=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    home = Home.find()
    try:
        keys = Keyring(read_api_keys)
        pairs = [parse_pair(pair) for pair in options.pairs]
        # ccxt makes its session when first used, inside the server's loop.
        found = sources(options, home, os.environ.get("OFFLINE_MODE") == "1")
        token = os.environ.get(LOGIN[2], "")
        if options.stream and not (options.bot and token):
            raise UserError(f"--stream needs --bot and {LOGIN[2]} in the environment")
        bound = bind(LOOPBACK, options.port)
    except (KeyProblem, UserError, CannotServe, ValueError) as error:
        print(f"datahub: {error}", file=sys.stderr)
        return 2
    except Exception as error:  # Refused: a pair
        print(f"datahub: --pairs: {error}", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("httpx", "uvicorn.error", "ccxt"):
        logging.getLogger(name).setLevel(logging.WARNING)
    cache = CandleCache(home.user_data / "cache" / "datahub", options.cache_mb << 20)
    hub = Hub(found, cache, Metrics())
    background = partial(follow, options.bot, token, hub.heard) if options.stream else None
    serve(bound, create_app(hub, keys, pairs, options.timeframe, background), [source.name for source in found])
    return 0


def serve(bound: socket.socket, app, names: list[str]) -> None:
    """Serve until SIGTERM or SIGINT."""
    print(
        f"datahub ready at http://{LOOPBACK}:{bound.getsockname()[1]} ({', '.join(names)})", file=sys.stderr, flush=True
    )
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, proxy_headers=False, ws="none", http=Connection,
        timeout_graceful_shutdown=GRACE_S,
    )  # fmt: skip
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises Ctrl-C again once it has shut down in peace
        uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    sys.exit(main())
