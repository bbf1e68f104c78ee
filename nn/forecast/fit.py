"""The training loop: AdamW, a cosine schedule, clipped gradients, and a stop when validation no longer improves.

From: `dataset.TrainingData` and a fresh model. To: the same model with its best weights, and the story epoch by epoch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from ..models.losses import LossConfig, Scales, unified_loss
from ..models.unified import UnifiedPatchTST
from .config import FitConfig
from .dataset import Samples, TrainingData
from .metrics import forecast_metrics

JUDGE_BATCH = 1024  # windows per forward pass without gradients


class TrainingFailed(RuntimeError):
    """The loss is no number any more; the weights are of no use."""


@dataclass
class History:
    """One dictionary of metrics per epoch, and which epoch was the best."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = -1

    @property
    def best(self) -> dict[str, float]:
        return self.epochs[self.best_epoch]


def fit(
    model: UnifiedPatchTST,
    data: TrainingData,
    config: FitConfig,
    loss_config: LossConfig,
    seed: int,
    on_batch: Callable[[int, int, int, float], None],
    on_epoch: Callable[[int, dict[str, float]], None],
) -> History:
    """Train until validation stops improving, then put the best weights back.

    Every pass reads one window in `train_stride` bars, because neighbours share all bars but one; the next pass begins
    one bar later, so that all windows are seen in turn.
    """
    draw = np.random.default_rng(seed)
    scales = Scales.of(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    steps_per_epoch = max(1, len(data.train.every(config.train_stride)) // config.batch_size)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, warmup_then_cosine(steps_per_epoch * config.epochs, config.warmup_share)
    )
    judged = data.validation.every(config.validation_stride)
    history, best_loss, best_weights = History(), math.inf, {}
    for epoch in range(config.epochs):
        model.train()
        samples = data.train.every(config.train_stride, phase=epoch)
        order = draw.permutation(len(samples))
        sums: dict[str, float] = {}
        for step in range(steps_per_epoch):
            chosen = order[step * config.batch_size : (step + 1) * config.batch_size]
            x, labels, mask = data.batch(samples[chosen])
            loss, parts = unified_loss(model(x), labels, mask, scales, loss_config)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
            optimizer.step()
            scheduler.step()
            for name, part in [("loss", loss), *((f"loss_{task}", part) for task, part in parts.items())]:
                sums[name] = sums.get(name, 0.0) + part.item()
            if not math.isfinite(sums["loss"]):
                raise TrainingFailed(f"the loss of epoch {epoch + 1}, step {step + 1} is {loss.item()}")
            on_batch(epoch, step + 1, steps_per_epoch, sums["loss"] / (step + 1))
        metrics = {f"train_{name}": total / steps_per_epoch for name, total in sums.items()}
        found = judge(model, data, judged, run_heads(model, data, judged), loss_config)
        metrics |= {f"val_{name}": value for name, value in found.items()}
        metrics["learning_rate"] = float(scheduler.get_last_lr()[0])
        history.epochs.append(metrics)
        if metrics["val_loss"] < best_loss:
            best_loss, history.best_epoch = metrics["val_loss"], epoch
            best_weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        on_epoch(epoch, metrics)
        if epoch - history.best_epoch >= config.patience:
            break
    if not best_weights:
        raise TrainingFailed(f"the validation loss was never a number in {config.epochs} epochs")
    model.load_state_dict(best_weights)
    model.eval()
    return history


def warmup_then_cosine(total_steps: int, warmup_share: float) -> Callable[[int], float]:
    """Return the factor of the learning rate at a step: up in a line, then down along half a cosine to 0."""
    warmup = max(1, round(total_steps * warmup_share))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        done = (step - warmup) / max(1, total_steps - warmup)
        return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    return factor


@torch.inference_mode()
def run_heads(model: UnifiedPatchTST, data: TrainingData, samples: Samples) -> dict[str, Tensor]:
    """Return the raw heads of all samples, in their order."""
    model.eval()
    found: dict[str, list[Tensor]] = {}
    for start in range(0, len(samples), JUDGE_BATCH):
        part = samples[np.arange(start, min(start + JUDGE_BATCH, len(samples)))]
        for name, value in model(torch.from_numpy(data.windows.batch(part.pairs, part.ends))).items():
            found.setdefault(name, []).append(value)
    return {name: torch.cat(values) for name, values in found.items()}


@torch.inference_mode()
def judge(
    model: UnifiedPatchTST, data: TrainingData, samples: Samples, heads: dict[str, Tensor], loss_config: LossConfig
) -> dict[str, float]:
    """Return loss, its parts and all forecast metrics of the samples, as if they were one batch."""
    values, masks = data.labels(samples)
    loss, parts = unified_loss(heads, torch.from_numpy(values), torch.from_numpy(masks), Scales.of(model), loss_config)
    metrics = {"loss": loss.item(), **{f"loss_{name}": part.item() for name, part in parts.items()}}
    return metrics | forecast_metrics(model.to_columns(heads).numpy(), values, masks)
