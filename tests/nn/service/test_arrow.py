"""Hostile Arrow bodies: refused with a reason, and never unpacked before their size is known (LIM-3, LIM-4, THR-16)."""

import random
import struct

import numpy as np
import pyarrow as pa
import pytest

from nn.service.arrow import batch_layout, read_arrow
from nn.service.errors import Refused


def refusal(body):
    with pytest.raises(Refused) as caught:
        read_arrow(body)
    return caught.value


def replaced(kit, name, column):
    table = kit.arrow_table(kit.candles(8))
    position = table.schema.get_field_index(name)
    return kit.stream_of(table.set_column(position, name, column))


def test_dates_may_be_timestamps_or_milliseconds(kit):
    frame = kit.candles(20)
    dates = pa.array(frame["date"], pa.int64())
    assert read_arrow(replaced(kit, "date", dates[:8])).open_ms.tolist() == frame["date"][:8].tolist()
    asked = read_arrow(kit.arrow_body(frame, as_of="latest"))
    assert (asked.pair, asked.timeframe, asked.as_of, asked.live) == ("BTC/USDT:USDT", "15m", "latest", True)
    np.testing.assert_array_equal(asked.frame, frame)


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_batches_are_read(kit, compression):
    frame = kit.candles(500)
    asked = read_arrow(kit.stream_of(kit.arrow_table(frame), compression=compression))
    np.testing.assert_array_equal(asked.frame, frame)


def test_many_batches_are_one_question(kit):
    frame = kit.candles(100)
    table = kit.arrow_table(frame)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    np.testing.assert_array_equal(read_arrow(sink.getvalue().to_pybytes()).frame, frame)


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_more_rows_than_allowed_are_413_however_small_they_travel(kit, compression):
    """LIM-4: 500,000 rows, after decompression."""
    n_rows = 500_001
    columns = {name: np.full(n_rows, 100.0) for name in ("open", "high", "low", "close", "volume")}
    table = pa.table({"date": np.arange(n_rows) * kit.bar_ms} | columns)
    table = table.replace_schema_metadata(kit.arrow_table(kit.candles(2)).schema.metadata)
    body = kit.stream_of(table, compression=compression)
    assert len(body) < 8_000_000
    assert refusal(body).status == 413


def bomb(kit, claimed):
    """A batch whose buffers claim to unpack to `claimed` bytes; its size is that of 200 rows."""
    table = kit.arrow_table(kit.candles(200))
    body = bytearray(kit.stream_of(table.set_column(1, "open", pa.array([100.0] * 200)), compression="zstd"))
    honest = struct.pack("<q", 1600)
    assert honest in body
    return bytes(body.replace(honest, struct.pack("<q", claimed)))


@pytest.mark.parametrize("claimed", [1 << 20, 1 << 40, 1 << 62, -2, -(1 << 62)])
def test_a_bomb_is_refused_before_it_is_unpacked(kit, claimed, monkeypatch):
    """Nothing reaches pyarrow's unpacking."""

    def unpack(*args):
        raise AssertionError("unpacked")

    monkeypatch.setattr(pa.ipc, "read_record_batch", unpack)
    assert refusal(bomb(kit, claimed)).status in (400, 413)


def test_a_buffer_that_lies_about_a_smaller_size_is_400(kit):
    assert refusal(bomb(kit, 1000)).status == 400


def test_the_layout_of_a_batch_is_read_as_it_was_written(kit):
    """`batch_layout` against pyarrow itself, plain and compressed."""
    for compression in (None, "lz4", "zstd"):
        body = kit.stream_of(kit.arrow_table(kit.candles(300)), compression=compression)
        messages = list(pa.ipc.MessageReader.open_stream(body))
        layout = batch_layout(messages[1].metadata.to_pybytes(), messages[1].body)
        assert layout.rows == 300
        assert [size for size in layout.unpacked_bytes if size] == [2400] * 6


class Marked(pa.ExtensionType):
    def __init__(self):
        super().__init__(pa.float64(), "candlewright.test")

    def __arrow_ext_serialize__(self):
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type, serialized):
        return cls()


