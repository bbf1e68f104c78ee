"""What each head is asked to learn, and how the parts are weighed (LOS-1, LOS-2).

From: the raw heads of `unified.UnifiedPatchTST` and the 24 columns of `nn.data.targets` with their mask.
To: one number to minimise and its parts, which `nn.forecast.train` logs per epoch.

A target that is not known (mask False, value NaN) contributes exactly nothing, to the loss and to every gradient.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .unified import RISK_REWARD_CEILING, UnifiedPatchTST

# Columns of the target matrix, in the order of `nn.data.targets.TARGETS` (TGT-1..24).
RETURNS, DIRECTION, LONG_REACH, SHORT_REACH, RISK = (slice(start, start + 4) for start in range(0, 20, 4))
BEST_ACTION, TRADE = 20, slice(21, 24)  # class; signal_strength, risk_reward_ratio, optimal_hold_time
N_TARGETS = 24
RISK_FLOOR = 1e-4  # ratio (1 bp): excursions are learned on a log scale, and some are 0 or below
CONFIDENCE_WEIGHT = 0.2  # ours; LOS-1 names no weight for it


@dataclass(frozen=True)
class LossConfig:
    """Weights of the tasks (LOS-1) and of the direction part (LOS-2)."""

    returns: float = 0.7
    direction: float = 1.0
    long_reach: float = 0.5
    short_reach: float = 0.5
    risk: float = 0.4
    group_f: float = 0.3
    class_weights: tuple[float, float, float] = (1.3, 1.3, 0.7)  # UP, DOWN, FLAT
    focal_gamma: float = 2.0
    label_smoothing: float = 0.05  # probability taken from the true class and spread over all three
    anti_collapse: float = 0.6  # price of always answering the same class


@dataclass(frozen=True)
class Scales:
    """Units of the continuous heads; the same numbers scale the answers back in `UnifiedPatchTST.forecast`."""

    return_scale: Tensor
    risk_log_mean: Tensor
    risk_log_scale: Tensor

    @classmethod
    def of(cls, model: UnifiedPatchTST) -> Scales:
        return cls(model.return_scale, model.risk_log_mean, model.risk_log_scale)


def unified_loss(
    heads: Mapping[str, Tensor], targets: Tensor, mask: Tensor, scales: Scales, config: LossConfig
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the weighted loss of a batch and its parts before weighting.

    Parameters
    ----------
    heads : mapping of str to Tensor
        What `UnifiedPatchTST.forward` returns for B windows.
    targets, mask : Tensor of shape (B, 24), float32 and bool
        Labels and which of them are known; what is not known may be NaN.
    """
    if targets.shape != mask.shape or targets.shape[1:] != (N_TARGETS,):
        raise ValueError(
            f"targets have shape {tuple(targets.shape)}, mask {tuple(mask.shape)}, expected both (B, {N_TARGETS})"
        )
    known = torch.where(mask, targets, 0.0)  # NaN must not meet arithmetic: 0 x NaN is NaN in gradients too
    unit = heads["log_volatility"]  # (B, 1), from the window alone (MOD-9)
    scaled_return, log_risk = scaled_numbers(known, unit, scales)
    ceilings = torch.tensor([1.0, RISK_REWARD_CEILING, 1.0], device=targets.device)
    action_weight = torch.ones(3, device=targets.device)
    parts = {
        "returns": masked_mean(F.smooth_l1_loss(heads["returns"], scaled_return, reduction="none"), mask[:, RETURNS]),
        "direction": direction_loss(heads["direction"], known[:, DIRECTION].long(), mask[:, DIRECTION], config),
        "long_reach": _binary(heads["long_reach"], known[:, LONG_REACH], mask[:, LONG_REACH]),
        "short_reach": _binary(heads["short_reach"], known[:, SHORT_REACH], mask[:, SHORT_REACH]),
        "risk": masked_mean(F.smooth_l1_loss(heads["risk"], log_risk, reduction="none"), mask[:, RISK]),
        "best_action": weighted_cross_entropy(
            heads["best_action"], known[:, BEST_ACTION].long(), mask[:, BEST_ACTION], action_weight
        ),
        "trade": _binary(heads["trade"], known[:, TRADE] / ceilings, mask[:, TRADE]),  # soft labels in 0..1
        "confidence": confidence_loss(heads, known[:, DIRECTION].long(), mask[:, DIRECTION]),
    }
    weights = {
        "returns": config.returns,
        "direction": config.direction,
        "long_reach": config.long_reach,
        "short_reach": config.short_reach,
        "risk": config.risk,
        "best_action": config.group_f / 2,
        "trade": config.group_f / 2,
        "confidence": CONFIDENCE_WEIGHT,
    }
    total = torch.stack([weights[name] * part for name, part in parts.items()]).sum()
    return total, parts


