"""Calibrate a flow to a recorded feed and set real and simulated side by side (LOB-31).

    python kernels/benchmarks/orderbook_flow.py [CAPTURE.gz ...] [--tick 0.1 --lot 0.001] [--hours 1] [--seeds 3]
    python kernels/benchmarks/orderbook_flow.py --out report/   # parameters as JSON; plots, with matplotlib

From: captures, or those under l2/ of CANDLEWRIGHT_MARKET_DATA. To: a Markdown table of gates, speeds, plots.
The last column is a Poisson flow with the same table of distances: it must fail.
"""

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from measure import one_core, table

from tradekernels.orderbook.calibrate import calibrate
from tradekernels.orderbook.facts import (
    SECOND,
    Observed,
    autocorrelation,
    bin_name,
    facts,
    feed_rows,
    gates,
    next_move_up,
    observe,
    on_grid,
)
from tradekernels.orderbook.feed import read_capture
from tradekernels.orderbook.flow import OrderFlow
from tradekernels.orderbook.flow_parameters import FlowParameters
from tradekernels.orderbook.instrument import Instrument

MILLION = 1_000_000
FLOOR = 1e-3  # of an autocorrelation that is drawn: below is noise
IMBALANCES = ("below -0.8", "-0.8 .. -0.3", "-0.3 .. 0.3", "0.3 .. 0.8", "above 0.8")


def poisson(parameters: FlowParameters) -> FlowParameters:
    """Return the same market without memory: no excitation, no parents, no reaction to queues."""
    none = (0.0,) * len(parameters.branching)
    return replace(
        parameters, branching=none, base_rate=parameters.mean_rate, parent_share=0.0, fade_rate=0.0, requotes=0.0,
        elasticity=0.0, follow=0.5, alarm=0.0, caution=0.0,
    )  # fmt: skip


def simulated(parameters: FlowParameters, seed: int, seconds: float) -> tuple[Observed, float]:
    """Return what a run shows, and its events a second."""
    flow = OrderFlow(parameters, seed)
    start = time.perf_counter()
    rows = flow.feed(seconds)
    return observe(rows), flow.events / (time.perf_counter() - start)


def report(path: Path, options: argparse.Namespace) -> None:
    """Print the gates of one feed."""
    start = time.perf_counter()
    rows = feed_rows(read_capture(path, Instrument(options.symbol, options.tick, options.lot)))
    real = observe(rows)
    read = time.perf_counter() - start
    start = time.perf_counter()
    parameters = calibrate(rows, progress=lambda done, of: print(f"\rround {done} of {of}", end="", file=sys.stderr))
    print(file=sys.stderr)
    fitted = time.perf_counter() - start
    seconds, measured = 3600.0 * options.hours, facts(real)
    runs = [simulated(parameters, 1001 + k, seconds) for k in range(options.seeds)]
    flat, _ = simulated(poisson(parameters), 1001, seconds)
    columns = [gates(measured, facts(run)) for run, _ in runs]
    out = []
    for each in zip(*columns, gates(measured, facts(flat)), strict=True):
        first = each[0]
        cells = [f"{gate.simulated:.4g}{'' if gate.passed else ' !'}" for gate in each]
        bounds = "-" if first.kind == "none" else f"{first.low:.4g} .. {first.high:.4g}"
        out.append(
            (first.name + " +" * first.ours, f"{first.real:.4g}", bounds + " *" * (first.kind == "moved"), *cells)
        )
    passed = [sum(gate.passed for gate in column) for column in columns]
    seeds = [f"seed {1001 + k}" for k in range(options.seeds)]
    table((f"{path.name}, {real.seconds:.0f} s", "real", "gate", *seeds, "Poisson"), out)
    print(f"\nPassed {' '.join(f'{p} of {len(out)}' for p in passed)}; ! is outside, + a gate of ours.")
    if any(gate.kind in ("moved", "none") for gate in columns[0]):
        print(
            "* the real feed is outside the band of the spec, which is moved to it; - nothing is asked, it shows none."
        )
    if real.grid > 1:
        print(f"Every price is a multiple of {real.grid} ticks: distances and spreads are counted in steps of that.")
    print(f"Read in {read:.1f} s, calibrated in {fitted:.1f} s.")
    print(f"{max(speed for _, speed in runs) / MILLION:.1f} M flow events/s, rows included.")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / f"{path.stem}.json").write_text(parameters.to_json())
        plot(real, runs[0][0], options.out / f"{path.stem}.png")


def plot(real: Observed, run: Observed, path: Path) -> None:
    """Draw six facts, real and simulated side by side."""
    try:
        import matplotlib as mpl
    except ImportError:
        print("matplotlib is not installed: no plots")
        return
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 3, figsize=(13, 7.5), layout="constrained")
    figure.suptitle(f"{path.stem}: recorded {real.seconds:.0f} s, simulated {run.seconds:.0f} s")
    lags = np.arange(1, 101)
    for seen, name, style in ((real, "real", {"color": "black"}), (run, "simulated", {"color": "tab:orange"})):
        signs, gaps = seen.order_side.astype(float), np.diff(seen.order_time) / SECOND
        memory = np.array([autocorrelation(signs, int(k)) for k in lags])
        axes[0, 0].loglog(lags, np.where(memory > FLOOR, memory, np.nan), ".-", label=name, **style)
        axes[0, 1].loglog(*tail(gaps), label=name, **style)
        moves = np.abs(np.diff(on_grid(seen.time, seen.mid, SECOND).astype(float))) / 2
        axes[0, 2].loglog(*tail(moves[moves > 0]), label=name, **style)
        axes[1, 0].plot([bin_name(k) for k in range(len(seen.depth))], seen.depth, "o-", label=name, **style)
        axes[1, 1].plot(IMBALANCES, next_move_up(seen), "o-", label=name, **style)
        axes[1, 2].loglog(*tail(seen.order_lots), label=name, **style)
    share = "share that is larger"
    labels = (
        ("memory of signs", "market orders later", "autocorrelation"),
        ("time between market orders", "seconds", share),
        ("moves of the mid in 1 s, zeros left out", "steps", share),
        ("resting volume", "steps from the opposite best", "lots, mean of both sides"),
        ("which way the mid moves next", "imbalance of the best queues", "share of moves up"),
        ("size of market orders", "lots", share),
    )
    for axis, (title, x, y) in zip(axes.flat, labels, strict=True):
        axis.set(title=title, xlabel=x, ylabel=y)
        axis.grid(alpha=0.3)
        axis.legend()
    axes[1, 0].set_yscale("log")
    axes[1, 0].tick_params(axis="x", rotation=45)
    axes[1, 1].set_ylim(0, 1)
    figure.savefig(path, dpi=110)
    print(f"plots in {path}", file=sys.stderr)


def tail(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values, largest first, and the share of values at least as large; zeros are left out of the axis."""
    values = np.sort(values)[::-1]
    return np.where(values > 0, values, np.nan), np.arange(1, len(values) + 1) / max(len(values), 1)


def main() -> None:
    """Report every feed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captures", nargs="*", type=Path)
    parser.add_argument("--symbol", default="", help="as in the capture; any by default")
    parser.add_argument("--tick", default="0.1")
    parser.add_argument("--lot", default="0.001")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    folder = os.environ.get("CANDLEWRIGHT_MARKET_DATA")
    captures = options.captures or (sorted(Path(folder).glob("l2/*.gz")) if folder else [])
    if not captures:
        sys.exit("no capture named, and CANDLEWRIGHT_MARKET_DATA has none under l2/")
    with one_core():
        for path in captures:
            report(path, options)


if __name__ == "__main__":
    main()
