"""The signed, numbered alias file of a model line: which version trades, and which chain serves history (REG-6).

From: `promotion`. To: `nn.service`, which refuses a number lower than the last it has seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from .files import ModelRefused, folder_lock, read_plain
from .keys import Keys
from .signature import check_signature, replace_signed

ALIASES, SIGNATURE = "aliases.json", "aliases.sig"
LIMIT = 1 << 20  # bytes


class AliasFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    line: str
    serial: int  # grows with every change, so that an old file cannot be played back
    aliases: dict[str, str]  # champion trades, challenger waits
    chain: tuple[str, ...]  # versions that score history, by valid_from
    move: str | None = None  # SHA-256 of the line of the move log that made this file


def load_aliases(line_folder: str | Path, keys: Keys, newer_than: int | None = None) -> AliasFile:
    """Return the alias file of a line after checking its signature.

    Parameters
    ----------
    newer_than : int, optional
        Serial that the caller already holds: a lower one is refused as a replay. That the same serial says the same is
        for the caller to see (`nn.service.serials`): it knows what it said.
    """
    path = Path(line_folder) / ALIASES
    content = read_plain(path, LIMIT)
    check_signature(content, read_plain(path.with_name(SIGNATURE), 1024), keys, path, path.with_name(SIGNATURE))
    try:
        found = AliasFile.model_validate_json(content)
    except ValidationError as error:
        raise ModelRefused(f"{path}: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}") from error
    if found.line != path.parent.name:
        raise ModelRefused(f"{path} is of line {found.line}, but its folder is {path.parent.name}")
    if newer_than is not None and found.serial < newer_than:
        raise ModelRefused(f"{path} has serial {found.serial}, but {newer_than} was seen before: an old file came back")
    return found


def write_aliases(
    line_folder: str | Path, keys: Keys, aliases: Mapping[str, str], chain: Sequence[str] | None = None
) -> AliasFile:
    """Sign a new alias file with the next serial; the chain stays as it is unless a new one is given.

    This logs nothing: what moves an alias goes through `promotion`.
    """
    folder = Path(line_folder)
    with folder_lock(folder):
        before = load_aliases(folder, keys) if (folder / ALIASES).exists() else None
        kept = before.chain if before is not None else ()
        after = AliasFile(
            line=folder.name,
            serial=1 if before is None else before.serial + 1,
            aliases=dict(aliases),
            chain=kept if chain is None else tuple(chain),
            move=None if before is None else before.move,
        )
        replace_aliases(folder, keys, before, after)
    return after


def replace_aliases(folder: Path, keys: Keys, before: AliasFile | None, after: AliasFile) -> None:
    """Put a new alias file in the place of `before`; the caller holds the lock since it loaded that.

    Killed at any moment, what lies there still verifies.
    """
    for version in (*after.aliases.values(), *after.chain):
        if "/" in version or not (folder / version).is_dir():
            raise ModelRefused(f"{folder} has no version {version!r}, so no alias or chain may name it")
    path = folder / ALIASES
    verified = None if before is None else path.read_bytes()
    replace_signed(path, folder / SIGNATURE, verified, after.model_dump_json(indent=1).encode() + b"\n", keys)
