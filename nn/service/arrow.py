"""The Arrow stream form of requests and answers, for bulk. From: a body that the guard let in. To: `wire`'s Question.
`read_stream` reads any stream of plain columns; `policy.question` reads observations by it.

Request: columns date (open time: timestamp[ms, UTC] or int64 milliseconds) and open, high, low, close, volume, float64;
parameters in the schema's metadata. For the newest candles of several pairs there is one more column, `pair` (string):
the rows of a pair stand together, and the parameter `pair` is left out.

Nothing is unpacked before its size is known: `batch_layout` reads the sizes that a record batch claims, because pyarrow
would allocate whatever a compressed buffer says it will become (THR-16).
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from ..data.quality import OHLCV
from .errors import Refused, bad_request, too_large
from .reply import Reply, Words
from .wire import MAX_PAIRS, MAX_ROWS, PAIR, OnePair, Parameters, Question, question, validated

COLUMN_TYPES = {"date": (pa.timestamp("ms", tz="UTC"), pa.int64()), "pair": (pa.string(),)}  # others are float64
WHOLE_NUMBERS = {"schema_version": 4, "close_time": 13}  # parameters that travel as digits, and how many of them
MAX_BATCHES = 10_000
PADDING = 64  # bytes that a writer may add to a buffer
VALUE_BYTES = 8  # of every column but `pair`
PAIR_BYTES = 42  # of the longest name that the pattern allows
PIECE = 4096  # candles in a record batch of an answer, some 650 kB
REPLY_TIME = pa.timestamp("ms", tz="UTC")
REPLY_WORD = pa.dictionary(pa.int32(), pa.string())
Checked = TypeVar("Checked")


def read_arrow(body: bytes) -> Question:
    """Return the question in an Arrow stream; `Refused` with 400 or 413 and the reason if it is not one."""
    parameters, table = read_stream(body, parameters_of, MAX_ROWS)
    columns = {name: table[name].to_numpy() for name in OHLCV}
    columns["date"] = table["date"].cast(pa.int64()).to_numpy()
    if isinstance(parameters, OnePair):
        return question(parameters, columns, {parameters.pair: slice(None)})
    return question(parameters, columns, blocks_of(table["pair"]), by_pair=True)


def parameters_of(schema: pa.Schema) -> Parameters:
    """Return the parameters in the schema of a question about candles; refuse one of another."""
    check_schema(schema)
    by_pair = "pair" in schema.names
    parameters = validated(Parameters if by_pair else OnePair, metadata_of(schema))
    if by_pair and parameters.as_of != "latest":
        raise bad_request("several pairs are answered for their newest candles only: as_of must be latest")
    return parameters


def read_stream(body: bytes, check: Callable[[pa.Schema], Checked], max_rows: int) -> tuple[Checked, pa.Table]:
    """Return what `check` makes of the schema, and the table; nothing is unpacked that `check` or the limits refuse."""
    try:
        messages = pa.ipc.MessageReader.open_stream(pa.py_buffer(body))
        first = next(iter(messages), None)
        if first is None or first.type != "schema":  # read_schema trusts a message of another type, and crashes on it
            raise bad_request("the body is an Arrow stream without a schema")
        schema = pa.ipc.read_schema(first)
        checked = check(schema)
        batches = list(_batches(messages, schema, max_rows))
    except Refused:
        raise
    except (pa.ArrowException, OSError, EOFError, ValueError, MemoryError, struct.error) as error:
        raise bad_request(f"the body is no Arrow stream: {_first_line(error)}") from None
    return checked, pa.Table.from_batches(batches, schema)


def blocks_of(column: pa.ChunkedArray) -> dict[str, slice]:
    """Return the rows of each pair; refuse too many pairs, a name that is none, and a pair that comes twice (LIM-5)."""
    words = column.combine_chunks().dictionary_encode()  # codes count up in the order of first appearance
    pairs, codes = words.dictionary.to_pylist(), words.indices.to_numpy()
    if len(pairs) > MAX_PAIRS:
        raise too_large(f"{len(pairs)} pairs, expected at most {MAX_PAIRS}; split the work")
    for pair in pairs:
        if not re.fullmatch(PAIR.strip("^$"), pair):
            raise bad_request(f"pair is {pair[:60]!r}, expected a name such as BTC/USDT or BTC/USDT:USDT")
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    for count, start in enumerate(starts):
        if codes[start] != count:
            raise bad_request(
                f"row {start} is of {pairs[codes[start]]} again, expected the rows of a pair to be together"
            )
    ends = [*starts[1:], len(codes)]
    return {pair: slice(int(start), int(end)) for pair, start, end in zip(pairs, starts, ends, strict=True)}


def check_schema(schema: pa.Schema) -> None:
    """Refuse all but the plain columns in any order: no extension types, dictionaries or nesting (LIM-3)."""
    names = schema.names
    if sorted(name for name in names if name != "pair") != sorted(("date", *OHLCV)) or names.count("pair") > 1:
        raise bad_request(f"columns are {', '.join(names[:12])}, expected date, {', '.join(OHLCV)} and perhaps pair")
    for field in schema:
        allowed = COLUMN_TYPES.get(field.name, (pa.float64(),))
        if field.type not in allowed or field.metadata:
            kind = "an extension type" if field.metadata or isinstance(field.type, pa.BaseExtensionType) else field.type
            raise bad_request(f"column {field.name} has type {kind}, expected {' or '.join(map(str, allowed))}")


def metadata_of(schema: pa.Schema) -> dict[str, object]:
    """Return the parameters in the schema's metadata; pandas' own note about its index is no parameter."""
    values: dict[str, object] = {}
    for name, value in (schema.metadata or {}).items():
        if name == b"pandas":
            continue
        try:
            values[name.decode()] = value.decode()
        except UnicodeDecodeError:
            raise bad_request("schema metadata is not UTF-8") from None
    for name, longest in WHOLE_NUMBERS.items():
        value = values.get(name)
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= longest:
            values[name] = int(value)
    return values


def _batches(messages: pa.ipc.MessageReader, schema: pa.Schema, max_rows: int):
    rows, widest = 0, PAIR_BYTES if "pair" in schema.names else VALUE_BYTES
    for count, message in enumerate(messages):
        if message.type != "record batch" or count >= MAX_BATCHES:
            raise bad_request(f"message {count + 1} is a {message.type}, expected at most {MAX_BATCHES} record batches")
        layout = batch_layout(message.metadata.to_pybytes(), message.body, 4 * len(schema))
        rows += layout.rows
        if rows > max_rows:
            raise too_large(f"more than {max_rows} rows; split the work")
        if max(layout.unpacked_bytes, default=0) > layout.rows * widest + PADDING:
            raise too_large(f"a buffer of {layout.rows} rows claims {max(layout.unpacked_bytes)} bytes")
        batch = pa.ipc.read_record_batch(message, schema)
        batch.validate(full=True)
        if any(column.null_count for column in batch.columns):
            raise bad_request("columns have nulls, expected a number in every cell")
        yield batch


@dataclass(frozen=True)
class BatchLayout:
    rows: int
    unpacked_bytes: tuple[int, ...]  # what each buffer will hold in memory


def batch_layout(metadata: bytes, body: pa.Buffer | None, max_buffers: int = 4 * len(OHLCV)) -> BatchLayout:
    """Return what a record batch claims to hold, read from its flatbuffer without unpacking anything.

    Arrow's Message.fbs: field 2 of a message is its header; a RecordBatch has the number of rows in field 0, its
    buffers as (offset, length) in field 2, and field 3 only if they are compressed: each then starts with its
    unpacked length.
    """
    header = _follow(metadata, _field(metadata, _follow(metadata, 0), 2))
    length = _field(metadata, header, 0)
    rows = struct.unpack_from("<q", metadata, length)[0] if length else 0
    if rows < 0:
        raise bad_request(f"a record batch claims {rows} rows")
    vector = _follow(metadata, _field(metadata, header, 2))
    n_buffers = struct.unpack_from("<I", metadata, vector)[0]
    if n_buffers > max_buffers:
        raise bad_request(f"a record batch has {n_buffers} buffers, too many for its columns")
    compressed = bool(_field(metadata, header, 3))
    unpacked = []
    for index in range(n_buffers):
        offset, size = struct.unpack_from("<qq", metadata, vector + 4 + 16 * index)
        if compressed and size:
            if offset < 0 or body is None or offset + 8 > body.size:
                raise bad_request("a buffer lies outside its record batch")
            claimed = struct.unpack_from("<q", body, offset)[0]
            size = size if claimed == -1 else claimed  # -1: this one was left as it is
        if size < 0:
            raise bad_request(f"a buffer claims {size} bytes")
        unpacked.append(size)
    return BatchLayout(rows, tuple(unpacked))


def _field(data: bytes, table: int, index: int) -> int:
    """Return where field `index` of a flatbuffer table lies, 0 if it is left out."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    if vtable < 0:
        raise ValueError("a table points outside the message")
    size = struct.unpack_from("<H", data, vtable)[0]
    position = 4 + 2 * index
    if position + 2 > size:
        return 0
    offset = struct.unpack_from("<H", data, vtable + position)[0]
    return table + offset if offset else 0


