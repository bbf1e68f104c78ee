"""ActorCritic: a policy and the distribution of its return, two small networks run as one (MOD-5).

From: observations, float32 (B, n_observations). To: `nn.policy.ppo` in training; the service as target positions.

The two bodies have equal shapes and share nothing; their layers are stacked, so that one batched product does the work
of two. A continuous action is a Gaussian squashed by tanh onto its bounds; a discrete one is a choice by softmax.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

ACTOR, CRITIC = 0, 1  # places in a stacked body


@dataclass(frozen=True)
class ActorCriticConfig:
    """Everything needed to build the network again; stored in the signed manifest."""

    n_observations: int
    n_actions: int  # choices of a discrete action, else numbers of a continuous one
    discrete: bool = False
    low: tuple[float, ...] = ()  # bounds of a continuous action
    high: tuple[float, ...] = ()
    hidden: tuple[int, ...] = (64, 64)  # widths of each body
    n_quantiles: int = 32
    sigma_range: tuple[float, float] = (0.2, 1.5)  # of the Gaussian, before it is squashed
    rest: float = 0.0  # share of each side of 0 that is 0, where an action may be below and above it

    def __post_init__(self) -> None:
        sizes = {"n_observations": self.n_observations, "n_actions": self.n_actions, "n_quantiles": self.n_quantiles}
        sizes |= {f"hidden[{k}]": width for k, width in enumerate(self.hidden)}
        for name, value in sizes.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}, expected a whole number of at least 1")
        if not self.hidden:
            raise ValueError("hidden is empty, expected at least one width")
        bounds = 0 if self.discrete else self.n_actions
        if len(self.low) != bounds or len(self.high) != bounds:
            raise ValueError(f"low and high have {len(self.low)} and {len(self.high)} numbers, expected {bounds} each")
        for low, high in zip(self.low, self.high, strict=True):
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise ValueError(f"an action has the bounds {low} and {high}, expected finite low < high")
        least, most = self.sigma_range
        if not 0 < least < most < math.inf:
            raise ValueError(f"sigma_range is {self.sigma_range}, expected 0 < least < most")
        if not 0 <= self.rest < 1:
            raise ValueError(f"rest is {self.rest}, expected a share from 0 to below 1")

    def to_dict(self) -> dict[str, object]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> ActorCriticConfig:
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"ActorCriticConfig has no field {unknown[0]!r}")
        plain = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return cls(**plain)  # type: ignore[arg-type]


class ActorCritic(nn.Module):
    """`forward` gives what the policy is made of and the quantiles of the return; `act` gives the action itself."""

    low: Tensor
    high: Tensor

    def __init__(self, config: ActorCriticConfig) -> None:
        super().__init__()
        self.config = config
        widths = (config.n_observations, *config.hidden)
        pairs = list(pairwise(widths))
        self.weights = nn.ParameterList(torch.stack([orthogonal(i, o, 2**0.5) for _ in range(2)]) for i, o in pairs)
        self.biases = nn.ParameterList(torch.zeros(2, 1, o) for _, o in pairs)
        # A policy that starts near the middle of its choices explores all of them (Andrychowicz et al. 2021, C56).
        self.actor = nn.Parameter(orthogonal(widths[-1], config.n_actions, 0.01))
        self.actor_bias = nn.Parameter(torch.zeros(config.n_actions))
        self.critic = nn.Parameter(orthogonal(widths[-1], config.n_quantiles, 1.0))
        self.critic_bias = nn.Parameter(torch.zeros(config.n_quantiles))
        if not config.discrete:
            least, most = config.sigma_range
            start = (min(max(1.0, least + 1e-3), most - 1e-3) - least) / (most - least)  # sigma 1, where allowed
            self.sigma_raw = nn.Parameter(torch.full((config.n_actions,), math.log(start / (1 - start))))
        self.register_buffer("low", torch.tensor(config.low), persistent=False)
        self.register_buffer("high", torch.tensor(config.high), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, n_actions): logits, or means before they are squashed; and quantiles of the return (B, Q)."""
        h = x.expand(2, *x.shape)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            h = torch.baddbmm(bias, h, weight).tanh()
        return torch.addmm(self.actor_bias, h[ACTOR], self.actor), torch.addmm(self.critic_bias, h[CRITIC], self.critic)

    def sigma(self) -> Tensor:
        """Return the standard deviations (n_actions,) of a continuous policy before it is squashed."""
        least, most = self.config.sigma_range
        return least + (most - least) * self.sigma_raw.sigmoid()

    def squash(self, u: Tensor) -> Tensor:
        """Return the action of an unbounded number: tanh, stretched onto the bounds, with a rest around 0."""
        return rested(self.low + (self.high - self.low) * (u.tanh() + 1) / 2, self.low, self.high, self.config.rest)

    def act(self, x: Tensor) -> Tensor:
        """Return the deterministic action (PPO-4): the most probable choice (B,), or the squashed mean (B, A)."""
        policy, _ = self(x)
        return policy.argmax(-1) if self.config.discrete else self.squash(policy)


def rested(action: Any, low: Any, high: Any, rest: Any) -> Any:
    """Return the action with all that is near 0 at 0, and the rest of each side stretched over it; arrays or tensors.

    The draws of a Gaussian never lie at 0. Where each one that does not is a trade, being flat would cost more than any
    position at a bound, whose draws all but coincide: a policy that learned in noise would never go flat.
    """
    if rest == 0 or not ((low < 0) & (high > 0)).all():
        return action
    return ((action - rest * high).clip(0, None) + (action - rest * low).clip(None, 0)) / (1 - rest)


def orthogonal(n_in: int, n_out: int, gain: float) -> Tensor:
    """Return a weight (in, out) with orthogonal rows or columns (Saxe et al. 2014)."""
    return nn.init.orthogonal_(torch.empty(n_out, n_in), gain).t().contiguous()
