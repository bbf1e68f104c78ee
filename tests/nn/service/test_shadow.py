"""The challenger answers in shadow: the same live requests, after the answer, never instead of it (SRV-10)."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing

import numpy as np
import pandas as pd
import pytest
from tradekernels.features import feature_set

from nn.data.target_table import DIRECTION_COLUMNS, FORECAST_COLUMNS
from nn.service import challenger as challenger_module
from nn.service import shadow
from nn.service.shadow_store import Answers, ShadowStore

ASKED = {"unified-15m": ("/forecast", FORECAST_COLUMNS), "direction-15m": ("/direction", DIRECTION_COLUMNS)}


@pytest.fixture
def rivals(registry):
    """Both lines with a champion, and a challenger that is not in the chain."""
    for line in ("unified-15m", "direction-15m"):
        champion, challenger = registry.add(150, 0, line), registry.add(160, 1, line)
        registry.publish_aliases({"champion": champion, "challenger": challenger}, champion, line=line)
    return registry


def scored(ask, at_least: int) -> list[Answers]:
    """Return what the store holds once the challenger has answered that much."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if len(found := list(ask.app.challenger.store.read())) >= at_least:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{len(found)} answers after 120 s, expected {at_least}")


def values(ask, name: str) -> float:
    lines = dict(line.rsplit(" ", 1) for line in ask("GET", "/metrics").text.splitlines() if line[0] != "#")
    return float(lines[f"candlewright_shadow_{name}"])


def test_both_answers_to_a_live_request_are_kept(serve, rivals, kit):
    """And the challenger's is the one that it would have given as champion, bit by bit."""
    ask, frame = serve(rivals), kit.candles(230)
    before = ask.json(frame, "/predict", as_of="latest").json()
    found = scored(ask, 2)
    assert {each.kind for each in found} == {"unified_patchtst", "direction"}
    for each in found:
        line = each.champion.rsplit("-", 2)[0]
        rivals.publish(each.challenger, line=line)
        path, columns = {
            "unified-15m": ("/forecast", FORECAST_COLUMNS),
            "direction-15m": ("/direction", DIRECTION_COLUMNS),
        }[line]
        [row] = serve(rivals).json(frame, path, as_of="latest").json()["rows"]
        assert row["model_version"] == each.challenger
        np.testing.assert_array_equal(each.challenger_row, np.array([row[name] for name in columns], np.float32))
        assert (each.pair, each.open_ms) == ("BTC/USDT:USDT", int(frame["date"].iloc[-1]))
    assert before["rows"][0]["model_version"] in {each.champion for each in found}
    ask.app.challenger.close()


def test_it_is_measured_and_history_is_not_scored(serve, rivals, kit):
    """MET-17; the same candle asked by many bots is answered once."""
    ask = serve(rivals)
    ask.json(kit.candles(230))
    for n_rows in (230, 231, 231, 232):
        ask.json(kit.candles(n_rows), as_of="latest")
    scored(ask, 3)
    ask.app.challenger.close()
    kind = '{kind="unified_patchtst"}'
    assert values(ask, f"scored_total{kind}") == len(list(ask.app.challenger.store.read())) == 3
    agreement = 1 - values(ask, f"disagreements_total{kind}") / 3
    assert values(ask, f"agreement_ratio{kind}") == pytest.approx(agreement)


def test_a_full_queue_drops_and_never_waits(serve, rivals, kit, monkeypatch):
    ask = serve(rivals, shadow_queue=1)
    monkeypatch.setattr(ask.app.challenger, "_work", lambda: time.sleep(30))  # a challenger that hangs
    answers = [ask.json(kit.candles(200 + k), as_of="latest").status_code for k in range(4)]
    assert answers == [200] * 4
    assert values(ask, 'dropped_total{reason="full"}') == 3


