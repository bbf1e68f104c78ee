"""`datahub`: prices and candles on loopback, read only.

From: a running bot, an exchange, a data directory. To: `tools.services`, which keeps its pid file and its log.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tools.commands.background import run, say_key
from tools.commands.train import data_directory
from tools.home import Home
from tools.services import DEFAULT_PORTS, running

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def datahub_command(home: Home, port: int, exchange: str) -> list[str]:
    """Return the command line of the datahub; key and logins go by the environment, never through here."""
    argv = [sys.executable, "-m", "tools.datahub", "--port", str(port), "--exchange", exchange]
    if simulated := running(home, "exchange"):  # ours may stand on another port than its own
        argv += ["--exchange-port", str(simulated.port)]
    return argv


def datahub(
    port: int | None,
    foreground: bool,
    exchange: str,
    datadir: Path | None,
    bot: str | None,
    stream: bool,
    pairs: Sequence[str] | None,
    timeframe: str,
) -> int:
    """Start the datahub and say where it answers."""
    home = Home.find()
    home.make()
    port = port or DEFAULT_PORTS["datahub"]
    command = [*datahub_command(home, port, exchange), "--timeframe", timeframe]
    command += ["--datadir", str(data_directory(home, datadir))] if datadir else []
    command += ["--bot", bot] if bot else []
    command += ["--stream"] if stream else []
    command += ["--pairs", *pairs] if pairs else []
    say_key(home, "service")
    return run(home, "datahub", command, port, foreground)
