"""Pictures of a run for the MLflow page: loss curves, calibration, confusion matrices.

From: the history of `fit`, and forecast rows with their labels. To: matplotlib figures, which `registry.store` logs.
Figures are made without pyplot: no window, no global state, nothing to close.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ..models.losses import DIRECTION
from .metrics import CONFIDENCE_COLUMNS, DIRECTION_COLUMNS, HORIZONS, Bools, Floats, class_scores, reliability

CLASSES = ("up", "down", "flat")


def loss_curves(epochs: Sequence[dict[str, float]], best_epoch: int) -> Figure:
    """Draw the loss and each of its parts, train against validation; the line marks the epoch that was kept."""
    parts = sorted(name.removeprefix("val_") for name in epochs[0] if name.startswith("val_loss_"))
    names = ["loss", *(name for name in parts if f"train_{name}" in epochs[0])]
    figure = Figure(figsize=(13, 3.2 * -(-len(names) // 4)), layout="constrained")
    axes = figure.subplots(-(-len(names) // 4), 4, squeeze=False).ravel()
    passes = np.arange(1, len(epochs) + 1)
    for axis, name in zip(axes, names, strict=False):
        for part in ("train", "val"):
            axis.plot(passes, [epoch.get(f"{part}_{name}", np.nan) for epoch in epochs], marker=".", label=part)
        axis.axvline(best_epoch + 1, color="grey", linewidth=0.8, linestyle="--")
        axis.set_title(name.replace("_", " "))
        axis.set_xlabel("epoch")
    axes[0].legend()
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    return figure


def calibration(rows: Floats, labels: Floats, mask: Bools) -> Figure:
    """Draw what was said against how often it happened: probability of up, of down, and confidence, per horizon."""
    figure = Figure(figsize=(13, 3.6), layout="constrained")
    axes = figure.subplots(1, len(HORIZONS), sharex=True, sharey=True)
    probability = rows[:, DIRECTION_COLUMNS].reshape(len(rows), len(HORIZONS), 3)
    for index, (axis, horizon) in enumerate(zip(axes, HORIZONS, strict=True)):
        known = mask[:, DIRECTION][:, index]
        label = labels[known, DIRECTION][:, index]
        axis.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--")
        curves = {CLASSES[code]: (probability[known, index, code], label == code) for code in (0, 1)}
        answer = probability[known, index].argmax(-1)
        curves["confidence"] = (rows[known, CONFIDENCE_COLUMNS][:, index], answer == label)
        for name, (said, happened) in curves.items():
            if len(said):
                mean, share, _ = reliability(said, happened)
                axis.plot(mean, share, marker="o", markersize=3, label=name)
        axis.set_title(f"{horizon}, {int(known.sum())} rows")
        axis.set_xlabel("said")
    axes[0].set_ylabel("happened")
    axes[0].legend()
    return figure


def confusion_matrices(rows: Floats, labels: Floats, mask: Bools) -> Figure:
    """Draw the true class against the answered one per horizon, as shares of the true class."""
    figure = Figure(figsize=(13, 3.6), layout="constrained")
    axes = figure.subplots(1, len(HORIZONS))
    probability = rows[:, DIRECTION_COLUMNS].reshape(len(rows), len(HORIZONS), 3)
    for index, (axis, horizon) in enumerate(zip(axes, HORIZONS, strict=True)):
        scores = class_scores(probability[:, index], labels[:, DIRECTION][:, index], mask[:, DIRECTION][:, index])
        share = scores.confusion / np.maximum(scores.confusion.sum(1, keepdims=True), 1)
        axis.imshow(share, vmin=0, vmax=1, cmap="Blues")
        for true in range(3):
            for answer in range(3):
                colour = "white" if share[true, answer] > 0.5 else "black"
                text = f"{share[true, answer]:.2f}\n{scores.confusion[true, answer]}"
                axis.text(answer, true, text, ha="center", va="center", fontsize=8, color=colour)
        axis.set_xticks(range(3), CLASSES)
        axis.set_yticks(range(3), CLASSES)
        axis.set_title(f"{horizon}: accuracy {scores.accuracy:.3f}, macro-F1 {scores.macro_f1:.3f}", fontsize=9)
        axis.set_xlabel("answered")
    axes[0].set_ylabel("true")
    return figure