def test_it_waits_for_a_pause_and_gives_up(serve, rivals, kit, monkeypatch):
    monkeypatch.setattr(challenger_module, "BUSY_S", 0.05)
    ask = serve(rivals)
    ask.app.challenger.idle = lambda: False
    assert ask.json(kit.candles(230), as_of="latest").status_code == 200
    end = time.monotonic() + 120
    while 'dropped_total{reason="busy"} 1.0' not in ask("GET", "/metrics").text and time.monotonic() < end:
        time.sleep(0.02)
    assert values(ask, 'dropped_total{reason="busy"}') == 1
    assert list(ask.app.challenger.store.read()) == []


def test_a_disk_that_refuses_stops_nothing(serve, rivals, kit, tmp_path, caplog):
    (tmp_path / "shadow").write_text("a file where the folder should be")
    ask = serve(rivals)
    for n_rows in (230, 231):
        assert ask.json(kit.candles(n_rows), as_of="latest").status_code == 200
    end = time.monotonic() + 120
    while 'dropped_total{reason="store"} 2.0' not in ask("GET", "/metrics").text and time.monotonic() < end:
        time.sleep(0.02)
    assert values(ask, 'dropped_total{reason="store"}') == 2
    assert caplog.text.count("cannot be kept") == 1  # said once, not at every candle
    (tmp_path / "shadow").unlink()
    assert ask.json(kit.candles(232), as_of="latest").status_code == 200
    assert len(scored(ask, 1)) == 1


def test_a_challenger_that_is_refused_leaves_the_champion(serve, rivals, kit, caplog):
    folder = rivals.folder / "unified-15m"
    aliases = serve(rivals).app.shelf.line_of("15m").aliases
    weights = folder / aliases["challenger"] / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    ask = serve(rivals)
    assert ask.json(kit.candles(230), as_of="latest").json()["rows"][0]["model_version"] == aliases["champion"]
    assert "challenger of unified-15m was refused" in caplog.text


def test_a_challenger_too_young_for_the_candle_says_nothing(serve, registry, kit):
    """ASO-1, in shadow too."""
    champion, challenger = registry.add(150, 0), registry.add(300, 1)
    registry.publish_aliases({"champion": champion, "challenger": challenger}, champion, challenger)
    ask = serve(registry)
    ask.json(kit.candles(230), as_of="latest")
    ask.json(kit.candles(310), as_of="latest")
    [only] = scored(ask, 1)
    assert only.open_ms == int(kit.candles(310)["date"].iloc[-1])


def answer(open_ms: int, **changes) -> Answers:
    row = np.arange(38, dtype=np.float32)
    fields = {"kind": "unified_patchtst", "timeframe": "15m", "pair": "BTC/USDT:USDT", "open_ms": open_ms}
    return Answers(
        **(fields | {"champion": "a", "challenger": "b", "champion_row": row, "challenger_row": row + 1} | changes)
    )


def test_a_challenger_of_another_timeframe_is_no_challenger(serve, rivals, kit, caplog):
    """Its features would be of candles that it never learned from."""
    hourly = feature_set(kit.features.names, "1h")
    digest, warmup = hourly.digest, hourly.warmup
    other = rivals.add(160, 3, timeframe="1h", feature_digest=digest, warmup=warmup, embargo_bars=12)
    champion = rivals.shelf().line_of("15m").champion.version
    rivals.publish_aliases({"champion": champion, "challenger": other}, champion)
    ask = serve(rivals)
    assert ask.json(kit.candles(230), as_of="latest").status_code == 200
    assert ask.app.challenger.thread is None
    assert "challenger of unified-15m is of line unified-15m, kind unified_patchtst, timeframe 1h" in caplog.text


def test_the_store_is_bounded_and_keeps_the_newest(tmp_path):
    store = ShadowStore(tmp_path / "a.sqlite", max_rows=100)
    for start in range(0, 2000, 50):
        store.add(answer(k) for k in range(start, start + 50))
    kept = [each.open_ms for each in store.read()]
    assert kept[-1] == 1999
    assert 100 <= len(kept) <= 100 + 256 + 50
    store.add([answer(1999)])
    assert len(list(store.read())) == len(kept)


