"""Feeds that are odd but lawful, and what they must not do to a book (LOB-1 to LOB-6)."""

import gzip
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import feed_captures as captures
from real_feed import BTC

from tradekernels.orderbook import (
    Book,
    Feed,
    FeedError,
    Grid,
    Instrument,
    Microprice,
    Replay,
    TradingModels,
    candle_columns,
    depth,
    final_book,
    order_events,
    order_flow_imbalance,
    quotes,
    read_capture,
    read_lobster,
    read_orders,
    run_grids,
)
from tradekernels.orderbook.capture import _CHUNK

T = 1700000000000
LOCAL = T * 10**6


def at(ms):
    return LOCAL + ms * 10**6


def read(tmp_path, *lines, **options):
    return read_capture(captures.write(tmp_path / "x.gz", *lines), BTC, **options)


SNAPSHOT = captures.snapshot(at(0), T, 20, [("10.0", "1.000"), ("9.9", "2.000")], [("10.2", "3.000")])


def chain(first, last, start=1):
    """Return diffs, one id and one ms each, that set the bid at 10.0 to their own id."""
    return [
        captures.diff(at(start + k), T + start + k, u, u, u - 1, [("10.0", f"0.{u:03}")])
        for k, u in enumerate(range(first, last + 1))
    ]


def test_a_symbol_of_other_letters_keeps_them(tmp_path):
    """Binance lists coins with Chinese names."""
    line = captures.trade(LOCAL, T, 1, "10.0", "0.002", True, symbol="币安人生USDT")
    raw = line.decode("unicode_escape").encode()  # as the exchange sends it, not as json.dumps escapes it
    path = captures.write(tmp_path / "x.gz", raw)
    for asked in ("", "币安人生USDT"):
        assert read_capture(path, Instrument(asked, "0.1", "0.001")).instrument.symbol == "币安人生USDT"


@pytest.mark.parametrize("line", [
    captures.trade(2**62 + 1, T, 1, "10.0", "0.002", True),
    captures.trade(LOCAL, 2**63 - 1, 1, "10.0", "0.002", True),
])  # fmt: skip
def test_times_whose_difference_would_not_fit_are_bad_lines(tmp_path, line):
    """The repair of clocks adds and subtracts them."""
    with pytest.raises(FeedError, match="line 2: a time is not before the year 2116"):
        read(tmp_path, SNAPSHOT, line)


def test_numbers_without_quotes_are_numbers(tmp_path):
    """In trades as in levels; a broken one says why."""
    feed = read(tmp_path, captures.trade(LOCAL, T, 1, 10.5, 0.002, True))
    assert feed.rows[["tick", "lots"]].tolist() == [(105, 2)]
    with pytest.raises(FeedError, match="is negative"):
        read(tmp_path, captures.trade(LOCAL, T, 1, -10.5, 0.002, True))
    with pytest.raises(FeedError, match="no plain decimal"):
        read(tmp_path, captures.trade(LOCAL, T, 1, 1e-7, 0.002, True))


@pytest.mark.parametrize("fault", [
    b'{"lastUpdateId":1,"b":[["10.0","1"]],"asks":[["10.2","1"]]}',
    b'{"lastUpdateId":1,"asks":[["10.2","1"]],"b":[["10.0","1"]]}',
])  # fmt: skip
def test_a_snapshot_that_is_half_a_diff_is_refused(tmp_path, fault):
    """Its sides would be cleared by halves."""
    with pytest.raises(FeedError, match="is missing"):
        read(tmp_path, b"%d %s\n" % (LOCAL, fault))


def test_a_crossed_snapshot_is_found_in_any_order_of_its_levels(tmp_path):
    """Best first is a habit, not a law."""
    with pytest.raises(FeedError, match="crossed"):
        read(tmp_path, captures.snapshot(LOCAL, T, 1, [("9.0", "1"), ("10.5", "1")], [("11.0", "1"), ("10.1", "1")]))


