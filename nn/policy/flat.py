"""One flat parameter that is all weights of a network at once: one clipping, one Adam step, however many layers.

From: a module. To: `ppo`. The module's own parameters become views of it, and so do their gradients.
"""

from __future__ import annotations

import torch
from torch import nn


def flat_parameter(module: nn.Module) -> nn.Parameter:
    """Return a parameter whose storage the module's parameters share; its gradient is there and is accumulated into."""
    parts = list(module.parameters())
    flat = nn.Parameter(torch.cat([part.detach().flatten() for part in parts]))
    flat.grad = torch.zeros_like(flat)
    start = 0
    for part in parts:
        stop = start + part.numel()
        part.data = flat.data[start:stop].view_as(part)
        part.grad = flat.grad[start:stop].view_as(part)
        start = stop
    return flat
