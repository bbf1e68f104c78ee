"""Bulk answers on disk, found again by the content of the question (CLT-3).

From: the forecast source, which has just been answered. To: the same source in a later backtest over the same candles.
A file is named by the SHA-256 of everything that decides the answer and begins with the SHA-256 of that name and its
content, so a file that is found and intact is the answer; anything else is a miss. Several processes of one user may
share the folder; one that other users can write to is not read, as they could write answers of their own.
"""

import hashlib
import logging
import os
import tempfile
import time
from pathlib import Path

import pyarrow as pa

from strategies.shared.wire import SCHEMA_VERSION

logger = logging.getLogger(__name__)

DIGEST_BYTES = 32
OTHERS_MAY_WRITE = 0o022
STALE_WRITE_SECONDS = 3600  # an unfinished file this old was left by a process that died


def cache_key(asked: str, chain: str, pair: str, timeframe: str, as_of: str, candles: pa.Table) -> str:
    """Return the name of an answer: the endpoint, the models, the question and the very bytes of the candles."""
    digest = hashlib.sha256()
    for part in (str(SCHEMA_VERSION), asked.lstrip("/"), chain, pair, timeframe, as_of, str(candles.num_rows)):
        digest.update(part.encode() + b"\0")
    for column in candles.columns:
        for chunk in column.chunks:
            values = chunk.buffers()[1]  # every column is 8 bytes wide
            digest.update(values[chunk.offset * 8 : (chunk.offset + len(chunk)) * 8])
    return digest.hexdigest()


def distrusted(folder: Path) -> str | None:
    """Return why what lies in a folder may be another user's work; None if it may not, or if there is no folder."""
    try:
        status = folder.stat()
    except OSError:
        return None
    if status.st_uid != os.getuid():
        return f"{folder} belongs to user {status.st_uid}, expected {os.getuid()}"
    if status.st_mode & OTHERS_MAY_WRITE:
        return f"{folder} can be written by other users: empty it, then chmod 700"
    return None


class ForecastCache:
    """A folder of answers, at most `max_bytes` of them, the longest unused leaving first.

    Parameters
    ----------
    folder : Path
        Made when the first answer is stored.
    max_bytes : int
        Room for all answers together.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._refused_told = False

    def get(self, key: str) -> pa.Table | None:
        """Return the answer, or None; a damaged file is removed."""
        path = self._path(key)
        if reason := distrusted(self.folder):
            self._tell(reason)
            return None
        try:
            content = path.read_bytes()
            os.utime(path)
        except OSError:
            return None  # not there, removed by another process, or unreadable: all are a miss
        body = memoryview(content)[DIGEST_BYTES:]
        if _digest(key, body) == content[:DIGEST_BYTES]:
            try:
                with pa.ipc.open_stream(body) as reader:
                    return reader.read_all()
            except pa.ArrowException as error:
                logger.debug("cached answer %s is no Arrow stream: %s", path, error)
        logger.warning("cached forecasts %s are damaged, the file is removed and the service is asked again", path)
        self._remove(path)
        return None

    def put(self, key: str, table: pa.Table) -> bool:
        """Store an answer; False (and a warning) if the disk refuses. A reader sees the whole file or none."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        body = sink.getvalue()
        if body.size + DIGEST_BYTES > self.max_bytes:
            return False
        unfinished = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if reason := distrusted(self.folder):
                raise PermissionError(reason)
            self._make_room(body.size + DIGEST_BYTES)
            with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".part", delete=False) as file:
                unfinished = Path(file.name)
                file.write(_digest(key, body))
                file.write(body)
            unfinished.replace(self._path(key))
        except OSError as error:
            self._tell(error)
            if unfinished is not None:
                self._remove(unfinished)
            return False
        return True

    def _tell(self, reason: OSError | str) -> None:
        level = logging.DEBUG if self._refused_told else logging.WARNING
        self._refused_told = True
        logger.log(
            level, "forecasts are not cached in %s: %s; the next run asks the service again", self.folder, reason
        )

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.forecast"

    def _make_room(self, wanted: int) -> None:
        """Remove what dead writers left, then the longest unused answers, until `wanted` bytes fit."""
        files = []
        for path in self.folder.iterdir():
            try:
                status = path.stat()
            except OSError:
                continue  # removed by another process between the two looks
            if path.suffix == ".part" and time.time() - status.st_mtime > STALE_WRITE_SECONDS:
                self._remove(path)
            elif path.suffix in (".forecast", ".part"):
                files.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files, key=lambda file: file[0]):
            if total + wanted <= self.max_bytes:
                break
            if path.suffix == ".forecast":  # a young .part is another process's, in the middle of writing
                self._remove(path)
                total -= size

    @staticmethod
    def _remove(path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("%s could not be removed: %s", path, error)


def _digest(key: str, body: memoryview | pa.Buffer) -> bytes:
    """Return what a file begins with: of its name too, so that a file under another name is damaged."""
    digest = hashlib.sha256(key.encode() + b"\0")
    digest.update(body)
    return digest.digest()
