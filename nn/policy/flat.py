"""All weights of a network as one NumPy vector: one clipping, one Adam step, however many layers.

From: a module. To: `network`. The module's own parameters become views of the vector: what is learned here is there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Floats = NDArray[np.floating]  # float32 in training; tests hold the arithmetic in float64


@dataclass(frozen=True, eq=False)
class Flat:
    """Values and their gradient, whole and by name; the named arrays are views of the whole."""

    values: Floats  # (P,)
    gradient: Floats  # (P,)
    value: dict[str, Floats]
    gradients: dict[str, Floats]


def flatten(module: nn.Module) -> Flat:
    """Move the module's parameters into one vector."""
    values = np.concatenate([part.detach().numpy().ravel() for part in module.parameters()])
    flat = Flat(values, np.zeros_like(values), {}, {})
    start = 0
    for name, part in module.named_parameters():
        place = slice(start, start + part.numel())
        flat.value[name] = values[place].reshape(part.shape)
        flat.gradients[name] = flat.gradient[place].reshape(part.shape)
        part.data = torch.from_numpy(flat.value[name])
        start = place.stop
    return flat
