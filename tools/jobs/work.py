"""One job, in a process of its own: trains, then says what the gates would say. `python -m tools.jobs.work FOLDER`.

From: `request.json` of the job's folder, written by `queue`. To: signed versions in the registry, a challenger, and
`report.json` beside the request. Nothing here promotes (JOB-3).
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools.home import Home
from tools.services import write_json

HELD_OUT = 0.3  # ratio: newest rows of an inline table, which the baseline is judged by


def main(arguments: list[str]) -> int:
    folder, memory = Path(arguments[0]), int(arguments[1])
    # Of private writable memory, each process alone: torch maps far more address space than it uses (RLIMIT_AS is of
    # no use). The sum over processes is watched from outside.
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    request = json.loads((folder / "request.json").read_text())
    report = logistic(request) if "features" in request else train(request, folder)
    write_json(folder / "report.json", report)
    return 0


def train(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run the trainer, after a search if one is wanted; return its versions and, for the challenger, every gate."""
    home = Home.find()
    from tools.jobs.datasets import find

    datadir = find(home, request["dataset"])  # again: it may have changed while the job waited
    argv = ["--model", request["model"], "--datadir", str(datadir), "--config", request["config"]]
    argv += ["--timeframe", request["timeframe"], "--period", request["period"]]
    argv += ["--walk-forward", str(request["walk_forward"]), "--seed", str(request["seed"])]
    argv += ["--registry", str(home.registry)]
    found = None
    if "trials" in request:
        (found,) = run("nn.search", [
            *argv, "--trials", str(request["trials"]), "--inner-folds", str(request["inner_folds"]),
            "--out", str(folder / "search"),
        ])  # fmt: skip
        argv += ["--config", found]
    folders = [Path(line) for line in run("nn.forecast.train", argv + ["--extend"] * request["extend"])]
    line = folders[-1].parent

    from nn.registry.keys import read_keys
    from nn.registry.manifest import load_aliases
    from nn.registry.promotion import ask_gates
    from nn.registry.thresholds import load_thresholds

    keys = read_keys()
    gates = ask_gates(line, folders[-1].name, keys, load_thresholds())
    return {
        "line": line.name,
        "search": found and Path(found).read_text(),
        "versions": [folder.name for folder in folders],
        "aliases": load_aliases(line, keys).aliases,
        "gates_pass": all(gate.passed for gate in gates),
        "gates": [gate.model_dump() for gate in gates],
    }


def run(module: str, argv: list[str]) -> list[str]:
    """Run a module of the project; return the lines of its answer. Where it fails, so does the job."""
    done = subprocess.run([sys.executable, "-m", module, *argv], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return [line for line in done.stdout.split("\n") if line]


def logistic(request: dict[str, Any]) -> dict[str, Any]:
    """Fit the logistic baseline to the older rows, judge it by the newer ones."""
    import numpy as np

    from nn.baselines.linear import Standard, logistic, softmax

    features, labels = np.array(request["features"]), np.array(request["labels"])
    border = int(len(labels) * (1 - HELD_OUT))
    standard = Standard.fit(features[:border])
    weights = logistic(standard.inputs(features[:border]), labels[:border])
    p = softmax(standard.inputs(features[border:]) @ weights)
    held_out = labels[border:]
    majority = np.bincount(labels[:border], minlength=3).argmax()
    return {
        "trained_rows": border,
        "held_out_rows": len(held_out),
        "accuracy": float((p.argmax(1) == held_out).mean()),
        "majority_accuracy": float((held_out == majority).mean()),
        "log_loss": float(-np.log(np.maximum(p[np.arange(len(held_out)), held_out], 1e-12)).mean()),
        "mean": standard.mean.tolist(),
        "deviation": standard.deviation.tolist(),
        "weights": weights.tolist(),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