def test_an_empty_side_of_a_snapshot_empties_the_venue_book_and_not_the_arrival_book(tmp_path):
    """The exchange says that nothing rests there; the peer clears nothing."""
    lines = [SNAPSHOT, *chain(21, 22), captures.snapshot(at(9), T + 9, 23, [], [("10.3", "1.000")])]
    for stream in ("venue", "trader"):
        assert final_book(read(tmp_path, *lines), stream=stream).best("bid") is None
        assert final_book(read(tmp_path, *lines, sequence="arrival"), stream=stream).best("bid") == (100, 22)


def test_a_clock_that_stumbles_breaks_no_chain(tmp_path):
    """LOB-3: local times have no say in what the venue's book is, nor in the order of one connection's diffs."""
    late = [
        captures.diff(at(5 - 3 * (u == 24)), T + u - 20, u, u, u - 1, [("10.0", f"0.{u:03}")]) for u in (23, 24, 25)
    ]
    feed = read(tmp_path, SNAPSHOT, *chain(21, 22), *late)
    assert (len(feed.gaps), feed.counts["old_diffs"], feed.counts["clock_back"]) == (0, 0, 1)
    for stream in ("venue", "trader"):
        assert final_book(feed, stream=stream).best("bid") == (100, 25)
    assert (np.diff(feed.stream_times("trader")) >= 0).all()


def test_a_later_snapshot_does_not_bring_back_what_came_too_late(tmp_path):
    """A diff older than the book is dropped, also when the diffs before a snapshot are applied again."""
    lines = [
        SNAPSHOT,
        *chain(21, 23),
        *chain(22, 22, start=8),
        captures.snapshot(at(9), T + 1, 21, [("10.0", "1")], []),
    ]
    feed = read(tmp_path, *lines)
    for stream in ("venue", "trader"):
        assert final_book(feed, stream=stream).best("bid") == (100, 23)


def test_after_a_gap_a_later_snapshot_makes_the_book_whole(tmp_path):
    """One gap, told once, and no level of the time before it survives where the snapshot looks."""
    again = captures.snapshot(at(20), T + 20, 40, [("9.8", "4.000"), ("9.7", "1.000")], [("10.4", "5.000")])
    feed = read(tmp_path, SNAPSHOT, *chain(21, 22), *chain(30, 31, start=5), again, *chain(41, 42, start=21))
    assert feed.gaps[["line", "expected_id", "stated_id"]].tolist() == [(4, 22, 29)]
    for stream in ("venue", "trader"):
        book = final_book(feed, stream=stream)
        assert book.depth("bid", 9).tolist() == [[100, 42], [98, 4000], [97, 1000]]
        assert book.depth("ask", 9).tolist() == [[104, 5000]]


def test_trades_of_overlapping_files_count_once_under_venue_discipline(tmp_path):
    """The same id, time, price and quantity; arrival takes every row as it comes."""
    lines = [captures.trade(at(k), T + k, k, "10.0", f"0.{k:03}", True) for k in range(1, 9)]
    paths = [captures.write(tmp_path / name, *part) for name, part in (("a", lines[:6]), ("b", lines[3:]))]
    feed = read_capture(paths, BTC)
    assert feed.rows["lots"][feed.messages["first_row"][feed.trader_stream]].tolist() == list(range(1, 9))
    assert feed.counts["repeated_trades"] == 3
    assert len(read_capture(paths, BTC, sequence="arrival").trader_stream) == 11


@pytest.mark.parametrize("padding", [0, 7, _CHUNK, 2 * _CHUNK + 1])
def test_members_of_a_gz_may_have_zeros_between_them(tmp_path, padding):
    """However the zeros fall on the pieces in which the file is read."""
    lines = [captures.trade(at(k), T + k, k, "10.0", "0.001", True) for k in range(2)]
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(lines[0]) + bytes(padding) + gzip.compress(lines[1]) + bytes(padding))
    assert len(read_capture(path, BTC)) == 2


