"""Dropout whose mask is drawn four numbers at a time: on a processor, torch's own takes a sixth of a training step.

From: activations in training. To: the same with a share of them zero and the others scaled up; `patchtst` uses it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

STEPS = 1 << 16  # a probability is rounded to one part in so many


class Dropout(nn.Module):
    """Zero each number with probability p in training and divide the others by 1 - p (Srivastava et al., JMLR 2014).

    Parameters
    ----------
    p : float
        Probability in [0, 1), rounded to 1/65,536.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        threshold = round(self.p * STEPS)
        if not self.training or threshold == 0:
            return x
        return _Masked.apply(x, _drawn(x) >= threshold - STEPS // 2, STEPS / (STEPS - threshold))

    def extra_repr(self) -> str:
        return f"p={self.p}"


def _drawn(x: Tensor) -> Tensor:
    """Return whole numbers of -32,768..32,767, uniform, in the shape of x, from torch's generator of its device."""
    drawn = torch.empty((x.numel() + 3) // 4, dtype=torch.int64, device=x.device)
    drawn.random_(-(2**63), None)  # all 64 bits
    return drawn.view(torch.int16)[: x.numel()].view(x.shape)


class _Masked(torch.autograd.Function):
    """x * keep * scale; what is kept for the way back is a byte a number."""

    @staticmethod
    def forward(ctx, x: Tensor, keep: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(keep)
        ctx.scale = scale
        return (x * keep).mul_(scale)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        (keep,) = ctx.saved_tensors
        return (gradient * keep).mul_(ctx.scale), None, None
