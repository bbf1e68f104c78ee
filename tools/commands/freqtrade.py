"""`freqtrade`: any Freqtrade command on the merged configuration.

From: the layers in `configs/freqtrade`. To: Freqtrade itself. Trading with real money is not reachable from here:
`trade` runs only as a dry run (SEC-13 asks for two deliberate acts, in a verb of their own).
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from tools.errors import UserError
from tools.freqtrade import merged_config, run_freqtrade
from tools.home import Home

if TYPE_CHECKING:
    from collections.abc import Sequence

MODES = ("futures", "spot")
EXCHANGES = ("sim", "binance")


def layers(mode: str, exchange: str) -> list[str]:
    """Return the names of the layers for a trading mode and an exchange.

    Raises
    ------
    UserError
        If either is unknown.
    """
    for name, value, known in (("--mode", mode, MODES), ("--exchange", exchange, EXCHANGES)):
        if value not in known:
            raise UserError(f"{name} {value}: expected one of {', '.join(known)}")
    return ["base", mode, exchange]


def freqtrade(command: str, rest: Sequence[str], mode: str, exchange: str) -> int:
    """Run one Freqtrade command and return its exit code."""
    home = Home.find()
    home.make()
    config: dict[str, Any] = merged_config(
        home, layers(mode, exchange), {"strategy_path": str(home.root / "strategies")}
    )
    # Freqtrade's own default lies in the clone; a layer may name another.
    config.setdefault("db_url", f"sqlite:///{home.user_data / 'tradesv3.dryrun.sqlite'}")
    if any(argument.split("=")[0] in ("-c", "--config") for argument in rest):
        raise UserError("--config after `--` would replace the merged configuration; put the file in configs/freqtrade")
    if command == "trade":
        forbid_live(config)
        rest = [*rest, "--dry-run"]  # Freqtrade applies it after its files and its environment
    return run_freqtrade(home, command, config, rest)


def forbid_live(config: dict[str, Any]) -> None:
    """Refuse anything that asks for real orders, wherever it stands (SEC-13)."""
    if config.get("dry_run") is not True:
        raise UserError(f"dry_run is {json.dumps(config.get('dry_run'))} in the merged configuration; expected true")
    for name, value in os.environ.items():
        if name.upper() == "FREQTRADE__DRY_RUN" and value.lower() not in ("true", "1"):
            raise UserError(
                f"{name} is {value} in the environment; expected true or nothing: this verb trades dry only"
            )
