"""SEA-1, SEA-3, EVA-9: a search from candles to a profile; what lies after the inner folds changes nothing."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from nn.forecast.config import load_config
from nn.forecast.schedule import schedule
from nn.search import objective
from nn.search.objective import earn
from nn.search.study import open_study
from nn.search.trials import options_of, run_share

PAIR = "BTC/USDT:USDT"
PERIOD = timedelta(days=2)


@pytest.fixture(scope="module")
def config():
    return load_config(["test"]).with_layer({"fit": {"epochs": 1, "patience": 1, "train_stride": 32}})


def outer_begin(candles):
    end = (candles["date"].iloc[-1] + pd.Timedelta("15min")).to_pydatetime()
    return schedule(end, 2, PERIOD, "15m")[0].trained_until


def test_trades_are_net_of_costs_by_day_and_share_the_capital(candles, config, monkeypatch):
    """By a slow twin, with forecasts that are certain of UP on even rows and of DOWN on odd ones."""
    fold = schedule(outer_begin(candles), 1, PERIOD, "15m")[0]

    def forecast(trained, data, frame, fold):
        closes = frame["date"] + pd.Timedelta("15min")
        ends = np.flatnonzero((closes >= fold.valid_from) & (closes < fold.end))
        return ends, ends

    monkeypatch.setattr(objective, "forecast", forecast)
    monkeypatch.setattr(objective, "sides", lambda trained, ends: np.where(ends % 2 == 0, 1.0, -1.0))
    known = candles[candles["date"] + pd.Timedelta("15min") <= fold.end].reset_index(drop=True)
    data = type("Data", (), {"timeframe": "15m"})
    daily, trades = objective.trade(None, data, {PAIR: known, "ETH/USDT:USDT": known}, fold)
    close, opened = known["close"].to_numpy(), known["open"].to_numpy()
    expected, count = {}, 0
    for end in forecast(None, None, known, fold)[0]:
        if end + 16 < len(known):
            side = 1 if end % 2 == 0 else -1
            assert opened[end + 1] == close[end]  # this market has no gaps: entry at the next open is this close
            gross = side * (close[end + 16] / close[end] - 1)
            day = (known["date"].iloc[end] + pd.Timedelta("15min")).strftime("%Y-%m-%d")
            expected[day] = expected.get(day, 0.0) + (gross - 0.0022) / 16
            count += 2
    assert trades == count
    assert {day.strftime("%Y-%m-%d"): value for day, value in daily.items() if value} == pytest.approx(
        expected, rel=1e-4, abs=1e-7
    )


@pytest.mark.slow
def test_another_future_after_the_inner_folds_changes_no_bit_of_a_trial(candles, perturb, config, write_market):
    """SEA-3: read as a worker reads it, from a file in which the outer periods hold another market."""
    until = outer_begin(candles)
    study = {
        "name": "leak", "space": {"parameters": {"model.dropout": {"low": 0.0, "high": 0.2}}}, "seed": 7, "steps": 2,
        "facts": {}, "heartbeat_s": 15, "sampler": "random",
    }  # fmt: skip
    answers = []
    for name, frame in (("as it was", candles), ("another", perturb(candles, until))):
        folder = write_market(frame)
        task = {
            "study": {**study, "storage": f"sqlite:///{folder}/{name}.db"}, "kind": "unified_patchtst",
            "config": config.model_dump(mode="json", exclude={"candidates"}), "datadir": str(folder), "pairs": [PAIR],
            "timeframe": "15m", "until": until.isoformat(), "inner_folds": 2, "period_s": PERIOD.total_seconds(),
            "n_trials": 1, "worker": "w",
        }  # fmt: skip
        assert run_share(task) == {"trials": 1}
        (trial,) = open_study(options_of(task)).trials()
        assert trial.error == ""
        answers.append((trial.value, trial.returns, trial.days, trial.trades))
    assert answers[0] == answers[1]
    assert answers[0][3] > 0

    # The same perturbation inside the judged range must show, or this test could not fail.
    folds = schedule(until, 2, PERIOD, "15m")
    inside = perturb(candles, folds[1].valid_from + timedelta(days=1))
    other = earn("unified_patchtst", config, {PAIR: inside}, "15m", folds, 7, None, lambda step, value: None)
    assert other.returns != answers[0][1]
