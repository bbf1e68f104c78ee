"""The verdict says plainly who is better, what smells of a leak, and leaves out what nobody measured (PRM-1..3)."""

import io
import json
from dataclasses import replace
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
from nn.evaluation.verdict import evaluate, flat, gated, not_beaten
from nn.registry.thresholds import load_thresholds

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
N = 1200  # moments of a quarter of an hour
END = BEGIN + N * timedelta(minutes=15)
THRESHOLDS = load_thresholds()


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
    needed = gated(THRESHOLDS, answers_volatility=False)
    assert set(needed) == set(even)

    def said(network, best):
        return list(not_beaten(network, dict.fromkeys(even, ("logistic", best)), THRESHOLDS, needed))

    assert said(even, 0.395) == ["macro-F1 is 0.005 above the best baseline, expected at least 0.01"]
    assert said(even, 0.38) == []
    assert said({name: each for name, each in even.items() if name != "ic_1h"}, 0.38) == ["ic_1h could not be measured"]


def test_volatility_that_was_answered_and_could_not_be_measured_is_a_loss():
    asked = gated(THRESHOLDS, answers_volatility=True)
    assert [name for name in asked if name.startswith("volatility")] == ["volatility_r2_1h", "volatility_r2_4h"]
    even = {name: Interval(0.4, 0.3, 0.5) for name in asked if name != "volatility_r2_4h"}
    best = dict.fromkeys(asked, ("lightgbm", 0.38))
    assert list(not_beaten(even, best, THRESHOLDS, asked)) == ["volatility_r2_4h could not be measured"]


def test_verdict_and_gates_measure_by_one_file():
    strict = THRESHOLDS.model_copy(update={"macro_f1_margin": 0.9, "leak_accuracy": 1.0, "leak_over_majority": 1.0})
    found = evaluate(judged_of(0.5), BEGIN, END, 96, thresholds=strict)
    assert not found.suspected_leak
    assert any("expected at least 0.9" in reason for reason in found.reasons)


def test_a_baseline_that_must_be_there_and_is_not_is_a_loss():
    judged = judged_of(0.5)
    alone = replace(judged, forecasts={n: f for n, f in judged.forecasts.items() if n != "lightgbm"})
    found = evaluate(alone, BEGIN, END, 96)
    assert not found.beats_baselines
    assert "baseline lightgbm was not judged" in found.reasons


def test_a_leak_in_the_classes_alone_is_suspected_too():
    """PRM-3: a network that cannot tell sides, and knows which moves will be FLAT, slips through the share of sides."""
    draw = np.random.default_rng(5)
    judged = judged_of(0.0)
    labels = judged.outcomes.labels.copy()
    labels[:, 4:8] = np.where(draw.random((N, 4)) < 0.5, 2, labels[:, 4:8])  # half of all is FLAT now
    p = np.where((labels[:, 4:8] == 2)[..., None], [0.1, 0.1, 0.8], [0.45, 0.45, 0.1])
    p[..., :2] += draw.normal(0, 0.01, (N, 4, 1)) * [1, -1]
    known = from_probability(p, judged.forecasts[NETWORK].log_volatility)
    leaking = replace(
        judged,
        outcomes=replace(judged.outcomes, labels=labels),
        forecasts={**judged.forecasts, NETWORK: known},
    )
    found = evaluate(leaking, BEGIN, END, 96)
    assert found.metrics["accuracy_1h"].value < THRESHOLDS.leak_accuracy
    assert found.metrics["over_majority_1h"].value > 0.2
    assert found.suspected_leak
    assert any("more rows than the most frequent class" in reason for reason in found.reasons)


def test_always_saying_the_most_frequent_class_is_no_leak():
    """In a quiet month it is right far more often than in 55 % of rows."""
    judged = judged_of(0.0)
    labels = judged.outcomes.labels.copy()
    labels[:, 4:8] = np.where(np.random.default_rng(6).random((N, 4)) < 0.7, 2, labels[:, 4:8])
    p = np.tile([0.15, 0.15, 0.7], (N, 4, 1)) + np.random.default_rng(7).normal(0, 0.01, (N, 4, 1)) * [1, -1, 0]
    flat = from_probability(p, judged.forecasts[NETWORK].log_volatility)
    quiet = replace(
        judged, outcomes=replace(judged.outcomes, labels=labels), forecasts={**judged.forecasts, NETWORK: flat}
    )
    found = evaluate(quiet, BEGIN, END, 96)
    assert found.metrics["class_accuracy_4h"].value > 0.65
    assert found.metrics["over_majority_4h"].value == pytest.approx(0)
    assert not found.suspected_leak


@pytest.mark.parametrize("part", ["score", "probability", "log_volatility"])
def test_a_network_that_answers_nan_is_not_judged_on_the_rest(part):
    judged = judged_of(0.3)
    broken = getattr(judged.forecasts[NETWORK], part).copy()
    broken[7, 2 if part != "log_volatility" else 1] = np.nan
    network = replace(judged.forecasts[NETWORK], **{part: broken})
    found = evaluate(replace(judged, forecasts={**judged.forecasts, NETWORK: network}), BEGIN, END, 96)
    assert (found.beats_baselines, found.metrics, found.trading) == (False, {}, {"trades": 0.0})
    assert found.reasons == ("the network's answer to 1 of 1200 candles is not a number",)
    json.dumps(found.document(), allow_nan=False)
    assert list(pictures(found)) == []


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
