"""Two disciplines, gaps, several files, spot (LOB-2, LOB-3, LOB-5)."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import feed_captures as captures
from real_feed import BTC

from tradekernels.orderbook import Instrument, final_book, quotes, read_capture

T = 1700000000000
LOCAL = T * 10**6


def at(ms):
    return LOCAL + ms * 10**6


def standard():
    """Return diffs around a snapshot that arrives late: 10..14 is too old, 15..24 overlaps, 25..30 is newer."""
    return [
        captures.diff(at(1), T + 1, 10, 14, 9, [("10.0", "9.000")]),
        captures.diff(at(5), T + 5, 15, 24, 14, [("10.0", "2.000")], [("10.2", "0")]),
        captures.trade(at(6), T + 6, 1, "10.2", "0.001", False),
        captures.snapshot(
            at(9), T + 4, 20, [("10.0", "1.000"), ("9.8", "5.000")], [("10.2", "3.000"), ("10.3", "4.000")]
        ),
        captures.diff(at(12), T + 12, 25, 30, 24, [("9.9", "7.000")]),
    ]


def test_venue_discipline_applies_diffs_received_before_the_snapshot_over_it(tmp_path):
    """LOB-3: drop u < lastUpdateId, keep the rest; neither stream shows a book before the snapshot."""
    feed = read_capture(captures.write(tmp_path / "x.gz", *standard()), BTC)
    assert feed.counts["old_diffs"] == 1
    assert not len(feed.gaps)
    for stream in ("venue", "trader"):
        book = final_book(feed, stream=stream)
        assert book.depth("bid", 9).tolist() == [[100, 2000], [99, 7000], [98, 5000]]
        assert book.depth("ask", 9).tolist() == [[103, 4000]]
    before = quotes(feed, [at(6), at(9)])
    assert before[["bid_tick", "ask_tick"]].tolist() == [(0, 0), (100, 103)]
    assert quotes(feed, [at(4)], stream="venue")[["bid_lots", "ask_tick"]].tolist() == [(1000, 102)]


def test_arrival_discipline_applies_rows_as_they_come(tmp_path):
    """LOB-3: the stale snapshot wins over the newer diff in the trader's book, not in the venue's."""
    feed = read_capture(captures.write(tmp_path / "x.gz", *standard()), BTC, sequence="arrival")
    assert final_book(feed).best("ask") == (102, 3000)
    assert final_book(feed, stream="venue").best("ask") == (103, 4000)


def test_a_later_snapshot_does_not_undo_newer_diffs(tmp_path):
    """A snapshot taken in between brings only what is not known better."""
    again = captures.snapshot(at(20), T + 11, 24, [("10.0", "2.000")], [("10.3", "4.000"), ("10.4", "6.000")])
    feed = read_capture(captures.write(tmp_path / "x.gz", *standard(), again), BTC)
    book = final_book(feed)
    assert book.depth("bid", 9).tolist() == [[100, 2000], [99, 7000], [98, 5000]]
    assert book.depth("ask", 9).tolist() == [[103, 4000], [104, 6000]]
    stale = captures.snapshot(at(20), T + 1, 3, [("1.0", "2.000")], [("20.3", "4.000")])
    assert read_capture(captures.write(tmp_path / "y.gz", *standard(), stale), BTC).counts["stale_snapshots"] == 1


def test_a_broken_chain_is_reported_with_file_line_and_ids(tmp_path):
    """LOB-3, in the second of two files."""
    first = captures.write(tmp_path / "a.gz", *standard())
    second = captures.write(
        tmp_path / "b",
        captures.diff(at(14), T + 14, 31, 33, 30),
        captures.diff(at(15), T + 15, 40, 44, 39),
        packed=False,
    )
    feed = read_capture([first, second], BTC)
    assert feed.gaps.tolist() == [(1, 2, 33, 39)]
    assert feed.files == (str(first), str(second))
    late = captures.diff(at(12), T + 12, 35, 40, 34)
    feed = read_capture(captures.write(tmp_path / "c", standard()[3], late, packed=False), BTC)
    assert feed.gaps.tolist() == [(0, 2, 20, 34)]


@pytest.mark.parametrize(("last", "before", "gap"), [(25, 20, False), (25, 19, True), (25, 21, True), (20, 18, None)])
def test_a_chain_that_goes_back_is_broken_too(tmp_path, last, before, gap):
    """LOB-3: `pu` is the last `u`, no less; what is no newer than the book (None) is old, and breaks nothing."""
    snapshot = captures.snapshot(at(1), T, 10, [("10.0", "1.000")], [("10.2", "3.000")])
    futures = captures.diff(at(2), T + 2, 9, 20, 8), captures.diff(at(3), T + 3, before + 1, last, before)
    spot = captures.spot_diff(at(2), T + 2, 9, 20), captures.spot_diff(at(3), T + 3, before + 1, last)
    for lines in (futures, spot):
        feed = read_capture(captures.write(tmp_path / "x.gz", snapshot, *lines), BTC)
        assert feed.gaps.tolist() == ([(0, 3, 20, before)] if gap else [])
        assert feed.counts["old_diffs"] == (gap is None)


@pytest.mark.parametrize(("first", "last", "before", "futures_gap", "spot_gap"), [
    (9, 10, 8, False, False), (9, 12, 7, False, False), (10, 12, 9, False, False), (11, 12, 10, False, False),
    (12, 14, 10, False, True), (12, 14, 11, True, True), (12, 14, 9, True, True),
])  # fmt: skip
def test_the_first_diff_after_a_snapshot_holds_its_id_or_is_the_next(
    tmp_path, first, last, before, futures_gap, spot_gap
):
    """Binance: USDT-M wants U <= lastUpdateId <= u, spot U <= lastUpdateId + 1; and `pu` may be that id itself."""
    snapshot = captures.snapshot(at(1), T, 10, [("10.0", "1.000")], [("10.2", "3.000")])
    futures, spot = captures.diff(at(2), T + 2, first, last, before), captures.spot_diff(at(2), T + 2, first, last)
    for diff, gap in ((futures, futures_gap), (spot, spot_gap)):
        for lines in ((snapshot, diff), (diff, snapshot)):
            assert len(read_capture(captures.write(tmp_path / "x.gz", *lines), BTC).gaps) == gap


def test_two_files_chained_give_what_one_file_gives(tmp_path):
    """Cut anywhere between lines; gz members chained in one file as well."""
    lines = standard()
    whole = read_capture(captures.write(tmp_path / "x.gz", *lines), BTC)
    for cut in range(1, len(lines)):
        a, b = captures.write(tmp_path / "a.gz", *lines[:cut]), captures.write(tmp_path / "b.gz", *lines[cut:])
        both = tmp_path / "both.gz"
        both.write_bytes(a.read_bytes() + b.read_bytes())
        for feed in (read_capture([a, b], BTC), read_capture(both, BTC)):
            assert feed.rows.tolist() == whole.rows.tolist()
            assert feed.trader_stream.tolist() == whole.trader_stream.tolist()
            assert feed.messages.tolist() == whole.messages.tolist()


def test_repeated_diffs_of_overlapping_files_are_applied_once(tmp_path):
    """Captures that overlap hold the same diffs twice."""
    lines = standard()
    feed = read_capture([captures.write(tmp_path / "a.gz", *lines), captures.write(tmp_path / "b.gz", lines[-1])], BTC)
    assert feed.counts["old_diffs"] == 2
    assert not len(feed.gaps)


def spot():
    return [
        captures.spot_diff(at(1), T + 1, 10, 14, [("10.00", "9.00000")]),
        captures.spot_diff(at(5), T + 5, 15, 24, [("10.00", "2.00000")], [("10.02", "0.00000")]),
        captures.snapshot(at(9), None, 20, [("10.00", "1.00000")], [("10.02", "3.00000"), ("10.03", "4.00000")]),
        captures.trade(at(11), T + 11, 1, "10.03", "0.00100", True, kind=None),
        captures.spot_diff(at(12), T + 12, 25, 30, [("9.99", "7.00000")]),
    ]


def test_spot_chains_by_first_ids_and_takes_event_times(tmp_path):
    """LOB-2: no `pu`, no `T`; the snapshot has no time at all and takes that of the newest diff that it holds."""
    coin = Instrument("BTCUSDT", "0.01", "0.00001")
    feed = read_capture(captures.write(tmp_path / "x.gz", *spot()), coin)
    assert not len(feed.gaps)
    assert feed.messages["exchange_time_ns"].tolist() == [at(1), at(5), at(1), at(11), at(12)]
    book = final_book(feed)
    assert (book.best("bid"), book.best("ask")) == ((1000, 200000), (1003, 400000))
    assert feed.rows["kind"][feed.messages["first_row"][3]] == 5
    broken = [*spot(), captures.spot_diff(at(13), T + 13, 32, 33)]
    assert read_capture(captures.write(tmp_path / "y.gz", *broken), coin).gaps.tolist() == [(0, 6, 30, 31)]


def test_a_spot_snapshot_is_as_old_as_its_newest_diff_where_files_overlap(tmp_path):
    """And not as old as the last one of those that the second file repeats."""
    lines = spot()
    first = captures.write(tmp_path / "a", *lines[:2], packed=False)
    late = captures.snapshot(at(9), None, 24, [("10.00", "1.00000")], [("10.02", "3.00000")])
    second = captures.write(tmp_path / "b", lines[0], late, packed=False)
    feed = read_capture([first, second], Instrument("BTCUSDT", "0.01", "0.00001"))
    assert feed.messages["exchange_time_ns"].tolist() == [at(1), at(5), at(1), at(5)]


def test_without_a_snapshot_the_venue_discipline_has_trades_only(tmp_path):
    """And says how many diffs it could not use."""
    feed = read_capture(captures.write(tmp_path / "x.gz", *standard()[:3]), BTC)
    assert feed.counts["diffs_without_snapshot"] == 2
    assert len(feed.trader_stream) == 1


def test_an_unknown_discipline_is_refused(tmp_path):
    """By name."""
    with pytest.raises(ValueError, match="sequence is 'both'"):
        read_capture(tmp_path, BTC, sequence="both")


@pytest.mark.parametrize("sequence", ["venue", "arrival"])
def test_a_stream_of_partial_books_is_a_stream_of_snapshots(tmp_path, sequence):
    """Spot's `depth20` has no diffs: each message replaces the levels that it spans, and takes no quadratic time."""
    books = [
        {"lastUpdateId": k, "bids": [["10.0", "0.001"]], "asks": [[f"10.{1 + k % 9}", "0.002"]]} for k in range(4000)
    ]
    lines = [captures.line(at(k), {"stream": "btcusdt@depth20", "data": book}) for k, book in enumerate(books)][1:]
    lines.insert(0, captures.trade(at(0), T, 1, "10.0", "0.001", True))
    feed = read_capture(captures.write(tmp_path / "x.gz", *lines), BTC, sequence=sequence)
    assert len(feed.trader_stream) == 4000
    assert final_book(feed).best("ask") == (101 + 3999 % 9, 2)
