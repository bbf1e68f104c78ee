"""Candles on disk: how long they live, how much they may be, and what cannot break them (HUB-5)."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from hubs import NOW, PAIR, ROOT, frame
from pandas.testing import assert_frame_equal

from tools.datahub.cache import CandleCache, Entry
from tools.datahub.hub import LATE_S, fresh
from tools.datahub.source import closed_candles

CLOSED = closed_candles(frame(), PAIR, "15m", NOW)
ENTRY = Entry(CLOSED, 1000, "exchange", NOW)


def test_what_is_put_is_what_is_got_by_another_process_too(tmp_path):
    CandleCache(tmp_path).put(PAIR, "15m", ENTRY)
    found = CandleCache(tmp_path).get(PAIR, "15m")
    assert_frame_equal(found.candles, CLOSED)
    assert (found.asked, found.source, found.written) == (1000, "exchange", NOW)
    assert CandleCache(tmp_path).get(PAIR, "1h") is None
    assert CandleCache(tmp_path).get("BTC/USDT", "15m") is None


@pytest.mark.parametrize(
    ("later", "limit", "expected"),
    [
        (0, 1000, False),  # 999 closed candles were all there is of the 1000 that were asked for
        (0, 200, True),
        (799, 200, True),  # up to the close of the next candle
        (800, 200, False),
        (900, 200, False),  # one timeframe
        (-1, 200, False),  # the clock was set back
    ],
)
def test_it_lives_until_the_next_candle_closes(later, limit, expected):
    entry = Entry(CLOSED, 900 if limit == 1000 else 1000, "exchange", NOW)
    assert fresh(entry, "15m", limit, NOW + later) is expected


def test_an_answer_before_the_exchange_told_of_the_last_candle_does_not_live():
    just_closed = NOW // 900 * 900 + 900 + 1
    assert not fresh(Entry(CLOSED, 1000, "exchange", just_closed), "15m", 10, just_closed + 1)
    assert fresh(Entry(CLOSED, 1000, "exchange", just_closed + LATE_S), "15m", 10, just_closed + LATE_S + 1)


def test_a_short_series_is_an_answer_if_more_was_asked_for():
    assert fresh(Entry(CLOSED.tail(5), 1000, "exchange", NOW), "15m", 200, NOW + 1)


def test_the_oldest_goes_first_when_it_is_full(tmp_path):
    one = CandleCache(tmp_path)
    one.put("A/USDT", "15m", ENTRY)
    size = next(tmp_path.iterdir()).stat().st_size
    small = CandleCache(tmp_path, max_bytes=3 * size + size // 2)
    for age, name in ((300, "A"), (200, "B"), (100, "C"), (0, "D")):
        small.put(f"{name}/USDT", "15m", ENTRY)
        moment = time.time() - age
        os.utime(tmp_path / f"{name}_USDT-15m.parquet", (moment, moment))
    assert sorted(path.name[0] for path in tmp_path.iterdir()) == ["B", "C", "D"]


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"garbage" * 100, None])
def test_a_damaged_file_is_a_miss_and_is_replaced(tmp_path, damage):
    cache = CandleCache(tmp_path)
    cache.put(PAIR, "15m", ENTRY)
    path = tmp_path / "BTC_USDT_USDT-15m.parquet"
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    assert cache.get(PAIR, "15m") is None
    cache.put(PAIR, "15m", ENTRY)
    assert cache.get(PAIR, "15m") is not None


def test_a_file_of_another_series_is_not_believed(tmp_path):
    cache = CandleCache(tmp_path)
    cache.put(PAIR, "15m", ENTRY)
    (tmp_path / "BTC_USDT_USDT-15m.parquet").rename(tmp_path / "ETH_USDT_USDT-15m.parquet")
    assert cache.get("ETH/USDT:USDT", "15m") is None


def test_what_cannot_be_written_costs_nothing_but_the_cache(tmp_path, caplog):
    (tmp_path / "file").write_text("not a folder")
    cache = CandleCache(tmp_path / "file" / "cache")
    for _ in range(3):
        cache.put(PAIR, "15m", ENTRY)
        assert cache.get(PAIR, "15m") is None
    assert sum("works without it" in each.message for each in caplog.records) == 1


WRITER = textwrap.dedent("""
    import sys
    from pathlib import Path
    sys.path.insert(0, "tests/tools/datahub")
    from hubs import NOW, PAIR, frame
    from tools.datahub.cache import CandleCache, Entry
    from tools.datahub.source import closed_candles
    cache = CandleCache(Path(sys.argv[1]))
    closed = closed_candles(frame(close=float(sys.argv[2])), PAIR, "15m", NOW)
    print("writing", flush=True)
    while True:
        cache.put(PAIR, "15m", Entry(closed, 1000, sys.argv[2], NOW))
""")


@pytest.mark.slow
def test_two_writers_killed_mid_write_leave_a_whole_file(tmp_path):
    """HUB-5: kill -9 at any moment; a reader sees one writer's answer or the other's, whole."""
    reader = CandleCache(tmp_path)
    for _ in range(2):
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, tmp_path, price], cwd=ROOT, stdout=subprocess.PIPE)
            for price in ("100.0", "200.0")
        ]
        assert [writer.stdout.readline() for writer in writers] == [b"writing\n"] * 2
        seen = set()
        until = time.monotonic() + 120
        while len(seen) < 2 and time.monotonic() < until:
            if found := reader.get(PAIR, "15m"):
                seen.add(whole(found))
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
            writer.stdout.close()
        assert seen == {"100.0", "200.0"}
        assert whole(reader.get(PAIR, "15m")) in seen
    for path in tmp_path.glob(".*.partial"):
        os.utime(path, (0, 0))
    CandleCache(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["BTC_USDT_USDT-15m.parquet"]


def whole(entry):
    assert set(entry.candles["close"]) == {float(entry.source)}
    assert len(entry.candles) == len(CLOSED)
    return entry.source
