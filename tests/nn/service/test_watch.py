"""Drift and calibration of what serves: by hand, each candle once, bounded, in no answer's way (MET-17)."""

from __future__ import annotations

import time

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from nn.data.target_table import FORECAST_COLUMNS, TARGET_NAMES
from nn.data.targets import make_targets
from nn.evaluation.drift import TrainBins
from nn.evaluation.drift import population_stability as slow_twin
from nn.forecast.metrics import calibration_error as slow_calibration_error
from nn.service import watch as watch_module

HORIZON = 16  # bars of 4h


@pytest.fixture
def fewest(monkeypatch):
    """Figures are shown from 10 candles on."""
    monkeypatch.setattr(watch_module, "FEWEST", 10)
    return 10


@pytest.fixture
def binned(registry, kit):
    """A champion whose manifest has the bins of a calm walk; return it with the train rows."""
    frame = kit.candles(2000, seed=3)
    plain = registry.add(100)
    registry.publish(plain)
    rows = registry.shelf().line_of("15m").champion
    train = rows.scaled(rows.features(frame))[kit.features.warmup :]
    registry.publish(registry.add(101, bins=TrainBins.fit(train).to_dict()))
    return registry, train


def metrics(ask, name):
    families = text_string_to_metric_families(ask("GET", "/metrics").text)
    return {
        tuple(value for _, value in sorted(sample.labels.items(), reverse=True)): sample.value  # line, then feature
        for family in families
        for sample in family.samples
        if sample.name == f"candlewright_{name}"
    }


def asked(ask, frames, **changes):
    """Return the answers about the newest candle of each frame, once each was watched."""
    rows, end = [], time.monotonic() + 120
    for frame in frames:
        rows += ask.json(frame, as_of="latest", **changes).json()["rows"]
        while ask.app.watch.jobs.unfinished_tasks:
            assert time.monotonic() < end
            time.sleep(0.001)
    return rows


def test_drift_is_the_index_of_the_newest_rows_against_the_train_rows(serve, binned, kit, fewest):
    registry, train = binned
    ask, frame = serve(registry), kit.candles(230, seed=4)
    asked(ask, [frame[:last] for last in range(205, 231)])
    found = metrics(ask, "feature_psi")
    assert {line for line, _ in found} == {"unified-15m"}
    version = registry.shelf().line_of("15m").champion
    newest = np.stack([version.scaled(version.features(frame[:last]))[-1] for last in range(205, 231)])
    for column, name in enumerate(kit.features.names):
        assert found["unified-15m", name] == pytest.approx(slow_twin(train[:, column], newest[:, column]), rel=1e-6)


def test_other_inputs_drift_and_the_same_do_not(serve, binned, kit, fewest, monkeypatch):
    registry, _ = binned
    monkeypatch.setattr(watch_module, "WINDOW", 120)
    calm, loud = kit.candles(700, seed=5), kit.candles(700, seed=5)
    loud["high"] *= 1.02
    ask = serve(registry)
    asked(ask, [calm[last - 120 : last] for last in range(330, 450)])
    before = metrics(ask, "feature_psi")["unified-15m", "range_pct"]
    asked(ask, [loud[last - 120 : last] for last in range(530, 650)])
    after = metrics(ask, "feature_psi")["unified-15m", "range_pct"]
    assert before < 0.25 < after  # the newest 120 count, and no others


def test_a_candle_counts_once_however_many_ask_and_history_not_at_all(serve, binned, kit, fewest):
    registry, _ = binned
    ask, frame = serve(registry), kit.candles(230)
    ask.json(frame)
    asked(ask, [frame] * 30 + [frame[:220]])
    assert metrics(ask, "feature_psi") == {}
    assert len(ask.app.watch.lines["unified-15m"].drift.rows) == 1


