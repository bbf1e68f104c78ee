"""Confidence says what it means after calibration, on rows it was fitted to."""

import numpy as np
import pytest
import torch

from nn.forecast.calibration import calibrate_confidence, platt
from nn.models.unified import PatchTSTConfig, UnifiedPatchTST


def test_platt_finds_the_slope_and_offset_that_made_the_data():
    draw = np.random.default_rng(5)
    logits = draw.normal(1.0, 1.0, 40_000)
    right = draw.uniform(size=40_000) < 1 / (1 + np.exp(-(0.5 * logits - 0.7)))
    slope, offset = platt(logits, right)
    assert slope == pytest.approx(0.5, abs=0.05)
    assert offset == pytest.approx(-0.7, abs=0.05)


def test_logits_that_point_the_wrong_way_are_dropped_for_the_base_rate():
    logits = np.linspace(-2, 2, 200)
    slope, offset = platt(logits, logits < -1)
    assert slope == 0.0
    assert 1 / (1 + np.exp(-offset)) == pytest.approx(0.25, abs=0.01)


def test_all_right_stays_finite():
    assert np.isfinite(platt(np.linspace(-1, 1, 60), np.ones(60, dtype=bool))).all()


def test_slope_and_offset_live_in_the_weights_afterwards():
    torch.manual_seed(2)
    model = UnifiedPatchTST(
        PatchTSTConfig(n_features=3, context_length=16, patch_length=8, stride=8, d_model=8, n_heads=2, n_layers=1)
    ).eval()
    x = torch.randn(400, 16, 3)
    labels, mask = torch.zeros(400, 24), torch.ones(400, 24, dtype=torch.bool)
    with torch.no_grad():
        model.heads["confidence"].bias.fill_(4.0)  # far too sure
        raw = model(x)
        labels[:, 4:8] = torch.where(torch.rand(400, 4) < 0.4, raw["direction"].argmax(-1), 3)
        calibrate_confidence(model, raw, labels, mask)
        said = model.forecast(x)[:, 34:38].mean(0)
    right = (raw["direction"].argmax(-1) == labels[:, 4:8]).float().mean(0)
    torch.testing.assert_close(said, right, atol=0.02, rtol=0)
