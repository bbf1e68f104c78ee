"""What was noticed while a feed was read, as JSON text. From: feed.py. To: saved feeds, without pickle."""

from __future__ import annotations

import json

import numpy as np

from .capture import FeedError

_MOST_BYTES = 1 << 22
_MOST_COUNT = 2**63 - 1


def notes_to_array(counts: dict[str, int], files: tuple[str, ...], bad_lines: tuple[FeedError, ...]) -> np.ndarray:
    """Return counts, files and bad lines as the bytes of one JSON text, uint8; raises ValueError beyond 4 MiB."""
    bad = [[error.file, error.line, error.reason] for error in bad_lines]
    plain = {name: int(count) for name, count in counts.items()}
    text = json.dumps({"counts": plain, "files": list(files), "bad_lines": bad})
    array = np.frombuffer(text.encode(), np.uint8)
    _check_size(array)
    return array


def notes_of_array(array: np.ndarray) -> tuple[dict[str, int], tuple[str, ...], tuple[FeedError, ...]]:
    """Return what `notes_to_array` was given.

    Raises
    ------
    ValueError
        If the array is larger than 4 MiB, is no JSON text, or the text says something else.
    """
    if array.dtype != np.uint8 or array.ndim != 1:
        raise ValueError(f"notes have dtype {array.dtype} and {array.ndim} dimensions, expected uint8 in one")
    _check_size(array)
    notes = json.loads(array.tobytes())
    if not isinstance(notes, dict) or notes.keys() != {"counts", "files", "bad_lines"}:
        raise ValueError("notes are no object of counts, files and bad_lines")
    counts, files, bad_lines = notes["counts"], notes["files"], notes["bad_lines"]
    if not isinstance(counts, dict) or not all(_is_count(count) for count in counts.values()):
        raise ValueError(f"counts are {str(counts)[:60]}, expected names with whole numbers from 0")
    if not isinstance(files, list) or not all(isinstance(name, str) for name in files):
        raise ValueError(f"files are {str(files)[:60]}, expected names")
    if not isinstance(bad_lines, list) or not all(map(_is_bad_line, bad_lines)):
        raise ValueError(f"bad_lines are {str(bad_lines)[:60]}, expected lists of file, line and reason")
    return counts, tuple(files), tuple(FeedError(*bad) for bad in bad_lines)


def _check_size(array: np.ndarray) -> None:
    if len(array) > _MOST_BYTES:
        raise ValueError(f"notes have {len(array)} bytes, expected at most {_MOST_BYTES}")


def _is_count(count: object) -> bool:
    return isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= _MOST_COUNT


def _is_bad_line(bad: object) -> bool:
    if not isinstance(bad, list) or len(bad) != 3:
        return False
    file, line, reason = bad
    return isinstance(file, str) and _is_count(line) and isinstance(reason, str)
