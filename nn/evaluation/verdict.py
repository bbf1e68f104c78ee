"""What the figures amount to: does the network beat the best of the simple forecasters (PRM-1..3)?

From: a `Judged` period. To: the signed judgement beside the version, MLflow, the table of the terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from ..registry.thresholds import Thresholds, load_thresholds
from .bootstrap import Interval, percentiles
from .drift import DRIFTED, drifted
from .figures import HORIZONS, Judge, calibration_sums, one_hot
from .figures import figures as figures_of
from .judged import NETWORK, Judged
from .regimes import REGIMES
from .trading import DEFAULT_STRENGTH, STRENGTHS, Trades, profit_by_bucket, trade, trading_figures

LEAST_ROWS = 20  # of a month or regime that gets a line of its own
LOWER_IS_BETTER = ("ece", "brier", "mae")

Figures = dict[str, float]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Everything that is said of a version, or of a chain, over candles that close in [begin, end)."""

    begin: datetime
    end: datetime
    rows: int
    metrics: dict[str, Interval]
    baselines: dict[str, dict[str, Interval]]
    trading: Figures
    beats_baselines: bool
    suspected_leak: bool
    reasons: tuple[str, ...]
    best: dict[str, tuple[str, float]]  # figure -> best baseline and its value
    stability: list[dict[str, Any]] = field(default_factory=list)  # rows by month and by regime
    buckets: list[dict[str, Any]] = field(default_factory=list)  # profit by strength
    calibration: dict[str, list[dict[str, float]]] = field(default_factory=dict)  # curve per horizon
    confusion: dict[str, list[list[int]]] = field(default_factory=dict)  # true class down, answered across
    inputs: Figures = field(default_factory=dict)  # population stability index
    differences: dict[str, Interval] = field(default_factory=dict)  # network less best baseline, same resamples
    asked: tuple[str, ...] = ()  # figures that promotion asks for

    def figures(self) -> Figures:
        """Return the network's figures and their intervals, flat; what is not a number is left out."""
        drift = {"inputs_drifted": float(sum(v > DRIFTED for v in self.inputs.values())), "drift": float(self.drift)}
        leak = {"suspected_leak": float(self.suspected_leak)}
        return {**flat(self.metrics), **(drift if self.inputs else {}), **(leak if self.rows else {})}

    @property
    def drift(self) -> bool:
        return bool(self.inputs) and drifted(self.inputs)

    def payload(self, line: str, version: str) -> dict[str, Any]:
        """Return what is signed beside the version (`nn.registry.evaluations`)."""
        return {
            "schema_version": 1,
            "line": line,
            "version": version,
            "begin": self.begin,
            "end": self.end,
            "rows": self.rows,
            "metrics": self.figures(),
            "baselines": {name: flat(found) for name, found in self.baselines.items()},
            "trading": finite(self.trading),
            "verdict": {"beats_baselines": self.beats_baselines, "reasons": list(self.reasons)},
        }

    def flat(self) -> Figures:
        """Return rows, the network's figures, the best baselines' as best_NAME, trading: what a run's metrics hold."""
        best = {f"best_{name}": value for name, (_, value) in self.best.items()}
        told = {f"{who}_{name}": each.value for who, found in self.baselines.items()
                for name, each in found.items() if name in self.asked}  # fmt: skip
        return {"rows": float(self.rows), **self.figures(), **finite(best | told | self.trading)}

    def document(self) -> dict[str, Any]:
        """Return all of it as plain JSON, for people: evaluation.json of a run, `tools/report`."""
        shown = self.payload("", "")
        del shown["line"], shown["version"]
        return shown | {
            "begin": self.begin.isoformat(),
            "end": self.end.isoformat(),
            "verdict": shown["verdict"] | {"suspected_leak": self.suspected_leak, "drift": self.drift},
            "best_baseline": {name: {"baseline": who, "value": value} for name, (who, value) in self.best.items()},
            "less_best_baseline": flat(self.differences),
            "stability": self.stability,
            "profit_by_bucket": self.buckets,
            "calibration": self.calibration,
            "confusion": self.confusion,
            "inputs": self.inputs,
        }


