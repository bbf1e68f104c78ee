"""Judgements as tables: 80 columns on a terminal, CSV in a run.

From: `Evaluation`. To: stdout of training and of `nn.forecast.evaluate`, artifacts of MLflow.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rich.table import Table

from .figures import HORIZONS
from .verdict import Evaluation

TITLE = "Out of sample: each version on the period after it"


def table(results: Mapping[datetime, Mapping[str, float]]) -> Table:
    """Return the table of a chain from `Evaluation.flat`, with the best baseline's IC and macro-F1 beside them."""
    drawn = Table(title=TITLE, box=None, padding=(0, 1, 0, 0), pad_edge=False)  # 80 characters wide
    drawn.add_column("valid from", no_wrap=True)
    for name in ("hor.", "rows", "IC", "95 %", "best", "right", "macro-F1", "best", "ECE"):
        drawn.add_column(name, justify="right", no_wrap=True)
    for valid_from, found in results.items():
        for index, horizon in enumerate(HORIZONS):
            first = (f"{valid_from:%m-%d %H:%M}", f"{found.get('rows', 0):.0f}") if index == 0 else ("", "")
            ic = f"ic_{horizon}"
            between = f"{found[f'{ic}_low']:.2f}..{found[f'{ic}_high']:.2f}" if f"{ic}_low" in found else "-"
            names = (f"best_{ic}", f"accuracy_{horizon}", f"macro_f1_{horizon}", f"best_macro_f1_{horizon}",
                     f"ece_{horizon}")  # fmt: skip
            cells = [_cell(found, name) for name in names]
            drawn.add_row(first[0], horizon, first[1], _cell(found, ic), between, *cells)
    return drawn


def _cell(found: Mapping[str, float], name: str) -> str:
    return f"{found[name]:.3f}" if name in found else "-"


def comparison(found: Evaluation) -> Table:
    """Return one judgement figure by figure: the network with its interval, the best baseline and who it is."""
    drawn = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    drawn.add_column("figure", no_wrap=True)
    for name in ("network", "95 % interval", "best", "baseline"):
        drawn.add_column(name, justify="right", no_wrap=True)
    for name, interval in found.metrics.items():
        who, value = found.best.get(name, ("-", float("nan")))
        between = f"{interval.low:.3f}..{interval.high:.3f}"
        drawn.add_row(name, f"{interval.value:.3f}", between, f"{value:.3f}", who)
    for name, value in found.trading.items():
        drawn.add_row(name, f"{value:.4g}", "", "", "")
    return drawn


def csv_files(found: Evaluation) -> Iterator[tuple[str, str]]:
    """Yield file name and text of every table of a judgement."""
    lines: list[dict[str, Any]] = [
        {"forecaster": who, "figure": name, "value": interval.value, "low": interval.low, "high": interval.high}
        for who, figures in {"network": found.metrics, **found.baselines}.items()
        for name, interval in figures.items()
    ]
    yield "figures.csv", _csv(lines)
    yield "calibration.csv", _csv([{"horizon": h, **row} for h, rows in found.calibration.items() for row in rows])
    yield (
        "confusion.csv",
        _csv(
            [
                {"horizon": h, "true": true, "up": row[0], "down": row[1], "flat": row[2]}
                for h, rows in found.confusion.items()
                for true, row in zip(("up", "down", "flat"), rows, strict=True)
            ]
        ),
    )
    yield "profit_by_bucket.csv", _csv(found.buckets)
    yield "stability.csv", _csv(found.stability)
    psi = sorted(found.inputs.items(), key=lambda each: -each[1])
    yield "inputs.csv", _csv([{"input": name, "population_stability": value} for name, value in psi])


def _csv(lines: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for line in lines for name in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
