"""What a search found and how much of it may be luck: every trial counts (EVA-9).

From: the trials of a study. To: the table on the screen, `best.yaml`, MLflow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import yaml
from rich.table import Table

from ..evaluation.overfitting import backtest_overfitting, deflated_sharpe
from .space import layer_of
from .study import COMPLETE, FAILED, PRUNED, Trial

ANNUAL_DAYS = 365
RETURN = "net return of a day"


@dataclass(frozen=True)
class Summary:
    best: Trial
    n_trials: int  # all that were tried, pruned and failed ones too
    n_complete: int
    sharpe: float  # of the best, per year; NaN when its returns never changed
    deflated_sharpe: float | None  # None: unknown, which passes no gate
    pbo: float | None

    def metrics(self) -> dict[str, float]:
        """Return the figures that are known, by name."""
        found = {
            "trials": self.n_trials, "complete": self.n_complete, "value": self.best.value, "sharpe": self.sharpe,
            "net_return": sum(self.best.returns), "trades": self.best.trades,
            "deflated_sharpe": self.deflated_sharpe, "pbo": self.pbo,
        }  # fmt: skip
        return {name: float(value) for name, value in found.items() if value is not None and np.isfinite(value)}


def summarise(trials: Sequence[Trial]) -> Summary | None:
    """Return the best trial with its deflated Sharpe ratio and the study's PBO; None when no trial was completed."""
    complete = [trial for trial in trials if trial.state == COMPLETE and trial.value is not None]
    if not complete:
        return None
    best = max(complete, key=lambda trial: (trial.value, -trial.number))
    n_trials = sum(trial.counts for trial in trials)
    sharpes = np.array([_sharpe(trial.returns) for trial in complete])
    own = _sharpe(best.returns)
    return Summary(
        best, n_trials, len(complete), own * ANNUAL_DAYS**0.5, _deflated(best.returns, sharpes, n_trials),
        _overfitting(complete),
    )  # fmt: skip


def _sharpe(returns: Sequence[float]) -> float:
    """Return the Sharpe ratio of a day; 0 for a configuration that never traded, as in `backtest_overfitting`."""
    values = np.asarray(returns)
    spread = values.std(ddof=1) if len(values) > 1 else 0.0
    return float(values.mean() / spread) if spread > 0 else 0.0


def _deflated(returns: Sequence[float], sharpes: np.ndarray, n_trials: int) -> float | None:
    """Return the deflated Sharpe ratio; pruned trials count as tries, though their Sharpe ratios are not known."""
    values = np.asarray(returns)
    if len(values) < 3 or values.std() <= 0:
        return None
    z = (values - values.mean()) / values.std()
    variance = float(sharpes.var(ddof=1)) if len(sharpes) > 1 else 0.0
    skewness, kurtosis = float((z**3).mean()), float((z**4).mean())
    return deflated_sharpe(_sharpe(returns), len(values), skewness, kurtosis, n_trials, variance)


def _overfitting(complete: Sequence[Trial]) -> float | None:
    """Return the probability of backtest overfitting, from as many blocks as the days allow, 16 at most."""
    days = len(complete[0].returns)
    n_blocks = min(16, days // 2 // 2 * 2)
    if len(complete) < 2 or n_blocks < 4 or not any(any(trial.returns) for trial in complete):
        return None
    return backtest_overfitting(np.array([trial.returns for trial in complete]).T, n_blocks).probability


def table(trials: Sequence[Trial], found: Summary | None, value: str = RETURN, rows: int = 10) -> Table:
    """Return the best trials, one a row, and under them what the winner is worth."""
    made = Table(title=f"Search: {value} on the inner folds, after costs")
    for column in ("trial", "value", "trades", "parameters"):
        made.add_column(column, justify="left" if column == "parameters" else "right")
    complete = sorted((t for t in trials if t.state == COMPLETE), key=lambda t: -(t.value or 0.0))
    for trial in complete[:rows]:
        said = " ".join(f"{name}={_short(value)}" for name, value in trial.parameters.items())
        made.add_row(str(trial.number), f"{trial.value:+.6f}", str(trial.trades), said)
    counts = {state: sum(t.state == state and t.counts for t in trials) for state in (COMPLETE, PRUNED, FAILED)}
    said = ", ".join(f"{number} {state}" for state, number in counts.items())
    if found is not None:
        said += f"\nwinner, all {found.n_trials} trials counted: deflated Sharpe ratio {_known(found.deflated_sharpe)}"
        said += f" (0.95 is more than luck), probability of overfitting {_known(found.pbo)} (0.5 is luck)"
        said += (
            ""
            if found.best.value and found.best.value > 0
            else "\nthe winner does not earn its costs: nothing was found"
        )
    made.caption = said
    return made


def profile(study: str, found: Summary, value: str = RETURN, n_before: int | None = 0) -> str:
    """Return the winner as a training profile that says how many were tried, with what it is worth above it.

    Parameters
    ----------
    value : str
        What the study made large.
    n_before : int, optional
        Trials of earlier searches whose winner this one began with; None for a config that keeps no count of them.
    """
    head = [
        f"# Over the profiles of the search: trial {found.best.number} of study {study}, {found.n_trials} trials.",
        f"# {value[0].upper()}{value[1:]} on the inner folds {found.best.value:+.6f}; deflated Sharpe ratio"
        f" {_known(found.deflated_sharpe)}, probability of overfitting {_known(found.pbo)}.",
        f"# The trial repeats bit for bit with seed {found.best.seed}.",
    ]
    layer = layer_of(found.best.parameters)
    if n_before is not None:
        layer |= {"search": {"study": study, "trials": n_before + found.n_trials}}
    return "\n".join(head) + "\n\n" + yaml.safe_dump(layer, sort_keys=True)


def _known(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value).replace(" ", "")
