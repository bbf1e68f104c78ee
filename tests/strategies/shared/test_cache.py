"""The cache of bulk answers: whole or absent, bounded, shared by processes, never in the way (CLT-3)."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pytest

from strategies.shared import cache as cache_module
from strategies.shared import wire
from strategies.shared.cache import ForecastCache, cache_key


def table(number, rows=100):
    return pa.table({"value": np.full(rows, number, dtype=np.float64)}).replace_schema_metadata({"chain_digest": "c"})


def test_what_goes_in_comes_out(tmp_path):
    cache = ForecastCache(tmp_path / "new", 10**6)
    assert cache.get("key") is None
    assert cache.put("key", table(3))
    assert cache.get("key").equals(table(3), check_metadata=True)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["key.forecast"]


def test_the_key_changes_with_every_part_of_the_question(make_candles):
    frame = make_candles(50)
    question = ["/predict", "digest", "BTC/USDT", "15m", "each"]
    candles = wire.candle_table(frame)
    keys = {
        cache_key(*question, candles),
        cache_key(*question, candles.slice(1)),
        cache_key(*question, candles.slice(0, 49)),
    }
    for part in range(5):
        other = question.copy()
        other[part] += "x"
        keys.add(cache_key(*other, candles))
    for column in ("date", "open", "high", "low", "close", "volume"):
        moved = frame.copy()
        moved.loc[49, column] = moved[column][49] + (np.timedelta64(1, "ms") if column == "date" else 1e-9)
        keys.add(cache_key(*question, wire.candle_table(moved)))
    assert len(keys) == 14
    assert cache_key(*question, candles) == cache_key(*question, wire.candle_table(frame.copy()))
    assert cache_key(*question, candles.slice(1)) == cache_key(*question, wire.candle_table(frame.iloc[1:]))


@pytest.mark.parametrize("damage", ["cut", "emptied", "bit", "digest", "text"])
def test_a_damaged_file_is_a_miss_and_goes(tmp_path, caplog, damage):
    cache = ForecastCache(tmp_path, 10**6)
    cache.put("key", table(3))
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    if damage in ("bit", "digest"):
        content[400 if damage == "bit" else 3] ^= 1
    path.write_bytes({"cut": content[:500], "emptied": b"", "text": b"hello"}.get(damage, bytes(content)))
    assert cache.get("key") is None
    assert list(tmp_path.iterdir()) == []
    assert "damaged" in caplog.text


def test_the_longest_unused_leaves_first(tmp_path):
    size = len(pa_bytes(table(0))) + cache_module.DIGEST_BYTES
    cache = ForecastCache(tmp_path, 3 * size)
    for number in range(3):
        cache.put(str(number), table(number))
        os.utime(tmp_path / f"{number}.forecast", (number, number))
    assert cache.get("0") is not None  # used: now 1 is the longest unused
    cache.put("3", table(3))
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["0", "2", "3"]
    assert not cache.put("huge", table(0, rows=10_000))


def pa_bytes(one):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, one.schema) as writer:
        writer.write_table(one)
    return sink.getvalue().to_pybytes()


def test_what_a_dead_writer_left_is_removed(tmp_path):
    (tmp_path / "old.part").write_bytes(b"x")
    os.utime(tmp_path / "old.part", (1, 1))
    (tmp_path / "young.part").write_bytes(b"x")
    (tmp_path / "other.txt").write_text("not ours")
    ForecastCache(tmp_path, 10**6).put("key", table(3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key.forecast", "other.txt", "young.part"]


def test_a_disk_that_refuses_costs_a_warning_only(tmp_path, caplog, monkeypatch):
    """Full disk, read-only folder, a file where the folder should be."""
    (tmp_path / "file").write_text("")
    assert not ForecastCache(tmp_path / "file", 10**6).put("key", table(3))
    assert ForecastCache(tmp_path / "file", 10**6).get("key") is None

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    assert not ForecastCache(tmp_path / "cache", 10**6).put("key", table(3))
    assert list((tmp_path / "cache").iterdir()) == []
    assert caplog.text.count("not cached") == 2  # one each: a cache says it once


def write_and_read(folder, offset, faults):
    """Two of these share a folder that is too small for both."""
    cache = ForecastCache(folder, 6 * 1500)
    for turn in range(200):
        number = (turn + offset) % 8
        cache.put(str(number), table(number))
        found = cache.get(str((number + 3) % 8))
        if found is not None and not found.equals(table((number + 3) % 8)):
            faults.put(f"{number} holds something else")


def test_two_processes_may_share_a_folder(tmp_path):
    context = multiprocessing.get_context("spawn")
    faults = context.Queue()
    workers = [context.Process(target=write_and_read, args=(tmp_path, offset, faults)) for offset in (0, 4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert faults.empty()
    faults.close()
    faults.join_thread()
    assert not list(tmp_path.glob("*.part"))


def test_a_writer_killed_in_the_middle_leaves_no_answer(tmp_path):
    program = (
        "import sys, pathlib, numpy, pyarrow\n"
        "from strategies.shared.cache import ForecastCache\n"
        "cache = ForecastCache(pathlib.Path(sys.argv[1]), 10**9)\n"
        "table = pyarrow.table({'value': numpy.zeros(4_000_000)})\n"
        "while True:\n"
        "    cache.put('key', table)\n"
        "    pathlib.Path(sys.argv[1], 'key.forecast').unlink()\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("*.part")) and time.monotonic() < deadline:
            time.sleep(0.001)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    found = ForecastCache(tmp_path, 10**9).get("key")
    assert found is None or found.num_rows == 4_000_000


def test_a_full_disk_costs_one_warning_and_no_answer(tmp_path):
    """A process whose files may not grow (the kernel refuses the write itself) goes on without a cache."""
    program = (
        "import pathlib, resource, signal, sys\n"
        "import numpy, pyarrow\n"
        "from strategies.shared.cache import ForecastCache\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "cache = ForecastCache(pathlib.Path(sys.argv[1]), 10**9)\n"
        "big, small = (pyarrow.table({'value': numpy.zeros(rows)}) for rows in (100_000, 100))\n"
        "print(cache.put('a', big), cache.put('b', big), cache.get('a'), cache.put('c', small))\n"
        "print(cache.get('c').num_rows)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.split() == ["False", "False", "None", "True", "100"]
    assert done.stderr.count("not cached") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["c.forecast"]
