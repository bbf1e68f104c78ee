"""Hyperopt of PPOAgent in unmodified Freqtrade: one rollout for all epochs, and each epoch an account of its own."""

import json
import re
from dataclasses import replace

import pytest
from dry_run import spied
from known_policy import PolicyService, known_policy
from stub_service import running
from tape import PAIRS, Tape, market

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

FEE, WARMUP, EPOCHS = 0.0005, 2880, 4


def test_a_backtest_of_the_best_parameters_trades_as_their_epoch_did(tmp_path):
    """CLT-3, PPA-1: epochs share one strategy object and nothing of its accounts; the service is asked once, in all.

    Position adjustment is on, so that every epoch sizes by its own account.
    """
    frame, policy = market(3000), known_policy(PAIRS["futures"], FEE, can_short=True)
    policy = replace(policy, reward_deviation=0.03)  # values from 0.019 to 0.032: within the range that is searched
    tape = Tape("futures", frame, len(frame))
    with tape.serving() as port, running(PolicyService(policy)) as service:
        one = spied(tmp_path, tape, port, service.url)
        tape.store(one.datadir)
        begin = frame["date"][WARMUP]
        words = ("--timerange", f"{int(begin.timestamp())}-", "--fee", str(FEE))
        words += ("--strategy-path", str(tmp_path / "strategies"))
        done = one.run(
            "hyperopt", "--strategy", "PPOAgent", *words, "--hyperopt-loss", "SharpeHyperOptLoss", "--spaces", "buy",
            "--epochs", str(EPOCHS), "-j", "1", "--random-state", "13", "--print-all", SPY=tmp_path / "spy",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:]
        assert [(method, where) for method, where, *_ in service.requests] == [("GET", "/models"), ("POST", "/rollout")]
        service.stop()
        result, output = one.backtest("PPOAgent", *words, SPY=tmp_path / "spy")
    (found,) = one.folder.glob("user/hyperopt_results/*.fthypt")
    epochs = [json.loads(line) for line in found.read_text().splitlines()]
    assert len(epochs) == EPOCHS
    trades = [epoch["results_metrics"]["total_trades"] for epoch in epochs]
    profits = [epoch["results_metrics"]["profit_total_abs"] for epoch in epochs]
    assert min(trades) == 0 < max(trades)  # a least value that no candle reached, and others
    assert len({round(profit, 6) for profit in profits}) > 2  # the filters decide
    best = min(epochs, key=lambda epoch: epoch["loss"])
    assert best["results_metrics"]["total_trades"] > 5
    assert all(set(epoch["params_dict"]) == {"least_value", "worst_cvar"} for epoch in epochs)
    (least,) = {float(each) for each in re.findall(r"least_value = (-?[\d.]+)", output)}
    assert least == round(best["params_dict"]["least_value"], 3)  # the exported parameters were read
    assert "Answers that were given before are used" in output
    assert result["total_trades"] == best["results_metrics"]["total_trades"]
    assert result["profit_total_abs"] == pytest.approx(best["results_metrics"]["profit_total_abs"], abs=1e-9)
