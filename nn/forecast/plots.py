"""Pictures of one version for the MLflow UI. From: its history and validation forecasts. To: `nn.registry.store`.

Figures are made without pyplot: no global state, no display, nothing to close.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from ..models.losses import DIRECTION
from .metrics import CONFIDENCE_COLUMNS, DIRECTION_COLUMNS, HORIZONS, class_scores, reliability
from .version import TrainedVersion

CLASSES = ("up", "down", "flat")


def figures(trained: TrainedVersion) -> Iterator[tuple[str, Figure]]:
    """Yield file name and figure of every picture."""
    yield "loss_curves.png", loss_curves(trained.history.epochs, trained.history.best_epoch)
    yield "loss_per_task.png", loss_per_task(trained.history.epochs)
    yield "calibration.png", calibration(trained)
    yield "confusion.png", confusion(trained)


def framed(width: float, height: float, **margins: float) -> Figure:
    """Return a figure of so many inches with fixed margins: a layout that fits itself takes as long as all the rest."""
    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(**{"right": 0.99, "top": 0.92, **margins})
    return figure


def loss_curves(epochs: list[dict[str, float]], best_epoch: int) -> Figure:
    figure = framed(10, 4, left=0.08, bottom=0.13)
    left, right = figure.subplots(1, 2)
    number = np.arange(1, len(epochs) + 1)
    for name in ("train_loss", "val_loss"):
        left.plot(number, [epoch[name] for epoch in epochs], marker="o", label=name.replace("_", " "))
    for horizon in HORIZONS:
        right.plot(number, [epoch[f"val_accuracy_{horizon}"] for epoch in epochs], marker="o", label=horizon)
    for axes, title in ((left, "loss"), (right, "direction accuracy, validation")):
        axes.axvline(best_epoch + 1, color="0.7", linestyle="--", label="kept")
        axes.set(title=title, xlabel="epoch")
        axes.legend()
    return figure


def loss_per_task(epochs: list[dict[str, float]]) -> Figure:
    tasks = [name.removeprefix("val_loss_") for name in epochs[0] if name.startswith("val_loss_")]
    figure = framed(12, 6, left=0.06, bottom=0.09, hspace=0.35, wspace=0.3)
    number = np.arange(1, len(epochs) + 1)
    for axes, task in zip(figure.subplots(2, 4).flat, tasks, strict=False):
        for part in ("train", "val"):
            axes.plot(number, [epoch[f"{part}_loss_{task}"] for epoch in epochs], marker="o", label=part)
        axes.set(title=task.replace("_", " "), xlabel="epoch")
    figure.axes[0].legend()
    return figure


def calibration(trained: TrainedVersion) -> Figure:
    """Draw how often what was said came true: the answered class, and the confidence in it."""
    figure = framed(12, 3.6, left=0.055, bottom=0.15, wspace=0.15)
    rows, labels, mask = trained.validation_rows, trained.validation_labels, trained.validation_mask
    probability = rows[:, DIRECTION_COLUMNS].reshape(len(rows), 4, 3)
    for index, (axes, horizon) in enumerate(zip(figure.subplots(1, 4, sharey=True), HORIZONS, strict=True)):
        known = mask[:, DIRECTION][:, index]
        right = probability[known, index].argmax(-1) == labels[known, DIRECTION][:, index]
        axes.plot([0, 1], [0, 1], color="0.7", linestyle="--")
        for name, said in (
            ("probability", probability[known, index].max(-1)),
            ("confidence", rows[known, CONFIDENCE_COLUMNS][:, index]),
        ):
            mean, share, count = reliability(said, right)
            axes.plot(mean, share, label=name)
            axes.scatter(mean, share, s=10 + 120 * count / count.sum())
        axes.set(title=f"direction {horizon}", xlabel="said", xlim=(0, 1), ylim=(0, 1))
    figure.axes[0].set_ylabel("came true")
    figure.axes[0].legend()
    return figure


def confusion(trained: TrainedVersion) -> Figure:
    figure = framed(13, 3.6, left=0.06, bottom=0.15, wspace=0.3)
    rows, labels, mask = trained.validation_rows, trained.validation_labels, trained.validation_mask
    probability = rows[:, DIRECTION_COLUMNS].reshape(len(rows), 4, 3)
    for index, (axes, horizon) in enumerate(zip(figure.subplots(1, 4), HORIZONS, strict=True)):
        known = mask[:, DIRECTION][:, index]
        scores = class_scores(probability[:, index], labels[:, DIRECTION][:, index], known)
        share = scores.confusion / np.maximum(scores.confusion.sum(1, keepdims=True), 1)
        axes.imshow(share, vmin=0, vmax=1, cmap="Blues")
        for true in range(3):
            for answered in range(3):
                color = "white" if share[true, answered] > 0.5 else "black"
                text = f"{share[true, answered]:.0%}\n{scores.confusion[true, answered]}"
                axes.text(answered, true, text, ha="center", va="center", color=color)
        axes.set(title=f"direction {horizon}: {scores.accuracy:.1%} right", xlabel="answered", ylabel="true")
        axes.set_xticks(range(3), CLASSES)
        axes.set_yticks(range(3), CLASSES)
    return figure
