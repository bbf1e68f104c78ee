"""TRN-12, SEA-4, EVA-9: a chain whose folds are trained by other processes is the chain that one process trains."""

import json

import pytest

from nn.evaluation.trading import STRENGTHS
from nn.forecast import walk_forward
from nn.forecast.walk_forward import Side

from .conftest import manifests


@pytest.mark.e2e
def test_folds_trained_by_two_processes_are_the_same_versions_with_the_same_weights(
    chain, candles, write_market, capfd, monkeypatch
):
    folders = chain("here")
    here, side = manifests(folders), Side(write_market(candles.tail(2200).reset_index(drop=True)), 2)
    assert here[0]["files"] != here[1]["files"]  # SHA-256 of the weights
    capfd.readouterr()
    assert manifests(chain("processes", side)) == here
    said = " ".join(capfd.readouterr().err.split())
    assert "2 of 2 tasks done" in said
    assert "trained here" not in said  # the weights came from the workers

    # Workers on other machines that do not see the folder of the checkpoints: nothing of theirs arrives.
    monkeypatch.setattr(walk_forward, "side_by_side", lambda side, tasks: [])
    assert manifests(chain("alone", side)) == here
    assert "trained here: every node must see that folder" in " ".join(capfd.readouterr().err.split())

    # The 30 trials of the search behind the profile deflate the Sharpe ratio beside all rules of three forecasters.
    for folder in folders:
        judged = json.loads(folder.with_name(f"{folder.name}.evaluation.json").read_text())
        assert judged["trading"]["trials"] == 30 + 3 * len(STRENGTHS)