def test_a_writer_waits_for_another_that_is_just_making_the_file(tmp_path):
    """SQLite itself waits nowhere else but there; and who reads meanwhile takes no lock that a writer needs."""
    store = ShadowStore(tmp_path / "a.sqlite", max_rows=100)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other, ThreadPoolExecutor(1) as pool:
        other.execute("CREATE TABLE other (x)")
        other.execute("BEGIN IMMEDIATE")
        added = pool.submit(store.add, [answer(0)])
        wait([added], timeout=0.3)  # an error would come at once
        assert not added.done()
        assert list(store.read()) == []
        other.execute("COMMIT")
        added.result()
    assert [each.open_ms for each in store.read()] == [0]


def fill(path, worker: int) -> None:
    store = ShadowStore(path, max_rows=10_000)
    for k in range(100_000):
        store.add([answer(k, pair=f"A{worker}/USDT")])


def test_two_processes_write_and_one_is_killed(tmp_path):
    """Nothing is lost but what the killed one had not finished."""
    path = tmp_path / "a.sqlite"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=fill, args=(path, worker)) for worker in range(2)]
    for each in writers:
        each.start()
    store = ShadowStore(path, 10_000)
    end = time.monotonic() + 120
    while time.monotonic() < end and len({each.pair for each in _read(store)}) < 2:
        time.sleep(0.05)
    os.kill(writers[0].pid, signal.SIGKILL)
    writers[0].join(120)
    count = len(_read(store))
    while time.monotonic() < end and len(_read(store)) <= count:
        time.sleep(0.05)
    writers[1].kill()
    writers[1].join(120)
    found = _read(store)
    assert len(found) > count
    for pair in ("A0/USDT", "A1/USDT"):  # every one up to the last
        opened = [each.open_ms for each in found if each.pair == pair]
        assert opened == list(range(len(opened)))
        assert opened
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def _read(store: ShadowStore) -> list[Answers]:
    try:
        return list(store.read())
    except sqlite3.OperationalError:  # before the first writer made the table
        return []


def test_the_report_sets_both_beside_what_happened(tmp_path, kit, capsys):
    """A champion that knows the future and a challenger that says the opposite."""
    frame = kit.candles(400)
    folder = tmp_path / "data" / "futures"
    folder.mkdir(parents=True)
    stored = frame.assign(date=pd.to_datetime(frame["date"], unit="ms", utc=True))
    stored.to_feather(folder / "BTC_USDT_USDT-15m-futures.feather")
    close = frame["close"].to_numpy()
    store = ShadowStore(tmp_path / "answers.sqlite", 1000)
    columns = {
        name: FORECAST_COLUMNS.index(name) for name in ("future_return_4h", "direction_4h_up", "direction_4h_down")
    }

    def row(change: float) -> np.ndarray:
        values = np.zeros(38, np.float32)
        values[columns["future_return_4h"]] = change
        values[columns["direction_4h_up" if change > 0 else "direction_4h_down"]] = 1
        return values

    changes = close[16:] / close[:-16] - 1
    store.add(
        answer(int(frame["date"][k]), champion_row=row(changes[k]), challenger_row=row(-changes[k])) for k in range(384)
    )
    store.add([answer(int(frame["date"][390]))])  # its future is not known yet
    assert shadow.main(["--datadir", str(tmp_path / "data"), "--answers", str(store.path)]) == 0
    head, champion, challenger = capsys.readouterr().out.splitlines()
    assert head.split() == ["version", "role", "candles", "ic_4h", "hits_4h", "trades", "net/trade"]
    assert champion.split()[:4] == ["a", "champion", "384", "1.000"]
    assert challenger.split()[:4] == ["b", "challenger", "384", "-1.000"]
    mean = abs(changes).mean() - 0.0022
    assert float(champion.split()[-1].rstrip("%")) == pytest.approx(100 * mean, abs=1e-3)
    assert float(challenger.split()[-1].rstrip("%")) == pytest.approx(100 * (-abs(changes).mean() - 0.0022), abs=1e-3)


def test_no_answers_are_told(tmp_path, capsys):
    assert shadow.main(["--datadir", "x", "--answers", str(tmp_path / "nothing")]) == 1
    assert "no challenger has scored" in capsys.readouterr().err
