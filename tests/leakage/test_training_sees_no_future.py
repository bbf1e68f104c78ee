"""No weight, no calibration and no scale of either kind moves when candles after the training range become noise."""

from datetime import timedelta

import pytest
import torch
from harness import perturb_after
from market import random_market

from nn.forecast.config import load_config
from nn.forecast.dataset import make_training_data
from nn.forecast.recipe import recipe_of
from nn.forecast.version import train_version
from nn.models.ensemble import architecture_of

N_ROWS = 2200
MARKET = random_market(N_ROWS, seed=21)
CUT = 2050  # the last row that the training range holds
UNTIL = (MARKET["date"].iloc[CUT] + timedelta(minutes=15)).to_pydatetime()


def trained(kind, frame):
    """Return weights, architecture and metrics of an ensemble of two, calibrated on its validation rows."""
    torch.set_num_threads(1)
    layer = {"fit": {"seeds": 2, "epochs": 1, "patience": 1}}
    config = load_config(["base", "test"]).with_layer(layer)
    data = make_training_data({"A/USDT": frame}, "15m", UNTIL, config.data, recipe_of(kind, config).context_length)
    found = train_version(kind, config, data, 3, lambda *_: None, lambda *_: None)
    return found.model.state_dict(), architecture_of(found.model), found.metrics


@pytest.mark.parametrize("kind", ["unified_patchtst", "direction"])
def test_noise_after_the_range_moves_no_bit_and_noise_inside_it_does(kind):
    """LEK-1, LEK-3: ensembles, temperature and offsets, the unit of volatility and its scales."""
    weights, architecture, metrics = trained(kind, MARKET)
    for cut, same in ((CUT, True), (CUT - 20, False)):  # the planted leak: the newest rows calibrate
        other_weights, other_architecture, other_metrics = trained(kind, perturb_after(MARKET, cut, seed=5))
        equal = all(torch.equal(tensor, other_weights[name]) for name, tensor in weights.items())
        assert (equal and architecture == other_architecture and metrics == other_metrics) is same