def test_a_gz_cut_at_any_byte_is_an_error_or_its_whole_lines(tmp_path):
    """Never half a line, never a silent success."""
    text = b"".join(captures.trade(at(k), T + k, k, "10.0", f"0.{k:03}", True) for k in range(1, 9))
    packed = gzip.compress(text)
    path = tmp_path / "x.gz"
    for cut in range(2, len(packed)):
        path.write_bytes(packed[:cut])
        with pytest.raises(FeedError, match="ends early"):
            read_capture(path, BTC)


@pytest.mark.parametrize("end", [b"\r\n", b""])
def test_line_ends_of_windows_and_a_missing_last_one_are_read(tmp_path, end):
    """As an editor or a killed recorder leaves them."""
    path = tmp_path / "x"
    path.write_bytes((end or b"\n").join(line[:-1] for line in (SNAPSHOT, *chain(21, 22))) + end)
    assert final_book(read_capture(path, BTC)).best("bid") == (100, 22)


@pytest.mark.parametrize(("tick", "price", "steps"), [
    ("0.5", "61800.50", 123601), ("0.25", "4512.75", 18051), ("2.5", "17.500000000000000000000", 7),
    ("0.00000001", "0.00000001", 1), ("0.000001", "2147.483646", 2**31 - 2), ("1", "2147483646", 2**31 - 2),
])  # fmt: skip
def test_levels_on_any_grid_equal_their_decimals(tmp_path, tick, price, steps):
    """LOB-1, on the straight path and off it."""
    for text in (price, price + "0" * ("." in price), "0" + price):
        path = captures.write(tmp_path / "x.gz", captures.diff(LOCAL, T, 1, 2, 0, [(text, "1.5"), (text, "0")]))
        feed = read_capture(path, Instrument("", tick, "0.25"), sequence="arrival")
        assert feed.rows[["tick", "lots"]].tolist() == [(steps, 6), (steps, 0)]


