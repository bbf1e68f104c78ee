"""Builds a network by the kind that a manifest names. From: `nn.registry`. To: the service and the tests.

Only kinds listed here exist: weights never bring their own code (REG-4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from .actor_critic import ActorCritic, ActorCriticConfig
from .direction import DirectionConfig, DirectionPredictor
from .ensemble import Ensemble, Network, joined
from .unified import PatchTSTConfig, UnifiedPatchTST

UNIFIED_PATCHTST, DIRECTION, ACTOR_CRITIC = "unified_patchtst", "direction", "actor_critic"
KINDS = (UNIFIED_PATCHTST, DIRECTION)  # of forecasters; an actor-critic answers with positions, not forecasts
POLICY_COLUMNS = ("target_weight", "value", "cvar")  # of its answers
MOMENTS = "moments."  # names of the tensors that say what a policy's network calls 0 and 1
MAX_MEMBERS = 16  # of an ensemble: a signed slip shall not eat the memory


class Settings(Protocol):
    """What every kind's config has."""

    @property
    def n_features(self) -> int: ...
    @property
    def context_length(self) -> int: ...


class Forecaster(Protocol):
    """What every kind of network is to those who serve or judge it; `ensemble.members_of` opens it up."""

    columns: tuple[str, ...]  # of the rows that `forecast` gives

    @property
    def config(self) -> Settings: ...
    def forecast(self, x: Tensor) -> Tensor:
        """Return rows (B, len(columns)) of windows of scaled features (B, L, C)."""
        ...


def empty_network(kind: str, architecture: Mapping[str, object]) -> Network:
    """Return one network with fresh weights; ValueError when the kind or a field of its config is unknown."""
    if kind == UNIFIED_PATCHTST:
        return UnifiedPatchTST(PatchTSTConfig.from_dict(architecture))
    if kind == DIRECTION:
        return DirectionPredictor(DirectionConfig.from_dict(architecture))
    raise ValueError(f"kind is {kind!r}, known are {', '.join(KINDS)}")


def n_inputs(kind: str, architecture: Mapping[str, object]) -> tuple[str, object]:
    """Return the name and value of the config's field that counts what the network reads."""
    name = "n_observations" if kind == ACTOR_CRITIC else "n_features"
    return name, architecture.get(name)


def empty_model(kind: str, architecture: Mapping[str, object]) -> Network | Ensemble:
    """Return the network, or the ensemble where the architecture counts `members`, with fresh weights."""
    config = dict(architecture)
    members = config.pop("members", 1)
    if isinstance(members, bool) or not isinstance(members, int) or not 1 <= members <= MAX_MEMBERS:
        raise ValueError(f"members is {members!r}, expected a whole number of 1..{MAX_MEMBERS}")
    return joined([empty_network(kind, config) for _ in range(members)])


def weight_shapes(kind: str, architecture: Mapping[str, object]) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of every weight, without allocating them; a policy's with those of its moments."""
    if kind == ACTOR_CRITIC:
        config = ActorCriticConfig.from_dict(architecture)
        with torch.device("meta"):
            shapes = {name: tuple(tensor.shape) for name, tensor in ActorCritic(config).state_dict().items()}
        slots = {f"{MOMENTS}mean": (config.n_observations,), f"{MOMENTS}variance": (config.n_observations,)}
        return shapes | slots | {f"{MOMENTS}count": (), f"{MOMENTS}reward_deviation": ()}
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in empty_model(kind, architecture).state_dict().items()}


def build_model(kind: str, architecture: Mapping[str, object], tensors: Mapping[str, Tensor]) -> Network | Ensemble:
    """Return the network or ensemble with these weights, ready to answer (evaluation mode, no gradients)."""
    model = empty_model(kind, architecture)
    model.load_state_dict(dict(tensors), strict=True)
    return model.eval().requires_grad_(False)


def build_actor_critic(architecture: Mapping[str, object], tensors: Mapping[str, Tensor]) -> ActorCritic:
    """Return the network of a policy with these weights, ready to answer; moments among them are left aside."""
    model = ActorCritic(ActorCriticConfig.from_dict(architecture))
    model.load_state_dict({name: tensor for name, tensor in tensors.items() if not name.startswith(MOMENTS)})
    return model.eval().requires_grad_(False)
