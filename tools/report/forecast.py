"""How good the forecasts behind a backtest were, out of sample: the judgement of a version or a chain.

From: `evaluation.json` of a training run or of `python -m nn.forecast.evaluate --out`. To: `document.build`.

The file may be anyone's: it is JSON or it is refused, only known keys are taken, and a number is a finite number.
"""

import json
import math
from pathlib import Path
from typing import Any

from .result import BadResult

LIMIT = 4 << 20  # bytes
HORIZONS = ("15m", "1h", "4h", "12h")
FIGURES = (
    "ic", "accuracy", "top_decile_accuracy", "class_accuracy", "over_majority", "macro_f1", "argmax_macro_f1", "ece",
    "brier", "volatility_r2", "mae_future_return",
    *(f"brier_{side}_{level}" for side in ("long", "short") for level in ("1pct", "2pct", "3pct", "5pct")),
    "mae_max_drawdown", "mae_max_rally",
)  # fmt: skip
TRADING = (
    "trades",
    "net_return",
    "max_drawdown",
    "worst_regime_drawdown",
    "sharpe",
    "deflated_sharpe",
    "pbo",
    "trials",
)
BUCKET = ("rows", "right", "mean_profit", "mean_profit_low", "mean_profit_high")
PART = ("rows", "ic_1h", "ic_4h", "accuracy_1h", "accuracy_4h")


def read_forecast(path: Path) -> dict[str, Any]:
    """Return the part of the document about forecasts; BadResult names what is wrong with the file."""
    try:
        if path.stat().st_size > LIMIT:
            raise BadResult(f"{path} has {path.stat().st_size} bytes, expected at most {LIMIT}")
        found = json.loads(path.read_text(encoding="utf-8"))
        metrics, best, verdict = found["metrics"], found["best_baseline"], found["verdict"]
        return {
            "begin": str(found["begin"]),
            "end": str(found["end"]),
            "rows": _number(found["rows"]),
            "beats_baselines": verdict["beats_baselines"] is True,
            "suspected_leak": verdict["suspected_leak"] is True,
            "drift": verdict["drift"] is True,
            "reasons": [str(reason) for reason in verdict["reasons"]],
            "figures": [
                {
                    "name": name,
                    "value": _number(metrics[name]),
                    "low": _number(metrics.get(f"{name}_low")),
                    "high": _number(metrics.get(f"{name}_high")),
                    "best": _number(best.get(name, {}).get("value")),
                    "baseline": str(best.get(name, {}).get("baseline", "")),
                }
                for name in (f"{figure}_{horizon}" for figure in FIGURES for horizon in HORIZONS)
                if name in metrics
            ],
            "trading": {name: _number(found["trading"].get(name)) for name in TRADING},
            "calibration": [
                {"bin": f"{horizon}, {number}", **{key: _number(row[key]) for key in ("said", "right", "rows")}}
                for horizon in HORIZONS
                for number, row in enumerate(found["calibration"].get(horizon, []), 1)
            ],
            "buckets": [_row(row, "bucket", BUCKET) for row in found["profit_by_bucket"]],
            "stability": [_row(row, "name", PART) for row in found["stability"]],
        }
    except OSError as error:
        raise BadResult(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, BadResult):
            raise
        raise BadResult(f"{path} is no evaluation.json of this project: {type(error).__name__} {error}") from error


def forecast_verdict(forecast: dict[str, Any] | None) -> list[dict[str, str]]:
    """Return the sentences about forecasts for the top of the page."""
    if forecast is None:
        return []
    found = []
    if forecast["suspected_leak"]:
        found.append({"tone": "bad", "text": "Suspected leak: the forecasts are right too often to be honest."})
    if forecast["beats_baselines"]:
        found.append({"tone": "good", "text": "Out of sample the forecasts beat the best simple forecaster."})
    else:
        found.append({"tone": "bad", "text": "Out of sample the forecasts do not beat the best simple forecaster."})
    if forecast["drift"]:
        found.append({"tone": "note", "text": "The inputs have drifted from those that the model learned from."})
    return found


def _row(row: dict[str, Any], label: str, names: tuple[str, ...]) -> dict[str, Any]:
    return {label: str(row[label]), **{name: _number(row.get(name)) for name in names}}


def _number(value: Any) -> float | None:
    """Return a finite number or None; TypeError for what is neither a number nor missing."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return float(value) if math.isfinite(value) else None