def _follow(data: bytes, position: int) -> int:
    return position + struct.unpack_from("<I", data, position)[0]


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]


def write_arrow(asked: Question, reply: Reply) -> Iterator[bytes]:
    """Yield the answer as an Arrow stream, piece by piece: a row per candle, null where there is no number or word."""
    metadata = {"schema_version": "1", "timeframe": asked.timeframe} | reply.digests
    metadata["versions"] = orjson.dumps(reply.versions).decode()
    columns: dict[str, Words | NDArray[np.generic]] = {}
    if asked.by_pair:
        columns["pair"] = Words(reply.block, tuple(block.pair for block in asked.blocks))
    else:
        metadata["pair"] = asked.blocks[0].pair
    columns["date"] = reply.open_ms
    columns.update(reply.columns)
    arrays = {name: _array(name, column, slice(0, 0)) for name, column in columns.items()}
    schema = pa.schema([(name, array.type) for name, array in arrays.items()], metadata=metadata)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema) as writer:
        for start in range(0, len(reply.open_ms), PIECE):
            part = slice(start, start + PIECE)
            writer.write_batch(
                pa.record_batch([_array(name, column, part) for name, column in columns.items()], schema=schema)
            )
            yield sink.getvalue()
            sink.seek(0)
            sink.truncate()
    yield sink.getvalue()


def _array(name: str, column: Words | NDArray[np.generic], part: slice) -> pa.Array:
    if isinstance(column, Words):
        return _words(Words(column.codes[part], column.words))
    return pa.array(column[part], type=pa.int64()).cast(REPLY_TIME) if name == "date" else _numbers(column[part])


def _numbers(column: NDArray[np.generic]) -> pa.Array:
    return pa.array(np.ascontiguousarray(column), type=pa.float32(), from_pandas=True)  # NaN is null


def _words(column: Words) -> pa.Array:
    indices = pa.array(column.codes, type=pa.int32(), mask=column.codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(column.words, type=pa.string())).cast(REPLY_WORD)
