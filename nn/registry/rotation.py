"""Key rotation: signs everything of a model line again with the present key (REG-2).

From: a line whose files verify under the present key or the one before it. To: the same files with new signatures;
afterwards the old key can go. What does not verify is refused, never signed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from . import aliases, evaluations, manifest
from .files import folder_lock, read_plain, write_whole
from .keys import Keys
from .moves import MOVES, sign_moves_again
from .signature import check_signature, sign


def sign_again(line_folder: str | Path, keys: Keys) -> int:
    """Sign versions, evaluations, move log and aliases with `keys.signing`; return how many files have a new signature.

    Raises
    ------
    ModelRefused
        If any of them verifies under no accepted key; nothing was signed then.
    """
    folder = Path(line_folder)
    with folder_lock(folder):
        targets = list(_verified(folder, keys))
        for path, signature_path in targets:
            content = read_plain(path, manifest.MANIFEST_LIMIT)
            check_signature(content, read_plain(signature_path, 1024), keys, path, signature_path)
            write_whole(signature_path, sign(content, keys.signing))
        if (folder / MOVES).exists():
            sign_moves_again(folder, keys)
    return len(targets) + (folder / MOVES).exists()


def _verified(folder: Path, keys: Keys) -> Iterator[tuple[Path, Path]]:
    """Yield each signed file with its signature's path, after reading it as its readers do."""
    for path in sorted(folder.glob(f"*/{manifest.MANIFEST}")):
        if not path.parent.name.startswith("."):
            manifest.load_version(path.parent, keys)
            yield path, path.with_name(manifest.SIGNATURE)
    for path in sorted(folder.glob("*.evaluation.json")):
        evaluations.load_evaluation(folder, path.name.removesuffix(".evaluation.json"), keys)
        yield path, path.with_suffix(".sig")
    if (folder / aliases.ALIASES).exists():
        aliases.load_aliases(folder, keys)
        yield folder / aliases.ALIASES, folder / aliases.SIGNATURE
