"""How a network of a kind is made, taught, calibrated and measured: what `fit` and `version` need to know of it.

From: a config and `TrainingData`. To: `fit`, which has one loop for every kind, and `version`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.target_table import DIRECTION_COLUMNS, FORECAST_COLUMNS
from ..models import build
from ..models.direction import DirectionConfig, DirectionPredictor
from ..models.direction_loss import TradingLossConfig, directional_trading_loss
from ..models.losses import DIRECTION, RETURNS, LossConfig, Scales, unified_loss
from ..models.unified import PatchTSTConfig, UnifiedPatchTST
from .calibration import calibrate_confidence
from .config import TrainConfig
from .dataset import CALENDAR, TrainingData
from .linear_start import Start, blend_numbers, newest_rows
from .probability_calibration import calibrate_direction, calibrate_predictor

Raw = Mapping[str, Tensor]  # heads by name, before they are turned into answers
LINES = {build.UNIFIED_PATCHTST: "unified", build.DIRECTION: "direction"}  # first word of a kind's model line


class Recipe(Protocol):
    """One kind of network. `network` arguments are of the kind that `network()` makes."""

    kind: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]

    @property
    def context_length(self) -> int: ...
    def network(self, data: TrainingData) -> Any:
        """Return a network with fresh weights and the scales of this data."""
        ...

    def raw(self, network: Any, x: Tensor) -> dict[str, Tensor]:
        """Return the heads of windows (B, L, C)."""
        ...

    def loss(self, network: Any, raw: Raw, labels: Tensor, mask: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of labels (B, 24) and its parts by task."""
        ...

    def rows(self, network: Any, raw: Raw) -> Tensor:
        """Return forecast rows (B, len(columns))."""
        ...

    def calibrate(self, networks: Sequence[Any], raws: Sequence[Raw], start: Start, data: TrainingData) -> None:
        """Make all members honest, from their heads of the validation rows: how sure they are, what they learned."""
        ...

    def wide(self, rows: NDArray) -> NDArray[np.float32]:
        """Return forecast rows in the 38 columns of the unified model, in which all kinds are measured and drawn."""
        ...


def recipe_of(kind: str, config: TrainConfig) -> Recipe:
    """Return the recipe of a kind of `models.build` under a config."""
    known: dict[str, type[UnifiedRecipe] | type[DirectionRecipe]] = {
        build.UNIFIED_PATCHTST: UnifiedRecipe,
        build.DIRECTION: DirectionRecipe,
    }
    if kind not in known:
        raise ValueError(f"kind is {kind!r}, known are {', '.join(known)}")
    return known[kind](config)