def evaluate(
    judged: Judged,
    begin: datetime,
    end: datetime,
    block: float,
    seed: int = 7,
    n_searched: int = 0,
    thresholds: Thresholds | None = None,
) -> Evaluation:
    """Return the judgement of rows that close in [begin, end).

    Parameters
    ----------
    block : float
        Mean length of a block of the bootstrap, in moments: at least as long as labels overlap.
    n_searched : int
        Trials of a search before this version was chosen (they deflate its Sharpe ratio).
    thresholds : Thresholds, optional
        Those of `configs/nn/gates.yaml` unless given: verdict and gates measure by one file.
    """
    thresholds = thresholds or load_thresholds()
    if reason := unfit(judged):
        return Evaluation(begin, end, len(judged), {}, {}, {"trades": 0.0}, False, False, (reason,), {})
    judge = Judge(judged.outcomes.times, block, seed)
    found = {name: judge.of(forecast, judged.outcomes) for name, forecast in judged.forecasts.items()}
    network = found.pop(NETWORK)
    best = dict(best_baselines(network, found))
    forecast = judged.forecasts[NETWORK]
    needed = gated(thresholds, forecast.log_volatility is not None)
    losses = [*not_beaten(network, best, thresholds, needed), *not_judged(found, thresholds)]
    leaks = list(too_good(network, thresholds))
    reasons = [f"SuspectedLeak: {sentence}" for sentence in leaks]
    reasons += losses or ["beats or equals the best baseline in every figure that promotion asks for"]
    return Evaluation(
        begin=begin,
        end=end,
        rows=len(judged),
        metrics=network,
        baselines=found,
        trading=traded(judged, n_searched),
        beats_baselines=not losses,
        suspected_leak=bool(leaks),
        reasons=tuple(reasons),
        best=best,
        stability=[*by_month(judged), *by_regime(judged)],
        buckets=profit_by_bucket(forecast, judged.buckets[NETWORK], judged.outcomes, judge),
        calibration=calibration_curves(judged),
        confusion=confusions(judged),
        inputs=judged.stability,
        differences=differences(judged, judge, best, needed),
        asked=(*needed, *(f"accuracy_{h}" for h in thresholds.leak_horizons)),
    )


def unfit(judged: Judged) -> str:
    """Return why a period cannot be judged, nothing if it can: rows left out would flatter whoever could not answer."""
    if not len(judged):
        return "no candle of the period could be scored"
    broken = np.zeros(len(judged), dtype=bool)
    for part in judged.forecasts[NETWORK].parts:
        if part is not None:
            broken |= ~np.isfinite(part).reshape(len(judged), -1).all(1)
    return f"the network's answer to {broken.sum()} of {len(judged)} candles is not a number" if broken.any() else ""


def gated(thresholds: Thresholds, answers_volatility: bool) -> tuple[str, ...]:
    """Return the names of the figures in which the best baseline must not be better."""
    names = [f"{name}_{h}" for name in ("ic", "macro_f1") for h in thresholds.horizons]
    if answers_volatility:
        names += [f"volatility_r2_{h}" for h in thresholds.volatility_horizons]
    return tuple(names)


def too_good(network: Mapping[str, Interval], thresholds: Thresholds) -> Iterator[str]:
    """Yield a sentence for each figure that no honest forecaster of these markets reaches (PRM-3)."""
    for h in thresholds.leak_horizons:
        side, classes = network.get(f"accuracy_{h}"), network.get(f"over_majority_{h}")
        if side is not None and side.value > thresholds.leak_accuracy:
            yield (
                f"the side was right in {side} of all moves at {h}, honest forecasters stay below"
                f" {thresholds.leak_accuracy}"
            )
        if classes is not None and classes.value > thresholds.leak_over_majority:
            yield (
                f"the class at {h} was right in {classes} more rows than the most frequent class, honest forecasters"
                f" stay below {thresholds.leak_over_majority}"
            )


def differences(
    judged: Judged, judge: Judge, best: Mapping[str, tuple[str, float]], names: Sequence[str]
) -> dict[str, Interval]:
    """Return, for the figures that promotion asks for, the network's less the best baseline's on the same resamples."""
    asked = {name: best[name][0] for name in names if name in best}
    sought = {NETWORK, *asked.values()}
    by_name = {  # the rows of all figures of a long chain would be gigabytes
        who: {each.name: each for each in figures_of(judged.forecasts[who], judged.outcomes) if each.name in asked}
        for who in sought
    }
    found = {}
    for name, who in asked.items():
        ours, theirs = by_name[NETWORK][name], by_name[who][name]
        value = float(ours.value(ours.rows.sum(0)) - theirs.value(theirs.rows.sum(0)))
        found[name] = percentiles(value, judge.resamples(ours) - judge.resamples(theirs))
    return found


def best_baselines(
    network: Mapping[str, Interval], baselines: Mapping[str, Mapping[str, Interval]]
) -> Iterator[tuple[str, tuple[str, float]]]:
    """Yield for each figure of the network which baseline is best in it, and its value."""
    for name in network:
        values = {who: found[name].value for who, found in baselines.items() if name in found}
        if values:
            pick = min if name.startswith(LOWER_IS_BETTER) else max
            who = pick(values, key=lambda each: values[each])
            yield name, (who, values[who])


