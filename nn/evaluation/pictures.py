"""Pictures of a judgement for the MLflow UI. From: `Evaluation`. To: `nn.forecast.record`.

Figures are made without pyplot: no global state, no display, nothing to close.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .figures import HORIZONS
from .verdict import Evaluation

CLASSES = ("up", "down", "flat")
DRAWN = ("1h", "4h")


def pictures(found: Evaluation) -> Iterator[tuple[str, Figure]]:
    """Yield file name and figure of every picture; of a period that could not be judged there is none."""
    if not found.metrics:
        return
    overview = Figure(figsize=(13, 9))
    overview.subplots_adjust(left=0.12, right=0.98, top=0.95, bottom=0.09, hspace=0.3, wspace=0.25)
    panels = overview.subplots(2, 2)
    for draw, axes in zip((coefficients, calibration, profit, stability), panels.flat, strict=True):
        draw(axes, found)
    yield "overview.png", overview
    classes = Figure(figsize=(13, 3.6))
    for axes, horizon in zip(classes.subplots(1, 4), HORIZONS, strict=True):
        confusion(axes, found, horizon)
    yield "confusion.png", classes


def coefficients(axes: Axes, found: Evaluation) -> None:
    """Draw the IC of every forecaster at 1h and 4h, with its 95 % interval."""
    everyone = {"network": found.metrics, **found.baselines}
    for offset, horizon, color in zip((-0.15, 0.15), DRAWN, ("tab:blue", "tab:orange"), strict=True):
        for place, figures in enumerate(everyone.values()):
            if (interval := figures.get(f"ic_{horizon}")) is not None:
                axes.plot([interval.low, interval.high], [place + offset] * 2, color=color)
                axes.plot(interval.value, place + offset, "o", color=color)
        axes.plot([], [], "o-", color=color, label=horizon)
    axes.axvline(0, color="0.8", linewidth=1)
    axes.set_yticks(range(len(everyone)), list(everyone))
    axes.set(title="information coefficient, 95 % intervals")
    axes.legend()


def calibration(axes: Axes, found: Evaluation) -> None:
    """Draw how often the answered class was right, by what was said of it."""
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--")
    for horizon, rows in found.calibration.items():
        axes.plot([row["said"] for row in rows], [row["right"] for row in rows], marker="o", label=horizon)
    axes.set(title="calibration", xlabel="said", ylabel="came true", xlim=(0, 1), ylim=(0, 1))
    if found.calibration:
        axes.legend()


def profit(axes: Axes, found: Evaluation) -> None:
    """Draw the mean profit after costs by strength of the forecast."""
    names = [row["bucket"] for row in found.buckets]
    value, low, high = (
        np.array([row.get(f"mean_profit{end}", np.nan) for row in found.buckets], dtype=np.float64)
        for end in ("", "_low", "_high")
    )
    axes.errorbar(range(len(names)), value, np.maximum([value - low, high - value], 0), fmt="o")
    axes.axhline(0, color="0.8", linewidth=1)
    axes.set(title="4h profit of a trade after costs, by strength of the forecast", ylabel="ratio")
    axes.set_xticks(range(len(names)), names)


def stability(axes: Axes, found: Evaluation) -> None:
    """Draw the IC by month and by regime."""
    for horizon in DRAWN:
        ic = [row.get(f"ic_{horizon}", np.nan) for row in found.stability]
        axes.plot(range(len(ic)), ic, "o-", label=horizon)
    axes.axhline(0, color="0.8", linewidth=1)
    axes.set_xticks(range(len(found.stability)), [row["name"] for row in found.stability], rotation=30)
    axes.set(title="IC by month and regime")
    axes.legend()


def confusion(axes: Axes, found: Evaluation, horizon: str) -> None:
    """Draw which class was taken for which."""
    table = np.array(found.confusion[horizon])
    share = table / np.maximum(table.sum(1, keepdims=True), 1)
    axes.imshow(share, vmin=0, vmax=1, cmap="Blues")
    for (true, said), value in np.ndenumerate(share):
        color = "white" if value > 0.5 else "black"
        axes.text(said, true, f"{value:.0%}\n{table[true, said]}", ha="center", va="center", color=color)
    axes.set(title=f"direction {horizon}", xlabel="answered", ylabel="true")
    axes.set_xticks(range(3), CLASSES)
    axes.set_yticks(range(3), CLASSES)
