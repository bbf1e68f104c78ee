"""Makes probabilities of UP, DOWN and FLAT mean what they say: temperature and weight of FLAT, on validation rows.

From: trained networks and their direction logits of the same validation rows. To: the same networks, calibrated.

The losses of training are not honest: class weights make sides look likelier than they are (LOS-2, LOS-3), focal and
smoothed labels make all answers milder. Two numbers per horizon undo both: logits become a slope times themselves plus
an offset for FLAT (Guo et al., 2017; Kull et al., 2019, with the offsets of UP and DOWN tied). An offset for each side
would repeat which way the validation months went, as a forecast for the months after.

MOD-2's temperature of 2 stays what it is: it divides the unified model's direction logits in training and in every
answer. Slope and offset found here are folded into the weights in front of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..data.target_table import FLAT
from ..models.direction import DirectionPredictor
from ..models.losses import DIRECTION
from ..models.unified import UnifiedPatchTST

SLOPES = (0.02, 50.0)  # an answer without any worth, or one that is never wrong, stays finite
RIDGE = 1e-3  # on both numbers, towards a slope of 1 and no offset
MIN_ROWS = 50
STEPS = 50
UNIT = np.eye(3)[FLAT]


def slope_and_offset(logits: NDArray[np.float64], label: NDArray[np.int64]) -> tuple[float, float]:
    """Return slope and FLAT offset that make these classes (N,) likeliest given logits (N, 3): Newton, convex."""
    weights = np.array([1.0, 0.0])
    design = np.stack([logits, np.broadcast_to(UNIT, logits.shape)], axis=2)  # (N, 3, 2)
    true = np.take_along_axis(design, label[:, None, None], axis=1)[:, 0]  # (N, 2)

    def loss_of(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = design @ at
        scores -= scores.max(1, keepdims=True)
        log_p = scores - np.log(np.exp(scores).sum(1, keepdims=True))
        penalty = 0.5 * RIDGE * ((at - (1.0, 0.0)) ** 2).sum()
        return float(penalty - np.take_along_axis(log_p, label[:, None], axis=1).mean()), np.exp(log_p)

    loss, p = loss_of(weights)
    for _ in range(STEPS):
        mean = np.einsum("nk,nkj->nj", p, design)
        gradient = (mean - true).mean(0) + RIDGE * (weights - (1.0, 0.0))
        hessian = np.einsum("nk,nki,nkj->ij", p, design, design) / len(label) - mean.T @ mean / len(label)
        step = np.linalg.solve(hessian + RIDGE * np.eye(2), gradient)
        while True:  # halve a step that goes too far
            trial = weights - step
            trial_loss, trial_p = loss_of(trial)
            if trial_loss <= loss or np.abs(step).max() < 1e-9:
                break
            step = step / 2
        weights, loss, p = trial, trial_loss, trial_p
        if np.abs(step).max() < 1e-9:
            break
    if SLOPES[0] <= weights[0] <= SLOPES[1]:
        return float(weights[0]), float(weights[1])
    slope = float(np.clip(weights[0], *SLOPES))
    flat = (label == FLAT).mean().clip(1 / len(label), 1 - 1 / len(label))
    return slope, float(np.log(2 * flat / (1 - flat)))  # the base rate is all there is to say


def calibration_of(logits: Sequence[Tensor], labels: Tensor, mask: Tensor) -> list[tuple[float, float]]:
    """Return slope and offset per horizon for logits (N, 4, 3) of each member, labels and mask (N, 24)."""
    pooled = torch.stack(list(logits)).double().numpy()  # (members, N, 4, 3)
    found = []
    for horizon in range(pooled.shape[2]):
        known = mask[:, DIRECTION][:, horizon].numpy()
        if int(known.sum()) < MIN_ROWS:
            found.append((1.0, 0.0))
            continue
        label = np.tile(labels[:, DIRECTION][:, horizon].numpy()[known].astype(np.int64), len(pooled))
        found.append(slope_and_offset(pooled[:, known, horizon].reshape(-1, 3), label))
    return found


def calibrate_direction(
    networks: Sequence[UnifiedPatchTST], logits: Sequence[Tensor], labels: Tensor, mask: Tensor
) -> list[Tensor]:
    """Fold slope and offset into the direction heads of unified models; return their logits as they are from now on."""
    found = calibration_of(logits, labels, mask)
    slope = torch.tensor([each[0] for each in found], dtype=torch.float32).unsqueeze(-1)  # (4, 1)
    offset = torch.tensor([each[1] for each in found], dtype=torch.float32).unsqueeze(-1) * torch.tensor(UNIT).float()
    with torch.no_grad():
        for network in networks:
            head = network.heads["direction"]
            assert isinstance(head, nn.Linear)
            head.weight.mul_(slope.expand(4, 3).reshape(-1, 1))
            bias = head.bias.view(4, 3) * slope + offset * network.config.direction_temperature
            head.bias.copy_(bias.flatten())
    return [each * slope + offset for each in logits]


def calibrate_predictor(
    networks: Sequence[DirectionPredictor], logits: Sequence[Tensor], labels: Tensor, mask: Tensor
) -> None:
    """Set the temperature 1 / slope of direction models, and fold the offset into the bias of their heads."""
    found = calibration_of(logits, labels, mask)
    temperature = tuple(1 / slope for slope, _ in found)
    offset = torch.tensor([each[1] for each in found]).unsqueeze(-1) * torch.tensor(UNIT).float()
    with torch.no_grad():
        for network in networks:
            network.head.bias.add_((offset * torch.tensor(temperature).unsqueeze(-1)).flatten())
            network.calibrate(temperature)