HOSTILE = {
    "dictionary": pa.array(["a"] * 8).dictionary_encode(),
    "dictionary of numbers": pa.array([1.0] * 8).dictionary_encode(),
    "nested": pa.array([[1.0]] * 8),
    "struct": pa.array([{"a": 1.0}] * 8),
    "text": pa.array(["1.0"] * 8),
    "binary": pa.array([b"1"] * 8),
    "float32": pa.array([1.0] * 8, pa.float32()),
    "integers": pa.array([1] * 8),
    "nulls": pa.array([1.0] * 7 + [None]),
    "all null": pa.nulls(8),
    "extension": pa.ExtensionArray.from_storage(Marked(), pa.array([1.0] * 8)),
    "run-end encoded": pa.RunEndEncodedArray.from_arrays([8], [1.0]),
    "not finite": pa.array([1.0] * 7 + [float("inf")]),
    "NaN": pa.array([1.0] * 7 + [float("nan")]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_column_that_is_not_plain_is_400(kit, name):
    """LIM-3."""
    assert refusal(replaced(kit, "volume", HOSTILE[name])).status == 400


def test_a_registered_extension_type_is_400(kit):
    """Known or unknown to this process: neither is let in."""
    pa.register_extension_type(Marked())
    try:
        assert "extension" in refusal(replaced(kit, "volume", HOSTILE["extension"])).reason
    finally:
        pa.unregister_extension_type("candlewright.test")


def test_unknown_missing_and_doubled_columns_are_400(kit):
    table = kit.arrow_table(kit.candles(8))
    for changed in (
        table.append_column("peers", pa.array([1.0] * 8)),
        table.drop_columns("low"),
        table.append_column("low", table["low"]),
    ):
        assert refusal(kit.stream_of(changed)).status == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"schema_version": None},
        {"schema_version": "2"},
        {"schema_version": "1" * 5000},
        {"pair": "../x"},
        {"pair": b"\xff"},
        {"as_of": "future"},
        {"unknown": "x"},
        {"timeframe": None},
    ],
)
def test_wrong_parameters_are_400(kit, changes):
    """LIM-5."""
    assert refusal(kit.arrow_body(kit.candles(8), **changes)).status == 400


def test_what_is_no_stream_is_400(kit):
    good = kit.arrow_body(kit.candles(20))
    file = pa.BufferOutputStream()
    table = kit.arrow_table(kit.candles(20))
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    schema_only = pa.schema(table.schema).serialize().to_pybytes()
    for body in (
        b"",
        b"\0" * 100,
        good[:50],
        good[: len(good) // 2],
        schema_only,
        file.getvalue().to_pybytes(),
        b"PAR1",
    ):
        assert refusal(body).status == 400


def test_damaged_streams_are_refused_or_still_candles(kit):
    """Bytes changed at random: read or refused, and nothing else happens. The seed is fixed."""
    generator = random.Random(11)
    bodies = [kit.stream_of(kit.arrow_table(kit.candles(20)), compression=kind) for kind in (None, "zstd")]
    outcomes = {"read": 0, "refused": 0, "failed": 0}
    for round_ in range(600):
        body = bytearray(bodies[round_ % 2])
        for _ in range(generator.randint(1, 4)):
            body[generator.randrange(len(body))] = generator.randrange(256)
        try:
            read_arrow(bytes(body))
            outcomes["read"] += 1
        except Refused as error:
            outcomes["refused" if error.status in (400, 413) else "failed"] += 1
    assert outcomes["failed"] == 0
    assert min(outcomes["read"], outcomes["refused"]) > 10


def test_a_first_message_of_no_type_is_400_and_ends_no_process(kit):
    """Arrow checks no header whose type says there is none, and then follows its offsets: found by fuzzing."""
    body = bytearray(kit.arrow_body(kit.candles(2)))
    body[29] = 0  # the type of the first message's header
    for offset in range(36, 500, 4):
        broken = bytearray(body)
        broken[offset : offset + 4] = b"\xff\xff\xff\x7f"
        assert refusal(bytes(broken)).status == 400
