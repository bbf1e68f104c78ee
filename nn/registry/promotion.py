"""Moves of aliases: training publishes a challenger, gates or an operator make it champion, rollback undoes (PRM-8).

From: the trainer and the verbs `promote` and `rollback`. To: the move log first, then the signed alias file, in this
order and under one lock. Killed in between, the alias file is as it was and the logged line is void. MLflow follows the
signed file afterwards (`store.Store.follow`): it shows people what is, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .aliases import ALIASES, AliasFile, load_aliases, replace_aliases
from .evaluations import Evaluation, load_evaluation
from .files import ModelRefused, folder_lock
from .gates import Gate, SuspectedLeak, judge, opening_of, suspected_leak
from .keys import Keys
from .manifest import load_version
from .moves import Move, append_move, champions, next_serial, openings, read_moves
from .thresholds import Thresholds

CHAMPION, CHALLENGER = "champion", "challenger"


class NotMoved(ValueError):
    """An alias was not moved, though nothing is broken; the message says what stands against it."""


@dataclass(frozen=True)
class Operator:
    """A person who answers for a move that the gates did not allow."""

    name: str
    reason: str

    def __post_init__(self) -> None:
        for field, value in (("operator", self.name), ("reason", self.reason)):
            if not value.strip() or len(value) > 300 or not value.isprintable():
                raise NotMoved(f"the {field} is {value[:40]!r}, expected 1 to 300 printable characters")


@dataclass(frozen=True)
class Outcome:
    """What a promotion came to: `aliases` is None where the gates said no."""

    version: str
    gates: tuple[Gate, ...]
    aliases: AliasFile | None


@dataclass
class _Ledger:
    """A line under lock: its alias file and its move log as they are now."""

    folder: Path
    keys: Keys
    aliases: AliasFile | None
    moves: list[Move]

    def log(self, move: Move) -> Move:
        self.moves.append(append_move(self.folder, move, self.moves, self.keys))
        return self.moves[-1]

    def move(
        self, action, version: str, who: str, reason: str, aliases: Mapping[str, str],
        chain: Sequence[str] | None = None, gates: tuple[Gate, ...] = (),
    ) -> AliasFile:  # fmt: skip
        """Log a move, then make it so."""
        was = self.aliases
        for name in (*aliases.values(), *(chain or ())):
            if "/" in name or not (self.folder / name).is_dir():  # before it is logged, not after
                raise ModelRefused(f"{self.folder} has no version {name!r}, so no alias or chain may name it")
        logged = self.log(
            Move(
                line=self.folder.name, at=datetime.now(UTC), who=who, action=action, version=version, reason=reason,
                serial=next_serial(self.moves, was), parent=None if was is None else was.move,
                before={} if was is None else was.aliases, after=dict(aliases), gates=gates,
            )
        )  # fmt: skip
        kept = () if was is None else was.chain
        self.aliases = AliasFile(
            line=self.folder.name, serial=logged.serial or 0, aliases=dict(aliases),
            chain=kept if chain is None else tuple(chain), move=logged.digest,
        )  # fmt: skip
        replace_aliases(self.folder, self.keys, was, self.aliases)
        return self.aliases


@contextmanager
def _ledger(line_folder: str | Path, keys: Keys) -> Iterator[_Ledger]:
    folder = Path(line_folder)
    with folder_lock(folder):
        aliases = load_aliases(folder, keys) if (folder / ALIASES).exists() else None
        yield _Ledger(folder, keys, aliases, read_moves(folder, keys, aliases))


def publish(
    line_folder: str | Path, keys: Keys, chain: Sequence[str], who: str = "trainer", extend: bool = False
) -> AliasFile:
    """Let `chain` score history and its newest version wait as challenger; the champion stays who it is.

    With `extend` what was published before goes on scoring the candles before the first of these versions.
    """
    with _ledger(line_folder, keys) as ledger:
        newest = chain[-1]
        if extend and ledger.aliases is not None:
            chain = [*_before(Path(line_folder), keys, ledger.aliases.chain, chain[0]), *chain]
        aliases = {} if ledger.aliases is None else dict(ledger.aliases.aliases)
        aliases[CHALLENGER] = newest
        return ledger.move("publish", newest, who, f"trained a chain of {len(chain)}", _without_twin(aliases), chain)


def _before(folder: Path, keys: Keys, chain: Sequence[str], first: str) -> list[str]:
    """Return the versions of a chain that are valid before `first` is."""
    valid_from = {name: load_version(folder / name, keys).manifest.valid_from for name in (*chain, first)}
    return [name for name in chain if valid_from[name] < valid_from[first]]


def evaluation_of(line_folder: str | Path, version: str, keys: Keys) -> Evaluation | None:
    """Return the signed judgement of a version, None where nobody wrote one; a changed one is refused."""
    folder = Path(line_folder)
    return load_evaluation(folder, version, keys) if (folder / f"{version}.evaluation.json").exists() else None


def ask_gates(line_folder: str | Path, version: str, keys: Keys, thresholds: Thresholds) -> tuple[Gate, ...]:
    """Return what the gates would say, without opening a sealed range: nothing is written."""
    folder = Path(line_folder)
    manifest = load_version(folder / version, keys).manifest
    opened = openings(read_moves(folder, keys))
    return judge(manifest, evaluation_of(folder, version, keys), thresholds, opened)


def promote(
    line_folder: str | Path,
    keys: Keys,
    thresholds: Thresholds,
    version: str | None = None,
    operator: Operator | None = None,
    override_leak: bool = False,
) -> Outcome:
    """Make a version champion if its gates allow it, or if a named operator wants it all the same.

    Parameters
    ----------
    version : str, optional
        The challenger unless named.
    override_leak : bool
        The operator has looked at a suspected leak and holds it for skill; without this, not even an operator may.

    Raises
    ------
    NotMoved
        If there is no such version, it is champion already, or `override_leak` comes without an operator.
    SuspectedLeak
        If its accuracy is too good to be honest and nobody has said otherwise.
    ModelRefused
        If any file of the line is not what was signed.
    """
    if override_leak and operator is None:
        raise NotMoved("a suspected leak is overridden by a named operator with a reason alone")
    with _ledger(line_folder, keys) as ledger:
        aliases = {} if ledger.aliases is None else dict(ledger.aliases.aliases)
        version = version or aliases.get(CHALLENGER)
        if version is None:
            raise NotMoved(f"line {ledger.folder.name} has no challenger; train one, or name a version")
        if version == aliases.get(CHAMPION):
            raise NotMoved(f"{version} is champion already")
        if "/" in version or not (ledger.folder / version).is_dir():
            raise NotMoved(f"line {ledger.folder.name} has no version {version!r}")
        manifest = load_version(ledger.folder / version, keys).manifest
        evaluation = evaluation_of(ledger.folder, version, keys)
        gates = judge(manifest, evaluation, thresholds, openings(ledger.moves))
        _open_sealed(ledger, evaluation, operator)
        leaks = suspected_leak(gates)
        if leaks and not override_leak:
            raise SuspectedLeak(f"{version}: {'; '.join(gate.sentence for gate in leaks)}", gates)
        failed = [gate for gate in gates if not gate.passed]
        if failed and operator is None:
            return Outcome(version, gates, None)
        who, reason = (operator.name, operator.reason) if operator else ("gates", "every gate passed")
        aliases[CHAMPION] = version
        moved = ledger.move("promote", version, who, reason, _without_twin(aliases), gates=gates)
        return Outcome(version, gates, moved)


def rollback(line_folder: str | Path, keys: Keys, operator: Operator) -> AliasFile:
    """Make the champion before the present one champion again (PRM-9); called twice, the one before that.

    Raises
    ------
    NotMoved
        If no version traded before the present one.
    """
    with _ledger(line_folder, keys) as ledger:
        stack = [] if ledger.aliases is None else champions(ledger.moves, ledger.aliases)
        if len(stack) < 2:
            raise NotMoved(f"line {ledger.folder.name} had no champion before the present one")
        load_version(ledger.folder / stack[-2], keys)  # refused here rather than by the service
        aliases = {**(ledger.aliases.aliases if ledger.aliases else {}), CHAMPION: stack[-2]}
        return ledger.move("rollback", stack[-2], operator.name, operator.reason, _without_twin(aliases))


def _open_sealed(ledger: _Ledger, evaluation: Evaluation | None, operator: Operator | None) -> None:
    """Write down that these figures are looked at now, before anybody sees them (PRM-6)."""
    if evaluation is None or opening_of(evaluation) in openings(ledger.moves):
        return
    who = operator.name if operator else "gates"
    reason = f"candles closing {evaluation.begin:%Y-%m-%d %H:%M} to {evaluation.end:%Y-%m-%d %H:%M}"
    move = Move(
        line=ledger.folder.name, at=datetime.now(UTC), who=who, action="open_sealed", version=evaluation.version,
        reason=reason, serial=None, opened=opening_of(evaluation),
    )  # fmt: skip
    ledger.log(move)


def _without_twin(aliases: dict[str, str]) -> dict[str, str]:
    """Drop a challenger that is the champion: it waits for nothing."""
    if aliases.get(CHALLENGER) == aliases.get(CHAMPION):
        aliases.pop(CHALLENGER, None)
    return aliases
