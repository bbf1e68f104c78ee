"""How far honest simple forecasters come on real candles, month by month, and how far a leak seems to come.

From: $CANDLEWRIGHT_MARKET_DATA. To: tables like those of docs/evaluation.md, on stdout. Those were made before `base`
scaled volatilities as logarithms: linear models of volatility come out better now, trees the same.

    CANDLEWRIGHT_MARKET_DATA=DIR python benchmarks/baselines.py [--months 9] [--skip-leak]

Every month is forecast by models that learned from candles before it (with purge and embargo); all months are then
judged as one. The leak: LightGBM by shuffled k-fold, whose train rows stand a quarter of an hour beside its test rows
and share their future. Both are judged on the same rows.
"""

import argparse
import os
import sys
import time
from datetime import timedelta
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from nn.baselines.every import FITS, fit_baselines  # noqa: E402
from nn.baselines.naive import trailing_log_volatility  # noqa: E402
from nn.baselines.rows import Forecast, training_rows  # noqa: E402
from nn.baselines.trees import STRIDE  # noqa: E402
from nn.data.candles import read_candles  # noqa: E402
from nn.data.targets import max_horizon_bars  # noqa: E402
from nn.data.windows import usable_ends  # noqa: E402
from nn.evaluation.figures import Judge, Outcomes, sign_sums  # noqa: E402
from nn.evaluation.judged import Judged, chain  # noqa: E402
from nn.evaluation.regimes import RegimeLimits  # noqa: E402
from nn.forecast.config import load_config  # noqa: E402
from nn.forecast.dataset import make_training_data  # noqa: E402
from nn.forecast.evaluate import scored_period  # noqa: E402

PAIRS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")
TIMEFRAME, BAR, CONTEXT = "15m", pd.Timedelta(minutes=15), 96
FIGURES = ("ic", "accuracy", "top_decile_accuracy", "class_accuracy", "macro_f1", "ece", "volatility_r2")
MEMORY = {"objective": "binary", "learning_rate": 0.1, "num_leaves": 255, "min_data_in_leaf": 5, "num_threads": 1,
          "deterministic": True, "force_row_wise": True, "verbosity": -1, "seed": 7}  # fmt: skip


def month(frames, begin, config, names):
    """Return one month judged, and its rows."""
    end = begin + pd.offsets.MonthBegin(1)
    until = (begin - max_horizon_bars(TIMEFRAME) * BAR).to_pydatetime()
    data = make_training_data(frames, TIMEFRAME, until, config.data, CONTEXT)

    def ends_of(frame):
        closes = frame["date"] + BAR
        ends = usable_ends(frame, TIMEFRAME, data.features.warmup, CONTEXT)
        ends = ends[((closes >= begin) & (closes < end)).to_numpy()[ends]]
        return ends, np.empty((len(ends), 0), dtype=np.float32)

    period = scored_period(data, frames, ends_of)
    fitted = fit_baselines(data, 7, names=names)
    train = training_rows(data, data.train.every(STRIDE))
    forecasts = fitted.forecasts(period.rows)
    none = {name: np.zeros(len(period.rows), dtype=np.int64) for name in forecasts}
    return Judged(period.outcomes, RegimeLimits.fit(train).of(period.rows), forecasts, none, {}), period.rows


def shuffled(rows, outcomes, column, folds=5):
    """Return the score (N,) that shuffled k-fold gives: the probability of a rise, from rows beside the row itself."""
    up = (outcomes.returns[:, column] > 0).astype(float)
    known = np.isfinite(outcomes.returns[:, column])
    fold = np.random.default_rng(7).integers(0, folds, len(rows))
    score = np.zeros(len(rows))
    for number in range(folds):
        learn = known & (fold != number)
        booster = lightgbm.train(MEMORY, lightgbm.Dataset(rows[learn], up[learn]), 200)
        score[fold == number] = booster.predict(rows[fold == number], num_threads=1) - 0.5
    return score


