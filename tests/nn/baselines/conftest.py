"""Training data of a market whose next step leans on its last one, so that simple forecasters find something."""

from datetime import timedelta

import pytest

from nn.forecast.config import load_config
from nn.forecast.dataset import make_training_data

from ..forecast.conftest import BEGIN, PAIRS, make_candles


@pytest.fixture(scope="session")
def candles():
    return {pair: make_candles(seed=number) for number, pair in enumerate(PAIRS)}


@pytest.fixture(scope="session")
def data(candles):
    config = load_config(["base", "test"]).data
    return make_training_data(candles, "15m", (BEGIN + timedelta(days=24)).to_pydatetime(), config, 32)
