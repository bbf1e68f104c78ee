"""Running moments: what the network calls 0 and 1, learned as the data come and saved with the weights.

From: observations and rewards of `rollout`. To: `rollout`, and the version's manifest. Chan, Golub and LeVeque (1979).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CLIP = 10.0  # standard deviations
SMALLEST = 1e-8


class Moments:
    """Mean and variance of rows of a shape, batch after batch, in float64."""

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self.mean, self.variance, self.count = np.zeros(shape), np.ones(shape), 1e-4

    def add(self, rows: NDArray) -> None:
        """Take in rows (N, *shape)."""
        n = len(rows)
        if not n:
            return
        total = self.count + n
        mean = np.add.reduce(rows, 0, np.float64) / n
        spread = rows - mean
        variance = np.add.reduce(np.square(spread, out=spread), 0) / n
        gap = mean - self.mean
        self.variance = (self.variance * self.count + variance * n + gap**2 * (self.count * n / total)) / total
        self.mean, self.count = self.mean + gap * (n / total), total

    def normalised(self, rows: NDArray) -> NDArray[np.float32]:
        """Return rows with mean 0 and deviation 1, clipped at 10."""
        scaled = rows - self.mean
        scaled /= np.sqrt(self.variance + SMALLEST)
        return np.clip(scaled, -CLIP, CLIP, out=scaled).astype(np.float32)

    def to_dict(self) -> dict[str, object]:
        return {"mean": self.mean.tolist(), "variance": self.variance.tolist(), "count": self.count}

    @classmethod
    def from_dict(cls, values: dict) -> Moments:
        found = cls()
        found.mean, found.variance = np.asarray(values["mean"]), np.asarray(values["variance"])
        found.count = float(values["count"])
        return found


class RewardScale:
    """Divides rewards by the deviation of their discounted sums (Engstrom et al. 2020, section 3)."""

    def __init__(self, n_copies: int, gamma: float) -> None:
        self.moments, self.sums, self.gamma = Moments(), np.zeros(n_copies), gamma

    def __call__(self, rewards: NDArray, ended: NDArray[np.bool_], real: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Take in one step's rewards (N,), those of real steps; return them scaled."""
        self.sums = self.sums * self.gamma + rewards
        self.moments.add(self.sums[real])
        self.sums[ended] = 0
        return np.clip(rewards / np.sqrt(self.moments.variance + SMALLEST), -CLIP, CLIP).astype(np.float32)
