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


def make_evaluation(version: str, line: str = "unified-15m", **changes) -> dict:
    """A judgement that passes every gate."""
    good = {"ic": 0.05, "macro_f1": 0.42, "accuracy": 0.53, "over_majority": 0.02}
    metrics = {f"{name}_{horizon}": value for name, value in good.items() for horizon in ("1h", "4h")}
    metrics |= {
        f"{name}_{horizon}_{side}": good[name] + (0.01 if side == "high" else -0.01)
        for name in ("ic", "macro_f1")
        for horizon in ("1h", "4h")
        for side in ("low", "high")
    }
    metrics |= {f"ece_{horizon}": 0.03 for horizon in ("15m", "1h", "4h", "12h")}
    metrics |= {"volatility_r2_1h": 0.55, "volatility_r2_4h": 0.65}
    simple = {"ic_1h": 0.04, "ic_4h": 0.04, "macro_f1_1h": 0.4, "macro_f1_4h": 0.4}
    payload = {
        "schema_version": 1,
        "line": line,
        "version": version,
        "begin": "2025-07-01T00:00:00Z",
        "end": "2025-08-01T00:00:00Z",
        "rows": 2976,
        "metrics": metrics,
        "baselines": {
            "logistic": dict(simple),
            "lightgbm": simple | {"volatility_r2_1h": 0.5, "volatility_r2_4h": 0.6},
        },
        "trading": {"trades": 12, "net_return": 0.01, "worst_regime_drawdown": 0.1},
        "verdict": {"beats_baselines": True, "reasons": ["ic_1h 0.050 is above logistic 0.040"]},
    }
    return payload | changes
