"""`versions`, `promote`, `rollback`: which model trades, who decided so, and back again (PRM-8, PRM-9).

From: the signed registry and `configs/nn/gates.yaml`. To: the alias file, which a running service picks up by itself,
its move log, and MLflow, which follows.
"""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tools.commands.say import console, say
from tools.errors import UserError
from tools.home import Home

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nn.registry.aliases import AliasFile
    from nn.registry.evaluations import Evaluation
    from nn.registry.gates import Gate
    from nn.registry.keys import Keys

KEY_FIGURES = ("ic_1h", "ic_4h", "macro_f1_4h", "volatility_r2_4h", "ece_4h")
POLICY_FIGURES = ("sortino", "cvar_5", "turnover")  # of lines policy-..., which foretell nothing
TRADING_FIGURES = ("net_return", "max_drawdown", "deflated_sharpe")


def lines_of(home: Home) -> list[Path]:
    return [path.parent for path in sorted(home.registry.glob("*/aliases.json"))]


def line_folder(home: Home, line: str | None) -> Path:
    """Return the folder of a line, of the only one where none is named."""
    found = {path.name: path for path in lines_of(home)}
    if line is None and len(found) == 1:
        return next(iter(found.values()))
    if line is None or line not in found:
        known = ", ".join(found) or f"none; `{home.typed('train')}` makes one"
        said = "name one with --line" if line is None else f"no model line {line!r}"
        raise UserError(f"{said}; lines in {home.registry}: {known}")
    return found[line]


def keys_of(home: Home) -> Keys:
    from nn.registry.keys import KeyProblem, read_keys

    try:
        return read_keys(home.child_environment())
    except KeyProblem as error:
        raise UserError(str(error)) from None


def versions(line: str | None, moves: bool, resign: bool) -> int:
    """Print a row per version, or the move log; with `resign`, sign everything with the present key first."""
    from nn.registry.files import ModelRefused

    home = Home.find()
    folders = [line_folder(home, line)] if line else lines_of(home)
    if not folders:
        raise UserError(f"no model in {home.registry}; `{home.typed('train')}` makes one")
    keys = keys_of(home)
    try:
        for folder in folders:
            if resign:
                from nn.registry.rotation import sign_again

                say(f"{folder.name}: {sign_again(folder, keys)} files signed again with the present key")
            show_moves(folder, keys) if moves else show_versions(folder, keys)
    except ModelRefused as error:
        raise UserError(str(error)) from None
    return 0


def show_versions(folder: Path, keys: Keys) -> None:
    from nn.registry.files import ModelRefused
    from nn.registry.manifest import load_aliases, load_version
    from nn.registry.promotion import evaluation_of

    aliases = load_aliases(folder, keys)
    table = Table()
    figures = POLICY_FIGURES if folder.name.startswith("policy-") else KEY_FIGURES
    for label in ("version", "valid from", "alias", "verdict", *figures, *TRADING_FIGURES):
        words_in_it = label in ("version", "valid from", "alias", "verdict")
        table.add_column(label, justify="left" if words_in_it else "right", no_wrap=True)
    names = sorted(path.parent.name for path in folder.glob("*/manifest.json") if path.parent.name[0] != ".")
    for name in names:
        words = [alias for alias, version in sorted(aliases.aliases.items()) if version == name]
        words += ["chain"] if name in aliases.chain else []
        try:
            manifest = load_version(folder / name, keys).manifest
            evaluation = evaluation_of(folder, name, keys)
        except ModelRefused as error:
            table.add_row(name, "-", ", ".join(words), f"refused: {error}")
            continue
        table.add_row(
            name, f"{manifest.valid_from:%Y-%m-%d %H:%M}", ", ".join(words) or "-", verdict(evaluation),
            *(number(None if evaluation is None else evaluation.metrics.get(each)) for each in figures),
            *(number(None if evaluation is None else evaluation.trading.get(each)) for each in TRADING_FIGURES),
        )  # fmt: skip
    print(f"{folder.name}, serial {aliases.serial}")
    Console(width=1000, highlight=False).print(table)  # as wide as it is: `promote --version` takes the whole name


def show_moves(folder: Path, keys: Keys) -> None:
    from nn.registry.manifest import load_aliases
    from nn.registry.moves import done, read_moves

    aliases = load_aliases(folder, keys)
    moves = read_moves(folder, keys, aliases)
    counted = {move.digest for move in done(moves, aliases)}
    for move in moves:
        void = "" if move.serial is None or move.digest in counted else "  (void: killed before it was done)"
        failed = sum(not gate.passed for gate in move.gates)
        gates = f"  {len(move.gates) - failed} of {len(move.gates)} gates passed" if move.gates else ""
        print(
            f"{move.at:%Y-%m-%d %H:%M:%S}  {move.action:11}  {move.version}  by {move.who}: {move.reason}{gates}{void}"
        )


