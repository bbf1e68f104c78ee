"""Backends answer as the network does, and a window's bits do not depend on what else is asked (ASO-2)."""

import numpy as np
import pytest
import torch

from nn.models.direction import DirectionConfig, DirectionPredictor
from nn.models.ensemble import joined
from nn.models.unified import PatchTSTConfig, UnifiedPatchTST
from nn.service.backends import batches
from nn.service.backends.batches import BATCH, EagerBackend, places_of
from nn.service.backends.shared import SharedBackend

SMALL = {"d_model": 32, "n_heads": 4, "n_layers": 2, "d_ff": 48}


def network(kind, seed):
    torch.manual_seed(seed)
    if kind == "direction":
        return DirectionPredictor(DirectionConfig(n_features=7, context_length=42, patch_lengths=(4, 16), **SMALL))
    config = PatchTSTConfig(n_features=7, context_length=40, patch_length=16, stride=8, calendar=(1, 4), **SMALL)
    members = [UnifiedPatchTST(config) for _ in range(3 if kind == "ensemble" else 1)]
    return joined(members)


def frozen(kind, seed=0):
    return network(kind, seed).eval().requires_grad_(False)


def rows_and_ends(model, n_windows=150, seed=0):
    length = model.config.context_length
    rows = np.random.default_rng(seed).normal(size=(n_windows + length - 1, 7)).astype(np.float32)
    return rows, np.arange(length - 1, len(rows))


@pytest.mark.parametrize("kind", ["unified", "direction", "ensemble"])
@pytest.mark.parametrize("seed", [0, 1])
def test_shared_patches_answer_as_the_network_does(kind, seed):
    """float32: up to the order of sums. bfloat16: within a few of its steps; docs/serving-speed.md has the bounds."""
    model = frozen(kind, seed)
    rows, ends = rows_and_ends(model, seed=seed)
    ends = np.delete(ends, slice(40, 60))  # windows that are left out
    windows = torch.from_numpy(np.stack([rows[end - model.config.context_length + 1 : end + 1] for end in ends]))
    expected = model.forecast(windows).numpy()
    np.testing.assert_allclose(EagerBackend(model).forecast(rows, ends), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(SharedBackend(model).forecast(rows, ends), expected, rtol=1e-4, atol=1e-5)
    rough = SharedBackend(model, "bf16").forecast(rows, ends)
    np.testing.assert_allclose(rough, expected, rtol=0.1, atol=0.03)
    assert not np.array_equal(rough, expected)


@pytest.mark.parametrize("kind", ["unified", "direction", "ensemble"])
@pytest.mark.parametrize("make", [EagerBackend, SharedBackend, lambda model: SharedBackend(model, "bf16")])
def test_a_window_has_the_same_bits_alone_and_among_others(kind, make):
    model = frozen(kind)
    backend = make(model)
    assert backend.places == BATCH or make is EagerBackend  # which goes one by one where a library makes it
    rows, ends = rows_and_ends(model)
    whole = backend.forecast(rows, ends)
    generator = np.random.default_rng(3)
    for _ in range(8):
        some = np.sort(generator.choice(len(ends), generator.integers(1, 60), replace=False))
        np.testing.assert_array_equal(backend.forecast(rows, ends[some]), whole[some])
    cut = rows[50:]
    np.testing.assert_array_equal(backend.forecast(cut, ends[60:] - 50), whole[60:])


def test_where_places_matter_each_batch_holds_one_window(monkeypatch):
    """A library whose rows depend on their place costs speed, not equality of bits."""
    assert places_of(lambda x: x * 2, torch.zeros(BATCH, 3)) == BATCH
    assert places_of(lambda x: x * (1 + torch.arange(BATCH)[:, None]), torch.zeros(BATCH, 3)) == 1
    model = frozen("unified")
    rows, ends = rows_and_ends(model, 5)
    free = SharedBackend(model).forecast(rows, ends)
    monkeypatch.setattr("nn.service.backends.shared.places_of", lambda *_: 1)
    bound = SharedBackend(model)
    assert bound.places == 1
    np.testing.assert_array_equal(bound.forecast(rows, ends), free)
    assert batches.BATCH == BATCH


def test_a_nan_stays_in_the_windows_that_hold_it():
    model = frozen("unified")
    rows, ends = rows_and_ends(model)
    clean = SharedBackend(model).forecast(rows, ends)
    rows[80, 3] = np.nan
    answer = SharedBackend(model).forecast(rows, ends)
    touched = (ends >= 80) & (ends - 39 <= 80)
    assert np.isnan(answer[touched]).any(1).all()
    np.testing.assert_array_equal(answer[~touched], clean[~touched])
