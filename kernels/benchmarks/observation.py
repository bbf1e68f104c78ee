"""Speed of the observation, and of its slow twin. From: 61,344 candles of 15m. To: Markdown on stdout.

    python kernels/benchmarks/observation.py

On one core, best of the rounds. The twin is that of the tests, NumPy and loops, on fewer rows.
"""

import sys
from pathlib import Path

import numpy as np
from data import BAR_MS, ROWS, random_walk
from live import BARS, timed
from measure import interleaved, one_core, table

from tradekernels.observation import fit, observation_set

TESTS = Path(__file__).parents[1] / "tests"
ROUNDS, TWIN_ROWS = 15, 3000
COLUMNS = ("open", "high", "low", "close", "volume")
HEAD = ("56 values, micro source", "batch, ms", "batch, ns a row", "update, µs", "observe, µs", "twin, µs a row")
ACCOUNT = (1000.0, 2.0, 1.0, 0.5, 3.0, 0.001, 3.0, 1.5, 2.0)


def observation_rows() -> list[tuple[str, ...]]:
    """Return times per row: in batch, bar by bar, and an account into a row of a batch."""
    walk = random_walk()
    frame = {"date": BAR_MS * np.arange(ROWS)} | {name: walk[name].to_numpy() for name in COLUMNS}
    taker = {"taker_buy_volume": frame["volume"] * np.random.default_rng(8).beta(4, 4, ROWS)}
    return [measured("candles", frame), measured("taker", frame | taker)]


def measured(source: str, frame: dict[str, np.ndarray]) -> tuple[str, ...]:
    """Return a table row."""
    observations, agent = observation_set(fit(frame, "15m")), np.tile(ACCOUNT, (ROWS, 1))
    market, prices = observations.market(frame)[:BARS], frame["close"][:BARS].tolist()
    names = ("date", *COLUMNS, *observations.inputs)
    bars = list(zip(*(frame[name][:BARS].tolist() for name in names), strict=True))

    def live():
        update = observations.stream().update
        for bar in bars:
            update(bar, ACCOUNT)

    def steps():
        observe = observations.observe
        for row, price in zip(market, prices, strict=True):
            observe(row, ACCOUNT, price)

    batch, update, observe = interleaved(lambda: observations.compute(frame, agent), live, steps, rounds=ROUNDS)
    twin = twin_seconds({name: column[:TWIN_ROWS] for name, column in frame.items()}, observations.statistics)
    return (source, f"{batch * 1e3:.1f}", f"{batch / ROWS * 1e9:.0f}", f"{update / BARS * 1e6:.2f}",
            f"{observe / BARS * 1e6:.2f}", f"{twin / TWIN_ROWS * 1e6:.0f}")  # fmt: skip


def twin_seconds(frame: dict[str, np.ndarray], statistics: object) -> float:
    """Return the time of the twin of the tests."""
    sys.path[:0] = [str(TESTS), str(TESTS / "observation")]
    from observation_twin import observe

    return timed(lambda: observe(frame, statistics))


if __name__ == "__main__":
    with one_core():
        table(HEAD, observation_rows())
