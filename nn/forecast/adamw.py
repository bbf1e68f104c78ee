"""AdamW (Loshchilov and Hutter, 2019, algorithm 2) by PyTorch's own kernel, without the class around it.

From: gradients. To: `fit`, a step at a time, and `checkpoint`, which keeps the moments. The steps are those of
`torch.optim.AdamW(fused=True)` to the bit; that class loads PyTorch's compiler the first time it is made, a second of
work and 70 MiB for something that training never uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim.adamw import adamw

BETAS = (0.9, 0.999)  # share of the older mean that stays in a step, of gradients and of their squares
EPSILON = 1e-8
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # PyTorch's names


class AdamW:
    """The optimizer of some parameters.

    Parameters
    ----------
    parameters : iterable of Parameter
    learning_rate : float
        Of the next step; may be changed between steps.
    weight_decay : float
        Share of a weight that a step of learning rate 1 would take away.
    """

    def __init__(self, parameters: Iterable[Parameter], learning_rate: float, weight_decay: float) -> None:
        self.parameters = list(parameters)
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.moments: dict[int, dict[str, Tensor]] = {}  # by the parameter's number; none before its first gradient

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Change every parameter that has a gradient."""
        chosen = [number for number, parameter in enumerate(self.parameters) if parameter.grad is not None]
        for number in chosen:
            if number not in self.moments:
                like = self.parameters[number]
                self.moments[number] = {
                    "step": torch.zeros((), dtype=torch.float32, device=like.device),
                    "exp_avg": torch.zeros_like(like),
                    "exp_avg_sq": torch.zeros_like(like),
                }
        steps, means, squares = ([self.moments[number][name] for number in chosen] for name in MOMENTS)
        adamw(
            [self.parameters[number] for number in chosen],
            [gradient for number in chosen if (gradient := self.parameters[number].grad) is not None],
            means, squares, [], steps, fused=True, amsgrad=False, beta1=BETAS[0], beta2=BETAS[1],
            lr=self.learning_rate, weight_decay=self.weight_decay, eps=EPSILON, maximize=False,
        )  # fmt: skip

    def restore(self, moments: Mapping[int, Mapping[str, Tensor]]) -> None:
        """Go on from moments that were kept; they are copied."""
        self.moments = {
            number: {name: tensor.to(self.parameters[number].device, copy=True) for name, tensor in kept.items()}
            for number, kept in moments.items()
        }
