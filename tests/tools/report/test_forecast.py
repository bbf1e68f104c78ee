"""The section about forecasts: every number is the file's, a foreign file is refused, text stays text."""

import json
import re
from html import unescape

import numpy as np
import pytest

from nn.baselines.rows import Forecast, from_probability
from nn.evaluation.figures import Outcomes
from nn.evaluation.figures import figures as judged_figures
from tools.report.__main__ import main
from tools.report.document import build
from tools.report.figures import figures
from tools.report.forecast import forecast_verdict, read_forecast
from tools.report.page import render
from tools.report.result import BadResult, read_result

DATA = re.compile(r'<data data-key="(forecast[^"]*)" value="([^"]*)"')
EVIL = "<img src=x onerror=alert(1)>"


def judgement(**changes):
    return {
        "begin": "2025-07-01T00:00:00+00:00", "end": "2025-08-01T00:00:00+00:00", "rows": 8928,
        "metrics": {"ic_1h": 0.03, "ic_1h_low": -0.01, "ic_1h_high": 0.07, "macro_f1_4h": 0.4},
        "best_baseline": {"ic_1h": {"baseline": "logistic", "value": 0.045}},
        "trading": {"trades": 20, "net_return": -0.02, "deflated_sharpe": 0.11, "pbo": 0.6},
        "verdict": {"beats_baselines": False, "suspected_leak": False, "drift": True, "reasons": ["low", EVIL]},
        "calibration": {"1h": [{"said": 0.45, "right": 0.41, "rows": 100.0}]},
        "profit_by_bucket": [{"bucket": "95-100 %", "rows": 40.0, "right": 0.52, "mean_profit": -0.001,
                              "mean_profit_low": -0.002, "mean_profit_high": 0.0}],
        "stability": [{"by": "month", "name": "2025-07", "rows": 8928, "ic_1h": 0.03}],
    } | changes  # fmt: skip


@pytest.fixture
def file_of(tmp_path):
    def file_of(content):
        path = tmp_path / "evaluation.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return file_of


def test_every_number_of_the_section_is_the_files(world, file_of):
    path = file_of(judgement())
    result = read_result(world.write({"A": world.stats(world.busy(20))}))
    document, market = build(result, world.datadir, evaluation=path, runs=5)
    page = render(document, figures(document, market))
    shown = {key: unescape(value) for key, value in DATA.findall(page)}
    assert shown["forecast.figures.0.value"] == "0.03"
    assert shown["forecast.figures.0.best"] == "0.045"
    assert shown["forecast.figures.1.low"] == ""  # not measured is a dash, not a zero
    assert shown["forecast.buckets.0.mean_profit"] == "-0.001"
    assert shown["forecast.calibration.0.right"] == "0.41"
    assert shown["forecast.stability.0.ic_1h"] == "0.03"
    assert shown["forecast.trading.pbo"] == "0.6"
    assert shown["forecast.trading.sharpe"] == ""
    body = page.split("<body>")[1].split('<script type="application/json"')[0]
    assert EVIL not in body
    assert "do not beat the best simple forecaster" in body
    assert document["verdict"][-1]["text"].startswith("The inputs have drifted")


def test_a_small_error_is_told_from_another(world, file_of):
    """Returns of a quarter of an hour are missed by a thousandth or two: three decimals show one number for all."""
    judged = judgement(
        metrics={"mae_future_return_15m": 0.00174, "mae_future_return_15m_low": 0.00166, "ic_1h": 0.0304},
        best_baseline={"mae_future_return_15m": {"baseline": "last_value", "value": 0.00169}},
    )
    result = read_result(world.write({"A": world.stats(world.busy(20))}))
    document, market = build(result, world.datadir, evaluation=file_of(judged))
    page = render(document, figures(document, market))
    shown = re.findall(r'data-key="forecast\.figures\.[^"]*"[^>]*>([^<]+)<', page)
    assert [words for words in shown if words.startswith("0.0")] == ["0.030", "0.00174", "0.00166", "0.00169"]


def test_every_figure_that_a_judgement_has_is_shown(file_of):
    """EVA-2: what is computed and not shown might as well not be."""
    draw = np.random.default_rng(0)
    p = draw.dirichlet([1, 1, 1], (60, 4))
    labels = np.full((60, 24), np.nan)
    labels[:, :4], labels[:, 4:8] = draw.normal(0, 0.01, (60, 4)), draw.integers(0, 3, (60, 4))
    outcomes = Outcomes(np.arange(60) * 900_000, np.zeros(60, int), labels, draw.normal(-5, 1, (60, 2)))
    forecast = Forecast(from_probability(p).score, p.argmax(-1), p, draw.normal(-5, 1, (60, 2)))
    names = [figure.name for figure in judged_figures(forecast, outcomes)]
    shown = read_forecast(file_of(judgement(metrics=dict.fromkeys(names, 0.25))))["figures"]
    assert sorted(row["name"] for row in shown) == sorted(names)


def test_without_a_file_there_is_no_section(world):
    document, market = build(read_result(world.write({"A": world.stats(world.busy(20))})), world.datadir, runs=5)
    assert document["forecast"] is None
    assert "Forecasts out of sample" not in render(document, figures(document, market))
    assert forecast_verdict(None) == []


def test_a_suspected_leak_stands_first():
    said = forecast_verdict({"suspected_leak": True, "beats_baselines": True, "drift": False})
    assert [each["tone"] for each in said] == ["bad", "good"]


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "{}", json.dumps(judgement(rows="many")), json.dumps(judgement(verdict={})),
     json.dumps(judgement(metrics={"ic_1h": True})), json.dumps(judgement(calibration=[1]))],
)  # fmt: skip
def test_another_file_is_refused_in_one_sentence(file_of, content):
    with pytest.raises(BadResult, match=r"is no evaluation\.json of this project"):
        read_forecast(file_of(content))


def test_a_missing_file_ends_the_command(world, tmp_path, capsys):
    result = world.write({"A": world.stats(world.busy(5))})
    arguments = [str(result), "--datadir", str(world.datadir), "--out", str(tmp_path / "r.html")]
    assert main([*arguments, "--random-runs", "3", "--evaluation", str(tmp_path / "none.json")]) == 1
    assert "none.json cannot be read" in capsys.readouterr().err
