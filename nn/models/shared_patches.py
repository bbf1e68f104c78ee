"""A network taken apart, so that windows that overlap share the embedding of their patches.

From: a network of `unified` or `direction`. To: `nn.service.backends`, which scores thousands of windows in a row.

The embedding of a patch is linear and knows nothing of the window around it: the patch that starts at a bar gives the
same token in each of the windows that hold it. Embedded once per bar, the largest matrix product of the trading form is
done a dozen times less often. The encoder is one function of tensors alone, so that it can be compiled once for all
networks of one size.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .ensemble import Ensemble, Network, members_of
from .patchtst import EncoderLayer
from .unified import UnifiedPatchTST

MATRICES = ("query_key_value", "project", "dense.0", "dense.3")  # of a layer, in the order of `encode`
NORMS = ("norm_attention", "norm_dense")


LANES = 16  # float32 numbers that a processor works on at once


class PaddedLinear(nn.Module):
    """A linear layer over inputs filled up with zeros to whole lanes.

    The libraries begin a row that is not aligned with a few numbers one by one, so that with few outputs the order of
    a sum, and its last bit, depend on where the row lies in its batch. Rows of whole lanes are all alike.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.missing = -linear.in_features % LANES
        self.weight = nn.Parameter(F.pad(linear.weight.detach(), (0, self.missing)), requires_grad=False)
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(F.pad(x, (0, self.missing)), self.weight, self.bias)


def steady(model: Network | Ensemble) -> Network | Ensemble:
    """Return a copy whose heads give a row the same bits wherever it stands in a batch."""
    model = copy.deepcopy(model)
    for network in members_of(model):
        if isinstance(network, UnifiedPatchTST):
            for name, head in network.heads.items():
                network.heads[name] = PaddedLinear(cast(nn.Linear, head))
    return model


@dataclass(frozen=True)
class Size:
    """All that the arithmetic of an encoder depends on, but for the number of windows."""

    n_tokens: int
    d_model: int
    n_heads: int
    n_layers: int
    d_ff: int


class Branch(NamedTuple):
    """Patches of one length: how they are embedded, and where they start in a window."""

    weight: Tensor  # (d_model, patch_length * C)
    bias: Tensor  # (d_model,)
    starts: Tensor  # (n_patches,), bars after the window's first


class SharedPatches:
    """One network as branches of patches, the weights of its encoder, and its heads.

    Parameters
    ----------
    network : UnifiedPatchTST or DirectionPredictor, `steady`
        In evaluation mode, without gradients; its tensors are shared, not copied, where the precision is float32.
    dtype : torch.dtype
        Of the matrix products of embedding and encoder: float32 or bfloat16. Sums between layers, norms, and heads stay
        float32.
    """

    def __init__(self, network: Network, dtype: torch.dtype = torch.float32) -> None:
        self.network, self.dtype = network, dtype
        if isinstance(network, UnifiedPatchTST):
            encoder = network.encoder
            starts = torch.arange(encoder.n_patches) * encoder.stride
            parts: list[tuple[nn.Module, Tensor]] = [(encoder.embed, starts)]
            layers, position, norm = encoder.layers, encoder.position, encoder.norm
        else:
            length = network.config.context_length
            parts = [
                (embed, torch.arange(length // patch) * patch + length % patch)
                for embed, patch in zip(network.embed, network.config.patch_lengths, strict=True)
            ]
            layers, position, norm = network.layers, network.position, network.norm
        self.branches = [Branch(*_of(embed, dtype), starts) for embed, starts in parts]
        config = network.config
        self.size = Size(len(position), config.d_model, config.n_heads, config.n_layers, config.d_ff)
        self.weights = [position.detach()]
        for layer in layers:
            self.weights += _weights_of(cast(EncoderLayer, layer), dtype)
        self.weights += _of(norm, torch.float32)

    def read(self, encoded: Tensor, newest: Tensor) -> Tensor:
        """Return the forecast rows (B, n_columns) of encoded tokens (B, N, d_model) and newest rows (B, C)."""
        network = self.network
        if isinstance(network, UnifiedPatchTST):
            return network.to_columns(network.read(encoded, newest))
        summary = (network.pool(encoded).softmax(1) * encoded).sum(1)
        logits = network.head(torch.cat([summary, newest], dim=1)).unflatten(1, (-1, 3))
        return (logits / network.temperature).softmax(-1).flatten(1)


def _weights_of(layer: EncoderLayer, dtype: torch.dtype) -> list[Tensor]:
    if not layer.pre_norm or layer.residual_attention:
        raise ValueError("the encoder is not of the trading form: pre_norm without residual_attention was expected")
    found: list[Tensor] = []
    for names, kind in ((NORMS, torch.float32), (MATRICES, dtype)):
        for name in names:
            found += _of(layer.get_submodule(name), kind)
    return found


def _of(module: nn.Module, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a module that has both."""
    return module.get_parameter("weight").detach().to(dtype), module.get_parameter("bias").detach().to(dtype)


def encode(tokens: Tensor, weights: list[Tensor], n_heads: int) -> Tensor:
    """Return the encoded tokens (B, N, d_model) of embedded patches (B, N, d_model), both float32.

    The same as `PatchTST.encode` of the trading form; the matrix products have the type of the matrices in `weights`.
    """
    x = tokens + weights[0]
    for start in range(1, len(weights) - 2, 12):
        x = _layer(x, weights[start : start + 12], n_heads)
    return F.layer_norm(x, x.shape[-1:], weights[-2], weights[-1])


def _layer(x: Tensor, weights: list[Tensor], n_heads: int) -> Tensor:
    norm_1, shift_1, norm_2, shift_2, w_qkv, b_qkv, w_project, b_project, w_1, b_1, w_2, b_2 = weights
    B, N, D = x.shape
    d_head = D // n_heads
    h = F.layer_norm(x, (D,), norm_1, shift_1).to(w_qkv.dtype)
    q, k, v = F.linear(h, w_qkv, b_qkv).view(B, N, 3, n_heads, d_head).permute(2, 0, 3, 1, 4)
    mixed = ((q * d_head**-0.5) @ k.transpose(-1, -2)).softmax(-1) @ v
    x = x + F.linear(mixed.transpose(1, 2).reshape(B, N, D), w_project, b_project)
    h = F.layer_norm(x, (D,), norm_2, shift_2).to(w_1.dtype)
    return x + F.linear(F.gelu(F.linear(h, w_1, b_1)), w_2, b_2)
