"""The unified model: all 24 targets and a confidence per horizon from one PatchTST in its trading form (MOD-1, MOD-2).

From: windows of scaled features, float32 (B, L, C). To: `losses` in training, `nn.service` as forecast rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import torch
from torch import Tensor, nn

from ..data.target_table import FORECAST_COLUMNS
from .patchtst import PatchTST

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
VOLATILITY_FLOOR = 1e-4  # ratio (1 bp): a market that stands still divides nothing by 0


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
    volatility_index: int | None = None  # channel that says how volatile the market is now (MOD-9); None: no channel
    volatility_median: float = 0.0  # ratio: its value where the scaled channel is 0
    volatility_iqr: float = 1.0  # ratio: a step of 1 of the scaled channel
    volatility_is_log: bool = False  # the channel and the two before are of the natural log of the ratio
    calendar: tuple[int, ...] = ()  # channels, ascending, whose products of two the risk head reads, too
    return_scale: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)  # per horizon, in volatilities: what the head calls 1
    risk_log_mean: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)  # natural log of volatilities: what the risk head calls 0
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
        index = self.volatility_index
        if index is not None and (
            isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < self.n_features
        ):
            raise ValueError(f"volatility_index is {index!r}, expected None or a channel of 0..{self.n_features - 1}")
        if not (
            math.isfinite(self.volatility_median) and math.isfinite(self.volatility_iqr) and self.volatility_iqr > 0
        ):
            raise ValueError(
                f"volatility_median is {self.volatility_median}, volatility_iqr {self.volatility_iqr}; expected finite"
                " numbers, the second above 0"
            )
        channels = range(self.n_features)
        if self.calendar != tuple(sorted({k for k in self.calendar if type(k) is int and k in channels})):
            raise ValueError(f"calendar is {self.calendar}, expected channels of 0..{self.n_features - 1}, ascending")
        if not isinstance(self.volatility_is_log, bool):
            raise ValueError(f"volatility_is_log is {self.volatility_is_log!r}, expected true or false")
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


def log_volatility(config: PatchTSTConfig, newest: Tensor) -> Tensor:
    """Return the natural log of the volatility now, (B, 1), read back from newest rows (B, C) of scaled features.

    Returns are learned and answered in units of it, risks as its multiples, so that a calm and a wild market look alike
    to the heads (MOD-9). It is part of the window: whoever has the window has the unit. Without a channel it is 0.
    The scaler clips at 10 interquartile ranges, so a wilder market counts as that wild, in training and answer alike.
    """
    if config.volatility_index is None:
        return torch.zeros(len(newest), 1, dtype=newest.dtype, device=newest.device)
    channel = newest[:, config.volatility_index : config.volatility_index + 1]
    volatility = channel * config.volatility_iqr + config.volatility_median
    if config.volatility_is_log:
        return volatility.clamp_min(math.log(VOLATILITY_FLOOR))
    return volatility.clamp_min(VOLATILITY_FLOOR).log()


def with_products(config: PatchTSTConfig, newest: Tensor) -> Tensor:
    """Return newest rows (B, C), and beside them the products of two of their calendar channels, squares too.

    How volatile the next hours are depends on the hour and on the day of the week together, and on neither along a
    line (Andersen and Bollerslev, 1997). Products of the hour's sine and cosine with each other and with the hours in
    which markets are awake draw that curve; the risk head then weighs them as it weighs everything else.
    """
    chosen = newest[:, list(config.calendar)]
    first, second = torch.triu_indices(chosen.shape[1], chosen.shape[1])
    return torch.cat([newest, chosen[:, first] * chosen[:, second]], dim=1)


class UnifiedPatchTST(nn.Module):
    """All 24 targets and a confidence per horizon from one encoder (MOD-2)."""

    columns = FORECAST_COLUMNS
    return_scale: Tensor
    risk_log_mean: Tensor
    risk_log_scale: Tensor

    def __init__(self, config: PatchTSTConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = PatchTST.trading(
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
        n_products = {"risk": len(config.calendar) * (len(config.calendar) + 1) // 2}
        self.heads = nn.ModuleDict(
            {name: nn.Linear(n_inputs + n_products.get(name, 0), size) for name, size in HEADS.items()}
        )
        for name in ("return_scale", "risk_log_mean", "risk_log_scale"):  # from the config, so not in the weights
            self.register_buffer(name, torch.tensor(getattr(config, name), dtype=torch.float32), persistent=False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return the raw heads: scaled returns and log risks, else logits. `direction` is (B, 4, 3), others (B, n).

        Beside the heads stands `log_volatility` (B, 1), the unit of returns and risks.
        """
        if x.ndim != 3 or x.shape[1:] != (self.config.context_length, self.config.n_features):
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected (B, {self.config.context_length}, {self.config.n_features})"
            )
        return self.read(self.encoder(x), x[:, -1])

    def read(self, tokens: Tensor, newest: Tensor) -> dict[str, Tensor]:
        """Return the raw heads of encoded patches (B, n_patches, d_model) and the newest rows (B, C)."""
        tokens = torch.cat([tokens.mean(1), tokens[:, -1]], dim=1)
        summary = torch.cat([tokens, newest], dim=1)  # (B, 2 d_model + C)
        of_risk = torch.cat([tokens, with_products(self.config, newest)], dim=1) if self.config.calendar else summary
        raw = {name: head(of_risk if name == "risk" else summary) for name, head in self.heads.items()}
        raw["direction"] = raw["direction"].unflatten(1, (4, 3)) / self.config.direction_temperature
        raw["log_volatility"] = log_volatility(self.config, newest)
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
            "returns": raw["returns"] * self.return_scale * raw["log_volatility"].exp(),
            "direction": raw["direction"].softmax(-1).flatten(1),
            "long_reach": raw["long_reach"].sigmoid(),
            "short_reach": raw["short_reach"].sigmoid(),
            "risk": (raw["risk"] * self.risk_log_scale + self.risk_log_mean + raw["log_volatility"])
            .clamp(*LOG_RISK_RANGE)
            .exp(),
            "best_action": raw["best_action"].softmax(-1),
            "trade": torch.stack([strength, RISK_REWARD_CEILING * reward, hold], dim=1),
            "confidence": raw["confidence"].sigmoid(),
        }
        return torch.cat([answer[name] for name in HEADS], dim=1)
