"""The gates between a challenger and trading (PRM-1..PRM-7, PRM-10), as pure functions.

From: a signed `Evaluation`, the manifest, `configs/nn/gates.yaml` and the sealed ranges opened so far.
To: `promotion`, which moves the alias or not, and the terminal, which shows each gate with figure and threshold.
A figure that is missing fails its gate and is named: what nobody measured was not reached.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from ..models.build import ACTOR_CRITIC, UNIFIED_PATCHTST
from .evaluations import Evaluation
from .manifest import Manifest
from .thresholds import Thresholds

LEAK = "PRM-3 leak"
RANGES = {  # of figures by the beginning of their names: a number outside is a mistake, not a merit
    "ic_": (-1.0, 1.0), "macro_f1_": (0.0, 1.0), "volatility_r2_": (-math.inf, 1.0), "accuracy_": (0.0, 1.0),
    "over_majority_": (-1.0, 1.0), "ece_": (0.0, 1.0), "worst_regime_drawdown": (0.0, 1.0),
    "max_drawdown": (0.0, 1.0), "deflated_sharpe": (0.0, 1.0), "loss on the worst": (-math.inf, 1.0),
}  # fmt: skip


class SuspectedLeak(ValueError):
    """A version is right too often to be honest; only a named operator who says so may promote it (PRM-3)."""

    def __init__(self, message: str, gates: tuple[Gate, ...] = ()) -> None:
        super().__init__(message)
        self.gates = gates  # all of them, to be shown


class Gate(BaseModel):
    """One comparison: what was measured, what was asked for, whether it was reached."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    id: str
    what: str
    figure: float | None
    relation: str  # of figure to threshold: `>=`, `>`, `<=`
    threshold: float | None
    passed: bool
    note: str = ""

    @property
    def sentence(self) -> str:
        numbers = " ".join(["-" if self.figure is None else f"{self.figure:.4g}", self.relation])
        bound = "-" if self.threshold is None else f"{self.threshold:.4g}"
        return f"{self.id}: {self.what} {numbers} {bound}" + (f" ({self.note})" if self.note else "")


