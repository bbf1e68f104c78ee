"""Small file manners of the registry: whole files or none, and nothing read that is not a plain file.

From: every file of this room that writes. To: the disk, by write, fsync and rename: a killed export leaves no half.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


class ModelRefused(ValueError):
    """A model version or alias file is not what its signature says; the message names the file and the reason."""


def read_plain(path: Path, limit: int) -> bytes:
    """Return the bytes of a regular file of at most `limit` bytes; links, devices and folders are refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ModelRefused(f"{path} is missing") from None
    except OSError as error:
        raise ModelRefused(f"{path} cannot be opened: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ModelRefused(f"{path} is not a plain file")
        if status.st_size > limit:
            raise ModelRefused(f"{path} has {status.st_size} bytes, expected at most {limit}")
        return file.read(limit + 1)


def write_whole(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one step: readers see the old file or the new one, never a part."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            _fill(file, content)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Make `folder` with these files in one step: filled under a hidden name, then renamed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        for name, content in contents.items():
            with (temporary / name).open("wb") as file:
                _fill(file, content)
        sync_folder(temporary)
        os.rename(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(folder.parent)


def append_line(path: Path, line: bytes) -> None:
    """Append a line durably, or not at all; what a killed writer left unfinished at the end goes first.

    The caller holds `folder_lock`: two processes may append, one after the other.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)
        file.seek(whole)
        try:
            left = memoryview(line + b"\n")
            while left:
                left = left[file.write(left) :]
            os.fsync(descriptor)
        except BaseException:
            file.truncate(whole)
            raise
    sync_folder(path.parent)


def _fill(file, content: bytes) -> None:
    file.write(content)
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the folder for one writer at a time; readers need no lock."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
