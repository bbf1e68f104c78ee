"""Reads weights of other PatchTST implementations into ours; docs/patchtst.md lists the names side by side.

From: a `state_dict` of the authors' module (yuqinie98/PatchTST, and its copy in neuralforecast) or of Hugging Face's
`PatchTSTForPrediction`. To: a `state_dict` for `patchtst.PatchTST` built with the same sizes.

Only names and layouts change here, and a tensor whose name is not known is refused: weights that are silently left out
give a model that is silently wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

# One regular expression per tensor, without the number of its layer and the names of what it is wrapped in.
AUTHORS = (
    (r"revin_layer\.affine_(weight|bias)", r"revin.\1"),
    (r"backbone\.W_P\.(weight|bias)", r"embed.\1"),
    (r"backbone\.W_pos", r"position"),
    (r"backbone\.encoder\.layers\.(\d+)\.self_attn\.W_([QKV])\.(weight|bias)", r"layers.\1.\2.\3"),
    (r"backbone\.encoder\.layers\.(\d+)\.self_attn\.to_out\.0\.(weight|bias)", r"layers.\1.project.\2"),
    (r"backbone\.encoder\.layers\.(\d+)\.norm_attn\.(?:1\.)?(\w+)", r"layers.\1.norm_attention.\2"),
    (r"backbone\.encoder\.layers\.(\d+)\.norm_ffn\.(?:1\.)?(\w+)", r"layers.\1.norm_dense.\2"),
    (r"backbone\.encoder\.layers\.(\d+)\.ff\.(\d)\.(weight|bias)", r"layers.\1.dense.\2.\3"),
    (r"head\.linear\.(weight|bias)", r"heads.0.\1"),
    (r"head\.linears\.(\d+)\.(weight|bias)", r"heads.\1.\2"),
    (r"backbone\.encoder\.layers\.\d+\.self_attn\.sdp_attn\.scale", ""),  # a constant
)
TRANSFORMERS = (
    (r"encoder\.embedder\.input_embedding\.(weight|bias)", r"embed.\1"),
    (r"encoder\.positional_encoder\.position_enc", r"position"),
    (r"encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj\.(weight|bias)", r"layers.\1.\2.\3"),
    (r"encoder\.layers\.(\d+)\.self_attn\.out_proj\.(weight|bias)", r"layers.\1.project.\2"),
    (r"encoder\.layers\.(\d+)\.norm_sublayer1\.(?:batchnorm\.)?(\w+)", r"layers.\1.norm_attention.\2"),
    (r"encoder\.layers\.(\d+)\.norm_sublayer3\.(?:batchnorm\.)?(\w+)", r"layers.\1.norm_dense.\2"),
    (r"encoder\.layers\.(\d+)\.ff\.(\d)\.(weight|bias)", r"layers.\1.dense.\2.\3"),
    (r"head\.projection\.(weight|bias)", r"heads.0.\1"),
    (r"head\.projections\.(\d+)\.(weight|bias)", r"heads.\1.\2"),
)
PART = {"q": 0, "k": 1, "v": 2}


def from_authors(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the authors' weights under our names.

    Parameters
    ----------
    weights : mapping of str to Tensor
        `state_dict()` of their `Model` (decomposition off), or of the backbone inside it.

    Raises
    ------
    ValueError
        For a tensor whose name is not known.
    """
    return _joined(_renamed(weights, AUTHORS, r"model\."))


def from_transformers(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return Hugging Face's weights under our names.

    Their model is ours with `residual_attention=False, padding=None`; it needs `share_embedding`, no CLS token, no
    channel attention, `scaling="std"` and `pooling_type=None`. Their head flattens patches first, so its columns are
    put into our order here.

    Parameters
    ----------
    weights : mapping of str to Tensor
        `state_dict()` of a `PatchTSTForPrediction` with `loss="mse"`.

    Raises
    ------
    ValueError
        For a tensor whose name is not known.
    """
    found = _joined(_renamed(weights, TRANSFORMERS, r"model\."))
    n_patches, d_model = found["position"].shape
    for name in [name for name in found if re.fullmatch(r"heads\.\d+\.weight", name)]:
        found[name] = found[name].unflatten(1, (n_patches, d_model)).transpose(1, 2).flatten(1)
    return found


def _renamed(weights: Mapping[str, Tensor], names: tuple[tuple[str, str], ...], wrapper: str) -> dict[str, Tensor]:
    found = {}
    for theirs, tensor in weights.items():
        bare = re.sub(rf"^(?:{wrapper})+", "", theirs)
        for pattern, ours in names:
            if match := re.fullmatch(pattern, bare):
                if ours:
                    found[match.expand(ours)] = tensor.detach().clone()
                break
        else:
            raise ValueError(f"{theirs!r} of shape {tuple(tensor.shape)} is no tensor of a PatchTST that is known here")
    return found


def _joined(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights with query, key and value of each layer in one tensor."""
    parts: dict[str, list[Tensor | None]] = {}
    joined = {}
    for name, tensor in weights.items():
        if match := re.fullmatch(r"layers\.(\d+)\.([qkvQKV])\.(weight|bias)", name):
            three = parts.setdefault(f"layers.{match[1]}.query_key_value.{match[3]}", [None, None, None])
            three[PART[match[2].lower()]] = tensor
        else:
            joined[name] = tensor
    for name, three in parts.items():
        found = [part for part in three if part is not None]
        if len(found) != 3:
            raise ValueError(f"{name} needs query, key and value, found {len(found)} of them")
        joined[name] = torch.cat(found)
    return joined
