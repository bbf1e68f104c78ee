"""Pictures of one training of a policy for the MLflow UI: how it learned, what it foretold, what it earned.

From: the figures of every round of `ppo`, and one run over candles that taught it nothing. To: `nn.registry.store`.
Figures are made without pyplot: no global state, no display, nothing to close.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from .objective import quantile_levels

POLICY, HOLD, QUIET = "#0b6e99", "#c0692a", "0.6"  # colours that are told apart without seeing red and green
PANELS = {  # of `learning`: a figure of a round, and how its axis reads
    "reward": "reward of a step",
    "episode_return": "return of an episode",
    "cvar_dynamic": "CVaR of the return, as the critic sees it",
    "turnover": "traded a step, share of worth",
    "kl": "KL divergence of a round",
    "entropy": "entropy of the policy, nats",
    "explained_variance": "variance of returns explained",
    "critic": "loss of the quantiles",
}
SMOOTH = 20  # the thick line is a mean of the last twentieth of the rounds


@dataclass(frozen=True, eq=False)
class Validation:
    """A deterministic run over candles that taught the policy nothing, oldest first; T candles, N moments of all pairs.

    Attributes
    ----------
    times : ndarray of datetime64, shape (T,)
        UTC, closes of the candles.
    equity, hold : ndarray, shape (T,)
        Of the account, and of the same money in equal parts in the pairs; 1 at the first candle.
    weight : ndarray, shape (T,)
        Share of the equity that was held.
    traded : ndarray, shape (T,)
        Notional of the candle's trades over the equity.
    quantiles : ndarray, shape (N, Q)
        What the critic said about the discounted log growth to come.
    returns : ndarray, shape (N,)
        What came; NaN where the run ended before it was known.
    """

    times: NDArray
    equity: NDArray
    hold: NDArray
    weight: NDArray
    traded: NDArray
    quantiles: NDArray
    returns: NDArray


def figures(history: Sequence[dict[str, float]], validation: Validation | None = None) -> dict[str, Figure]:
    """Return every picture by its file name; without a validation run, those of the training alone."""
    drawn = {"learning.png": learning(history)}
    if validation is not None:
        drawn["quantiles.png"] = quantiles(validation.quantiles, validation.returns)
        drawn["equity.png"] = equity(validation)
    return drawn


def learning(history: Sequence[dict[str, float]]) -> Figure:
    """Draw each figure of the rounds over the steps played: every round pale, a running mean over it."""
    named = [name for name in PANELS if any(name in each for each in history)]
    rows = max(1, -(-len(named) // 3))
    figure = Figure(figsize=(13, 3.0 * rows), layout="constrained")
    panels = figure.subplots(rows, 3, squeeze=False).ravel()
    for axes, name in zip(panels, named, strict=False):
        steps = np.array([each["steps"] for each in history if name in each])
        values = np.array([each[name] for each in history if name in each])
        axes.plot(steps, values, color=POLICY, alpha=0.3, linewidth=0.8)
        axes.plot(steps, running_mean(values, max(1, len(values) // SMOOTH)), color=POLICY, linewidth=1.8)
        axes.set_title(PANELS[name], fontsize=10, loc="left")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        tidy(axes)
        if name == "explained_variance":
            axes.set_ylim(max(-1.0, min(0.0, float(values.min()))), 1.0)
            axes.axhline(0, color=QUIET, linewidth=0.8)
        if name in ("reward", "episode_return", "cvar_dynamic"):
            axes.axhline(0, color=QUIET, linewidth=0.8)
    for axes in panels[len(named) :]:
        axes.set_visible(False)
    figure.supxlabel("steps played", fontsize=10)
    return figure


def quantiles(said: NDArray, came: NDArray) -> Figure:
    """Draw whether the critic's quantiles (T, Q) are those of the returns that came (T,); NaN returns are left out."""
    known = np.isfinite(came)
    said, came = np.sort(said[known], axis=1), came[known]
    levels = np.asarray(quantile_levels(said.shape[1]))
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    below = (came[:, None] <= said).mean(0)
    left.plot([0, 1], [0, 1], color=QUIET, linestyle="--", linewidth=1, label="calibrated")
    left.plot(levels, below, color=POLICY, marker="o", markersize=3, label="critic")
    left.set(xlabel="level of the quantile", ylabel="share of returns below it", xlim=(0, 1), ylim=(0, 1))
    left.set_title(f"calibration: off by {np.abs(below - levels).mean():.3f} on average", fontsize=10, loc="left")
    left.legend(frameon=False)
    middle.plot(levels, np.quantile(came, levels), color=HOLD, marker="o", markersize=3, label="returns that came")
    middle.plot(levels, np.quantile(said, levels), color=POLICY, marker="o", markersize=3, label="critic, all candles")
    middle.set(xlabel="level of the quantile", ylabel="return")
    middle.set_title("quantiles of the return", fontsize=10, loc="left")
    middle.legend(frameon=False)
    order = np.argsort(said.mean(1), kind="stable")
    groups = [each for each in np.array_split(order, 20) if len(each)]
    value = np.array([said[each].mean() for each in groups])
    middle_of = np.array([came[each].mean() for each in groups])
    low, high = (np.array([np.quantile(came[each], q) for each in groups]) for q in (0.1, 0.9))
    right.fill_between(value, low, high, color=HOLD, alpha=0.2, linewidth=0, label="came: 10 % to 90 %")
    right.plot(value, middle_of, color=HOLD, marker="o", markersize=3, label="came: mean")
    right.plot(value, value, color=QUIET, linestyle="--", linewidth=1, label="as said")
    right.set(xlabel="value that the critic gave", ylabel="return")
    right.set_title("twentieths of the candles, by value", fontsize=10, loc="left")
    right.legend(frameon=False)
    right.xaxis.set_major_locator(MaxNLocator(6))
    for axes in (left, middle, right):
        tidy(axes)
    return figure


