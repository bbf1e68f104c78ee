"""What champion and challenger said of the same candles: one SQLite file, bounded, safe for several processes (SRV-10).

From: `challenger`. To: `shadow`, which sets both beside what happened. Killed at any moment the file is whole: SQLite's
write-ahead log holds a transaction or does not.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VARIABLE = "CANDLEWRIGHT_SHADOW"
DEFAULT_FILE = Path("user_data/shadow/answers.sqlite")
LOCK_WAIT_S = 5.0  # for another process that writes
PRUNE_EVERY = 256  # rows; how far beyond its bound the table may grow
TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, timeframe TEXT NOT NULL, pair TEXT NOT NULL,
    open_ms INTEGER NOT NULL, champion TEXT NOT NULL, challenger TEXT NOT NULL,
    champion_row BLOB NOT NULL, challenger_row BLOB NOT NULL,
    UNIQUE (pair, timeframe, open_ms, champion, challenger)
)"""
INSERT = """
INSERT OR IGNORE INTO answers (kind, timeframe, pair, open_ms, champion, challenger, champion_row, challenger_row)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
SELECT = """
SELECT kind, timeframe, pair, open_ms, champion, challenger, champion_row, challenger_row FROM answers ORDER BY id"""


@dataclass(frozen=True)
class Answers:
    """Of one candle: the rows of both versions, in the column order of their kind, little-endian float32."""

    kind: str
    timeframe: str
    pair: str
    open_ms: int
    champion: str
    challenger: str
    champion_row: NDArray[np.float32]
    challenger_row: NDArray[np.float32]


class ShadowStore:
    """`max_rows` newest answers; some 400 bytes each."""

    def __init__(self, path: Path, max_rows: int) -> None:
        self.path, self.max_rows = path, max_rows

    @classmethod
    def of_environment(cls, max_rows: int) -> ShadowStore:
        return cls(Path(os.environ.get(VARIABLE) or DEFAULT_FILE), max_rows)

    def add(self, answers: Iterable[Answers]) -> None:
        """Keep these in one transaction, the same question once; sqlite3.Error or OSError where the disk refuses."""
        rows = []
        for each in answers:
            both = _bytes(each.champion_row), _bytes(each.challenger_row)
            rows.append((each.kind, each.timeframe, each.pair, each.open_ms, each.champion, each.challenger, *both))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._open()) as database, database:
            database.executemany(INSERT, rows)
            newest = database.execute("SELECT max(id) FROM answers").fetchone()[0] or 0
            oldest = database.execute("SELECT min(id) FROM answers").fetchone()[0] or 0
            if newest - oldest >= self.max_rows + PRUNE_EVERY:
                database.execute("DELETE FROM answers WHERE id <= ?", (newest - self.max_rows,))

    def read(self) -> Iterator[Answers]:
        """Return what is kept, oldest first; nothing if there is no file. Reading stops no writer."""
        if not self.path.exists():
            return
        read_only = f"{self.path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(read_only, timeout=LOCK_WAIT_S, uri=True)) as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'answers'").fetchone():
                return  # another process is making the file
            for kind, timeframe, pair, open_ms, champion, challenger, *rows in database.execute(SELECT):
                first, second = (np.frombuffer(row, "<f4") for row in rows)
                yield Answers(kind, timeframe, pair, open_ms, champion, challenger, first, second)

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=LOCK_WAIT_S)
        try:
            _write_ahead(database)
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(TABLE)
        except BaseException:
            database.close()
            raise
        return database


def _write_ahead(database: sqlite3.Connection) -> None:
    """Make the file one with a write-ahead log; SQLite waits for no other process that is just doing the same."""
    end = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)


def _bytes(row: NDArray[np.float32]) -> bytes:
    return row.astype("<f4").tobytes()
