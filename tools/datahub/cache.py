"""Closed candles on disk, a Parquet file per pair and timeframe (HUB-5). From: `hub`. To: `hub`, a request later.

A file is written whole beside its name and moved over it, so two processes, a kill or a full disk leave an old file or
a new one, never half of one. Every fault here costs a request to the exchange and nothing more.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from nn.data.quality import OHLCV

from .symbols import file_stem

logger = logging.getLogger(__name__)

SCHEMA = pa.schema([("date", pa.int64()), *((name, pa.float64()) for name in OHLCV)])
NOTE = b"candlewright.datahub.1"
ABANDONED_S = 60.0  # a partial file that old belongs to a process that was killed


@dataclass(frozen=True)
class Entry:
    """Candles, oldest first, and how they came: `asked` rows wanted, from `source`, at `written` (s since 1970)."""

    candles: pd.DataFrame
    asked: int
    source: str
    written: float


class CandleCache:
    """At most `max_bytes` under `folder`, oldest out first."""

    def __init__(self, folder: Path, max_bytes: int = 512 << 20) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        self.complained = False
        with self._forgiving("make"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._sweep()

    def get(self, pair: str, timeframe: str) -> Entry | None:
        path = self._path(pair, timeframe)
        try:
            table = parquet.ParquetFile(io.BytesIO(path.read_bytes())).read()
            note = json.loads((table.schema.metadata or {})[NOTE])
            if not table.schema.equals(SCHEMA) or note["series"] != [pair, timeframe]:
                raise ValueError("another layout")
            columns = {name: table.column(name).to_numpy() for name in SCHEMA.names}
            return Entry(pd.DataFrame(columns), int(note["asked"]), str(note["source"]), float(note["written"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as fault:
            logger.warning("cached %s %s cannot be read (%s); it is fetched again", pair, timeframe, fault)
            return None

    def put(self, pair: str, timeframe: str, entry: Entry) -> None:
        note = {"series": [pair, timeframe], "asked": entry.asked, "source": entry.source, "written": entry.written}
        table = pa.Table.from_pydict({name: entry.candles[name].to_numpy() for name in SCHEMA.names}, schema=SCHEMA)
        sink = io.BytesIO()
        parquet.write_table(table.replace_schema_metadata({NOTE: json.dumps(note)}), sink, compression="zstd")
        path = self._path(pair, timeframe)
        with self._forgiving("write"):
            partial = self.folder / f".{path.stem}.{os.getpid()}.{secrets.token_hex(4)}.partial"
            try:
                with partial.open("xb") as file:
                    file.write(sink.getbuffer())
                    file.flush()
                    os.fsync(file.fileno())
                partial.replace(path)
            except OSError:
                partial.unlink(missing_ok=True)
                raise
            self._evict()
            self.complained = False

    def _path(self, pair: str, timeframe: str) -> Path:
        return self.folder / f"{file_stem(pair, timeframe)}.parquet"

    def _evict(self) -> None:
        files = []
        for path in self.folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process removes as well
                found = path.stat()
                files.append((found.st_mtime, found.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self.max_bytes:
                return
            if path.suffix == ".parquet":
                path.unlink(missing_ok=True)
                total -= size

    def _sweep(self) -> None:
        for path in self.folder.glob(".*.partial"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > ABANDONED_S:
                    path.unlink()

    @contextlib.contextmanager
    def _forgiving(self, action: str):
        try:
            yield
        except OSError as fault:
            if not self.complained:  # once per trouble: a full disk would fill the log as well
                logger.warning("cannot %s the cache in %s: %s; the hub works without it", action, self.folder, fault)
            self.complained = True