def equity(run: Validation) -> Figure:
    """Draw growth and drawdown beside buy-and-hold, the weight held and what was traded."""
    figure = Figure(figsize=(13, 8.5), layout="constrained")
    growth, depth, held, traded = figure.subplots(4, 1, sharex=True, height_ratios=(3, 1.4, 1.2, 1.0))
    for name, worth, colour in (("policy", run.equity, POLICY), ("buy and hold", run.hold, HOLD)):
        path = np.asarray(worth, dtype=np.float64)
        down = path / np.maximum.accumulate(path) - 1
        growth.plot(run.times, path, color=colour, linewidth=1.4, label=f"{name} {path[-1] - 1:+.1%}")
        depth.plot(run.times, down, color=colour, linewidth=1.0, label=f"{name} {down.min():.1%}")
        depth.fill_between(run.times, down, 0, color=colour, alpha=0.12, linewidth=0)
    growth.axhline(1, color=QUIET, linewidth=0.8)
    growth.set_ylabel("equity, begun at 1")
    growth.legend(frameon=False)
    depth.set_ylabel("drawdown")
    depth.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    depth.legend(frameon=False, loc="lower left", ncols=2)
    held.step(run.times, run.weight, where="post", color=POLICY, linewidth=0.8)
    held.axhline(0, color=QUIET, linewidth=0.8)
    held.set(ylabel="weight held", ylim=(min(-0.05, 1.05 * float(run.weight.min())), 1.05))
    traded.plot(run.times, np.cumsum(run.traded), color=POLICY, linewidth=1.2)
    traded.set_ylabel("traded so far,\ntimes the equity")
    for axes in (growth, depth, held, traded):
        tidy(axes)
    return figure


def running_mean(values: NDArray, width: int) -> NDArray[np.float64]:
    """Return the mean of the last `width` values, of all there are at the beginning."""
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - width, 0)
    return (sums[last] - sums[first]) / (last - first)


def tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
