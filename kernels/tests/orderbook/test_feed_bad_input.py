"""Bad input: an error with file, line and reason, or a count; never a crash (LOB-1)."""

import gzip
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

import feed_captures as captures
from real_feed import BTC

from tradekernels.orderbook import Feed, FeedError, Instrument, read_capture

LOCAL = 1700000000000000000
T = 1700000000000
GOOD = captures.trade(LOCAL, T, 1, "10.0", "0.002", True)

BAD_LINES = {
    "no receive time": b'{"e":"trade"}\n',
    "text after": GOOD[:-1] + b" {}\n",
    "broken JSON": GOOD[:-3] + b"\n",
    "nested deeper": str(LOCAL).encode() + b' {"x":' + b"[" * 500 + b"]" * 500 + b"}\n",
    'price is "1e5", which is no plain decimal': captures.trade(LOCAL, T, 1, "1e5", "0.002", True),
    'quantity is "-0.001", which is negative': captures.diff(LOCAL, T, 1, 2, 0, [("10.0", "-0.001")]),
    'price is "10.05", not a multiple of its step 0.1': captures.trade(LOCAL, T, 1, "10.05", "0.002", True),
    'price is "300000000.0", which is out of range': captures.trade(LOCAL, T, 1, "300000000.0", "0.002", True),
    "T is 99999999999999999999, expected a whole number": GOOD.replace(
        b'"T":1700000000000', b'"T":99999999999999999999'
    ),
    r'a level is "1", expected lists of \[price, quantity\]': GOOD.replace(
        b'"e":"trade"', b'"e":"depthUpdate","u":1,"b":["1","2"],"a":[]'
    ),
    "m is missing": GOOD.replace(b'"m":true', b'"n":true'),
    'm is "x", expected true or false': GOOD.replace(b'"m":true', b'"m":"x"'),
    "price is null, which is no plain decimal": GOOD.replace(b'"p":"10.0"', b'"p":null'),
    "s is 5, expected a string": GOOD.replace(b'"s":"BTCUSDT"', b'"s":5'),
    "T or E is missing": GOOD.replace(b'"T"', b'"V"').replace(b'"E"', b'"W"'),
    r"the message is \[5, expected a JSON object": str(LOCAL).encode() + b" [5,6]\n",
    "the message is null, expected a JSON object": str(LOCAL).encode() + b" null\n",
    "u is missing": captures.diff(LOCAL, T, 1, None, 0),
    "b is missing": captures.diff(LOCAL, T, 1, 2, 0).replace(b'"b"', b'"c"'),
    r"b is null, expected lists of \[price, quantity\]": captures.diff(LOCAL, T, 1, 2, 0).replace(
        b'"b":[]', b'"b":null'
    ),
    r'a is "x", expected lists of \[price, quantity\]': captures.diff(LOCAL, T, 1, 2, 0).replace(b'"a":[]', b'"a":"x"'),
    "asks is missing": captures.snapshot(LOCAL, T, 1, [], []).replace(b'"asks"', b'"ask"'),
    'lastUpdateId is "1", expected a whole number': captures.snapshot(LOCAL, T, "1", [], []),
    "bids is stated twice": captures.snapshot(LOCAL, T, 1, [], []).replace(b'"asks"', b'"bids"'),
    'quantity is "1.0005", not a multiple of its step 0.001': captures.diff(LOCAL, T, 1, 2, 0, [("10.0", "1.0005")]),
    'symbol is "ETHUSDT", expected BTCUSDT': captures.trade(LOCAL, T, 1, "10.0", "0.002", True, symbol="ETHUSDT"),
    "crossed snapshot": captures.snapshot(LOCAL, T, 1, [("10.0", "1")], [("10.0", "1")]),
    "quantity is zero": captures.trade(LOCAL, T, 1, "10.0", "0.000", True),
}


@pytest.mark.parametrize("reason", BAD_LINES)
def test_a_bad_line_is_an_error_that_names_file_line_and_reason(tmp_path, reason):
    """Or a count with skip_bad, and the lines around it stay."""
    path = captures.write(tmp_path / "capture.gz", GOOD, BAD_LINES[reason], GOOD)
    with pytest.raises(FeedError, match=reason) as raised:
        read_capture(path, BTC)
    assert (raised.value.file, raised.value.line) == (str(path), 2)
    feed = read_capture(path, BTC, skip_bad=True)
    assert (len(feed), feed.counts["bad_lines"], feed.bad_lines[0].line) == (2, 1, 2)


@pytest.mark.parametrize("cut", [0.3, 0.9, 0.999])
def test_a_truncated_gz_is_an_error_or_keeps_its_whole_lines(tmp_path, cut):
    """The last, half line is not guessed at."""
    lines = [captures.trade(LOCAL + k, T + k, k, "10.0", f"0.{k:03}", True) for k in range(1, 900)]
    packed = gzip.compress(b"".join(lines))
    path = tmp_path / "x.gz"
    path.write_bytes(packed[: int(len(packed) * cut)])
    with pytest.raises(FeedError, match="ends early"):
        read_capture(path, BTC)
    if cut > 0.5:
        feed = read_capture(path, BTC, skip_bad=True)
        assert feed.counts["bad_lines"] == 1
        assert feed.rows["lots"].tolist() == list(range(1, len(feed) + 1))


