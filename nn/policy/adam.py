"""Adam on one flat vector, in place (Kingma and Ba 2015, algorithm 1). From: `ppo`. To: the weights."""

from __future__ import annotations

import numpy as np

from .flat import Floats

MEAN_DECAY, SQUARE_DECAY = 0.9, 0.999
EPSILON = 1e-5  # Huang et al. (2022), detail 3: not the paper's 1e-8


class Adam:
    """Running means of gradients and of their squares, and how many there were."""

    def __init__(self, values: Floats) -> None:
        self.values, self.mean, self.square, self.count = values, np.zeros_like(values), np.zeros_like(values), 0
        self.spare = np.empty_like(values)

    def step(self, gradient: Floats, learning_rate: float) -> None:
        """Move the values down the gradient."""
        self.count += 1
        spare = self.spare
        self.mean *= MEAN_DECAY
        self.mean += np.multiply(gradient, 1 - MEAN_DECAY, out=spare)
        self.square *= SQUARE_DECAY
        np.multiply(gradient, gradient, out=spare)
        spare *= 1 - SQUARE_DECAY
        self.square += spare
        np.sqrt(self.square, out=spare)
        spare /= (1 - SQUARE_DECAY**self.count) ** 0.5
        spare += EPSILON
        np.divide(self.mean, spare, out=spare)
        spare *= learning_rate / (1 - MEAN_DECAY**self.count)
        self.values -= spare
