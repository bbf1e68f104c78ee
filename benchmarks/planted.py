"""How much of the optimum the policy reaches over a grid of planted markets: `python benchmarks/planted.py`.

From: edges, half-lives, volatilities and fees that nobody tuned anything to, each learned with the same config on one
history and judged on another. To: a table, one row a market and a seed. A market counts as poor where the optimum
itself earns less than a tenth of a basis point a bar: there the question is whether the policy stays flat. Each run
takes 10 to 20 s of processor time on one core; `--workers` shares them.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from nn.policy.config import load_policy_config
from nn.policy.planted import acting, best, earn, learn
from nn.policy.planted_markets import Planted, planted

SEEDS = (1, 2, 3)
POOR = 0.1  # bp a bar
GRID = {
    "reversion": planted("reversion"),
    "momentum": planted("momentum"),
    "reversion, short": planted("reversion", can_short=True),
    "momentum, short": planted("momentum", can_short=True),
    "free": planted("free"),
    "fast": Planted(edge=-1e-3, half_life=3, volatility=3e-3, fee_bps=3),
    "slow": Planted(edge=3e-4, half_life=40, volatility=2e-3, fee_bps=10),
    "slow, short": Planted(edge=-3e-4, half_life=40, volatility=2e-3, fee_bps=10, can_short=True),
    "faint": Planted(edge=4e-4, half_life=10, volatility=4e-3, fee_bps=3),
    "wild, short": Planted(edge=1e-3, half_life=20, volatility=8e-3, fee_bps=10, can_short=True),
    "dear": Planted(edge=-1e-3, half_life=10, volatility=2e-3, fee_bps=15),
    "future": planted("future"),
    "future, short": planted("future", can_short=True),
    "costly": planted("costly"),
    "costly, short": planted("costly", can_short=True),
    "noise": planted("noise"),
    "noise, short": planted("noise", can_short=True),
}


@dataclass(frozen=True)
class Row:
    name: str
    seed: int
    growth: float
    optimum: float
    traded: float
    seconds: float


def learned(name: str, seed: int, steps: int | None) -> Row:
    """Learn one market; judge it on another history of it."""
    market, config = GRID[name], load_policy_config("planted")
    began = time.process_time()
    learner = learn(market, config.for_steps(steps) if steps else config, seed)
    took = time.process_time() - began
    found = earn(market, acting(learner))
    most = earn(market, best(market)).growth if market.edge else 0.0
    return Row(name, seed, found.growth, most, found.traded, took)


def main() -> int:
    made = argparse.ArgumentParser(prog="benchmarks/planted.py", description=(__doc__ or "").splitlines()[0])
    made.add_argument("--only", nargs="+", choices=list(GRID), default=list(GRID), metavar="NAME")
    made.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    made.add_argument("--steps", type=int, help="instead of the config's")
    made.add_argument("--workers", type=int, default=1)
    options = made.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    table = Table(title="Planted markets: what the policy reaches on a history that it has not seen")
    for column in ("market", "seed", "bp a bar", "optimum", "share", "traded a bar", "processor s"):
        table.add_column(column, justify="left" if column == "market" else "right")
    jobs = list(itertools.product(options.only, options.seeds))
    with ProcessPoolExecutor(options.workers) as pool:
        runs = [pool.submit(learned, name, seed, options.steps) for name, seed in jobs]
        for (name, seed), run in zip(jobs, runs, strict=True):
            row = run.result()
            share = f"{row.growth / row.optimum:.1%}" if row.optimum > POOR else "poor"
            cells = (f"{row.growth:.3f}", f"{row.optimum:.3f}", share, f"{row.traded:.4f}", f"{row.seconds:.0f}")
            table.add_row(name, str(seed), *cells)
            print(name, seed, *cells, sep="\t", file=sys.stderr, flush=True)
    Console(width=100).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
