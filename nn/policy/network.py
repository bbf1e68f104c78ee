"""The passes of an `ActorCritic` in NumPy, forward and backward, on the module's own memory.

From: `flat`. To: `rollout` and `ppo`. Minibatches of a policy are so small that PyTorch spends more time on its graph
than on the numbers; written out, one minibatch takes a quarter of the time. Tests hold every gradient to autograd.
"""

from __future__ import annotations

import numpy as np

from ..models.actor_critic import ACTOR, CRITIC, ActorCritic, rested
from .distributions import Categorical, Gaussian
from .flat import Floats, flatten


class Network:
    """Both bodies as one stack of layers h = tanh(h W + b), with a linear head each."""

    def __init__(self, model: ActorCritic) -> None:
        self.config, self.flat = model.config, flatten(model)
        self.n_layers = len(model.config.hidden)
        self.ones = np.ones(0, np.float32)
        self.hidden: list[Floats] = []

    def forward(self, x: Floats) -> tuple[Floats, Floats]:
        """Return (B, n_actions): logits, or means before they are squashed; and quantiles of the return (B, Q)."""
        w = self.flat.value
        self.hidden = [x]
        for k in range(self.n_layers):
            h = self.hidden[-1] @ w[f"weights.{k}"]  # (2, B, width)
            h += w[f"biases.{k}"]
            self.hidden.append(np.tanh(h, out=h))
        policy, quantiles = h[ACTOR] @ w["actor"], h[CRITIC] @ w["critic"]
        policy += w["actor_bias"]
        quantiles += w["critic_bias"]
        return policy, quantiles

    def distribution(self, policy: Floats) -> Categorical | Gaussian:
        """Return what actions are drawn from, of the first output of `forward`."""
        return Categorical(policy) if self.config.discrete else Gaussian(policy, self.sigma()[0])

    def backward(self, d_policy: Floats, d_quantiles: Floats, d_sigma: Floats | None) -> None:
        """Set the gradients of all weights from those of the last `forward`'s outputs and of `sigma`."""
        w, gradients, (x, *hidden) = self.flat.value, self.flat.gradients, self.hidden
        if len(self.ones) != len(x):
            self.ones = np.ones(len(x), np.float32)  # a product with it sums rows, faster than `sum`
        h, d = hidden[-1], np.empty_like(hidden[-1])
        for name, body, given in (("actor", ACTOR, d_policy), ("critic", CRITIC, d_quantiles)):
            np.matmul(h[body].T, given, out=gradients[name])
            np.matmul(self.ones, given, out=gradients[f"{name}_bias"])
            np.matmul(given, w[name].T, out=d[body])
        for k in range(self.n_layers - 1, -1, -1):
            h, below = hidden[k], hidden[k - 1] if k else x
            h *= h  # tanh' = 1 - tanh^2; the activations are not needed again
            np.subtract(1, h, out=h)
            d *= h
            np.matmul(below.swapaxes(-1, -2), d, out=gradients[f"weights.{k}"])
            np.matmul(self.ones, d, out=gradients[f"biases.{k}"][:, 0])
            if k:
                d = d @ w[f"weights.{k}"].swapaxes(1, 2)
        if d_sigma is not None:
            np.multiply(d_sigma, self.sigma()[1], out=gradients["sigma_raw"])

    def sigma(self) -> tuple[Floats, Floats]:
        """Return the deviations (n_actions,) of a continuous policy, and their derivatives by `sigma_raw`."""
        least, most = self.config.sigma_range
        share = 1 / (1 + np.exp(-self.flat.value["sigma_raw"]))
        return least + (most - least) * share, (most - least) * share * (1 - share)

    def squash(self, u: Floats) -> Floats:
        """Return the action of an unbounded number: tanh, stretched onto the bounds, with a rest around 0."""
        low, high = (np.asarray(bound, np.float32) for bound in (self.config.low, self.config.high))
        return rested(low + (high - low) * (np.tanh(u) + 1) / 2, low, high, self.config.rest)
