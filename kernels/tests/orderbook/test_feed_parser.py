"""The compiled parser against the json module, and by hand (LOB-1, LOB-2)."""

import gzip
import json
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

import feed_captures as captures
from real_feed import BTC, CAPTURE, needs_feed, real_feed

from tradekernels.orderbook import Feed, Instrument, Kind, read_capture

LOCAL = 1700000000000000000
T = 1700000000000

ticks, lots = st.integers(1, 10**6), st.integers(0, 10**6)
levels = st.lists(st.tuples(ticks, lots), max_size=5)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False)
)
junk = st.recursive(scalars, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=4), x, max_size=3))
RESERVED = {"e", "E", "T", "s", "U", "u", "pu", "b", "a", "p", "q", "X", "m", "t", "B", "A", "bids", "asks", "data",
            "lastUpdateId"}  # fmt: skip
extras = st.dictionaries(st.text(max_size=5).filter(lambda key: key not in RESERVED), junk, max_size=3)


def text_of(steps, size, random_zeros=0):
    return f"{steps * Decimal(size):f}" + ("0" * random_zeros if "." in size else "")


@st.composite
def messages(draw, tick="0.1", lot="0.001"):
    """Return (message, rows it must give) of any kind, keys in any order, with fields that no one knows."""
    zeros = draw(st.integers(0, 3))

    def price(x):
        return text_of(x, tick, zeros)

    def quantity(x):
        return text_of(x, lot, zeros)

    kind = draw(st.sampled_from(["diff", "trade", "ticker", "other"]))
    data = dict(draw(extras)) | {"E": T, "T": T + draw(st.integers(0, 99)), "s": "BTCUSDT"}
    rows = []
    if kind == "diff":
        bids, asks = draw(levels), draw(levels)
        data |= {"e": "depthUpdate", "U": 1, "u": 2, "pu": 0}
        data |= {"b": [[price(t), quantity(q)] for t, q in bids], "a": [[price(t), quantity(q)] for t, q in asks]}
        rows = [(Kind.SET_BID, t, q) for t, q in bids] + [(Kind.SET_ASK, t, q) for t, q in asks]
    elif kind == "trade":
        t, q, maker = draw(ticks), draw(st.integers(1, 10**6)), draw(st.booleans())
        data |= {"e": "trade", "t": 1, "p": price(t), "q": quantity(q), "X": "MARKET", "m": maker}
        rows = [(Kind.SELL_TRADE if maker else Kind.BUY_TRADE, t, q)]
    elif kind == "ticker":
        data |= {"e": "bookTicker", "u": 1, "b": price(1), "B": quantity(1), "a": price(2), "A": quantity(2)}
    else:
        data |= {"e": draw(st.sampled_from(["markPriceUpdate", "aggTrade", "kline"])), "k": draw(junk)}
    data = {key: data[key] for key in draw(st.permutations(list(data)))}
    outer = {"stream": "x", "data": data} if draw(st.booleans()) else data
    return outer, rows


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=st.lists(messages(), min_size=1, max_size=6), ascii=st.booleans(), indent=st.booleans())
def test_rows_equal_what_the_json_module_reads(tmp_path, made, ascii, indent):
    """Any order of keys, any spaces, escapes, and values of fields that are not ours."""
    separators = (" , ", " : ") if indent else (",", ":")
    lines, expected = [], []
    for k, (message, rows) in enumerate([*made, ({"e": "trade", "T": T, "s": "BTCUSDT", "p": "1.0", "q": "1.000",
                                                   "m": False}, [(Kind.BUY_TRADE, 10, 1000)])]):  # fmt: skip
        text = json.dumps(message, ensure_ascii=ascii, separators=separators)
        assert json.loads(text) == message
        lines.append(f"{LOCAL + k} {text}\n".encode())
        expected += rows
    path = captures.write(tmp_path / "x.gz", *lines)
    feed = read_capture(path, BTC, sequence="arrival")
    assert feed.rows[["kind", "tick", "lots"]].tolist() == [tuple(map(int, row)) for row in expected]