def test_a_broken_gz_a_missing_and_an_empty_file_are_errors(tmp_path):
    """Each of its own kind."""
    packed = bytearray(gzip.compress(GOOD * 2000))
    packed[40] ^= 0xFF
    (tmp_path / "broken.gz").write_bytes(bytes(packed))
    with pytest.raises(FeedError, match="gzip"):
        read_capture(tmp_path / "broken.gz", BTC)
    with pytest.raises(FileNotFoundError):
        read_capture(tmp_path / "none.gz", BTC)
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(ValueError, match=r"empty is empty, expected lines of"):
        read_capture(tmp_path / "empty", BTC)
    lost = captures.write(tmp_path / "lost", captures.diff(LOCAL, T, 1, 2, 0))
    with pytest.raises(ValueError, match=r"lost: no usable event among 1 messages, expected a snapshot or a trade"):
        read_capture(lost, BTC)


@pytest.mark.parametrize("field", ["T", "U", "u", "pu"])
@pytest.mark.parametrize("value", ['"x"', "null", "-5", '"5"', "1.5", "5e3", "[5]", "true", str(2**63)])
def test_a_time_or_id_that_is_stated_but_none_is_a_bad_line(tmp_path, field, value):
    """LOB-2: no other field stands in for it, as E would for T; events that no book needs may hold anything."""
    good = json.loads(captures.diff(LOCAL, T, 1, 2, 0, [("10.0", "0.001")]).split(b" ", 1)[1])
    good["data"][field] = "HERE"
    line = b"%d %s\n" % (LOCAL, json.dumps(good).replace('"HERE"', value).encode())
    path = captures.write(tmp_path / "x.gz", line)
    with pytest.raises(FeedError, match=rf"line 1: {field} is {re.escape(value.rstrip(']'))}, expected a whole number"):
        read_capture(path, BTC, sequence="arrival")
    other = captures.write(tmp_path / "y.gz", line.replace(b"depthUpdate", b"markPriceUpdate"), GOOD)
    assert read_capture(other, BTC).counts["other_events"] == 1


def test_a_spot_trade_with_the_ids_of_both_orders_is_a_trade(tmp_path):
    """Its `b` and `a` are numbers, and no levels."""
    line = GOOD.replace(b'"m":true', b'"b":88,"a":50,"m":true')
    assert len(read_capture(captures.write(tmp_path / "x.gz", line), BTC)) == 1


def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path):
    """A gz of zeros unpacks a thousandfold."""
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b" " * (1 << 25), 1))
    with pytest.raises(FeedError, match="longer than"):
        read_capture(tmp_path / "bomb.gz", BTC)


SEED_TEXT = b"".join([
    captures.diff(LOCAL, T, 1, 2, 0, [("10.0", "0.001"), ("9.9", "1.5")], [("10.1", "0")]), GOOD,
    captures.snapshot(LOCAL + 9, T, 3, [("9.9", "0.001"), ("9.7", "0.002")], [("10.3", "0.003")]),
])  # fmt: skip


EDIT = st.tuples(st.integers(0, len(SEED_TEXT) - 1), st.integers(0, 255), st.integers(0, 2))  # where, byte, what


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(EDIT, max_size=8),
       cut=st.integers(0, len(SEED_TEXT)), skip=st.booleans(), packed=st.booleans())  # fmt: skip
def test_corrupt_bytes_never_crash_the_interpreter(tmp_path, edits, cut, skip, packed):
    """Bytes changed, removed, doubled, cut: rows or a ValueError, and every book survives what was read."""
    text = bytearray(SEED_TEXT[: cut or None])
    for at, byte, what in edits:
        if at < len(text):
            text[at : at + 1] = (bytes([byte]), b"", text[at : at + 1] * 2)[what]
    path = captures.write(tmp_path / "x", bytes(text), packed=packed)
    try:
        feed = read_capture(path, BTC, skip_bad=skip, book_ticker=True)
    except ValueError:
        return
    from tradekernels.orderbook import final_book

    assert final_book(feed).lots_at("bid", 1) >= 0


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400), packed=st.booleans())
def test_random_bytes_never_crash_the_interpreter(tmp_path, data, packed):
    """Nor does a file that only starts like gz."""
    path = tmp_path / "x"
    path.write_bytes(b"\x1f\x8b" + data if packed else data)
    with pytest.raises(ValueError, match=r"line|usable"):
        read_capture(path, Instrument("", "0.1", "0.001"))


@pytest.mark.parametrize(("name", "value"), [
    ("kind", 8), ("tick", 0), ("tick", 2**31), ("lots", -1), ("lots", 2**60),
])  # fmt: skip
def test_rows_that_no_feed_can_hold_are_refused(name, value):
    """Whoever makes them: the loops trust what a Feed holds."""
    columns = {"kind": [0, 0], "tick": [5, 5], "lots": [1, 1], "exchange_time_ns": [0, 1], "local_time_ns": [0, 1]}
    columns[name] = [columns[name][0], value]
    with pytest.raises(ValueError, match=f"{name} in row 1 is {value}"):
        Feed.from_rows(BTC, **columns)


def test_streams_that_point_nowhere_are_refused():
    """As a damaged file would."""
    good = Feed.from_rows(BTC, [0], [5], [1], [0], [0])
    with pytest.raises(ValueError, match="venue_stream holds"):
        Feed(BTC, good.rows, good.messages, np.array([7], np.int32), good.trader_stream)


@pytest.mark.parametrize(("tick", "lot"), [("0", "1"), ("-1", "1"), ("x", "1"), ("NaN", "1"), ("1", "1e-30")])
def test_a_grid_that_is_none_is_refused(tick, lot):
    """Positive decimals only."""
    with pytest.raises(ValueError, match="expected a"):
        Instrument("X", tick, lot)
