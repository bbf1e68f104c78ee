"""Several networks of one kind and shape that answer as one: the mean of their forecasts (MOD-9, `seeds`).

From: `build`, by the `members` of a manifest's architecture. To: whoever asks a `Forecaster`; `members_of` opens it up.

Networks that differ in their first weights and in the order of their batches err differently where there is little to
learn, and the mean errs less than they do on average (Lakshminarayanan et al., NeurIPS 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from .direction import DirectionConfig, DirectionPredictor
from .unified import PatchTSTConfig, UnifiedPatchTST

if TYPE_CHECKING:
    from .build import Forecaster

Network = UnifiedPatchTST | DirectionPredictor
N = TypeVar("N", UnifiedPatchTST, DirectionPredictor, Network)


class Ensemble(nn.Module, Generic[N]):
    """The mean of what its members forecast.

    Parameters
    ----------
    members : sequence of networks
        At least two, with equal configs: they differ in weights alone.
    """

    def __init__(self, members: Sequence[N]) -> None:
        super().__init__()
        if len(members) < 2:
            raise ValueError(f"an ensemble has {len(members)} members, expected at least 2")
        if any(member.config != members[0].config for member in members):
            raise ValueError("the members of an ensemble have different configs, expected equal ones")
        self.members = nn.ModuleList(members)
        self.columns: tuple[str, ...] = members[0].columns
        self.config: PatchTSTConfig | DirectionConfig = members[0].config

    def forecast(self, x: Tensor) -> Tensor:
        """Return the mean of the members' rows (B, len(columns)); means of probabilities still add up to 1."""
        return torch.stack([member.forecast(x) for member in members_of(self)]).mean(0)


def joined(members: Sequence[N]) -> N | Ensemble[N]:
    """Return one forecaster of these networks: the only one, or an ensemble."""
    return members[0] if len(members) == 1 else Ensemble(members)


def members_of(model: Forecaster) -> tuple[Network, ...]:
    """Return the networks whose mean a forecaster answers with: those of an ensemble, or the one itself."""
    return tuple(cast(list[Network], list(model.members))) if isinstance(model, Ensemble) else (cast(Network, model),)


def architecture_of(model: Network | Ensemble) -> dict[str, object]:
    """Return what a manifest says of a forecaster: the config of its members, and their number if there are several."""
    members = members_of(model)
    return {**members[0].config.to_dict(), **({"members": len(members)} if len(members) > 1 else {})}