def test_a_candle_that_is_still_open_does_not_count_and_does_once_it_has_closed(serve, binned, kit, fewest):
    """A bot that sends its running candle must not hide the closed one from what is watched."""
    registry, _ = binned
    frame = kit.candles(230)
    closed = int(frame["date"].iloc[-1]) + kit.bar_ms
    ask = serve(registry, now_ms=closed)
    ask.app.now = lambda: closed / 1000 - 300
    assert asked(ask, [frame])[0]["reason"] == "unclosed"
    assert not ask.app.watch.seen
    ask.app.now = lambda: closed / 1000 + 1
    assert asked(ask, [frame])[0]["reason"] is None
    assert len(ask.app.watch.lines["unified-15m"].drift.rows) == 1


def test_calibration_is_what_was_said_against_what_came(serve, chain, kit, fewest):
    """Of a champion without bins too; an answer waits until its four hours are over."""
    ask, frame = serve(chain), kit.candles(419, seed=6)
    cuts = range(320, 420)
    replies = asked(ask, [frame[:last] for last in cuts])
    labels = make_targets(frame.assign(date=frame["date"].astype("datetime64[ms, UTC]")), "15m").values
    came = labels[[last - 1 for last in cuts], TARGET_NAMES.index("direction_4h")]
    said = np.array([[row[f"direction_4h_{word}"] for word in ("up", "down", "flat")] for row in replies])
    known = np.isfinite(came)
    assert known.sum() == len(cuts) - HORIZON
    expected = slow_calibration_error(said[known].max(1), said[known].argmax(1) == came[known])
    assert metrics(ask, "calibration_error") == {("unified-15m",): pytest.approx(expected, rel=1e-5)}


def test_too_few_candles_show_nothing(serve, binned, kit):
    registry, _ = binned
    ask, frame = serve(registry), kit.candles(260)
    asked(ask, [frame[:last] for last in range(200, 260)])
    assert metrics(ask, "feature_psi") == metrics(ask, "calibration_error") == {}


def test_another_champion_begins_anew(serve, binned, kit, fewest):
    registry, train = binned
    ask, frame = serve(registry), kit.candles(300)
    asked(ask, [frame[:last] for last in range(205, 230)])
    assert metrics(ask, "feature_psi")
    registry.publish(registry.add(102, seed=1, bins=TrainBins.fit(train).to_dict()))
    ask.app.shelf.look()
    asked(ask, [frame[:231]])
    assert metrics(ask, "feature_psi") == {}


def test_what_is_remembered_is_bounded(serve, chain, kit, monkeypatch):
    """A holder of the key who makes up pairs fills no memory and adds no label."""
    monkeypatch.setattr(watch_module, "STREAMS", 5)
    monkeypatch.setattr(watch_module, "PENDING", 3)
    ask, frame = serve(chain), kit.candles(330)
    for number in range(20):
        asked(ask, [frame], pair=f"X{number}/USDT")
    asked(ask, [frame[:last] for last in range(290, 300)])
    watch = ask.app.watch
    assert len(watch.seen) == len(watch.pending) == 5
    assert max(map(len, watch.pending.values())) == 3


def test_a_full_queue_drops_and_says_so(serve, chain, kit, monkeypatch):
    """A slow watcher never holds an answer up."""
    ask, frame = serve(chain), kit.candles(400)
    monkeypatch.setattr(ask.app.watch, "idle", lambda: False)
    for last in range(300, 300 + watch_module.WAITING + 6):
        assert ask.json(frame[:last], as_of="latest").status_code == 200
    assert metrics(ask, "watch_dropped_total")[()] >= 4
    ask.app.watch.close()


def test_bins_of_other_features_are_refused(registry, serve, kit):
    wrong = TrainBins.fit(np.random.default_rng(0).normal(size=(50, 5))).to_dict()
    registry.publish(registry.add(100, bins=wrong))
    assert serve(registry).json(kit.candles(200)).status_code == 503


def test_answers_do_not_depend_on_bins(serve, registry, chain, kit, binned):
    """And so answers over history that were kept before a manifest had bins stay good."""
    _, train = binned
    bins = TrainBins.fit(train).to_dict()
    registry.publish(*(registry.add(bar, seed, bins=bins) for seed, bar in enumerate((150, 200, 260))))
    rows = [serve(each).json(kit.candles(300)).json() for each in (registry, chain)]
    assert rows[0] == rows[1]
    assert set(FORECAST_COLUMNS) <= set(rows[0]["rows"][0])
