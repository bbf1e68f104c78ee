"""A small signed version to tamper with."""

from datetime import UTC, datetime

import pytest
import torch

from nn.models.unified import PatchTSTConfig, UnifiedPatchTST
from nn.registry.manifest import Keys, ManifestDraft, write_version

CONFIG = PatchTSTConfig(
    n_features=3, context_length=16, patch_length=8, stride=4, d_model=8, n_heads=2, n_layers=1, d_ff=8
)


def make_draft(**changes) -> ManifestDraft:
    fields = {
        "name": "unified-15m",
        "kind": "unified_patchtst",
        "architecture": CONFIG.to_dict(),
        "timeframe": "15m",
        "pairs": ("BTC/USDT:USDT",),
        "feature_names": ("a", "b", "c"),
        "feature_digest": "d" * 64,
        "warmup": 20,
        "scaler": {"median": [0.0, 0.0, 0.0], "iqr": [1.0, 1.0, 1.0]},
        "target_names": ("future_return_15m",),
        "forecast_columns": ("future_return_15m",),
        "class_codes": {"UP": 0, "DOWN": 1, "FLAT": 2},
        "cost_model": {"round_trip": 0.0022},
        "trained_from": datetime(2025, 1, 1, tzinfo=UTC),
        "trained_until": datetime(2025, 6, 30, 12, tzinfo=UTC),
        "embargo_bars": 48,
        "valid_from": datetime(2025, 7, 1, tzinfo=UTC),
        "data_fingerprint": "f" * 64,
        "metrics": {"val_loss": 1.25},
        "libraries": {"torch": "2.13.0"},
        "git_commit": "0" * 40,
        "config_hash": "c" * 64,
    }
    return ManifestDraft(**(fields | changes))


@pytest.fixture
def keys() -> Keys:
    return Keys(b"k" * 32)


@pytest.fixture
def model() -> UnifiedPatchTST:
    torch.set_num_threads(1)
    torch.manual_seed(7)
    return UnifiedPatchTST(CONFIG).eval()


@pytest.fixture
def version_folder(tmp_path, keys, model):
    return write_version(tmp_path / "unified-15m", make_draft(), model.state_dict(), keys)
