"""The Arrow form of a question about candles and its reply, and the checks that a reply answers the question.

From: Freqtrade's candle frames, the service's bytes. To: the client (bytes), `history` and `live` (checked tables).
The contracts are decision_reply and rollout_reply of configs/contracts; a test holds `forms` to them (SRV-7).
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from strategies.shared.client import ForecastUnavailable
from strategies.shared.forms import DECISION, Form

SCHEMA_VERSION = 1
PRICES = ("open", "high", "low", "close", "volume")
MAX_ROWS = 100_000  # of the 500,000 that the service takes (LIM-4), so that a slow one answers within its minute


def candle_table(frame: pd.DataFrame) -> pa.Table:
    """Return the candles of a Freqtrade frame as the service wants them: UTC milliseconds and float64."""
    columns = {"date": pa.array(open_times(frame), type=pa.timestamp("ms", tz="UTC"))}
    columns |= {name: pa.array(np.ascontiguousarray(frame[name], dtype=np.float64)) for name in PRICES}
    return pa.table(columns)


def open_times(frame: pd.DataFrame) -> np.ndarray:
    """Return the open times as int64 milliseconds since 1970, UTC."""
    return frame["date"].dt.as_unit("ms").astype("int64").to_numpy()


def encode(candles: pa.Table, timeframe: str, as_of: str, pair: str) -> bytes:
    """Return the request body about one pair."""
    return _stream(candles, {"pair": pair, "timeframe": timeframe, "as_of": as_of})


def encode_pairs(candles: Mapping[str, pa.Table], timeframe: str) -> bytes:
    """Return the request body about the newest candle of several pairs: their blocks one after the other."""
    blocks = [
        table.append_column("pair", pa.array([pair] * table.num_rows, pa.string())) for pair, table in candles.items()
    ]
    return _stream(pa.concat_tables(blocks), {"timeframe": timeframe, "as_of": "latest"})


def decode(body: bytes, timeframe: str, pair: str | None, form: Form = DECISION) -> pa.Table:
    """Return the reply's table: `date` as int64 ms, numbers as float32, words as text, and `pair` if none was named.

    Raises
    ------
    ForecastUnavailable
        If it is no Arrow stream, answers another question or lacks a column (CLT-4).
    """
    try:
        with pa.ipc.open_stream(body) as reader:
            table = reader.read_all()
        metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        for name, expected in (("pair", pair), ("timeframe", timeframe)):
            if metadata.get(name) != expected:
                answered = metadata.get(name)
                raise ForecastUnavailable("mismatch", f"reply is about {name} {answered!r}, asked was {expected!r}")
        if unnamed := [name for name in form.digests if not metadata.get(name)]:
            raise ForecastUnavailable("mismatch", f"reply does not name its {' and '.join(unnamed)}")
        texts = (*form.texts, "reason", *(() if pair is not None else ("pair",)))
        missing = [name for name in ("date", *texts, *form.numbers) if name not in table.column_names]
        if missing:
            raise ForecastUnavailable("mismatch", f"reply lacks the columns {', '.join(missing[:5])}")
        date = table["date"]
        if not pa.types.is_integer(date.type):
            date = date.cast(pa.timestamp("ms", "UTC"))
        columns = {"date": date.cast(pa.int64())}
        columns |= {name: table[name].cast(pa.string()) for name in texts}
        columns |= {name: table[name].cast(pa.float32()) for name in form.numbers}
        if columns["date"].null_count:
            raise ForecastUnavailable("mismatch", "reply has rows without a date")
        digests = {name: metadata[name] for name in form.digests}
        return pa.table(columns).combine_chunks().replace_schema_metadata(digests)
    except (pa.ArrowException, UnicodeDecodeError, ValueError, TypeError) as error:
        raise ForecastUnavailable("mismatch", f"reply is not the Arrow stream of the contract: {error}") from error


def chain_of(table: pa.Table, form: Form = DECISION) -> str:
    """Return what names the chains of versions that a decoded reply was made by; `model_lines` names them alike."""
    return "+".join((table.schema.metadata or {}).get(name.encode(), b"").decode() for name in form.digests)


def check_dates(table: pa.Table, expected: np.ndarray) -> None:
    """Refuse a reply whose rows are not exactly the candles asked for, in their order (CLT-4, ASO-4)."""
    dates = table["date"].to_numpy()
    if len(dates) != len(expected):
        raise ForecastUnavailable("mismatch", f"reply has {len(dates)} rows, asked were {len(expected)}")
    if (different := np.flatnonzero(dates != expected)).size:
        row = int(different[0])
        raise ForecastUnavailable("mismatch", f"reply's row {row} is of candle {dates[row]}, asked was {expected[row]}")


def split_ranges(n_rows: int, overlap: int, max_rows: int = MAX_ROWS) -> list[tuple[int, int, int]]:
    """Cut a request that is above the service's limit: (first row sent, first row kept, end), the parts overlapping.

    Parameters
    ----------
    n_rows : int
        Candles in all.
    overlap : int
        Rows that a score reads before its own: warm-up and context.
    max_rows : int
        Rows that one request may carry.
    """
    if overlap >= max_rows:
        raise ForecastUnavailable("mismatch", f"a score reads {overlap} rows, a request carries at most {max_rows}")
    ranges, keep = [], 0
    while keep < n_rows:
        start = max(0, keep - overlap)
        end = min(n_rows, start + max_rows)
        ranges.append((start, keep, end))
        keep = end
    return ranges


def _stream(candles: pa.Table, parameters: Mapping[str, str]) -> bytes:
    candles = candles.replace_schema_metadata({"schema_version": str(SCHEMA_VERSION), **parameters})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, candles.schema) as writer:
        writer.write_table(candles)
    return sink.getvalue().to_pybytes()