def scaled_numbers(targets: Tensor, unit: Tensor, scales: Scales) -> tuple[Tensor, Tensor]:
    """Return returns and log risks (B, 4) of targets (B, 24) in the units of their heads; `unit` is log volatility."""
    log_risk = targets[:, RISK].clamp_min(RISK_FLOOR).log()
    return targets[:, RETURNS] / (scales.return_scale * unit.exp()), (
        log_risk - unit - scales.risk_log_mean
    ) / scales.risk_log_scale


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of the known values; 0 when there is none."""
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp_min(1)


def _binary(logits: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    return masked_mean(F.binary_cross_entropy_with_logits(logits, labels, reduction="none"), mask)


def weighted_cross_entropy(
    logits: Tensor, labels: Tensor, mask: Tensor, class_weights: Tensor, gamma: float = 0.0, smoothing: float = 0.0
) -> Tensor:
    """Return the focal cross-entropy (Lin et al., 2017) with smoothed labels, weighed by the true class, (..., K)."""
    log_p = logits.log_softmax(-1)
    true_log_p = log_p.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    cross_entropy = -(1 - smoothing) * true_log_p - smoothing * log_p.mean(-1)
    # 1 - p by expm1, and never 0: the slope of 0**gamma is not finite for gamma < 1.
    focus = (-torch.expm1(true_log_p)).clamp_min(1e-8) ** gamma if gamma else 1.0
    weight = torch.where(mask, class_weights[labels], 0.0)
    return (weight * focus * cross_entropy).sum() / weight.sum().clamp_min(1e-8)


def direction_loss(logits: Tensor, labels: Tensor, mask: Tensor, config: LossConfig) -> Tensor:
    """Return the mean over horizons of focal cross-entropy plus the price of a batch that names one class only.

    The anti-collapse term is 1 - entropy(mean probabilities of the batch) / ln 3: 0 when the classes are named equally
    often, 1 when one class takes everything, whatever the single row says.
    """
    class_weights = torch.tensor(config.class_weights, device=logits.device)
    parts = []
    for horizon in range(logits.shape[1]):
        rows = mask[:, horizon]
        fit = weighted_cross_entropy(
            logits[:, horizon], labels[:, horizon], rows, class_weights, config.focal_gamma, config.label_smoothing
        )
        probability = torch.where(rows.unsqueeze(-1), logits[:, horizon].softmax(-1), 0.0)
        mean = probability.sum(0) / rows.sum().clamp_min(1)
        entropy = -(mean * mean.clamp_min(1e-8).log()).sum() / math.log(3.0)
        parts.append(fit + config.anti_collapse * (1 - entropy) * rows.any())
    return torch.stack(parts).mean()


def confidence_loss(heads: Mapping[str, Tensor], labels: Tensor, mask: Tensor) -> Tensor:
    """Return how badly confidence foretells whether the most probable class of its horizon is the right one."""
    right = (heads["direction"].detach().argmax(-1) == labels).float()
    return _binary(heads["confidence"], right, mask)
