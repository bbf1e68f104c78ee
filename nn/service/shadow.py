"""Sets challenger beside champion on what happened: `python -m nn.service.shadow --datadir user_data/data/binance`.

From: the answers that `challenger` kept, and candles that came after. To: a table on stdout. Only candles that both
versions answered live are counted, and only those whose next four hours are known. Of policies it shows the weights
that they wanted; both saw the account that the champion led, so this is no account of the challenger's own.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.candles import BadCandles, read_candles
from ..data.target_table import DIRECTION_COLUMNS, DOWN, FORECAST_COLUMNS, ROUND_TRIP_COST, TARGET_NAMES, UP
from ..data.targets import make_targets
from ..data.timeframe import timeframe_ms
from ..models.build import ACTOR_CRITIC, DIRECTION, POLICY_COLUMNS
from .decision import SIGNAL_HORIZON
from .shadow_store import Answers, ShadowStore

RETURN, CLASS = (TARGET_NAMES.index(f"{name}_{SIGNAL_HORIZON}") for name in ("future_return", "direction"))
HEAD = f"{'version':<42} {'role':<10} {'candles':>8} {'ic_4h':>8} {'hits_4h':>8} {'trades':>7} {'net/trade':>10}"
POLICY_HEAD = f"{'version':<42} {'role':<10} {'candles':>8} {'ic_4h':>8} {'weight':>8} {'gross_4h':>10}"
AHEAD_MS = timeframe_ms(SIGNAL_HORIZON)
Floats = NDArray[np.float64]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m nn.service.shadow", description=__doc__.splitlines()[0])
    parser.add_argument("--datadir", required=True, help="Freqtrade's data of one exchange")
    parser.add_argument("--answers", metavar="FILE", type=Path, help="default user_data/shadow/answers.sqlite")
    options = parser.parse_args(arguments)
    store = ShadowStore.of_environment(1) if options.answers is None else ShadowStore(options.answers, 1)
    try:
        answers = list(store.read())
    except sqlite3.Error as error:
        print(f"{store.path} cannot be read: {error}", file=sys.stderr)
        return 2
    if not answers:
        print(f"no shadow answers in {store.path}: no challenger has scored a live request", file=sys.stderr)
        return 1
    try:
        print("\n".join(report(answers, options.datadir)))
    except BadCandles as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def report(answers: Iterable[Answers], datadir: str | Path) -> list[str]:
    """Return the lines of the table: two for each pair of versions that answered the same candles."""
    duels: dict[tuple[str, str], list[Answers]] = defaultdict(list)
    for each in answers:
        duels[each.champion, each.challenger].append(each)
    outcomes = Outcomes(datadir)
    lines: list[str] = []
    for (champion, challenger), mine in sorted(duels.items(), key=lambda duel: duel[1][0].kind == ACTOR_CRITIC):
        head = POLICY_HEAD if mine[0].kind == ACTOR_CRITIC else HEAD
        lines += [] if head in lines else [head]
        happened = np.array([outcomes.of(each) for each in mine])  # (N, 2): return, class
        known = np.isfinite(happened).all(1)
        for version, role in ((champion, "champion"), (challenger, "challenger")):
            rows = np.array([getattr(each, f"{role}_row") for each in mine], dtype=np.float64)
            said = (
                weights_beside(rows[known, POLICY_COLUMNS.index("target_weight")], happened[known, 0])
                if mine[0].kind == ACTOR_CRITIC
                else figures(rows[known], mine[0].kind, *happened[known].T)
            )
            lines.append(f"{version:<42} {role:<10} " + said)
    return lines


class Outcomes:
    """Return and class of the next four hours of a candle, NaN where they are not known; a pair's file is read once.

    Of policies it is the return alone: their candles may be longer than the shortest horizon of the labels.
    """

    def __init__(self, datadir: str | Path) -> None:
        self.datadir = datadir
        self.known: dict[tuple[str, str, bool], dict[int, Floats]] = {}

    def of(self, answer: Answers) -> Floats:
        policy = answer.kind == ACTOR_CRITIC
        where = (answer.pair, answer.timeframe, policy)
        if where not in self.known:
            frame, _ = read_candles(self.datadir, answer.pair, answer.timeframe)
            opened = frame["date"].dt.tz_convert(None).to_numpy().astype("datetime64[ms]").astype(np.int64)
            if policy:
                labels = changes(pd.Series(frame["close"].to_numpy(), opened))[:, None]
            else:
                labels = make_targets(frame, answer.timeframe).values[:, [RETURN, CLASS]].astype(np.float64)
            self.known[where] = dict(zip(opened.tolist(), labels, strict=True))
        return self.known[where].get(answer.open_ms, np.full(1 if policy else 2, np.nan))


def changes(close: pd.Series) -> Floats:
    """Return how far each close, by its candle's time in ms, changed in the next four hours, NaN where not known."""
    return close.reindex(close.index + AHEAD_MS).to_numpy() / close.to_numpy() - 1


def figures(rows: Floats, kind: str, change: Floats, happened: Floats) -> str:
    """Return candles, rank correlation, share of right classes, trades and net return per trade, of one version."""
    names = DIRECTION_COLUMNS if kind == DIRECTION else FORECAST_COLUMNS
    classes = rows[:, [names.index(f"direction_{SIGNAL_HORIZON}_{word}") for word in ("up", "down", "flat")]]
    expected = classes[:, UP] - classes[:, DOWN]
    if kind != DIRECTION:
        expected = rows[:, names.index(f"future_return_{SIGNAL_HORIZON}")]
    chosen = classes.argmax(1)
    side = np.select([chosen == UP, chosen == DOWN], [1.0, -1.0])
    traded = side != 0
    net = (side * change)[traded] - ROUND_TRIP_COST
    hits = (chosen == happened).mean() if len(rows) else np.nan
    per_trade = net.mean() if traded.any() else np.nan
    ic = rank_correlation(expected, change)
    return f"{len(rows):>8} {ic:>8.3f} {hits:>8.1%} {traded.sum():>7} {per_trade:>10.3%}"


def weights_beside(weights: Floats, change: Floats) -> str:
    """Return candles, rank correlation, mean weight and mean of weight x return of the next 4 hours, before costs."""
    mean, gross = (weights.mean(), (weights * change).mean()) if len(weights) else (np.nan, np.nan)
    return f"{len(weights):>8} {rank_correlation(weights, change):>8.3f} {mean:>8.3f} {gross:>10.3%}"


def rank_correlation(a: Floats, b: Floats) -> float:
    """Return Spearman's correlation, NaN for fewer than three candles or where one of both stands still."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    ranks = (average_ranks(a), average_ranks(b))
    return float(np.corrcoef(*ranks)[0, 1])


def average_ranks(values: Floats) -> Floats:
    """Return ranks from 0; equals share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts + 1) / 2)[inverse]


if __name__ == "__main__":
    sys.exit(main())