@dataclass(frozen=True)
class UnifiedRecipe:
    """All 24 targets and a confidence per horizon (MOD-2, LOS-1)."""

    config: TrainConfig
    kind: ClassVar[str] = build.UNIFIED_PATCHTST
    columns: ClassVar[tuple[str, ...]] = FORECAST_COLUMNS

    @property
    def context_length(self) -> int:
        return self.config.model.context_length

    def network(self, data: TrainingData) -> UnifiedPatchTST:
        channel = None if data.volatility is None else data.features.names.index(data.volatility)
        unit: dict[str, Any] = {} if channel is None else {
            "volatility_index": channel,
            "volatility_median": float(data.scaler.median[channel]),
            "volatility_iqr": float(data.scaler.iqr[channel]),
            "volatility_is_log": channel in data.scaler.logs,
        }  # fmt: skip
        of_time = tuple(k for k, name in enumerate(data.features.names) if name in CALENDAR)
        return UnifiedPatchTST(
            PatchTSTConfig(
                n_features=len(data.features.names),
                return_scale=data.return_scale,
                risk_log_mean=data.risk_log_mean,
                risk_log_scale=data.risk_log_scale,
                calendar=of_time if self.config.data.calendar else (),
                **unit,
                **self.config.model.model_dump(),
            )
        )

    def raw(self, network: UnifiedPatchTST, x: Tensor) -> dict[str, Tensor]:
        return network(x)

    def loss(
        self, network: UnifiedPatchTST, raw: Raw, labels: Tensor, mask: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return unified_loss(raw, labels, mask, Scales.of(network), LossConfig(**self.config.loss.model_dump()))

    def rows(self, network: UnifiedPatchTST, raw: Raw) -> Tensor:
        return network.to_columns(dict(raw))

    def calibrate(
        self, networks: Sequence[UnifiedPatchTST], raws: Sequence[Raw], start: Start, data: TrainingData
    ) -> None:
        labels, mask = validation_labels(data)
        begun = start.raw(networks[0], torch.from_numpy(newest_rows(data, data.validation)))["direction"]
        directions = calibrate_direction(
            networks, [raw["direction"] for raw in raws], labels, mask, start.heads["direction"], begun
        )
        blend_numbers(networks, raws, start, data)
        for network, raw, direction in zip(networks, raws, directions, strict=True):
            # Confidence speaks of the calibrated answer, so it comes second.
            calibrate_confidence(network, {**raw, "direction": direction}, labels, mask)

    def wide(self, rows: NDArray) -> NDArray[np.float32]:
        return rows


@dataclass(frozen=True)
class DirectionRecipe:
    """UP, DOWN and FLAT at four horizons, taught by what trading on them earns (MOD-3, MOD-4, LOS-3)."""

    config: TrainConfig
    kind: ClassVar[str] = build.DIRECTION
    columns: ClassVar[tuple[str, ...]] = DIRECTION_COLUMNS

    @property
    def context_length(self) -> int:
        return self.config.direction.context_length

    def network(self, data: TrainingData) -> DirectionPredictor:
        return DirectionPredictor(
            DirectionConfig(n_features=len(data.features.names), **self.config.direction.model_dump())
        )

    def raw(self, network: DirectionPredictor, x: Tensor) -> dict[str, Tensor]:
        return {"direction": network(x)}

    def loss(
        self, network: DirectionPredictor, raw: Raw, labels: Tensor, mask: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        config = TradingLossConfig(**self.config.trading_loss.model_dump())
        known = mask[:, RETURNS] & mask[:, DIRECTION]
        return directional_trading_loss(raw["direction"], labels[:, RETURNS], labels[:, DIRECTION], known, config)

    def rows(self, network: DirectionPredictor, raw: Raw) -> Tensor:
        return network.to_columns(raw["direction"])

    def calibrate(
        self, networks: Sequence[DirectionPredictor], raws: Sequence[Raw], start: Start, data: TrainingData
    ) -> None:
        begun = start.raw(networks[0], torch.from_numpy(newest_rows(data, data.validation)))["direction"]
        logits = [raw["direction"] for raw in raws]
        calibrate_predictor(networks, logits, *validation_labels(data), start.heads["direction"], begun)

    def wide(self, rows: NDArray) -> NDArray[np.float32]:
        return as_unified(rows)


def validation_labels(data: TrainingData) -> tuple[Tensor, Tensor]:
    """Return labels and mask (N, 24) of the validation rows."""
    values, masks = data.labels(data.validation)
    return torch.from_numpy(values), torch.from_numpy(masks)


def as_unified(rows: NDArray) -> NDArray[np.float32]:
    """Return direction rows (N, 12) in the columns of a unified forecast (N, 38).

    Moments are ranked by p(up) - p(down), the action is the 4h answer, confidence its probability; the rest is NaN.
    """
    wide = np.full((len(rows), len(FORECAST_COLUMNS)), np.nan, dtype=np.float32)
    probability = rows.reshape(len(rows), 4, 3)
    first = FORECAST_COLUMNS.index(DIRECTION_COLUMNS[0])
    wide[:, :4] = probability[:, :, 0] - probability[:, :, 1]
    wide[:, first : first + 12] = rows
    action = FORECAST_COLUMNS.index("best_action_long")
    wide[:, action : action + 3] = probability[:, 2]
    wide[:, -4:] = probability.max(-1)
    return wide


def to_device(raw: Raw, device: torch.device) -> dict[str, Tensor]:
    """Return heads in float32 on a device."""
    return {name: value.float().to(device) for name, value in raw.items()}
