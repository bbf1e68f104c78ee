"""Probabilities say what they mean after calibration, and carry no opinion about the side of the validation months."""

import numpy as np
import pytest
import torch

from nn.forecast.metrics import calibration_error
from nn.forecast.probability_calibration import calibrate_direction, calibrate_predictor, slopes_and_offset
from nn.models.direction import DirectionConfig, DirectionPredictor
from nn.models.unified import PatchTSTConfig, UnifiedPatchTST

FLAT = 2


def drawn(logits, seed=0):
    """Return classes drawn from the softmax of logits (N, 3)."""
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return (np.random.default_rng(seed).uniform(size=(len(p), 1)) > p.cumsum(1)).sum(1)


def test_slopes_and_offset_that_made_the_data_are_found():
    logits = np.random.default_rng(1).normal(0, 1.5, (40_000, 3))
    slope, offset = slopes_and_offset([logits], drawn(0.4 * logits + [0, 0, 0.9]))
    assert slope == pytest.approx(0.4, abs=0.03)
    assert offset == pytest.approx(0.9, abs=0.05)


def test_logits_without_worth_leave_the_base_rate_of_flat_and_no_side():
    draw = np.random.default_rng(2)
    label = draw.choice(3, 20_000, p=[0.4, 0.1, 0.5])  # months that only rose
    logits = -np.eye(3)[label] + draw.normal(0, 0.1, (20_000, 3))  # and a network that is always wrong
    slope, offset = slopes_and_offset([logits], label)
    p = np.exp(slope * logits + [0, 0, offset])
    p = (p / p.sum(1, keepdims=True)).mean(0)
    assert p == pytest.approx([0.25, 0.25, 0.5], abs=0.02)


@pytest.mark.parametrize("flat", [0.0, 1.0])
def test_extreme_rows_stay_finite(flat):
    logits = np.random.default_rng(3).normal(0, 30, (200, 3))
    label = np.full(200, FLAT) if flat else logits.argmax(1)
    assert np.isfinite(slopes_and_offset([logits], label)).all()


def labelled(logits):
    """Return labels (N, 24) and a mask: classes of half the slope of these logits, FLAT likelier."""
    labels = torch.full((len(logits), 24), float("nan"))
    for horizon in range(4):
        labels[:, 4 + horizon] = torch.from_numpy(drawn(0.5 * logits[:, horizon].double().numpy() + [0, 0, 0.7]))
    return labels, ~labels.isnan()


def errors(probability, labels):
    answer, p = probability.argmax(-1), probability.max(-1).values
    return [calibration_error(p[:, h].numpy(), (answer[:, h] == labels[:, 4 + h]).numpy()) for h in range(4)]


def test_a_direction_model_becomes_honest_and_says_so_in_its_config():
    torch.manual_seed(0)
    model = DirectionPredictor(DirectionConfig(3, 20, (4, 8), 16, 2, 1, 32)).eval()
    x = torch.randn(6000, 20, 3)
    with torch.no_grad():
        model.head.weight *= 6
        logits = model(x)
        labels, mask = labelled(logits)
        before = errors(logits.softmax(-1), labels)
        calibrate_predictor([model], [logits], labels, mask)
        after = errors(model.forecast(x).unflatten(1, (4, 3)), labels)
    assert max(after) < 0.03 < min(before)
    assert all(temperature == pytest.approx(2, abs=0.4) for temperature in model.config.temperature)
    assert DirectionConfig.from_dict(model.config.to_dict()) == model.config


def test_a_unified_model_becomes_honest_inside_its_weights():
    """MOD-2: the temperature of 2 still divides what comes out of the head."""
    torch.manual_seed(0)
    config = PatchTSTConfig(3, context_length=16, patch_length=8, stride=8, d_model=8, n_heads=2, n_layers=1)
    model = UnifiedPatchTST(config).eval()
    x = torch.randn(6000, 16, 3)
    with torch.no_grad():
        model.heads["direction"].weight *= 10
        logits = model(x)["direction"]
        labels, mask = labelled(logits)
        before = errors(logits.softmax(-1), labels)
        (calibrated,) = calibrate_direction([model], [logits], labels, mask)
        torch.testing.assert_close(model(x)["direction"], calibrated, atol=1e-4, rtol=1e-4)
    assert max(errors(calibrated.softmax(-1), labels)) < 0.03 < min(before)
    assert model.config == config
