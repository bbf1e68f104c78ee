"""The training loop: AdamW, a cosine schedule, clipped gradients, and a stop when validation no longer improves.

From: `dataset.TrainingData` and a fresh network of any kind. To: the same network with its best weights, and the story
epoch by epoch. With a checkpoint a killed run goes on after its last whole epoch, to the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .adamw import AdamW
from .checkpoint import Checkpoint, State, generator_states, restore_generators
from .config import FitConfig
from .dataset import Samples, TrainingData
from .metrics import forecast_metrics
from .recipe import Raw, Recipe, to_device

JUDGE_BATCH = 256  # windows per forward pass without gradients: more need more memory and are no faster
CPU = torch.device("cpu")


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

    def over(self, config: FitConfig) -> bool:
        """Tell whether there is nothing more to train: all passes done, or patience at its end."""
        n_epochs = len(self.epochs)
        return n_epochs >= config.epochs or n_epochs - 1 - self.best_epoch >= config.patience


@dataclass
class Training:
    """What changes from step to step."""

    network: nn.Module
    optimizer: AdamW
    draw: np.random.Generator  # of the order of windows
    device: torch.device
    history: History = field(default_factory=History)
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    def state(self) -> State:
        """Return all of it as tensors and JSON."""
        groups = {"weights": self.network.state_dict(), "best": self.best_weights}
        tensors = {f"{group}.{name}": tensor for group, found in groups.items() for name, tensor in found.items()}
        for number, moments in self.optimizer.moments.items():
            tensors |= {f"moments.{number}.{name}": tensor for name, tensor in moments.items()}
        story = {
            "epochs": self.history.epochs,
            "best_epoch": self.history.best_epoch,
            "numpy": self.draw.bit_generator.state,
        }
        return State(tensors | generator_states(self.device), story)

    def restore(self, state: State) -> None:
        """Become what was saved."""
        self.network.load_state_dict(state.part("weights"))
        self.best_weights = state.part("best")
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in state.part("moments").items():
            number, name = key.split(".")
            moments.setdefault(int(number), {})[name] = tensor
        self.optimizer.restore(moments)
        self.draw.bit_generator.state = state.story["numpy"]
        self.history = History(state.story["epochs"], state.story["best_epoch"])
        restore_generators(state, self.device)


def fit(
    network: Any,
    recipe: Recipe,
    data: TrainingData,
    config: FitConfig,
    seed: int,
    on_batch: Callable[[int, int, int, float], None],
    on_epoch: Callable[[int, dict[str, float]], None],
    checkpoint: Checkpoint | None = None,
    device: torch.device = CPU,
) -> History:
    """Train until validation stops improving, then put the best weights back.

    Every pass reads one window in `train_stride` bars, because neighbours share all bars but one; the next pass begins
    one bar later, so that all windows are seen in turn. A step may add up the gradients of several batches. On CUDA the
    network runs in bfloat16 where torch's autocast thinks it safe; losses and weights are float32 everywhere.
    """
    network.to(device)
    optimizer = AdamW(network.parameters(), config.learning_rate, config.weight_decay)
    training = Training(network, optimizer, np.random.default_rng(seed), device)
    if checkpoint is not None and (saved := checkpoint.load()) is not None:
        training.restore(saved)
        for epoch, metrics in enumerate(training.history.epochs):
            on_epoch(epoch, metrics)
    history = training.history
    windows_per_step = config.batch_size * config.accumulate
    steps_per_epoch = max(1, len(data.train.every(config.train_stride)) // windows_per_step)
    rate = warmup_then_cosine(steps_per_epoch * config.epochs, config.warmup_share)
    judged = data.validation.every(config.validation_stride)
    while not history.over(config):
        epoch = len(history.epochs)
        metrics = _train_epoch(training, recipe, data, config, epoch, steps_per_epoch, rate, on_batch)
        found = judge(network, recipe, data, judged, run_heads(network, recipe, data, judged, device))
        metrics |= {f"val_{name}": value for name, value in found.items()}
        history.epochs.append(metrics)
        if metrics["val_loss"] < (history.best["val_loss"] if history.best_epoch >= 0 else math.inf):
            history.best_epoch = epoch
            training.best_weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        if checkpoint is not None:
            checkpoint.save(training.state())
        on_epoch(epoch, metrics)
    if history.best_epoch < 0:
        raise TrainingFailed(f"the validation loss was never a number in {len(history.epochs)} epochs")
    network.load_state_dict(training.best_weights)
    network.to(CPU).eval()
    return history


def _train_epoch(
    training: Training,
    recipe: Recipe,
    data: TrainingData,
    config: FitConfig,
    epoch: int,
    n_steps: int,
    rate: Callable[[int], float],
    on_batch: Callable[[int, int, int, float], None],
) -> dict[str, float]:
    """Make one pass; return the mean loss and its parts."""
    network, optimizer, device = training.network, training.optimizer, training.device
    network.train()
    samples = data.train.every(config.train_stride, phase=epoch)
    order = training.draw.permutation(len(samples))
    sums: dict[str, Tensor] = {}
    for step in range(n_steps):
        optimizer.learning_rate = config.learning_rate * rate(epoch * n_steps + step)
        optimizer.zero_grad()
        for part in range(config.accumulate):
            first = (step * config.accumulate + part) * config.batch_size
            x, labels, mask = (
                each.to(device) for each in data.batch(samples[order[first : first + config.batch_size]])
            )
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                raw = recipe.raw(network, x)
            loss, tasks = recipe.loss(network, to_device(raw, device), labels, mask)
            (loss / config.accumulate).backward()
            for name, value in (("loss", loss), *((f"loss_{task}", value) for task, value in tasks.items())):
                sums[name] = sums.get(name, 0.0) + value.detach()
        nn.utils.clip_grad_norm_(network.parameters(), config.max_grad_norm)
        optimizer.step()
        mean = sums["loss"].item() / ((step + 1) * config.accumulate)
        if not math.isfinite(mean):
            raise TrainingFailed(f"the loss of epoch {epoch + 1}, step {step + 1} is {loss.item()}")
        on_batch(epoch, step + 1, n_steps, mean)
    metrics = {f"train_{name}": total.item() / (n_steps * config.accumulate) for name, total in sums.items()}
    return metrics | {"learning_rate": config.learning_rate * rate((epoch + 1) * n_steps)}


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
def run_heads(
    network: Any, recipe: Recipe, data: TrainingData, samples: Samples, device: torch.device = CPU
) -> dict[str, Tensor]:
    """Return the raw heads of all samples, in their order."""
    network.eval()
    found: dict[str, list[Tensor]] = {}
    for start in range(0, len(samples), JUDGE_BATCH):
        part = samples[np.arange(start, min(start + JUDGE_BATCH, len(samples)))]
        x = torch.from_numpy(data.windows.batch(part.pairs, part.ends)).to(device)
        for name, value in to_device(recipe.raw(network, x), CPU).items():
            found.setdefault(name, []).append(value)
    return {name: torch.cat(values) for name, values in found.items()}


@torch.inference_mode()
def judge(network: Any, recipe: Recipe, data: TrainingData, samples: Samples, raw: Raw) -> dict[str, float]:
    """Return loss, its parts and all forecast metrics of the samples, as if they were one batch."""
    values, masks = data.labels(samples)
    home = next(network.parameters()).device
    on_home = to_device(raw, home)
    loss, parts = recipe.loss(network, on_home, torch.from_numpy(values).to(home), torch.from_numpy(masks).to(home))
    metrics = {"loss": loss.item(), **{f"loss_{name}": part.item() for name, part in parts.items()}}
    rows = recipe.rows(network, on_home).cpu().numpy()
    return metrics | forecast_metrics(recipe.wide(rows), values, masks)