def test_other_threads_run_while_a_capture_is_parsed(tmp_path):
    """The parser holds no lock: Python hands it over after 1,000 seconds, so only a call that lets go of it does."""
    from tradekernels.orderbook._capture import Parser
    from tradekernels.orderbook.records import RAW_MESSAGE, ROW, TICKER

    text = captures.diff(LOCAL, T, 1, 2, 0, [(f"{100 + k % 900}.0", "7.000") for k in range(50_000)])
    rows, messages, tickers = np.empty(len(text) // 5 + 8, ROW), np.empty(99, RAW_MESSAGE), np.empty(1, TICKER)
    parser = Parser((1, 1, 2**31 - 2), (1, 3, 2**53), b"", False, False, False)
    waiting, gate, seen, interval = threading.Event(), threading.Event(), [], sys.getswitchinterval()

    def other():
        waiting.set()
        gate.wait()
        seen.append("progress")

    thread = threading.Thread(target=other)
    thread.start()
    waiting.wait()
    sys.setswitchinterval(1000)
    try:
        gate.set()
        for _ in range(20_000):  # a busy machine may not let the other thread run at once
            if seen:
                break
            parser.parse(text, rows, 0, messages, 0, tickers, 0)
        assert seen
    finally:
        sys.setswitchinterval(interval)
        thread.join()


@pytest.mark.parametrize(("line", "reason"), [
    ("34200.2,1,1,5,1000000,1", "rests already"),
    ("34200.2,2,1,6,1000000,1", "more lots"),
    ("34200.2,1,99999999999999999999,5,1000000,1", "order id is '99999999999999999999', expected a whole number"),
    ("34200.-2,1,2,5,1000000,1", "time is '34200.-2', expected seconds after midnight"),
    ("34200.2,8,2,5,1000000,1", r"type is '8', expected 1 \.\. 7"),
    ("34200.2,1,2,5,-9999999999,1", "price is '-9999999999', expected dollars"),
    ("34200.2,1,2,5,1000050,1", r"price is '1000050', expected dollars \* 10000 .* times the tick 0.01"),
    ("34200.2,1,2,1_0,1000000,1", "size is '1_0', expected a whole number"),
    ("34200.2,1,2,-5,1000000,1", "size is '-5', expected shares from none to .* times the lot 1"),
    ("34200.2,1,2,5,1000000,0", r"direction is '0', expected 1 \(buy\) or -1 \(sell\)"),
    ("34200.2,1,2,5", "the line is '34200.2,1,2,5', expected six fields: time, type, order id"),
])  # fmt: skip
def test_a_bad_lobster_line_names_file_and_line_whatever_is_wrong_with_it(tmp_path, line, reason):
    """A halt before it has a line of its own, but no event."""
    path = tmp_path / "message.csv"
    path.write_text(f"34200.1,7,0,0,-1,-1\n34200.1,1,1,5,1000000,1\n{line}\n")
    stock = Instrument("A", "0.01", "1")
    with pytest.raises(ValueError, match=f"message.csv, line 3: .*{reason}"):
        read_lobster(path, stock, day="2012-06-21")
    feed = read_lobster(path, stock, day="2012-06-21", skip_bad=True)
    assert (len(feed), feed.counts["bad_lines"], feed.counts["other_events"]) == (1, 1, 1)


UNIT = Instrument("X", "1", "1")


@pytest.mark.parametrize("price", ["abc", "", None, "NaN", "Infinity", "1e400000000", "1e-400000000", b"5", "10.5"])
def test_a_price_that_is_none_is_refused_by_name(price):
    """In no time, too: an exponent is short to write."""
    with pytest.raises(ValueError, match=r"price is .*expected a"):
        UNIT.ticks(price)
    with pytest.raises(ValueError, match=r"quantity is .*expected a"):
        UNIT.lots(price)


@pytest.mark.parametrize("symbol", ["A" * 65, "币" * 22, None])
def test_a_symbol_no_capture_could_hold_is_refused(tmp_path, symbol):
    """By the instrument, or on the line that states it."""
    with pytest.raises(ValueError, match=r"symbol is .*at most 64 bytes"):
        Instrument(symbol, "0.1", "0.001")
    if symbol:
        line = captures.trade(LOCAL, T, 1, "10.0", "0.002", True, symbol=symbol)
        with pytest.raises(FeedError, match=r"symbol is .*expected a name of at most 64 bytes"):
            read_capture(captures.write(tmp_path / "x.gz", line), Instrument("", "0.1", "0.001"))


@pytest.mark.parametrize(("name", "value"), [
    ("lots", 2**53 + 1), ("lots", 2**70), ("lots", 1.5), ("tick", 1.5), ("tick", 2**70), ("tick", None),
])  # fmt: skip
def test_a_book_takes_whole_numbers_in_bounds_only(name, value):
    """A cast would cut 1.5 to 1."""
    with pytest.raises(ValueError, match=f"{name} is {value}, expected"):
        Book().set("bid", **({"tick": 1, "lots": 1} | {name: value}))
    with pytest.raises(ValueError, match="levels is -1, expected 0"):
        Book().depth("bid", -1)


@pytest.mark.parametrize("text", ["", "34200.1,7,0,0,-1,-1\n"])
def test_a_file_without_orders_is_named(tmp_path, text):
    """LOBSTER's, and an own recording with nothing or nonsense in it."""
    path = tmp_path / "message.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"message.csv: no order event"):
        read_lobster(path, UNIT, day="2012-06-21")
    with pytest.raises(ValueError, match="day is 'NaT', expected an ISO date"):
        read_lobster(path, UNIT, day="NaT")
    for events, reason in (([], "no order event"), ([(0, 0, 1, 5, 5, 2, 0)], "event 0: no order")):
        np.save(tmp_path / "own.npy", order_events(events))
        with pytest.raises(ValueError, match=f"own.npy: {reason}"):
            read_orders(tmp_path / "own.npy", UNIT)


def test_a_lobster_time_beyond_all_clocks_is_a_bad_line(tmp_path):
    """Seconds of a day, not of the universe."""
    path = tmp_path / "message.csv"
    path.write_text("34200.1,1,1,5,10000,1\n99999999999999,1,2,5,10000,1\n")
    with pytest.raises(ValueError, match=r"message.csv, line 2"):
        read_lobster(path, UNIT, day="2012-06-21")


COLUMNS = {"kind": [0, 0], "tick": [5, 5], "lots": [1, 1], "exchange_time_ns": [0, 1], "local_time_ns": [0, 1]}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_of_rows_have_one_length_and_fit_into_64_bits(name):
    """Each says which it is."""
    with pytest.raises(ValueError, match=r"has 1 values, kind has 2|has 2 values, kind has 1"):
        Feed.from_rows(UNIT, **(COLUMNS | {name: [1]}))
    with pytest.raises(ValueError, match=f"{name} holds 18446744073709551615"):
        Feed.from_rows(UNIT, **(COLUMNS | {name: np.array([1, 2**64 - 1], np.uint64)}))
    if "time" in name:
        for time in (2**62, -(2**62)):
            with pytest.raises(ValueError, match=f"{name} in row 1 is {time}, expected"):
                Feed.from_rows(UNIT, **(COLUMNS | {name: [1, time]}))


def test_a_repair_that_no_clock_can_show_is_refused():
    """Times of two epochs, 300 years apart."""
    times = {"exchange_time_ns": [2**62 - 1, 0], "local_time_ns": [1 - 2**62, 2**62 - 1]}
    with pytest.raises(ValueError, match="before it was sent"):
        Feed.from_rows(UNIT, **(COLUMNS | times), repair_clock=True)


ASKED_OF_EVENTS = (
    lambda feed: feed.first_time_ns,
    lambda feed: feed.last_time_ns,
    lambda feed: candle_columns(feed, "1m"),
    lambda feed: Replay(feed, TradingModels()),
    lambda feed: run_grids(feed, [Grid(1, 1, 0, 1, 1)], TradingModels()),
)


def test_an_empty_feed_gives_empty_answers_or_says_so(tmp_path):
    """Every public function."""
    feed = Feed.from_rows(UNIT, [], [], [], [], [], repair_clock=True)
    feed.save(tmp_path / "x.npz")
    for empty in (feed, Feed.load(tmp_path / "x.npz")):
        assert (len(empty), len(quotes(empty)), depth(empty).shape) == (0, 0, (0, 2, 5, 2))
        assert quotes(empty, [1, 2])[["bid_tick", "ask_tick"]].tolist() == [(0, 0)] * 2
        assert order_flow_imbalance(empty, [0, 5, 9]).tolist() == [0, 0]
        assert final_book(empty).best("bid") is None
        for ask in ASKED_OF_EVENTS:
            with pytest.raises(ValueError, match="the feed has no event, expected at least one"):
                ask(empty)
        with pytest.raises(ValueError, match="0 usable rows"):
            Microprice.fit(quotes(empty))
    with pytest.raises(ValueError, match="paths is empty"):
        read_capture([], UNIT)


def test_paths_may_be_an_iterator(tmp_path):
    """They are looked at twice: for their sizes, and to be read."""
    paths = [captures.write(tmp_path / str(k), SNAPSHOT, *chain(21, 22)) for k in range(2)]
    assert read_capture(iter(paths), BTC).rows.tolist() == read_capture(paths, BTC).rows.tolist()


@pytest.mark.parametrize("times", [[0.5], [np.nan], [[1]], 1])
def test_times_asked_for_are_whole_nanoseconds_in_one_dimension(times):
    """A float has no room for them: 1.7e18 ns are known to 256."""
    feed = Feed.from_rows(UNIT, **COLUMNS)
    with pytest.raises(ValueError, match=r"at has dtype .* expected integers in one"):
        quotes(feed, times)
