"""DirectionPredictor: which way, at four horizons, from patches of three lengths at once (MOD-3).

From: windows of scaled features, float32 (B, L, C). To: `direction_loss` in training; the entry decision (ENS-1).

Short patches see the last hour bar by bar, long ones the week's shape; their tokens stand in one sequence, so that
attention can set one against the other, and a learned query sums the sequence up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

import torch
from torch import Tensor, nn

from ..data.target_table import DIRECTION_COLUMNS
from .dropout import Dropout
from .patchtst import EncoderLayer

N_HORIZONS, N_CLASSES = 4, 3  # 15m, 1h, 4h, 12h; UP, DOWN, FLAT


@dataclass(frozen=True)
class DirectionConfig:
    """Everything needed to build the network again; stored in the signed manifest."""

    n_features: int  # channels C of a row
    context_length: int = 168  # bars read
    patch_lengths: tuple[int, ...] = (4, 16, 64)  # bars in a patch, one branch each
    d_model: int = 512
    n_heads: int = 8
    n_layers: int = 4
    d_ff: int = 2048
    dropout: float = 0.3  # probability, training only
    temperature: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)  # divides the logits of an answer, from validation rows

    def __post_init__(self) -> None:
        numbers = {
            name: getattr(self, name)
            for name in ("n_features", "context_length", "d_model", "n_heads", "n_layers", "d_ff")
        }
        numbers |= {f"patch_lengths[{k}]": length for k, length in enumerate(self.patch_lengths)}
        for name, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}, expected a whole number of at least 1")
        if not self.patch_lengths:
            raise ValueError("patch_lengths is empty, expected at least one length in bars")
        if max(self.patch_lengths) > self.context_length:
            raise ValueError(f"patch_lengths has {max(self.patch_lengths)}, context_length is {self.context_length}")
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model is {self.d_model}, not a multiple of n_heads {self.n_heads}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}, expected 0 <= dropout < 1")
        if len(self.temperature) != N_HORIZONS or not all(math.isfinite(t) and t > 0 for t in self.temperature):
            raise ValueError(f"temperature is {self.temperature}, expected {N_HORIZONS} finite numbers above 0")

    def to_dict(self) -> dict[str, object]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> DirectionConfig:
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"DirectionConfig has no field {unknown[0]!r}")
        plain = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return cls(**plain)  # type: ignore[arg-type]


class DirectionPredictor(nn.Module):
    """Logits of UP, DOWN and FLAT at 15m, 1h, 4h and 12h.

    Patches of a length stand side by side and end with the newest bar; older bars that make no whole patch are left to
    the shorter lengths.
    """

    columns = DIRECTION_COLUMNS
    temperature: Tensor

    def __init__(self, config: DirectionConfig) -> None:
        super().__init__()
        self.config = config
        D, C = config.d_model, config.n_features
        self.embed = nn.ModuleList(nn.Linear(length * C, D) for length in config.patch_lengths)
        n_tokens = sum(config.context_length // length for length in config.patch_lengths)
        self.position = nn.Parameter(torch.empty(n_tokens, D).uniform_(-0.02, 0.02))  # tells lengths apart, too
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(D, config.n_heads, config.d_ff, config.dropout, config.dropout, "gelu", "layer", True, False)
            for _ in range(config.n_layers)
        )
        self.norm = nn.LayerNorm(D)
        self.pool = nn.Linear(D, 1)
        self.head = nn.Linear(D + C, N_HORIZONS * N_CLASSES)
        # from the config, so not in the weights
        self.register_buffer("temperature", torch.tensor(config.temperature).unsqueeze(-1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, 4, 3) of windows (B, L, C)."""
        if x.ndim != 3 or x.shape[1:] != (self.config.context_length, self.config.n_features):
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected (B, {self.config.context_length}, {self.config.n_features})"
            )
        B, L, C = x.shape
        tokens = torch.cat(
            [
                embed(x[:, L % length :].reshape(B, L // length, length * C))
                for embed, length in zip(self.embed, self.config.patch_lengths, strict=True)
            ],
            dim=1,
        )
        tokens = self.dropout(tokens + self.position)
        for layer in self.layers:
            tokens, _ = layer(tokens, None)
        tokens = self.norm(tokens)
        summary = (self.pool(tokens).softmax(1) * tokens).sum(1)  # attention pooling
        return self.head(torch.cat([summary, x[:, -1]], dim=1)).unflatten(1, (N_HORIZONS, N_CLASSES))

    def forecast(self, x: Tensor) -> Tensor:
        """Return the probabilities (B, 12) in `columns` order: calibrated, each horizon's three add up to 1."""
        return self.to_columns(self(x))

    def to_columns(self, logits: Tensor) -> Tensor:
        """Return logits (B, 4, 3) as forecast rows (B, 12)."""
        return (logits / self.temperature).softmax(-1).flatten(1)

    def calibrate(self, temperature: tuple[float, ...]) -> None:
        """Divide the logits of every later answer by these, one number per horizon."""
        self.config = replace(self.config, temperature=temperature)
        self.temperature.copy_(torch.tensor(temperature).unsqueeze(-1))
