"""The move log of a model line: who moved which alias, when, why, and what the gates said (PRM-8).

From: `promotion`, which appends before the alias file changes. To: `versions`, `rollback`, and whoever asks later which
version traded on a day. `moves.jsonl` has a line per move: its HMAC, a space, JSON. Each line holds the SHA-256 of the
JSON before it and the alias file that of its own move: a line that was changed, lost, moved or cut off is noticed.

A move counts once the alias file names it. Each move names its parent, the move that made the alias file it began
from; so those that count are a path back from the alias file. A line beside that path was killed before its alias file
was written: it is void, and its serial is never used again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from .aliases import AliasFile
from .files import ModelRefused, append_line, read_plain, write_whole
from .gates import Gate, Opening
from .keys import Keys
from .signature import check_signature, sign

MOVES = "moves.jsonl"
LIMIT = 64 << 20  # bytes; a move is about 2 kB
FIRST = "0" * 64


class Move(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    schema_version: Literal[1] = 1
    line: str
    at: datetime
    who: str  # `trainer`, `gates`, or an operator's name
    action: Literal["publish", "promote", "rollback", "open_sealed"]
    version: str
    reason: str
    serial: int | None  # of the alias file that it makes; none for what moves no alias
    parent: str | None = None  # digest of the move that made the alias file before
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    gates: tuple[Gate, ...] = ()
    opened: Opening | None = None
    previous: str = FIRST  # SHA-256 of the JSON of the line before

    @property
    def digest(self) -> str:
        """SHA-256 of its JSON; the next line and the alias file name it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def read_moves(line_folder: Path, keys: Keys, aliases: AliasFile | None = None) -> list[Move]:
    """Return all moves, oldest first, after checking every signature and how they hang together.

    Parameters
    ----------
    aliases : AliasFile, optional
        Read before: the log must hold the move that made it.

    Raises
    ------
    ModelRefused
        If a line was changed, left out or put elsewhere, or the end was cut off; the message names the line.
    """
    path = line_folder / MOVES
    moves: list[Move] = []
    lines = read_plain(path, LIMIT).split(b"\n")[:-1] if path.exists() else []  # an unfinished end is no move
    for number, text in enumerate(lines, 1):
        where = Path(f"{path}, line {number}")
        signature, _, content = text.partition(b" ")
        check_signature(content, signature, keys, where, where)
        try:
            move = Move.model_validate_json(content)
        except ValidationError as error:
            raise ModelRefused(f"{where}: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}") from error
        if move.previous != (moves[-1].digest if moves else FIRST):
            raise ModelRefused(f"{where} does not follow the line before it: a line was left out or moved")
        if move.line != line_folder.name:
            raise ModelRefused(f"{where} is of line {move.line}, but its folder is {line_folder.name}")
        moves.append(move)
    if aliases is not None:
        _check_that_they_agree(path, moves, aliases)
    return moves


def _check_that_they_agree(path: Path, moves: Sequence[Move], aliases: AliasFile) -> None:
    known = {move.digest for move in moves}
    if aliases.move is not None and aliases.move not in known:
        raise ModelRefused(f"{path} lacks the move that made serial {aliases.serial}: its end was cut off")
    counted = {move.digest for move in done(moves, aliases)}
    for move in moves:  # whatever was built on did count
        if move.parent is not None and move.serial is not None and move.parent not in counted:
            raise ModelRefused(f"{path} is ahead of the alias file with serial {aliases.serial}: an old file came back")


def append_move(line_folder: Path, move: Move, moves: Sequence[Move], keys: Keys) -> Move:
    """Append a move after `moves`, which the caller has read under the same lock; return it as it was written."""
    chained = move.model_copy(update={"previous": moves[-1].digest if moves else FIRST})
    content = chained.model_dump_json().encode()
    append_line(line_folder / MOVES, sign(content, keys.signing) + b" " + content)
    return chained


def sign_moves_again(line_folder: Path, keys: Keys) -> None:
    """Sign every line with the present key, after reading it with those accepted; the contents stay as they are."""
    if moves := read_moves(line_folder, keys):
        contents = [move.model_dump_json().encode() for move in moves]
        write_whole(line_folder / MOVES, b"".join(sign(each, keys.signing) + b" " + each + b"\n" for each in contents))


def done(moves: Sequence[Move], aliases: AliasFile) -> list[Move]:
    """Return the moves that took place, oldest first: the path of parents back from the alias file."""
    by_digest = {move.digest: move for move in moves}
    path = []
    at = by_digest.get(aliases.move or "")
    while at is not None:
        path.append(at)
        at = by_digest.get(at.parent or "")
    return path[::-1]


def next_serial(moves: Sequence[Move], aliases: AliasFile | None) -> int:
    """Return a serial above all that were ever given out, those of void moves among them."""
    given = [move.serial for move in moves if move.serial is not None]
    return max([0 if aliases is None else aliases.serial, *given]) + 1


def champions(moves: Sequence[Move], aliases: AliasFile) -> list[str]:
    """Return the champions as a stack, the present one last: a promotion puts one on, a rollback takes one off."""
    stack: list[str] = []
    for move in done(moves, aliases):
        before, after = move.before.get("champion"), move.after.get("champion")
        if before and not stack:
            stack.append(before)  # older than the log
        if move.action == "rollback" and len(stack) > 1:
            stack.pop()
        elif after and after != before:
            stack.append(after)
    return stack


def openings(moves: Sequence[Move]) -> tuple[Opening, ...]:
    """Return every look at a sealed range that was ever taken."""
    return tuple(move.opened for move in moves if move.opened is not None)