def walked(rows, outcomes, column):
    """Return the score of the same trees in the order of time: each month from those before it, a day apart."""
    up = (outcomes.returns[:, column] > 0).astype(float)
    known = np.isfinite(outcomes.returns[:, column])
    months = outcomes.times.astype("datetime64[ms]").astype("datetime64[M]")
    score = np.zeros(len(rows))
    for each in np.unique(months)[3:]:
        begin = each.astype("datetime64[ms]").astype(np.int64)
        learn = known & (outcomes.times < begin - timedelta(days=1) / timedelta(milliseconds=1))
        booster = lightgbm.train(MEMORY, lightgbm.Dataset(rows[learn], up[learn]), 200)
        score[months == each] = booster.predict(rows[months == each], num_threads=1) - 0.5
    return score


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--months", type=int, default=9)
    parser.add_argument("--features", default="base_40")
    parser.add_argument("--skip-leak", action="store_true")
    parser.add_argument("--baselines", nargs="+", choices=FITS, default=list(FITS))
    options = parser.parse_args()
    folder = Path(os.environ["CANDLEWRIGHT_MARKET_DATA"]) / "binance"
    frames = {pair: read_candles(folder, pair, TIMEFRAME)[0] for pair in PAIRS}
    last = min(frame["date"].iloc[-1] for frame in frames.values()) + BAR
    config = load_config(["base"])
    config = config.model_copy(update={"data": config.data.model_copy(update={"features": options.features})})
    begins = [last.normalize() - pd.offsets.MonthBegin(k) for k in range(options.months, 0, -1)]
    parts, rows = [], []
    for begin in begins:
        started = time.perf_counter()
        judged, of_month = month(frames, begin, config, tuple(options.baselines))
        parts.append(judged)
        rows.append(of_month)
        print(f"{begin:%Y-%m}: {len(judged)} rows, {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    judged = chain(parts)
    judge = Judge(judged.outcomes.times, 96, 7)
    print(f"| forecaster | horizon | {' | '.join(FIGURES)} |\n|---|---|{'---|' * len(FIGURES)}")
    for name, forecast in judged.forecasts.items():
        found = judge.of(forecast, judged.outcomes)
        for horizon in ("1h", "4h"):
            cells = [str(found[f"{each}_{horizon}"]) if f"{each}_{horizon}" in found else "-" for each in FIGURES]
            print(f"| {name} | {horizon} | {' | '.join(cells)} |", flush=True)
    for name, forecast in judged.forecasts.items():
        by_month = [judge_one(part.forecasts[name], part.outcomes) for part in parts]
        if forecast.score.any():
            print(f"IC 1h by month, {name}: {' '.join(f'{each:+.3f}' for each in by_month)}")
    trailing = np.concatenate([trailing_log_volatility(each, 4) for each in rows])
    came, known = judged.outcomes.log_volatility[:, 0], np.isfinite(judged.outcomes.log_volatility[:, 0])
    print(f"trailing volatility of 1h, squared correlation: {np.corrcoef(trailing[known], came[known])[0, 1] ** 2:.3f}")
    if not options.skip_leak:
        features = np.concatenate([each.features for each in rows])
        for column, horizon in ((1, "1h"), (2, "4h")):
            honest = walked(features, judged.outcomes, column)
            for name, score in (
                ("walk-forward", honest),
                ("shuffled k-fold", shuffled(features, judged.outcomes, column)),
            ):
                asked = np.isfinite(judged.outcomes.returns[:, column]) & (honest != 0)
                right, moved = sign_sums(score, judged.outcomes.returns[:, column], asked).sum(0)
                print(f"same trees, {horizon}, {name}: right {right / moved:.1%} of {moved:.0f} moves", flush=True)


def judge_one(forecast: Forecast, outcomes: Outcomes) -> float:
    from nn.evaluation.figures import correlation, rank_sums

    known = np.isfinite(outcomes.returns[:, 1])
    return float(correlation(rank_sums(forecast.score[:, 1], outcomes.returns[:, 1], known).sum(0)))


if __name__ == "__main__":
    main()
