"""The Arrow form of a forecast request and its reply, and the checks that a reply is the answer to the question.

From: Freqtrade's candle frame, the service's bytes. To: the client (bytes), the forecast source (a checked table).
"""

import numpy as np
import pandas as pd
import pyarrow as pa

from strategies.shared.client import ForecastUnavailable

SCHEMA_VERSION = 1
HORIZONS = ("15m", "1h", "4h", "12h")
REACHES = ("1pct_4h", "2pct_4h", "3pct_12h", "5pct_12h")
FORECAST_COLUMNS = (
    *(f"future_return_{horizon}" for horizon in HORIZONS),
    *(f"direction_{horizon}_{side}" for horizon in HORIZONS for side in ("up", "down", "flat")),
    *(f"long_will_reach_{reach}" for reach in REACHES),
    *(f"short_will_reach_{reach}" for reach in REACHES),
    "max_drawdown_1h", "max_drawdown_4h", "max_rally_1h", "max_rally_4h",
    "best_action_long", "best_action_short", "best_action_hold",
    "signal_strength", "risk_reward_ratio", "optimal_hold_time",
    *(f"confidence_{horizon}" for horizon in HORIZONS),
)  # fmt: skip
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


def encode(candles: pa.Table, pair: str, timeframe: str, as_of: str) -> bytes:
    """Return the request body."""
    parameters = {"schema_version": str(SCHEMA_VERSION), "pair": pair, "timeframe": timeframe, "as_of": as_of}
    candles = candles.replace_schema_metadata(parameters)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, candles.schema) as writer:
        writer.write_table(candles)
    return sink.getvalue().to_pybytes()


def decode(body: bytes, pair: str, timeframe: str) -> pa.Table:
    """Return the reply's table: `date` as int64 ms, the 38 columns float32, model_version and reason as text.

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
        if not metadata.get("chain_digest"):
            raise ForecastUnavailable("mismatch", "reply does not name its chain_digest")
        expected_columns = ("date", "model_version", "reason", *FORECAST_COLUMNS)
        missing = [name for name in expected_columns if name not in table.column_names]
        if missing:
            raise ForecastUnavailable("mismatch", f"reply lacks the columns {', '.join(missing[:5])}")
        date = table["date"]
        if not pa.types.is_integer(date.type):
            date = date.cast(pa.timestamp("ms", "UTC"))
        columns = {"date": date.cast(pa.int64())}
        columns |= {name: table[name].cast(pa.string()) for name in ("model_version", "reason")}
        columns |= {name: table[name].cast(pa.float32()) for name in FORECAST_COLUMNS}
        if columns["date"].null_count:
            raise ForecastUnavailable("mismatch", "reply has rows without a date")
        return pa.table(columns).combine_chunks().replace_schema_metadata({"chain_digest": metadata["chain_digest"]})
    except (pa.ArrowException, UnicodeDecodeError, ValueError, TypeError) as error:
        raise ForecastUnavailable("mismatch", f"reply is not the Arrow stream of the contract: {error}") from error


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
