"""LightGBM is loaded without what it does not need, and whoever wants that afterwards still gets it."""

import importlib
import sys

import numpy as np
import pytest

from nn.baselines.boosting import lightgbm, without

NAME = "wave"  # of the standard library, and nobody here loads it


def test_a_hidden_module_is_not_there_and_comes_back(monkeypatch):
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    with without(NAME), pytest.raises(ImportError):
        importlib.import_module(NAME)
    assert importlib.import_module(NAME).__name__ == NAME


def test_it_comes_back_after_a_failure_too(monkeypatch):
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    with pytest.raises(RuntimeError), without(NAME):
        raise RuntimeError
    assert NAME not in sys.modules


def test_a_module_that_is_loaded_stays():
    with without("sys"):
        assert importlib.import_module("sys") is sys


def test_boosters_work_without_scikit_learn():
    inputs = np.arange(40.0)[:, None]
    data = lightgbm.Dataset(inputs, (inputs[:, 0] > 20).astype(np.float64))
    booster = lightgbm.train({"min_data_in_leaf": 2, "verbosity": -1, "num_threads": 1}, data, 5)
    low, high = booster.predict(np.array([[5.0], [30.0]]))
    assert low < high