class Opening(BaseModel):
    """A look at a sealed range by the gates: of which version, which candles, which figures."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    begin: datetime
    end: datetime
    evaluation: str  # SHA-256 of the evaluation's JSON

    def overlaps(self, other: Opening) -> bool:
        return self.begin < other.end and other.begin < self.end


RELATIONS: dict[str, Callable[[float, float], bool]] = {
    ">=": lambda figure, threshold: figure >= threshold,
    ">": lambda figure, threshold: figure > threshold,
    "<=": lambda figure, threshold: figure <= threshold,
}


def judge(
    manifest: Manifest, evaluation: Evaluation | None, thresholds: Thresholds, openings: Sequence[Opening] = ()
) -> tuple[Gate, ...]:
    """Return every gate that applies to this kind of line.

    Parameters
    ----------
    evaluation : Evaluation or None
        None where the version was never judged: every gate that reads a figure fails.
    openings : sequence of Opening
        Sealed ranges of this line that were opened before, this version's own among them.
    """
    if evaluation is not None and evaluation.version != manifest.version:
        raise ValueError(f"the evaluation is of {evaluation.version}, the manifest of {manifest.version}")
    metrics = {} if evaluation is None else _finite(evaluation.metrics)
    baselines = {} if evaluation is None else {who: _finite(each) for who, each in evaluation.baselines.items()}
    trading = {} if evaluation is None else _finite(evaluation.trading)
    if manifest.kind == ACTOR_CRITIC:
        return tuple(_policy(manifest, evaluation, metrics, baselines, trading, thresholds, openings))
    gates = [_macro_f1_margin(metrics, baselines, thresholds)]
    gates += _not_below_baselines(metrics, baselines, thresholds)
    if manifest.kind == UNIFIED_PATCHTST:
        gates += _volatility(metrics, baselines, thresholds)
    gates.append(_out_of_sample(manifest, evaluation))
    for horizon in thresholds.leak_horizons:
        for name, most in (("accuracy", thresholds.leak_accuracy), ("over_majority", thresholds.leak_over_majority)):
            figure = metrics.get(f"{name}_{horizon}")
            gates.append(_gate(LEAK, f"{name}_{horizon}", figure, "<=", most, "SuspectedLeak"))
    gates.append(_gate("PRM-4", "trades", trading.get("trades"), ">=", thresholds.min_trades))
    gates.append(_gate("PRM-4", "net_return", trading.get("net_return"), ">", thresholds.min_net_return))
    for horizon in thresholds.calibration_horizons:
        name = f"ece_{horizon}"
        gates.append(_gate("PRM-5", name, metrics.get(name), "<=", thresholds.max_calibration_error))
    drawdown = "worst_regime_drawdown"
    gates.append(_gate("PRM-6", drawdown, trading.get(drawdown), "<=", thresholds.max_regime_drawdown))
    gates.append(_opened_once(evaluation, openings))
    context = manifest.architecture.get("context_length")
    candles = manifest.warmup + context if isinstance(context, int) else None
    gates.append(_gate("PRM-7", "warm-up + context", candles, "<=", thresholds.max_candles))
    return tuple(gates)


def _policy(
    manifest: Manifest,
    evaluation: Evaluation | None,
    metrics: Mapping[str, float],
    baselines: Mapping[str, Mapping[str, float]],
    trading: Mapping[str, float],
    thresholds: Thresholds,
    openings: Sequence[Opening],
) -> Iterator[Gate]:
    """Yield the gates of a trading policy (PRM-10): what it earned for its losses, in place of what it foretold."""
    best, note = _best("sortino", baselines, thresholds.policy_baselines)
    yield _gate("PRM-10", "sortino", metrics.get("sortino"), ">", best, note)
    loss = -metrics["cvar_5"] if "cvar_5" in metrics else None
    yield _gate("PRM-10", "loss on the worst 5 % of days", loss, "<=", thresholds.policy_max_cvar)
    yield _gate("PRM-10", "max_drawdown", trading.get("max_drawdown"), "<=", thresholds.policy_max_drawdown)
    yield _out_of_sample(manifest, evaluation).model_copy(update={"id": "PRM-10"})
    yield _more_than_luck(trading, thresholds)
    yield _gate("PRM-4", "trades", trading.get("trades"), ">=", thresholds.min_trades)
    yield _gate("PRM-4", "net_return", trading.get("net_return"), ">", thresholds.min_net_return)
    yield _opened_once(evaluation, openings)
    yield _gate("PRM-7", "warm-up", manifest.warmup, "<=", thresholds.max_candles)


def _more_than_luck(trading: Mapping[str, float], thresholds: Thresholds) -> Gate:
    """Every try counts, those of a search too: the more there were, the more the Sharpe ratio must be (EVA-9)."""
    figure, least = trading.get("deflated_sharpe"), thresholds.policy_min_deflated_sharpe
    gate = _gate("EVA-9", "deflated_sharpe", figure, ">", least)
    tries = f"tries counted: {trading['trials']:.0f}" if "trials" in trading else ""
    return gate.model_copy(update={"note": "; ".join(filter(None, (gate.note, tries)))})


def suspected_leak(gates: Sequence[Gate]) -> list[Gate]:
    """Return the gates that say SuspectedLeak; one without a figure is missing, not suspected."""
    return [gate for gate in gates if gate.id == LEAK and not gate.passed and gate.figure is not None]


def opening_of(evaluation: Evaluation) -> Opening:
    return Opening(version=evaluation.version, begin=evaluation.begin, end=evaluation.end, evaluation=evaluation.digest)


def _finite(figures: Mapping[str, float]) -> dict[str, float]:
    """Return what is a number; the rest was not measured, whoever let it through."""
    return {name: value for name, value in figures.items() if isinstance(value, int | float) and math.isfinite(value)}


def _gate(id: str, what: str, figure: float | None, relation: str, threshold: float | None, note: str = "") -> Gate:
    if figure is not None and not math.isfinite(figure):
        figure = None  # a sum that ran over says as little as none
    low, high = next((each for name, each in RANGES.items() if what.startswith(name)), (-math.inf, math.inf))
    if figure is not None and not low <= figure <= high:
        return Gate(
            id=id, what=what, figure=figure, relation=relation, threshold=threshold, passed=False,
            note=f"no such figure exists, expected {low:g} to {high:g}",
        )  # fmt: skip
    if figure is None or threshold is None:
        return Gate(
            id=id, what=what, figure=figure, relation=relation, threshold=threshold, passed=False,
            note=f"{what} is missing" if figure is None else note,
        )  # fmt: skip
    passed = RELATIONS[relation](figure, threshold)
    return Gate(
        id=id, what=what, figure=figure, relation=relation, threshold=threshold, passed=passed,
        note="" if passed else note,
    )  # fmt: skip


def _best(name: str, baselines: Mapping[str, Mapping[str, float]], required: Sequence[str]) -> tuple[float | None, str]:
    """Return the best baseline's figure and its name, or None and which baseline lacks it."""
    for each in required:
        if name not in baselines.get(each, {}):
            return None, f"{name} of baseline {each} is missing"
    found = {each: figures[name] for each, figures in baselines.items() if name in figures}
    best = max(found, key=lambda each: found[each])
    return found[best], f"best baseline: {best}"


