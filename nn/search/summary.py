"""What a search found and how much of it may be luck: every trial counts (EVA-9).

From: the trials of a study. To: the table on the screen, `best.yaml`, MLflow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml
from rich.table import Table

from ..evaluation.overfitting import backtest_overfitting, deflated_sharpe_of, sharpe_ratio, spread_of
from .study import COMPLETE, FAILED, PRUNED, Trial

ANNUAL_DAYS = 365
RETURN = "net return of a day"


@dataclass(frozen=True)
class Summary:
    best: Trial
    n_trials: int  # all that were tried, pruned and failed ones too
    n_complete: int
    sharpe: float  # of the best, per year; 0 when its returns never changed
    deflated_sharpe: float | None  # None: unknown, which passes no gate
    pbo: float | None
    deviation: float | None  # of the daily Sharpe ratios of all that were completed; None: unknown

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
    sharpes = [sharpe_ratio(trial.returns) or 0.0 for trial in complete]  # 0 of one that never traded, as in PBO
    own = sharpe_ratio(best.returns) or 0.0
    deflated = deflated_sharpe_of(best.returns, sharpes, n_trials - len(complete))  # one given up is a try, too
    return Summary(
        best, n_trials, len(complete), own * ANNUAL_DAYS**0.5, deflated, _overfitting(complete), spread_of(sharpes)
    )


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


def profile(study: str, found: Summary, layer: Mapping[str, Any], value: str = RETURN) -> str:
    """Return the winner as a training profile, with what it is worth above it.

    Parameters
    ----------
    layer : mapping
        Its settings, its section `search` among them.
    value : str
        What the study made large.
    """
    head = [
        f"# Over the profiles of the search: trial {found.best.number} of study {study}, {found.n_trials} trials.",
        f"# {value[0].upper()}{value[1:]} on the inner folds {found.best.value:+.6f}; deflated Sharpe ratio"
        f" {_known(found.deflated_sharpe)}, probability of overfitting {_known(found.pbo)}.",
        f"# The trial repeats bit for bit with seed {found.best.seed}.",
    ]
    return "\n".join(head) + "\n\n" + yaml.safe_dump(dict(layer), sort_keys=True)


def searched(study: str, found: Summary, before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the section `search` of the winner: how many were tried, and how far they lie apart where that is kept.

    Parameters
    ----------
    before : mapping
        The section of the config that the search began with: trials of earlier searches count as well.
    """
    section = {"study": study, "trials": before["trials"] + found.n_trials}
    if "sharpe_deviation" in before:
        known = [each for each in (before["sharpe_deviation"], found.deviation) if each is not None]
        section |= {"sharpe_deviation": max(known, default=None), "pbo": found.pbo}
    return section


def _known(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value).replace(" ", "")
