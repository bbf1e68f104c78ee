"""Where a judgement goes: signed beside its version, and into the MLflow run for people (EVA-5, REG-6).

From: `evaluate.evaluate_version`. To: `nn.registry.evaluations`, which gates read, and the artifacts of the run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

from matplotlib.figure import Figure

from ..evaluation.pictures import pictures
from ..evaluation.tables import csv_files
from ..evaluation.verdict import Evaluation
from ..registry.evaluations import write_evaluation
from ..registry.keys import Keys

FOLDER = "evaluation"  # of a run's artifacts


class Log(Protocol):
    """The part of `nn.registry.store.Run` that is needed here."""

    def log_metrics(self, metrics: dict[str, float], step: int = 0) -> None: ...
    def log_text(self, text: str, path: str) -> None: ...
    def log_figure(self, figure: Figure, path: str) -> None: ...


def record(run: Log, found: Evaluation, folder: Path, keys: Keys) -> dict[str, float]:
    """Sign the judgement of the version in `folder`, keep it in the run, return its figures for the table."""
    write_evaluation(folder.parent, folder.name, found.payload(folder.parent.name, folder.name), keys)
    figures = found.flat()
    run.log_metrics({f"oos_{name}": value for name, value in figures.items()})
    run.log_text(json.dumps(found.document(), indent=1, allow_nan=False), f"{FOLDER}/evaluation.json")
    for name, text in csv_files(found):
        run.log_text(text, f"{FOLDER}/{name}")
    for name, figure in pictures(found):
        run.log_figure(figure, f"{FOLDER}/{name}")
    return figures