@pytest.mark.parametrize(("tick", "lot", "price", "quantity", "expected"), [
    ("0.1", "0.001", "61800.20", "2.507", (618002, 2507)),
    ("0.01", "0.00001", "61800.2", "2.50700000", (6180020, 250700)),
    ("0.00000001", "1", "0.00001234", "50000000000", (1234, 50_000_000_000)),
    ("0.05", "10", "12.350", "120", (247, 12)),
    ("0.25", "0.5", "0.75", "3", (3, 6)),
    ("100", "0.001", "61800", "0.001", (618, 1)),
    ("1", "0.000000000000000001", "7", "0.009007199254740992", (7, 2**53)),
    ("1", "1", "2147483646", "1", (2147483646, 1)),
])  # fmt: skip
def test_decimal_strings_become_steps_exactly(tmp_path, tick, lot, price, quantity, expected):
    """LOB-1: never through a float, whatever the grid."""
    path = captures.write(tmp_path / "x.gz", captures.trade(LOCAL, T, 1, price, quantity, False))
    (row,) = read_capture(path, Instrument("BTCUSDT", tick, lot)).rows
    assert (row["tick"], row["lots"]) == expected


def test_rows_of_a_diff_a_trade_and_a_snapshot(tmp_path):
    """LOB-2: bids first, then asks; a snapshot clears down to its worst bid and up to its worst ask."""
    path = captures.write(
        tmp_path / "x",
        captures.diff(LOCAL, T, 1, 2, 0, [("10.0", "0.001")], [("10.1", "0")]),
        captures.trade(LOCAL, T + 5, 1, "10.0", "0.002", True),
        captures.snapshot(LOCAL + 9, T, 3, [("9.9", "0.001"), ("9.7", "0.002")], [("10.3", "0.003")]),
        captures.line(LOCAL + 10, {"stream": "x", "data": {"e": "markPriceUpdate", "p": "1"}}),
        packed=False,
    )
    feed = read_capture(path, BTC, sequence="arrival")
    assert feed.rows[["kind", "tick", "lots"]].tolist() == [
        (Kind.SET_BID, 100, 1), (Kind.SET_ASK, 101, 0), (Kind.SELL_TRADE, 100, 2),
        (Kind.CLEAR_BID, 97, 0), (Kind.SET_BID, 99, 1), (Kind.SET_BID, 97, 2), (Kind.CLEAR_ASK, 103, 0),
        (Kind.SET_ASK, 103, 3),
    ]  # fmt: skip
    assert feed.messages["exchange_time_ns"].tolist() == [T * 10**6, (T + 5) * 10**6, T * 10**6]
    assert feed.counts["other_events"] == 1


def test_trades_that_met_no_order_are_counted_and_left_out(tmp_path):
    """Binance sends INSURANCE_FUND, ADL and NA trades, the last with price zero."""
    path = captures.write(
        tmp_path / "x.gz",
        captures.trade(LOCAL, T, 1, "10.0", "0.002", True, kind="INSURANCE_FUND"),
        captures.trade(LOCAL, T, 2, "0", "0", True, kind="NA"),
        captures.trade(LOCAL, T, 3, "10.0", "0.002", True),
    )
    feed = read_capture(path, BTC)
    assert len(feed) == 1
    assert feed.counts["not_market_trades"] == 2


def test_clock_repair_makes_the_fastest_kept_message_take_no_time(tmp_path):
    """LOB-4; a clock that runs ahead is left alone."""
    lines = [captures.trade(T * 10**6 - 700 + k, T, k, "10.0", "0.002", True) for k in (5, 0, 9)]
    feed = read_capture(captures.write(tmp_path / "x.gz", *lines), BTC)
    assert feed.clock_shift_ns == 700
    assert (feed.stream_times("trader") - T * 10**6).tolist() == [0, 5, 9]
    assert feed.counts["clock_back"] == 1
    ahead = captures.write(tmp_path / "y.gz", captures.trade(T * 10**6 + 3, T, 1, "10.0", "0.002", True))
    assert read_capture(ahead, BTC).clock_shift_ns == 0


