"""Builds a network by the kind that a manifest names. From: `nn.registry`. To: the service and the tests.

Only kinds listed here exist: weights never bring their own code (REG-4).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .unified import PatchTSTConfig, UnifiedPatchTST

UNIFIED_PATCHTST = "unified_patchtst"
KINDS = (UNIFIED_PATCHTST,)


def empty_model(kind: str, architecture: Mapping[str, object]) -> UnifiedPatchTST:
    """Return the network with fresh weights; ValueError when the kind or a field of its config is unknown."""
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, known are {', '.join(KINDS)}")
    return UnifiedPatchTST(PatchTSTConfig.from_dict(architecture))


def weight_shapes(kind: str, architecture: Mapping[str, object]) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of every weight, without allocating them."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in empty_model(kind, architecture).state_dict().items()}


def build_model(kind: str, architecture: Mapping[str, object], tensors: Mapping[str, Tensor]) -> UnifiedPatchTST:
    """Return the network with these weights, ready to answer (evaluation mode, no gradients)."""
    model = empty_model(kind, architecture)
    model.load_state_dict(dict(tensors), strict=True)
    return model.eval().requires_grad_(False)
