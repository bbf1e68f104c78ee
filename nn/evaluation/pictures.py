"""Pictures of a judgement for the MLflow UI. From: `Evaluation`. To: `nn.forecast.record`.

Figures are made without pyplot: no global state, no display, nothing to close.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from .figures import HORIZONS
from .verdict import Evaluation

CLASSES = ("up", "down", "flat")


def pictures(found: Evaluation) -> Iterator[tuple[str, Figure]]:
    """Yield file name and figure of every picture; of a period without rows there is none."""
    if not found.rows:
        return
    yield "information_coefficient.png", information_coefficient(found)
    yield "calibration_and_confusion.png", calibration_and_confusion(found)
    yield "profit_and_stability.png", profit_and_stability(found)


def information_coefficient(found: Evaluation) -> Figure:
    """Draw the IC of every forecaster at each horizon, with its 95 % interval."""
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    everyone = {"network": found.metrics, **found.baselines}
    for axes, horizon in zip(figure.subplots(1, 4, sharey=True), HORIZONS, strict=True):
        shown = [(who, each[f"ic_{horizon}"]) for who, each in everyone.items() if f"ic_{horizon}" in each]
        for place, (who, interval) in enumerate(shown):
            color = "tab:blue" if who == "network" else "0.45"
            axes.plot([interval.low, interval.high], [place, place], color=color)
            axes.plot(interval.value, place, "o", color=color)
        axes.axvline(0, color="0.8", linewidth=1)
        axes.set(title=f"IC {horizon}")
        axes.set_yticks(range(len(shown)), [who for who, _ in shown])
    return figure


def calibration_and_confusion(found: Evaluation) -> Figure:
    """Draw how often the answered class was right, and which class was taken for which."""
    figure = Figure(figsize=(13, 7), layout="constrained")
    panels = figure.subplots(2, 4)
    for axes, horizon in zip(panels[0], HORIZONS, strict=True):
        rows = found.calibration.get(horizon, [])
        axes.plot([0, 1], [0, 1], color="0.7", linestyle="--")
        axes.plot([row["said"] for row in rows], [row["right"] for row in rows], marker="o")
        axes.set(title=f"direction {horizon}", xlabel="said", ylabel="came true", xlim=(0, 1), ylim=(0, 1))
    for axes, horizon in zip(panels[1], HORIZONS, strict=True):
        table = np.array(found.confusion[horizon])
        share = table / np.maximum(table.sum(1, keepdims=True), 1)
        axes.imshow(share, vmin=0, vmax=1, cmap="Blues")
        for (true, said), value in np.ndenumerate(share):
            axes.text(said, true, f"{value:.0%}\n{table[true, said]}", ha="center", va="center",
                      color="white" if value > 0.5 else "black")  # fmt: skip
        axes.set(xlabel="answered", ylabel="true")
        axes.set_xticks(range(3), CLASSES)
        axes.set_yticks(range(3), CLASSES)
    return figure


def profit_and_stability(found: Evaluation) -> Figure:
    """Draw mean profit after costs by strength of the forecast, and the IC by month and regime."""
    figure = Figure(figsize=(13, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = [row["bucket"] for row in found.buckets]
    value = np.array([row["mean_profit"] for row in found.buckets])
    low, high = (np.array([row[f"mean_profit_{end}"] for row in found.buckets]) for end in ("low", "high"))
    left.errorbar(range(len(names)), value, np.maximum([value - low, high - value], 0), fmt="o")
    left.axhline(0, color="0.8", linewidth=1)
    left.set(title="4h profit of a trade after costs, by strength of the forecast", ylabel="ratio")
    left.set_xticks(range(len(names)), names)
    places = [f"{row['name']}" for row in found.stability]
    for horizon in ("1h", "4h"):
        right.plot(
            range(len(places)), [row.get(f"ic_{horizon}", np.nan) for row in found.stability], "o-", label=horizon
        )
    right.axhline(0, color="0.8", linewidth=1)
    right.set(title="IC by month and regime")
    right.set_xticks(range(len(places)), places, rotation=30)
    right.legend()
    return figure
