"""Makes confidence mean what it says: Platt scaling of its logits on validation rows, written into the weights.

From: a trained model and its validation heads. To: the same model, whose confidence head has learned slope and offset.

Confidence of a horizon is the probability that its most probable class is right. In training the answer is right more
often than later, so the raw head is too sure; rows that training did not learn from say by how much.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..models.losses import DIRECTION
from ..models.unified import UnifiedPatchTST

RIDGE = 1e-3  # keeps slope and offset finite when all rows are right, or all wrong
MIN_ROWS = 50


def platt(logits: NDArray[np.float64], right: NDArray[np.bool_], steps: int = 50) -> tuple[float, float]:
    """Return slope and offset that maximise the likelihood of `right` given slope x logit + offset (Platt, 1999).

    A slope below 0 would turn the order around: then the logits carry nothing and only the base rate is kept.
    """
    # Platt's targets: not 0 and 1, but what so many rows can justify.
    n_right = int(right.sum())
    target = np.where(right, (n_right + 1) / (n_right + 2), 1 / (len(right) - n_right + 2))
    base = np.log((n_right + 1) / (len(right) - n_right + 1))
    design = np.stack([logits - logits.mean(), np.ones_like(logits)], axis=1)
    weights = np.array([0.0, base])
    for _ in range(steps):  # Newton: the problem is convex and has two unknowns
        p = 1 / (1 + np.exp(-design @ weights))
        gradient = design.T @ (p - target) / len(target) + RIDGE * weights * (1, 0)
        hessian = (design * (p * (1 - p))[:, None]).T @ design / len(target) + RIDGE * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        weights -= step
        if np.abs(step).max() < 1e-10:
            break
    slope, offset = float(weights[0]), float(weights[1])
    return (slope, offset - slope * float(logits.mean())) if slope > 0 else (0.0, float(base))


def calibrate_confidence(model: UnifiedPatchTST, heads: dict[str, Tensor], labels: Tensor, mask: Tensor) -> None:
    """Fold slope and offset of each horizon into the confidence head, from the heads of validation rows."""
    head = model.heads["confidence"]
    assert isinstance(head, nn.Linear)
    answer = heads["direction"].argmax(-1)
    with torch.no_grad():
        for horizon in range(answer.shape[1]):
            known = mask[:, DIRECTION][:, horizon]
            if int(known.sum()) < MIN_ROWS:
                continue
            right = (answer[known, horizon] == labels[:, DIRECTION][known, horizon]).numpy()
            slope, offset = platt(heads["confidence"][known, horizon].double().numpy(), right)
            head.weight[horizon] *= slope
            head.bias[horizon] = head.bias[horizon] * slope + offset