def verdict(evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return "not judged"
    return "beats baselines" if evaluation.verdict.beats_baselines else "does not beat baselines"


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def show_gates(gates: Sequence[Gate]) -> None:
    """Print every gate with what was measured, what was asked for and whether it was reached."""
    table = Table(min_width=80)
    for label in ("gate", "what", "figure", "", "threshold", "", "note"):
        table.add_column(label, justify="right" if label in ("figure", "threshold") else "left")
    for gate in gates:
        word = "[green]pass[/green]" if gate.passed else "[red]FAIL[/red]"
        table.add_row(gate.id, gate.what, number(gate.figure), gate.relation, number(gate.threshold), word, gate.note)
    console.print(table)


def promote(line: str | None, version: str | None, operator: str | None, reason: str | None, override: bool) -> int:
    """Ask the gates and move the alias; 0 if it moved, 1 if the gates said no."""
    from nn.registry.files import ModelRefused
    from nn.registry.gates import SuspectedLeak
    from nn.registry.promotion import NotMoved, Operator
    from nn.registry.promotion import promote as move
    from nn.registry.thresholds import GateConfigProblem, load_thresholds

    home = Home.find()
    folder, keys = line_folder(home, line), keys_of(home)
    if (operator is None) != (reason is None):
        raise UserError("an operator gives a reason: --operator NAME --reason TEXT")
    try:
        named = Operator(operator, reason) if operator is not None and reason is not None else None
        outcome = move(folder, keys, load_thresholds(), version, named, override)
    except SuspectedLeak as error:
        show_gates(error.gates)
        say(f"[red]SuspectedLeak[/red]: {error}")
        say("if it is skill and not a leak, a named operator says so: --override-leak --operator NAME --reason TEXT")
        return 1
    except (NotMoved, GateConfigProblem, ModelRefused, OSError) as error:
        raise UserError(str(error)) from None
    show_gates(outcome.gates)
    if outcome.aliases is None:
        failed = sum(not gate.passed for gate in outcome.gates)
        say(f"{outcome.version} is not promoted: {failed} of {len(outcome.gates)} gates failed")
        say("a named operator may overrule them: --operator NAME --reason TEXT")
        return 1
    moved(home, folder.name, outcome.aliases)
    print(outcome.version)
    return 0


def rollback(line: str | None, operator: str | None, reason: str | None) -> int:
    """Make the champion before the present one champion again."""
    from nn.registry.files import ModelRefused
    from nn.registry.promotion import NotMoved, Operator
    from nn.registry.promotion import rollback as move

    home = Home.find()
    folder, keys = line_folder(home, line), keys_of(home)
    try:
        aliases = move(folder, keys, Operator(operator or getpass.getuser(), reason or "rollback"))
    except (NotMoved, ModelRefused, OSError) as error:
        raise UserError(str(error)) from None
    moved(home, folder.name, aliases)
    print(aliases.aliases["champion"])
    return 0


def promote_line(home: Home, line: str, operator: str, reason: str, override_leak: bool = False) -> str:
    """Make a line's challenger champion in the name of an operator; return its version. Its champion stays if it is it.

    Raises
    ------
    UserError
        If it cannot be: no such line, nothing waits, a file is not what was signed, a suspected leak.
    """
    from nn.registry.files import ModelRefused
    from nn.registry.gates import SuspectedLeak
    from nn.registry.manifest import load_aliases
    from nn.registry.promotion import NotMoved, Operator
    from nn.registry.promotion import promote as move
    from nn.registry.thresholds import load_thresholds

    folder, keys = line_folder(home, line), keys_of(home)
    try:
        now = load_aliases(folder, keys).aliases
        if "challenger" not in now and "champion" in now:
            return now["champion"]
        outcome = move(folder, keys, load_thresholds(), None, Operator(operator, reason), override_leak)
    except (NotMoved, SuspectedLeak, ModelRefused, OSError) as error:
        raise UserError(str(error)) from None
    assert outcome.aliases is not None  # an operator's word suffices
    moved(home, line, outcome.aliases)
    return outcome.version


def moved(home: Home, line: str, aliases: AliasFile) -> None:
    """Say what trades now, and let MLflow show it; where it cannot, that is said and nothing else."""
    from nn.registry.store import Store, StoreProblem

    waits = aliases.aliases.get("challenger")
    say(f"{line}: champion {aliases.aliases['champion']}" + (f", challenger {waits}" if waits else ""))
    say(f"a running service follows within 30 s; `{home.typed(f'rollback --line {line}')}` goes back")
    try:
        Store(home.tracking_uri, line).follow(aliases)
    except StoreProblem as problem:
        say(f"[yellow]{problem}[/yellow]; the signed aliases have moved, MLflow follows at the next move")


def after_training(home: Home, line: str) -> None:
    """Say what waits now, what the gates would say of it, and what to do next."""
    from nn.registry.files import ModelRefused
    from nn.registry.manifest import load_aliases, load_version
    from nn.registry.promotion import ask_gates
    from nn.registry.thresholds import load_thresholds

    folder, keys = line_folder(home, line), keys_of(home)
    try:
        signed = load_aliases(folder, keys)
        aliases = signed.aliases
        first = min(load_version(folder / version, keys).manifest.valid_from for version in signed.chain)
        say(f"{line}: candles have answers from {first:%Y-%m-%d %H:%M} on; backtest that: --timerange {first:%Y%m%d}-")
        if (waits := aliases.get("challenger")) is None:
            say(f"{line}: {aliases.get('champion')} is champion already, nothing new waits")
            return
        gates = ask_gates(folder, waits, keys, load_thresholds())
    except ModelRefused as error:
        raise UserError(str(error)) from None
    failed = [gate for gate in gates if not gate.passed]
    trades = f"{aliases['champion']} trades" if "champion" in aliases else "no version trades"
    say(f"{line}: challenger {waits} waits, {trades}; history is scored by the new chain")
    if failed:
        say(f"gates that say no: {', '.join(sorted({gate.id for gate in failed}))}; `promote` shows each figure")
        say(f"to trade it all the same: {home.typed(f'promote --line {line}')} --operator NAME --reason TEXT")
    else:
        say(f"every gate would pass: {home.typed(f'promote --line {line}')}")