def test_a_saved_feed_is_read_back_whole_and_without_pickle(tmp_path):
    """And a file that is no feed says so."""
    path = captures.write(tmp_path / "x.gz", captures.trade(LOCAL, T, 1, "10.0", "0.002", True))
    ticker = {"e": "bookTicker", "u": 1, "s": "BTCUSDT", "b": "1.0", "B": "1", "a": "2.0", "A": "1"}
    path.write_bytes(gzip.decompress(path.read_bytes()) + captures.line(LOCAL, ticker) + b"nonsense\n")
    feed = read_capture(path, BTC, skip_bad=True, book_ticker=True)
    good_notes = {"counts": feed.counts, "files": (str(path),)}
    assert (feed.counts["bad_lines"], len(feed.book_ticker)) == (1, 1)
    feed.save(tmp_path / "feed.npz")
    again = Feed.load(tmp_path / "feed.npz")
    assert again.instrument == feed.instrument
    for name in ("rows", "messages", "venue_stream", "trader_stream", "gaps", "book_ticker"):
        assert np.array_equal(getattr(again, name), getattr(feed, name))
    assert list(map(str, again.bad_lines)) == list(map(str, feed.bad_lines))
    assert again.bad_lines[0].line == 3
    for name, value in good_notes.items():
        assert getattr(again, name) == value
    np.savez(tmp_path / "bad.npz", rows=np.array([{}], dtype=object))
    for bad in ("bad.npz", "x.gz"):
        with pytest.raises(ValueError, match="not a saved feed"):
            Feed.load(tmp_path / bad)


@pytest.mark.parametrize(("notes", "reason"), [
    (b" " * (1 << 22) + b"{}", "notes have 4194306 bytes"),
    (b"{}", "no object of"),
    (b"nonsense", "Expecting value"),
    (b'{"counts": {"gaps": -1}, "files": [], "bad_lines": []}', "counts are"),
    (b'{"counts": {"gaps": true}, "files": [], "bad_lines": []}', "counts are"),
    (b'{"counts": {}, "files": [5], "bad_lines": []}', "files are"),
    (b'{"counts": {}, "files": [], "bad_lines": [["x", "1", "y"]]}', "bad_lines are"),
])  # fmt: skip
def test_notes_of_a_saved_feed_are_checked(tmp_path, notes, reason):
    """The file may come from anywhere."""
    Feed.from_rows(BTC, [0], [5], [1], [0], [0]).save(tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as file:
        held = dict(file) | {"notes": np.frombuffer(notes, np.uint8)}
    np.savez(tmp_path / "x.npz", **held)
    with pytest.raises(ValueError, match=f"x.npz is not a saved feed: .*{reason}"):
        Feed.load(tmp_path / "x.npz")


@needs_feed
@pytest.mark.real_data
def test_the_real_feed_takes_less_than_24_bytes_a_row():
    """Section 6: rows, times and both streams."""
    feed = real_feed("arrival")
    assert len(feed) == 466_836
    assert feed.nbytes / len(feed) < 24


@needs_feed
@pytest.mark.real_data
@pytest.mark.slow
def test_every_row_of_the_real_feed_equals_what_the_json_module_reads():
    """All 93,954 lines, Decimal by Decimal."""
    rows = []
    for line in gzip.decompress(CAPTURE.read_bytes()).splitlines():
        message = json.loads(line.split(b" ", 1)[1])
        data = message.get("data", message)
        sides = [(data.get("b"), data.get("a")), (data.get("bids"), data.get("asks"))]
        if data.get("e") == "depthUpdate":
            for kind, side in enumerate(sides[0]):
                rows += [(kind, int(Decimal(p) * 10), int(Decimal(q) * 1000)) for p, q in side]
        elif data.get("e") == "trade":
            rows.append((4 + data["m"], int(Decimal(data["p"]) * 10), int(Decimal(data["q"]) * 1000)))
        elif "lastUpdateId" in data:
            for kind, side in enumerate(sides[1]):
                rows.append((2 + kind, int(Decimal(side[-1][0]) * 10), 0))
                rows += [(kind, int(Decimal(p) * 10), int(Decimal(q) * 1000)) for p, q in side]
    assert real_feed("arrival").rows[["kind", "tick", "lots"]].tolist() == rows
