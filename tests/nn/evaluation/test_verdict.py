"""The verdict says plainly who is better, what smells of a leak, and leaves out what nobody measured (PRM-1..3)."""

import io
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from rich.console import Console

from nn.baselines.rows import Forecast, from_probability
from nn.evaluation.bootstrap import Interval
from nn.evaluation.figures import Outcomes
from nn.evaluation.judged import NETWORK, Judged, chain
from nn.evaluation.pictures import pictures
from nn.evaluation.tables import comparison, csv_files, table
from nn.evaluation.trading import buckets_of, strength_limits
from nn.evaluation.verdict import evaluate, flat, not_beaten

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
N = 1200  # moments of a quarter of an hour
END = BEGIN + N * timedelta(minutes=15)


def probability_from(signal):
    """Return probabilities (N, 4, 3) that lean up where the signal is positive."""
    up = 1 / (1 + np.exp(-signal))
    return np.stack([0.9 * up, 0.9 * (1 - up), np.full_like(up, 0.1)], axis=-1)


def judged_of(skill, seed=0, begin=BEGIN):
    """Return a period in which the network knows `skill` of what comes, and a baseline knows a little."""
    draw = np.random.default_rng(seed)
    labels = np.full((N, 24), np.nan)
    labels[:, :4] = draw.normal(0, 0.01, (N, 4))
    labels[:, 4:8] = np.where(labels[:, :4] > 0, 0, 1)
    volatility = draw.normal(-5, 0.5, (N, 2))
    start = int(begin.timestamp() * 1000)
    outcomes = Outcomes(start + np.arange(1, N + 1) * 900_000, np.zeros(N, int), labels, volatility)

    def forecaster(share):
        p = probability_from(100 * share * labels[:, :4] + draw.normal(0, 1, (N, 4)))
        said = from_probability(p)
        return Forecast(said.score, said.classes, p, volatility + draw.normal(0, 0.6 - share, (N, 2)))

    forecasts = {NETWORK: forecaster(skill), "logistic": forecaster(0.02), "lightgbm": forecaster(0.03)}
    buckets = {name: buckets_of(each.score, strength_limits(each.score)) for name, each in forecasts.items()}
    return Judged(outcomes, draw.integers(0, 3, N), forecasts, buckets, {"a": 0.01, "b": 0.6})


def test_a_network_that_knows_too_much_is_suspected_and_beats_all():
    found = evaluate(judged_of(0.5), BEGIN, END, 96)
    assert found.beats_baselines
    assert found.suspected_leak
    assert found.reasons[0].startswith("SuspectedLeak: the side was right in 0.6")
    assert found.figures()["suspected_leak"] == 1


def test_a_network_that_knows_nothing_is_said_to_lose():
    found = evaluate(judged_of(0.0), BEGIN, END, 96)
    assert not found.beats_baselines
    assert not found.suspected_leak
    assert any("ic_1h" in reason and "does not beat" in reason for reason in found.reasons)
    who, value = found.best["ic_1h"]
    assert value == max(figures["ic_1h"].value for figures in found.baselines.values())
    assert found.baselines[who]["ic_1h"].value == value
    best_error = min(figures["ece_1h"].value for figures in found.baselines.values())
    assert found.best["ece_1h"][1] == best_error  # of errors the smallest is the best


def test_the_difference_is_judged_on_the_same_resamples():
    found = evaluate(judged_of(0.3), BEGIN, END, 96)
    gap = found.differences["ic_1h"]
    assert gap.value == pytest.approx(found.metrics["ic_1h"].value - found.best["ic_1h"][1])
    assert gap.low < gap.value < gap.high


def test_a_margin_of_macro_f1_is_asked_for():
    """PRM-1: equal is not enough."""
    even = {f"{name}_{h}": Interval(0.4, 0.3, 0.5) for name in ("ic", "macro_f1") for h in ("1h", "4h")}
    best = dict.fromkeys(even, ("logistic", 0.395))
    assert list(not_beaten(even, best)) == ["macro-F1 is 0.005 above the best baseline, expected at least 0.01"]
    assert list(not_beaten(even, dict.fromkeys(even, ("logistic", 0.38)))) == []
    missing = {name: each for name, each in even.items() if name != "ic_1h"}
    assert list(not_beaten(missing, dict.fromkeys(even, ("logistic", 0.38)))) == ["ic_1h could not be measured"]


def test_the_payload_is_finite_and_the_document_is_json():
    found = evaluate(judged_of(0.1), BEGIN, END, 96)
    payload = found.payload("unified-15m", "v")
    assert set(payload) == {"schema_version", "line", "version", "begin", "end", "rows", "metrics", "baselines",
                            "trading", "verdict"}  # fmt: skip
    numbers = [payload["metrics"], payload["trading"], *payload["baselines"].values()]
    assert all(np.isfinite(list(each.values())).all() for each in numbers)
    assert payload["metrics"]["ic_1h_low"] < payload["metrics"]["ic_1h"] < payload["metrics"]["ic_1h_high"]
    document = json.loads(json.dumps(found.document(), allow_nan=False))
    assert document["verdict"]["drift"] is True  # one of two inputs has drifted
    assert document["metrics"]["inputs_drifted"] == 1
    assert {row["by"] for row in document["stability"]} == {"month", "regime"}
    assert flat({"x": Interval(1.0, float("nan"), 2.0)}) == {"x": 1.0, "x_high": 2.0}


def test_a_period_without_rows_is_no_success():
    nothing = judged_of(0.1)[np.array([], dtype=int)]
    found = evaluate(nothing, BEGIN, END, 96)
    assert (found.rows, found.beats_baselines, found.trading) == (0, False, {"trades": 0.0})
    assert found.reasons == ("no candle of the period could be scored",)
    assert list(pictures(found)) == []


def test_a_chain_is_judged_as_one():
    parts = [judged_of(0.1), judged_of(0.1, 1, END)]
    whole = chain(parts)
    assert len(whole) == 2 * N
    assert whole.stability == {"a": 0.01, "b": 0.6}
    found = evaluate(whole, BEGIN, END + N * timedelta(minutes=15), 96)
    each = [evaluate(part, BEGIN, END, 96).metrics["ic_1h"] for part in parts]
    assert found.metrics["ic_1h"].high - found.metrics["ic_1h"].low < max(e.high - e.low for e in each)
    with pytest.raises(ValueError, match="no periods"):
        chain([])


def test_tables_fit_80_characters_and_csv_files_hold_every_figure():
    found = evaluate(judged_of(0.1), BEGIN, END, 96)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(table({BEGIN: found.flat()}))
    console.print(comparison(found))
    text = console.export_text()
    assert "…" not in text
    assert f"{found.metrics['accuracy_4h'].value:.3f}" in text
    files = dict(csv_files(found))
    assert set(files) == {"figures.csv", "calibration.csv", "confusion.csv", "profit_by_bucket.csv", "stability.csv",
                          "inputs.csv"}  # fmt: skip
    assert f"lightgbm,ic_1h,{found.baselines['lightgbm']['ic_1h'].value}" in files["figures.csv"]
    assert {name for name, _ in pictures(found)} == {"overview.png", "confusion.png"}
