"""Hostile Arrow bodies: refused with a reason, and never unpacked before their size is known (LIM-3, LIM-4, THR-16)."""

import random
import re
import struct

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from nn.service.arrow import batch_layout, read_arrow
from nn.service.errors import Refused


def refusal(body):
    with pytest.raises(Refused) as caught:
        read_arrow(body)
    return caught.value


def only_block(body):
    [block] = read_arrow(body).blocks
    return block


def replaced(kit, name, column):
    table = kit.arrow_table(kit.candles(8))
    position = table.schema.get_field_index(name)
    return kit.stream_of(table.set_column(position, name, column))


def test_dates_may_be_timestamps_or_milliseconds(kit):
    frame = kit.candles(20)
    dates = pa.array(frame["date"], pa.int64())
    assert only_block(replaced(kit, "date", dates[:8])).candles["date"].tolist() == frame["date"][:8].tolist()
    asked = read_arrow(kit.arrow_body(frame, as_of="latest"))
    assert (asked.blocks[0].pair, asked.timeframe, asked.as_of, asked.live) == ("BTC/USDT:USDT", "15m", "latest", True)
    np.testing.assert_array_equal(pd.DataFrame(asked.candles[0]), frame)


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_batches_are_read(kit, compression):
    frame = kit.candles(500)
    asked = read_arrow(kit.stream_of(kit.arrow_table(frame), compression=compression))
    np.testing.assert_array_equal(pd.DataFrame(asked.candles[0]), frame)


def test_many_batches_are_one_question(kit):
    frame = kit.candles(100)
    table = kit.arrow_table(frame)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    np.testing.assert_array_equal(pd.DataFrame(only_block(sink.getvalue().to_pybytes()).candles), frame)


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


def several(kit, *pairs, n_rows=8):
    return {pair: kit.candles(n_rows + k, seed=k) for k, pair in enumerate(pairs)}


def test_the_newest_candles_of_several_pairs_are_one_question(kit):
    frames = several(kit, "BTC/USDT:USDT", "1000PEPE/USDT:USDT", "A/B")
    asked = read_arrow(kit.stream_of(kit.pairs_table(frames), compression="zstd"))
    assert [block.pair for block in asked.blocks] == list(frames)
    assert (asked.by_pair, asked.live) == (True, True)
    for block, frame in zip(asked.blocks, frames.values(), strict=True):
        np.testing.assert_array_equal(pd.DataFrame(block.candles), frame)


def with_pairs(kit, pairs, frame=None, **changes):
    frame = kit.candles(len(pairs)) if frame is None else frame
    table = kit.arrow_table(frame, **({"pair": None, "as_of": "latest"} | changes))
    return kit.stream_of(table.append_column("pair", pairs if isinstance(pairs, pa.Array) else pa.array(pairs)))


SEVERAL = {
    "a pair that comes twice": (lambda k: with_pairs(k, ["A/B", "C/D", "A/B"]), "row 2 is of A/B again"),
    "a name that is none": (lambda k: with_pairs(k, ["A/B", "../x"]), "'../x'"),
    "a name in lower case": (lambda k: with_pairs(k, ["a/B"]), "'a/B'"),
    "a name with a line end": (lambda k: with_pairs(k, ["A/B\n"]), r"A/B\\n"),
    "no name": (lambda k: with_pairs(k, ["A/B", None]), "nulls"),
    "names as a dictionary": (lambda k: with_pairs(k, pa.array(["A/B"] * 3).dictionary_encode()), "dictionary"),
    "names as bytes": (lambda k: with_pairs(k, pa.array([b"A/B"])), "binary"),
    "history": (lambda k: with_pairs(k, ["A/B"], as_of="each"), "as_of must be latest"),
    "as_of left out": (lambda k: with_pairs(k, ["A/B"], as_of=None), "as_of must be latest"),
    "a pair in the metadata too": (lambda k: with_pairs(k, ["A/B"], pair="A/B"), "pair: Extra inputs"),
    "rows of a pair out of order": (
        lambda k: with_pairs(k, ["A/B"] * 2 + ["C/D"] * 2, k.candles(4).iloc[[0, 1, 3, 2]]),
        "C/D 15m: row 1",
    ),
    "a price of the second pair": (
        lambda k: with_pairs(k, ["A/B"] * 2 + ["C/D"], k.candles(3).assign(low=[1.0, 1.0, 0.0])),
        "C/D 15m: row 0",
    ),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_pairs_that_do_not_fit_together_are_400(kit, name):
    """LIM-5: pair by pair as strict as one alone."""
    body, said = SEVERAL[name]
    found = refusal(body(kit))
    assert found.status == 400
    assert re.search(said, found.reason), found.reason


def test_more_pairs_than_allowed_are_413(kit):
    assert len(read_arrow(with_pairs(kit, [f"A{k}/B" for k in range(200)])).blocks) == 200
    assert refusal(with_pairs(kit, [f"A{k}/B" for k in range(201)])).status == 413


def test_names_that_unpack_to_much_are_413(kit):
    """LIM-4: a column of words may not hold more than names could."""
    body = with_pairs(kit, ["A" * 100] * 500)
    assert refusal(body).status == 413
