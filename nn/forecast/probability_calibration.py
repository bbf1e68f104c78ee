"""Makes probabilities of UP, DOWN and FLAT mean what they say, on validation rows: how far to trust what was learned.

From: trained networks and their direction logits of the same validation rows. To: the same networks, calibrated.

The losses of training are not honest: class weights make sides look likelier than they are (LOS-2, LOS-3), focal and
smoothed labels make all answers milder. A slope and an offset for FLAT per horizon undo both (Guo et al., 2017; Kull et
al., 2019, with the offsets of UP and DOWN tied). An offset for each side would repeat which way the validation months
went, as a forecast for the months after. Where training began at linear models (`linear_start`), their logits get a
slope of their own: the two are stacked (Wolpert, 1992), and what was learned counts as far as it serves new rows.

MOD-2's temperature of 2 stays what it is: it divides the unified model's direction logits in training and in every
answer. Slopes and offset found here are folded into the weights in front of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..data.target_table import FLAT
from ..models.direction import DirectionPredictor
from ..models.losses import DIRECTION
from ..models.unified import UnifiedPatchTST
from .linear_start import Linear, head_of, on_one_thread

SLOPES = (0.02, 50.0)  # an answer without any worth, or one that is never wrong, stays finite
RIDGE = 1e-3  # on both numbers, towards a slope of 1 and no offset
MIN_ROWS = 50
STEPS = 50
UNIT = np.eye(3)[FLAT]


@dataclass(frozen=True)
class Answer:
    """The logits of one horizon: `network` x what was learned + `start` x what it began with, + `offset` for FLAT."""

    network: float = 1.0
    start: float = 0.0
    offset: float = 0.0


def slopes_and_offset(logits: Sequence[NDArray[np.float64]], label: NDArray[np.int64]) -> tuple[float, ...]:
    """Return the slopes, then the FLAT offset, that make these classes (N,) likeliest: Newton, convex.

    Parameters
    ----------
    logits : sequence of ndarray of shape (N, 3)
        Of several forecasters; their slopes are held towards equal shares of 1, and none is negative.
    label : ndarray of shape (N,)

    Raises
    ------
    ValueError
        If a logit is not finite: no step would ever be short enough.
    """
    if not all(np.isfinite(each).all() for each in logits):
        raise ValueError("logits of validation rows are not finite, there is nothing to calibrate")
    goal = np.array([1 / len(logits)] * len(logits) + [0.0])
    weights = goal
    design = np.stack([*logits, np.broadcast_to(UNIT, logits[0].shape)], axis=2)  # (N, 3, forecasters + 1)
    true = np.take_along_axis(design, label[:, None, None], axis=1)[:, 0]

    def loss_of(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = design @ at
        scores -= scores.max(1, keepdims=True)
        log_p = scores - np.log(np.exp(scores).sum(1, keepdims=True))
        penalty = 0.5 * RIDGE * ((at - goal) ** 2).sum()
        return float(penalty - np.take_along_axis(log_p, label[:, None], axis=1).mean()), np.exp(log_p)

    loss, p = loss_of(weights)
    for _ in range(STEPS):
        mean = np.einsum("nk,nkj->nj", p, design)
        gradient = (mean - true).mean(0) + RIDGE * (weights - goal)
        hessian = np.einsum("nk,nki,nkj->ij", p, design, design) / len(label) - mean.T @ mean / len(label)
        step = np.linalg.solve(hessian + RIDGE * np.eye(len(goal)), gradient)
        while True:  # halve a step that goes too far
            trial = weights - step
            trial_loss, trial_p = loss_of(trial)
            if trial_loss <= loss or np.abs(step).max() < 1e-9:
                break
            step = step / 2
        weights, loss, p = trial, trial_loss, trial_p
        if np.abs(step).max() < 1e-9:
            break
    slopes, offset = weights[:-1], float(weights[-1])
    if len(logits) > 1 and slopes.min() < 0:  # of no use beside the others
        worst = int(slopes.argmin())
        rest = slopes_and_offset([each for k, each in enumerate(logits) if k != worst], label)
        return (*rest[:worst], 0.0, *rest[worst:])
    if SLOPES[0] <= slopes.sum() <= SLOPES[1]:
        return (*(float(slope) for slope in slopes), offset)
    slopes = slopes * np.clip(slopes.sum(), *SLOPES) / slopes.sum() if slopes.sum() > 0 else SLOPES[0] * goal[:-1]
    flat = (label == FLAT).mean().clip(1 / len(label), 1 - 1 / len(label))
    return (*(float(slope) for slope in slopes), float(np.log(2 * flat / (1 - flat))))  # the base rate is all there is


@on_one_thread
def calibration_of(logits: Sequence[Tensor], begun: Tensor | None, labels: Tensor, mask: Tensor) -> list[Answer]:
    """Return how each horizon is to be answered, from validation rows.

    Parameters
    ----------
    logits : sequence of Tensor of shape (N, 4, 3)
        Of each member.
    begun : Tensor of shape (N, 4, 3) or None
        Of what they began with; None if that was nothing.
    labels, mask : Tensor of shape (N, 24)
    """
    pooled = torch.stack(list(logits)).double().numpy()  # (members, N, 4, 3)
    found = []
    for horizon in range(pooled.shape[2]):
        known = mask[:, DIRECTION][:, horizon].numpy()
        if int(known.sum()) < MIN_ROWS:
            found.append(Answer())
            continue
        label = np.tile(labels[:, DIRECTION][:, horizon].numpy()[known].astype(np.int64), len(pooled))
        both = [pooled[:, known, horizon].reshape(-1, 3)]
        if begun is not None:
            both.append(np.tile(begun[:, horizon].double().numpy()[known], (len(pooled), 1)))
        network, *start, offset = slopes_and_offset(both, label)
        found.append(Answer(network, start[0] if start else 0.0, offset))
    return found


def calibrate_direction(
    networks: Sequence[UnifiedPatchTST],
    logits: Sequence[Tensor],
    labels: Tensor,
    mask: Tensor,
    start: Linear | None = None,
    begun: Tensor | None = None,
) -> list[Tensor]:
    """Fold the calibration into the direction heads of unified models; return their logits as they are from now on."""
    answers = calibration_of(logits, begun, labels, mask)
    network_slope, start_slope, offset = _columns(answers)
    for network in networks:
        head = head_of(network, "direction")
        _blend(head, start, network_slope, start_slope, offset * network.config.direction_temperature)
    by_horizon = (network_slope.unsqueeze(-1), start_slope.unsqueeze(-1), offset.unsqueeze(-1) * torch.tensor(UNIT))
    beside = 0.0 if begun is None else begun * by_horizon[1]
    return [(each * by_horizon[0] + beside + by_horizon[2]).float() for each in logits]


def calibrate_predictor(
    networks: Sequence[DirectionPredictor],
    logits: Sequence[Tensor],
    labels: Tensor,
    mask: Tensor,
    start: Linear | None = None,
    begun: Tensor | None = None,
) -> None:
    """Set the temperatures of direction models, and fold shares and offset into the weights of their heads."""
    network_slope, start_slope, offset = _columns(calibration_of(logits, begun, labels, mask))
    total = network_slope + start_slope
    for network in networks:
        _blend(head_of(network, "direction"), start, network_slope / total, start_slope / total, offset / total)
        network.calibrate(tuple((1 / total).tolist()))


def _columns(answers: Sequence[Answer]) -> tuple[Tensor, Tensor, Tensor]:
    columns = zip(*((each.network, each.start, each.offset) for each in answers), strict=True)
    network, start, offset = (torch.tensor(column, dtype=torch.float32) for column in columns)
    return network, start, offset


def _blend(head: nn.Linear, start: Linear | None, of_head: Tensor, of_start: Tensor, offset: Tensor) -> None:
    """Fold factors and FLAT offsets (4,) of horizons into a head of 4 x 3 outputs."""
    each = torch.ones(len(UNIT))
    linear = Linear.nothing(head) if start is None else start
    linear.blend(head, torch.outer(of_start, each).flatten(), torch.outer(of_head, each).flatten())
    with torch.no_grad():
        head.bias.add_(torch.outer(offset, torch.from_numpy(UNIT).float()).flatten())