def _macro_f1_margin(
    metrics: Mapping[str, float], baselines: Mapping[str, Mapping[str, float]], thresholds: Thresholds
) -> Gate:
    names = [f"macro_f1_{horizon}" for horizon in thresholds.horizons]
    what = f"mean macro-F1 of {', '.join(thresholds.horizons)} above the best baseline"
    margins = []
    for name in names:
        best, note = _best(name, baselines, thresholds.baselines)
        figure = metrics.get(name)
        if figure is None or best is None:
            missing = f"{name} is missing" if figure is None else note
            gate = _gate("PRM-1", what, None, ">=", thresholds.macro_f1_margin)
            return gate.model_copy(update={"note": missing})
        margins.append(figure - best)
    return _gate("PRM-1", what, sum(margins) / len(margins), ">=", thresholds.macro_f1_margin)


def _not_below_baselines(
    metrics: Mapping[str, float], baselines: Mapping[str, Mapping[str, float]], thresholds: Thresholds
) -> Iterator[Gate]:
    for horizon in thresholds.horizons:
        for name in (f"ic_{horizon}", f"macro_f1_{horizon}"):
            best, note = _best(name, baselines, thresholds.baselines)
            gate = _gate("PRM-2", name, metrics.get(name), ">=", best, note)
            interval = [metrics.get(f"{name}_{side}") for side in ("low", "high")]
            if None in interval:
                missing = f"{name}_low or {name}_high is missing: the interval must be shown"
                yield gate.model_copy(update={"passed": False, "note": gate.note or missing})
            else:
                shown = f"95 % interval {interval[0]:.4g} to {interval[1]:.4g}"
                yield gate.model_copy(update={"note": "; ".join(filter(None, (shown, gate.note or note)))})


def _volatility(
    metrics: Mapping[str, float], baselines: Mapping[str, Mapping[str, float]], thresholds: Thresholds
) -> Iterator[Gate]:
    for horizon in thresholds.volatility_horizons:
        name = f"volatility_r2_{horizon}"
        best = baselines.get(thresholds.volatility_baseline, {}).get(name)
        note = f"{name} of baseline {thresholds.volatility_baseline} is missing" if best is None else ""
        yield _gate("PRM-2", name, metrics.get(name), ">=", best, note)


def _out_of_sample(manifest: Manifest, evaluation: Evaluation | None) -> Gate:
    """The range must be sealed to the version: it begins when nothing of it could have been learned."""
    days = None if evaluation is None else (evaluation.begin - manifest.valid_from).total_seconds() / 86400
    note = "the judged candles begin before valid_from" if days is not None and days < 0 else ""
    gate = _gate("PRM-3", "days from valid_from to the first judged candle", days, ">=", 0.0, note)
    return gate if evaluation is not None else gate.model_copy(update={"note": "there is no evaluation"})


def _opened_once(evaluation: Evaluation | None, openings: Sequence[Opening]) -> Gate:
    what = "looks at the sealed range before this one"
    if evaluation is None:
        return _gate("PRM-6", what, None, "<=", 0.0).model_copy(update={"note": "there is no evaluation"})
    own = opening_of(evaluation)
    before = openings[: openings.index(own)] if own in openings else openings
    others = [each for each in before if each.overlaps(own)]
    note = f"opened for {others[0].version} already; judge on later candles" if others else ""
    return _gate("PRM-6", what, float(len(others)), "<=", 0.0, note)
