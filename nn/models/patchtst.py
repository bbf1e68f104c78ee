"""PatchTST in the form that trades: one token per patch over all channels, and one head per target.

`PatchTST` is the encoder alone and knows nothing of trading; `UnifiedPatchTST` adds the heads of all 24 targets.
From: windows of scaled features, float32 (B, L, C). To: `losses` in training, `nn.service` as forecast rows.

Differences from the paper (arXiv:2211.14730), see MOD-1: channels share a token, LayerNorm comes before attention, and
there is no RevIN, because normalising each window removes the level and the volatility, the part that can be predicted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Heads in wire order, which is the order of the 38 columns of a forecast: B batch rows, then this many numbers each.
HEADS: dict[str, int] = {
    "returns": 4,  # future_return of 15m, 1h, 4h, 12h
    "direction": 12,  # 4 horizons x (UP, DOWN, FLAT)
    "long_reach": 4,
    "short_reach": 4,
    "risk": 4,  # max_drawdown 1h, 4h; max_rally 1h, 4h
    "best_action": 3,  # LONG, SHORT, HOLD
    "trade": 3,  # signal_strength, risk_reward_ratio, optimal_hold_time
    "confidence": 4,  # one per horizon of direction
}
N_COLUMNS = sum(HEADS.values())
WHOLE_NUMBERS = ("n_features", "context_length", "patch_length", "stride", "d_model", "n_heads", "n_layers", "d_ff")
RISK_REWARD_CEILING = 10.0  # TGT-23
LOG_RISK_RANGE = (-16.0, 3.0)  # keeps exp() of an untrained head finite; markets live between -9 (1 bp) and 0 (100%)


@dataclass(frozen=True)
class PatchTSTConfig:
    """Everything needed to build the network again, scales of its answers included; stored in the signed manifest."""

    n_features: int  # channels C of a row
    context_length: int = 96  # bars read
    patch_length: int = 16  # bars in a patch
    stride: int = 8  # bars between patch starts
    d_model: int = 128
    n_heads: int = 8
    n_layers: int = 3
    d_ff: int = 256
    dropout: float = 0.3  # probability, training only
    direction_temperature: float = 2.0  # divides the direction logits, in training and in the answer alike (MOD-2)
    return_scale: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)  # ratio per horizon that the head calls 1 (MOD-9)
    risk_log_mean: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)  # natural log of a ratio: what the risk head calls 0
    risk_log_scale: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)  # natural log units: what the risk head calls 1

    def __post_init__(self) -> None:
        for name in WHOLE_NUMBERS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}, expected a whole number of at least 1")
        if self.patch_length > self.context_length:
            raise ValueError(f"patch_length is {self.patch_length}, context_length only {self.context_length}")
        if (self.context_length - self.patch_length) % self.stride:
            raise ValueError(
                f"stride {self.stride} does not divide context_length - patch_length ="
                f" {self.context_length - self.patch_length}: the newest bars would be in no patch"
            )
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model is {self.d_model}, not a multiple of n_heads {self.n_heads}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}, expected 0 <= dropout < 1")
        for name, low in (("return_scale", 0.0), ("risk_log_mean", -math.inf), ("risk_log_scale", 0.0)):
            values = getattr(self, name)
            if len(values) != 4 or not all(math.isfinite(value) and value > low for value in values):
                raise ValueError(f"{name} is {values}, expected 4 finite numbers above {low}")
        if not (math.isfinite(self.direction_temperature) and self.direction_temperature > 0):
            raise ValueError(f"direction_temperature is {self.direction_temperature}, expected a number above 0")

    @property
    def n_patches(self) -> int:
        return (self.context_length - self.patch_length) // self.stride + 1

    def to_dict(self) -> dict[str, object]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> PatchTSTConfig:
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"PatchTSTConfig has no field {unknown[0]!r}")
        plain = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return cls(**plain)  # type: ignore[arg-type]


class EncoderLayer(nn.Module):
    """Attention, then two dense layers, each after its own LayerNorm and added to what came in."""

    def __init__(self, d_model: int, n_heads: int, d_ff: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.dropout = dropout
        self.norm_attention = nn.LayerNorm(d_model)
        self.query_key_value = nn.Linear(d_model, 3 * d_model)
        self.project = nn.Linear(d_model, d_model)
        self.norm_dense = nn.LayerNorm(d_model)
        self.dense = nn.Sequential(nn.Linear(d_model, d_ff), nn.GELU(), nn.Dropout(dropout), nn.Linear(d_ff, d_model))

    def forward(self, x: Tensor) -> Tensor:  # (B, N, d_model) -> the same
        B, N, D = x.shape
        qkv = self.query_key_value(self.norm_attention(x)).view(B, N, 3, self.n_heads, D // self.n_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, n_heads, N, D / n_heads)
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        mixed = self.project(mixed.transpose(1, 2).reshape(B, N, D))
        x = x + F.dropout(mixed, self.dropout, self.training)
        return x + F.dropout(self.dense(self.norm_dense(x)), self.dropout, self.training)


class PatchTST(nn.Module):
    """The encoder alone: a multivariate series in, one encoded token per patch out.

    Parameters
    ----------
    n_channels : int
        Channels C of the series.
    context_length, patch_length, stride : int
        Steps read, steps in a patch, steps between patch starts.
    d_model, n_heads, n_layers, d_ff : int
        Width of a token, attention heads, encoder layers, width of the dense layer inside each.
    dropout : float
        Probability, used in training mode only.
    """

    def __init__(
        self,
        n_channels: int,
        context_length: int,
        patch_length: int = 16,
        stride: int = 8,
        d_model: int = 128,
        n_heads: int = 8,
        n_layers: int = 3,
        d_ff: int = 256,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.context_length, self.patch_length, self.stride = context_length, patch_length, stride
        n_patches = (context_length - patch_length) // stride + 1
        self.embed = nn.Linear(patch_length * n_channels, d_model)
        self.position = nn.Parameter(torch.randn(n_patches, d_model) * 0.02)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(EncoderLayer(d_model, n_heads, d_ff, dropout) for _ in range(n_layers))
        self.norm = nn.LayerNorm(d_model)

    def forward(self, x: Tensor) -> Tensor:  # (B, L, C) -> (B, n_patches, d_model)
        B, L, C = x.shape
        # Row-major: the bars of a patch are one run of memory, so patches are slices of the flattened window.
        x = x.reshape(B, L * C).unfold(1, self.patch_length * C, self.stride * C)  # (B, n_patches, patch_length * C)
        x = self.dropout(self.embed(x) + self.position)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


class UnifiedPatchTST(nn.Module):
    """All 24 targets and a confidence per horizon from one encoder (MOD-2)."""

    return_scale: Tensor
    risk_log_mean: Tensor
    risk_log_scale: Tensor

    def __init__(self, config: PatchTSTConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = PatchTST(
            n_channels=config.n_features,
            context_length=config.context_length,
            patch_length=config.patch_length,
            stride=config.stride,
            d_model=config.d_model,
            n_heads=config.n_heads,
            n_layers=config.n_layers,
            d_ff=config.d_ff,
            dropout=config.dropout,
        )
        n_inputs = 2 * config.d_model + config.n_features  # mean token, last token, newest row
        self.heads = nn.ModuleDict({name: nn.Linear(n_inputs, size) for name, size in HEADS.items()})
        for name in ("return_scale", "risk_log_mean", "risk_log_scale"):  # from the config, so not in the weights
            self.register_buffer(name, torch.tensor(getattr(config, name), dtype=torch.float32), persistent=False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return the raw heads: scaled returns and log risks, else logits. `direction` is (B, 4, 3), others (B, n)."""
        if x.ndim != 3 or x.shape[1:] != (self.config.context_length, self.config.n_features):
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected (B, {self.config.context_length}, {self.config.n_features})"
            )
        tokens = self.encoder(x)  # (B, n_patches, d_model)
        summary = torch.cat([tokens.mean(1), tokens[:, -1], x[:, -1]], dim=1)  # (B, 2 d_model + C)
        raw = {name: head(summary) for name, head in self.heads.items()}
        raw["direction"] = raw["direction"].unflatten(1, (4, 3)) / self.config.direction_temperature
        return raw

    def forecast(self, x: Tensor) -> Tensor:
        """Return the forecast rows (B, 38) in `nn.data.targets.FORECAST_COLUMNS` order; see `to_columns`."""
        return self.to_columns(self(x))

    def to_columns(self, raw: dict[str, Tensor]) -> Tensor:
        """Return raw heads as forecast rows (B, 38).

        Returns are ratios again, classes and levels probabilities, risks ratios of at least 0 (the typical, not the
        mean, excursion: the exponential of a mean log). Confidence is the probability, learned beside the direction
        and recalibrated on validation rows, that the most probable class of that horizon is the right one.
        """
        strength, reward, hold = raw["trade"].sigmoid().unbind(1)
        answer = {
            "returns": raw["returns"] * self.return_scale,
            "direction": raw["direction"].softmax(-1).flatten(1),
            "long_reach": raw["long_reach"].sigmoid(),
            "short_reach": raw["short_reach"].sigmoid(),
            "risk": (raw["risk"] * self.risk_log_scale + self.risk_log_mean).clamp(*LOG_RISK_RANGE).exp(),
            "best_action": raw["best_action"].softmax(-1),
            "trade": torch.stack([strength, RISK_REWARD_CEILING * reward, hold], dim=1),
            "confidence": raw["confidence"].sigmoid(),
        }
        return torch.cat([answer[name] for name in HEADS], dim=1)
