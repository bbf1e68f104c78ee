"""Judges policies on candles that came after them: every figure beside its rivals and with its interval (EVA-1, EVA-3).

From: signed versions of a line and candles. To: tables on stdout, the signed evaluation that gates read (PRM-10).
`python -m nn.policy.judge --line policy-15m --datadir DIR` judges a chain again, from what is signed alone.

Intervals resample days in blocks of five, because days that follow each other resemble one another; over several seeds
they resample the seeds as well, which is what says how much of a result was luck in training.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from rich.table import Table

from ..evaluation.bootstrap import block_indices
from ..evaluation.overfitting import deflated_sharpe_of, sharpe_ratio, spread_of
from .account import Account, Floats, Frames, account_of, cvar, figures_of, joined, sharpe, sortino
from .rivals import LINEAR, RIVALS, Linear, holders
from .trading import TradingData
from .trading_config import SearchedSection
from .version import Policy

BLOCK_DAYS, N_RESAMPLES, CONFIDENCE = 5, 2000, 0.95
NOT_SEARCHED = SearchedSection()
SHOWN = (
    "net_return", "sharpe", "sortino", "cvar_5", "cvar_5_week", "calmar", "max_drawdown", "turnover", "win_rate",
    "mean_weight", "trades",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Judged:
    """One period: the accounts of every seed of the policy and of its rivals, over the same candles."""

    begin: datetime
    end: datetime
    seeds: tuple[Account, ...]  # of the policy; the first is the one that is signed
    rivals: dict[str, list[Account]]


@dataclass(frozen=True, eq=False)
class Judgement:
    """What one period, or a chain of them, came to."""

    begin: datetime
    end: datetime
    rows: int
    figures: dict[str, float]  # of the signed policy
    rivals: dict[str, dict[str, float]]
    intervals: dict[str, tuple[float, float]]  # 95 %, over days
    seed_figures: tuple[dict[str, float], ...]
    seed_intervals: dict[str, tuple[float, float]]  # 95 %, over days and seeds, of the seeds' mean
    # The chance that the Sharpe ratio is above the best of so many tries without skill (EVA-9); None: nobody can say.
    deflated_sharpe: float | None
    searched: SearchedSection  # trials besides these seeds, and how far all tries lie apart
    above: dict[str, tuple[float, float, float]]  # mean daily return of all seeds over each rival's, and its interval

    @property
    def best(self) -> str:
        """The rival with the highest Sortino ratio."""
        return max(self.rivals, key=lambda name: self.rivals[name]["sortino"])

    @property
    def beats(self) -> bool:
        """Whether its Sortino ratio is above every rival's, and more of it is shown than chance would."""
        return self.figures["sortino"] > self.rivals[self.best]["sortino"] and self.above[self.best][1] > 0

    @property
    def reasons(self) -> tuple[str, ...]:
        said = []
        for name, figures in self.rivals.items():
            word = "above" if self.figures["sortino"] > figures["sortino"] else "not above"
            mean, low, high = self.above[name]
            said.append(
                f"Sortino {self.figures['sortino']:.2f} is {word} {name} {figures['sortino']:.2f}; per day"
                f" {mean * 1e4:+.1f} bps over it, 95 % interval {low * 1e4:+.1f} to {high * 1e4:+.1f}"
            )
        luck = "unknown" if self.deflated_sharpe is None else f"{self.deflated_sharpe:.3f}"
        said.append(f"deflated Sharpe ratio {luck}, tries counted: {self.n_tries}")
        return tuple(said)

    @property
    def n_tries(self) -> int:
        """Seeds that were trained, and trials of the search that found their settings."""
        return len(self.seed_figures) + self.searched.trials

    def payload(self, line: str, version: str) -> dict:
        """Return the fields of `nn.registry.evaluations.Evaluation`."""
        metrics = dict(self.figures)
        for kind, found in (("", self.intervals), ("_seeds", self.seed_intervals)):
            for name, (low, high) in found.items():
                metrics |= {f"{name}{kind}_low": low, f"{name}{kind}_high": high}
        for name, (mean, low, high) in self.above.items():
            metrics |= {f"above_{name}": mean, f"above_{name}_low": low, f"above_{name}_high": high}
        metrics["seeds"] = float(len(self.seed_figures))
        trading = {name: self.figures[name] for name in ("trades", "net_return", "max_drawdown", "sharpe")}
        trading["trials"] = float(self.n_tries)
        known = {
            "deflated_sharpe": self.deflated_sharpe, "trials_deviation": self.searched.sharpe_deviation,
            "pbo": self.searched.pbo,
        }  # fmt: skip
        trading |= {name: figure for name, figure in known.items() if figure is not None}
        return {
            "schema_version": 1, "line": line, "version": version, "begin": self.begin, "end": self.end,
            "rows": self.rows, "metrics": metrics, "baselines": self.rivals, "trading": trading,
            "verdict": {"beats_baselines": self.beats, "reasons": self.reasons},
        }  # fmt: skip


