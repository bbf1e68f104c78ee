"""DirectionalTradingLoss: classes weighed by what being wrong costs, minus what trading on them earns (LOS-3 to LOS-6).

From: logits of `direction.DirectionPredictor`, returns and classes of `nn.data.targets`. To: one number and its parts.

A target that is not known (mask False, value NaN) contributes exactly nothing, to the loss and to every gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.target_table import DOWN, FLAT, UP


@dataclass(frozen=True)
class TradingLossConfig:
    """Weights of LOS-3 to LOS-5."""

    horizon_weights: tuple[float, ...] = (0.2, 0.3, 0.35, 0.15)  # 15m, 1h, 4h, 12h
    class_weights: tuple[float, float, float] = (1.0, 1.0, 0.5)  # UP, DOWN, FLAT
    return_weight: float = 10.0  # a return of r makes its row 1 + 10 |r| times as heavy
    wrong_side: float = 2.0  # of |r| x the probability of the opposite side
    on_flat: float = 0.5  # of the probability of any side where nothing happened
    profit: float = 1.0  # lambda: of the expected profit
    cost: float = 0.003  # ratio, a round trip: 2 x (0.1% commission + 0.05% slippage)


def expected_profit(probability: Tensor, returns: Tensor, cost: float) -> Tensor:
    """Return E[pnl] = p_up (r - c) + p_down (-r - c) (LOS-4), for probabilities (..., 3) and returns (...)."""
    p_up, p_down = probability[..., UP], probability[..., DOWN]
    return p_up * (returns - cost) + p_down * (-returns - cost)


def directional_trading_loss(
    logits: Tensor, returns: Tensor, classes: Tensor, mask: Tensor, config: TradingLossConfig
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of a batch and its parts, each already weighed by horizon.

    Parameters
    ----------
    logits : Tensor of shape (B, H, 3)
    returns : Tensor of shape (B, H)
        Ratios; NaN where not known.
    classes : Tensor of shape (B, H)
        Codes of UP, DOWN and FLAT; anything where not known.
    mask : Tensor of shape (B, H), bool
    """
    shape = (len(logits), len(config.horizon_weights))
    if logits.shape != (*shape, 3) or returns.shape != shape or classes.shape != shape or mask.shape != shape:
        raise ValueError(
            f"logits, returns, classes, mask have shapes {[tuple(t.shape) for t in (logits, returns, classes, mask)]},"
            f" expected (B, {shape[1]}, 3) and three times (B, {shape[1]})"
        )
    r = torch.where(mask, returns, 0.0)  # NaN must not meet arithmetic: 0 x NaN is NaN in gradients too
    label = torch.where(mask, classes, torch.full_like(classes, FLAT)).long()
    log_p = logits.log_softmax(-1)
    p = log_p.exp()
    class_weight = torch.tensor(config.class_weights, device=logits.device)[label]
    right = log_p.gather(-1, label.unsqueeze(-1)).squeeze(-1)
    entropy = -right * class_weight * (1 + config.return_weight * r.abs())
    wrong = torch.where(label == UP, p[..., DOWN], torch.where(label == DOWN, p[..., UP], 0.0))
    penalty = config.wrong_side * r.abs() * wrong + torch.where(
        label == FLAT, config.on_flat * (p[..., UP] + p[..., DOWN]), 0.0
    )
    parts = {
        "cross_entropy": entropy,
        "penalty": penalty,
        "profit": -config.profit * expected_profit(p, r, config.cost),
    }
    weight = torch.tensor(config.horizon_weights, device=logits.device)
    known = mask.sum(0).clamp_min(1)
    weighed = {name: (weight * torch.where(mask, part, 0.0).sum(0) / known).sum() for name, part in parts.items()}
    return torch.stack(list(weighed.values())).sum(), weighed