def not_judged(baselines: Mapping[str, Mapping[str, Interval]], thresholds: Thresholds) -> Iterator[str]:
    """Yield a sentence for each baseline that must stand beside the network and does not (PRM-2)."""
    for name in thresholds.baselines:
        if name not in baselines:
            yield f"baseline {name} was not judged"


def not_beaten(
    network: Mapping[str, Interval],
    best: Mapping[str, tuple[str, float]],
    thresholds: Thresholds,
    needed: Sequence[str],
) -> Iterator[str]:
    """Yield a sentence for each figure that is not good enough beside the best baseline's (PRM-1, PRM-2)."""
    for name in needed:
        if name not in network:
            yield f"{name} could not be measured"
            continue
        if name not in best:
            yield f"{name} of no baseline could be measured"
            continue
        who, value = best[name]
        if network[name].value < value:
            yield f"{name} of {network[name]} does not beat {value:.3f} of {who}"
    margins = [
        network[name].value - best[name][1]
        for name in (f"macro_f1_{h}" for h in thresholds.horizons)
        if name in network and name in best
    ]
    least = thresholds.macro_f1_margin
    if margins and 0 <= np.mean(margins) < least:
        yield f"macro-F1 is {np.mean(margins):.3f} above the best baseline, expected at least {least}"


def traded(judged: Judged, n_searched: int) -> Figures:
    """Return the trading figures of the network's default rule among all rules of all forecasters."""
    rules: dict[str, Trades] = {}
    for name, forecast in judged.forecasts.items():
        for number in range(len(STRENGTHS)):
            rules[f"{name} {number}"] = trade(
                forecast.score, judged.buckets[name], judged.outcomes, judged.regimes, number
            )
    return trading_figures(rules[f"{NETWORK} {DEFAULT_STRENGTH}"], rules, n_searched)


def by_month(judged: Judged) -> Iterator[dict[str, Any]]:
    months = judged.outcomes.times.astype("datetime64[ms]").astype("datetime64[M]")
    for month in np.unique(months):
        yield from _line(judged, months == month, "month", str(month))


def by_regime(judged: Judged) -> Iterator[dict[str, Any]]:
    for number, name in enumerate(REGIMES):
        yield from _line(judged, judged.regimes == number, "regime", name)


def _line(judged: Judged, chosen: np.ndarray, kind: str, name: str) -> Iterator[dict[str, Any]]:
    """Yield the figures of some rows without intervals; none if they are too few."""
    if chosen.sum() < LEAST_ROWS:
        return
    part = judged[np.flatnonzero(chosen)]
    found = figures_of(part.forecasts[NETWORK], part.outcomes)
    values = {figure.name: float(figure.value(figure.rows.sum(0))) for figure in found}
    kept = {
        f"{name}_{h}": values[f"{name}_{h}"]
        for name in ("ic", "accuracy")
        for h in HORIZONS
        if np.isfinite(values.get(f"{name}_{h}", np.nan))
    }
    yield {"by": kind, "name": name, "rows": int(chosen.sum()), **kept}


def calibration_curves(judged: Judged) -> dict[str, list[dict[str, float]]]:
    """Return per horizon, for each bin of the answered class's probability: its mean, how often it was right, rows."""
    forecast, found = judged.forecasts[NETWORK], {}
    if forecast.probability is None:
        return {}
    for index, horizon in enumerate(HORIZONS):
        label, p = judged.outcomes.classes[:, index], forecast.probability[:, index].astype(np.float64)
        known = np.isfinite(label)
        count, said, right = np.split(calibration_sums(p.max(-1), p.argmax(-1) == label, known).sum(0), 3)
        full = count > 0
        found[horizon] = [
            {"said": float(s / n), "right": float(r / n), "rows": float(n)}
            for n, s, r in zip(count[full], said[full], right[full], strict=True)
        ]
    return found


def confusions(judged: Judged) -> dict[str, list[list[int]]]:
    found = {}
    for index, horizon in enumerate(HORIZONS):
        label = judged.outcomes.classes[:, index]
        known = np.isfinite(label)
        code = np.where(known, label, 0).astype(np.int64) * 3 + judged.forecasts[NETWORK].classes[:, index]
        found[horizon] = one_hot(code, 9, known).sum(0).astype(int).reshape(3, 3).tolist()
    return found


def flat(found: Mapping[str, Interval]) -> Figures:
    """Return NAME, NAME_low and NAME_high; an end that is not a number is left out."""
    return finite(
        {
            key: value
            for name, interval in found.items()
            for key, value in (
                (name, interval.value),
                (f"{name}_low", interval.low),
                (f"{name}_high", interval.high),
            )
        }
    )


def finite(found: Mapping[str, float]) -> Figures:
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}