def judge_policy(
    policies: Sequence[Policy], data: TradingData, frames: Frames, begin: datetime, end: datetime, seed: int = 7
) -> Judged:
    """Return the accounts of one version's seeds and of its rivals over the candles that close in [begin, end]."""
    runs = [account_of(policy, frames, begin, end) for policy in policies]
    rivals = holders(policies[0], frames, runs[0][1], begin, end, seed)
    rivals[LINEAR] = [Linear(data, policies[0]).account(frames, begin, end)]
    return Judged(begin, end, tuple(account for account, _ in runs), rivals)


def chained(parts: Sequence[Judged]) -> Judged:
    """Return several periods as one; the accounts go on from one to the next."""
    n_seeds = min(len(part.seeds) for part in parts)
    return Judged(
        parts[0].begin,
        parts[-1].end,
        tuple(joined([part.seeds[k] for part in parts]) for k in range(n_seeds)),
        {
            name: [joined([part.rivals[name][k] for part in parts]) for k in range(len(parts[0].rivals[name]))]
            for name in RIVALS
        },
    )


def judgement(judged: Judged, seed: int = 7, searched: SearchedSection = NOT_SEARCHED) -> Judgement:
    """Return figures and intervals of what was judged; trials of the search behind it are tries, as its seeds are."""
    own = [account.day_returns for account in judged.seeds]
    found = {name: [figures_of(account) for account in accounts] for name, accounts in judged.rivals.items()}
    rivals = {
        name: {figure: float(np.median([each[figure] for each in figures])) for figure in figures[0]}
        for name, figures in found.items()
    }
    theirs = {name: np.mean([account.day_returns for account in accounts], axis=0)
              for name, accounts in judged.rivals.items()}  # fmt: skip
    draw = np.random.default_rng([seed, 3])
    days = [block_indices(len(own[0]), BLOCK_DAYS, draw) for _ in range(N_RESAMPLES)]
    seeds = draw.integers(0, len(own), (N_RESAMPLES, len(own)))
    drawn = np.stack(own)
    intervals = {name: _interval([of(own[0][rows]) for rows in days]) for name, of in RESAMPLED.items()}
    seed_intervals = {
        name: _interval([_mean(of, drawn[chosen][:, rows]) for rows, chosen in zip(days, seeds, strict=True)])
        for name, of in RESAMPLED.items()
    }
    above = {}
    for name, rival in theirs.items():
        over = [float((drawn[chosen].mean(0) - rival)[rows].mean()) for rows, chosen in zip(days, seeds, strict=True)]
        above[name] = (float((drawn.mean(0) - rival).mean()), *_interval(over))
    first = judged.seeds[0]
    tries = [sharpe_ratio(each) or 0.0 for each in own]
    apart = spread_of(tries, searched.sharpe_deviation)
    return Judgement(
        judged.begin, judged.end, len(first.closes), figures_of(first), rivals, intervals,
        tuple(figures_of(account) for account in judged.seeds), seed_intervals,
        deflated_sharpe_of(own[0], tries, searched.trials, apart),
        searched.model_copy(update={"sharpe_deviation": apart}), above,
    )  # fmt: skip


RESAMPLED: dict[str, Callable[[Floats], float]] = {
    "net_return": lambda returns: float(np.prod(1 + returns) - 1),
    "sharpe": sharpe,
    "sortino": sortino,
    "cvar_5": cvar,
}


def table(found: Judgement, title: str) -> Table:
    """Return the judgement as a table: a row per figure, a column per account."""
    drawn = Table(title=title, box=None, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")
    drawn.add_column("figure", no_wrap=True)
    for name in ("policy", "95 % of days", "mean of seeds", "95 % of both", *RIVALS):
        drawn.add_column(name, justify="right", no_wrap=True)
    for name in SHOWN:
        spread = found.intervals.get(name)
        over_seeds = found.seed_intervals.get(name)
        mean = float(np.mean([each[name] for each in found.seed_figures]))
        drawn.add_row(
            name, f"{found.figures[name]:.3f}", _between(spread), f"{mean:.3f}", _between(over_seeds),
            *(f"{found.rivals[rival][name]:.3f}" for rival in RIVALS),
        )  # fmt: skip
    return drawn


def _between(pair: tuple[float, float] | None) -> str:
    return "" if pair is None else f"{pair[0]:.2f}..{pair[1]:.2f}"


def _mean(of: Callable[[Floats], float], returns: Floats) -> float:
    """Return the mean of a figure over the rows of returns (seeds, days)."""
    return float(np.mean([of(each) for each in returns]))


def _interval(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


if __name__ == "__main__":
    from .judge_line import main

    sys.exit(main())
