"""FreqAI beside this project: the same pairs, candles, features, training window and machine, one thread each.

From: CANDLEWRIGHT_MARKET_DATA, else a synthetic market of the simulated exchange. To: a table on stdout and, with
`--json FILE`, the numbers behind it. The last 30 days are back-tested; the 90 days before them train.

    python benchmarks/freqai/run.py --peers        # installs what FreqAI lacks aside (6 MB), once

FreqAI trains one model per pair for the 30 days; ours trains three versions on all pairs, each valid for ten days. Both
are three trainings. See ../freqai.md for what else is equal and what is not.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE)]

from meter import Cost, metered  # noqa: E402

from tools.commands.background import exchange_command, service_command  # noqa: E402
from tools.commands.freqtrade import layers  # noqa: E402
from tools.freqtrade import at_port, merged_config  # noqa: E402
from tools.home import Home  # noqa: E402
from tools.ports import free_port  # noqa: E402
from tools.services import Running, temporary  # noqa: E402

SITE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "candlewright-peers" / "freqai"
# Of freqtrade[freqai]; scikit-learn, lightgbm and torch are ours already. FreqAI imports xgboost whatever the model.
MISSING = {"datasieve": "datasieve==0.1.9", "xgboost": "xgboost-cpu==3.2.0"}
PAIRS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")
TRAIN_DAYS, TEST_DAYS, VERSIONS = 90, 30, 3
MODELS = ("unified", "direction")  # the strategies need both: one tells how much, the other which way
HORIZON = 4  # candles of 15m: the return of the next hour
WARMUP_DAYS = 15  # candles before the training window, for the features
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ARROW_NUM_THREADS"), "1")

LIGHTGBM = {"n_estimators": 400, "learning_rate": 0.02, "n_jobs": 1, "verbosity": -1}
TRANSFORMER = {  # epochs x rows is what ours sees as well; the rest is FreqAI's own example
    "learning_rate": 3e-4,
    "trainer_kwargs": {"n_epochs": 10, "n_steps": None, "batch_size": 64},
    "model_kwargs": {"hidden_dim": 512, "dropout_percent": 0.2, "n_layer": 1},
}
# Equal work: 3 pairs x 90 days x 10 passes over every third candle are FreqAI's 10 passes over every candle of a pair.
EQUAL_PASSES = {"fit": {"epochs": 10, "patience": 10, "train_stride": 3}}


@dataclass
class Side:
    """One contender's figures."""

    name: str
    whole: Cost  # training, serving and the first backtest
    repeat: Cost  # the same backtest again
    training: float  # seconds
    predictions: int
    information_coefficient: float  # Spearman's, mean over pairs, of the forecast as the strategy saw it
    trades: int

    @property
    def predictions_per_second(self) -> float:
        """Of the first backtest without training and without what a backtest costs when nothing is predicted."""
        return self.predictions / max(self.whole.wall - self.training - self.repeat.wall, 1e-9)


class Bench:
    """A folder with candles, and Freqtrade on them."""

    def __init__(self, folder: Path, datadir: Path, until: datetime, port: int, exchange_pid: int) -> None:
        self.home = Home(ROOT, folder / "user_data")
        self.home.make()
        self.datadir, self.until, self.exchange_pid = datadir, until, exchange_pid
        overrides = {"exchange": {"pair_whitelist": list(PAIRS)}, "strategy_path": str(HERE / "strategies")}
        self.config = at_port(merged_config(self.home, layers("futures", "sim"), overrides), port)

    def run(self, command: list[str], log: Path, **environment: str) -> str:
        """Run a process to its end on one thread and return what it said."""
        with log.open("wb") as output:
            env = self.home.child_environment(**ONE_THREAD, **environment)
            code = subprocess.run(command, env=env, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT).returncode
        text = log.read_text(errors="replace")
        if code:
            raise SystemExit(
                f"{' '.join(command[:5])} ended with exit code {code}; the end of its log:\n{text[-3000:]}"
            )
        return text

    def backtest(self, name: str, strategy: str, more: dict[str, Any], *arguments: str, **environment: str) -> str:
        """Back-test the test days; predictions go to the folder `name`."""
        dump = self.home.user_data / "dump" / name
        dump.mkdir(parents=True, exist_ok=True)
        config = self.home.run / f"{name}.json"
        config.write_text(json.dumps({**self.config, **more}))
        begin = self.until - timedelta(days=TEST_DAYS)
        command = [sys.executable, "-m", "freqtrade", "backtesting", "--config", str(config), "--strategy", strategy]
        command += ["--userdir", str(self.home.user_data), "--datadir", str(self.datadir), "--cache", "none"]
        command += ["--timerange", f"{begin:%Y%m%d}-{self.until:%Y%m%d}", "--export", "none", *arguments]
        return self.run(command, self.home.logs / f"{name}.log", PEER_DUMP=str(dump), **environment)

    def judge(self, name: str) -> tuple[int, float]:
        """Return how many test candles have a forecast and its rank correlation with the next hour's return."""
        count, coefficients = 0, []
        for pair in PAIRS:
            frame = pd.read_feather(self.home.user_data / "dump" / name / f"{pair.split('/')[0]}.feather")
            frame["actual"] = frame["close"].shift(-HORIZON) / frame["close"] - 1
            begin = pd.Timestamp(self.until - timedelta(days=TEST_DAYS))
            told = frame[(frame["date"] >= begin) & (frame["do_predict"] == 1)].dropna(subset=["forecast"])
            count += len(told)
            told = told.dropna(subset=["actual"])
            coefficients.append(told["forecast"].corr(told["actual"], method="spearman"))
        return count, float(pd.Series(coefficients).mean())


def freqai(bench: Bench, model: str, parameters: dict[str, Any]) -> Side:
    """Train and back-test in one process, as FreqAI does, then once more with its saved predictions."""
    more = {
        "freqai": {
            "enabled": True,
            "identifier": model,
            "train_period_days": TRAIN_DAYS,
            "backtest_period_days": TEST_DAYS,
            "live_retrain_hours": 0,
            "purge_old_models": 2,
            "save_backtest_models": True,
            "activate_tensorboard": False,
            "conv_width": 32,  # its window; the positional table allows at most as many as there are features
            "feature_parameters": {
                "include_timeframes": ["15m"],
                "include_corr_pairlist": [],
                "label_period_candles": HORIZON,
                "include_shifted_candles": 0,
                "indicator_periods_candles": [14],
            },
            "data_split_parameters": {"test_size": 0.15, "shuffle": False},
            "model_training_parameters": parameters,
        }
    }
    site = os.pathsep.join([str(SITE), os.environ.get("PYTHONPATH", "")])
    environment = {"PYTHONPATH": site, "PEER_FEATURES": str(ROOT / "kernels" / "benchmarks")}
    costs, texts = [], []
    for _ in range(2):
        with metered({bench.exchange_pid}) as cost:
            texts.append(bench.backtest(model, "FreqaiPeer", more, "--freqaimodel", model, **environment))
        costs.append(cost)
    trainings = [float(seconds) for seconds in re.findall(r"Done training \S+ \(([\d.]+) secs\)", texts[0])]
    if len(trainings) != len(PAIRS):
        raise SystemExit(f"FreqAI trained {len(trainings)} models, expected {len(PAIRS)}: see {bench.home.logs}")
    return Side(f"FreqAI {model}", costs[0], costs[1], sum(trainings), *bench.judge(model), trades_in(texts[0]))


def ours(bench: Bench, name: str, profiles: list[str], settings: dict[str, Any]) -> Side:
    """Train a chain, serve it, back-test it, and back-test it again from the cache of forecasts."""
    extra = bench.home.run / f"{name}.yaml"
    extra.write_text(yaml.safe_dump({"data": {"history_days": TRAIN_DAYS}, **settings}))
    train = ["--datadir", str(bench.datadir), "--timeframe", "15m", "--pairs", *PAIRS, "--seed", "7"]
    train += [
        "--walk-forward",
        str(VERSIONS),
        "--period",
        f"{TEST_DAYS // VERSIONS}d",
        "--until",
        f"{bench.until:%Y-%m-%d}",
    ]
    train += ["--registry", str(bench.home.registry)]
    for profile in (*profiles, str(extra)):
        train += ["--config", profile]
    training = Cost()
    for model in MODELS:
        with metered({bench.exchange_pid}) as cost:
            command = [sys.executable, "-m", "nn.forecast.train", "--model", model, *train]
            bench.run(command, bench.home.logs / f"{name}-{model}.log")
        print(f"{name}: {model} {cost}", file=sys.stderr, flush=True)
        training += cost
    costs, texts = [], []
    for _ in range(2):
        with metered({bench.exchange_pid}) as cost, service(bench) as url:
            more = {"candlewright": {"service_url": url}}
            texts.append(bench.backtest(name, "ServedPeer", more))
        costs.append(cost)
    return Side(name, training + costs[0], costs[1], training.wall, *bench.judge(name), trades_in(texts[0]))


@contextmanager
def service(bench: Bench) -> Iterator[str]:
    port = free_port()
    environment = bench.home.child_environment(**ONE_THREAD)
    with temporary(bench.home, "service", service_command(port), port, environment=environment) as started:
        yield started.url


def trades_in(text: str) -> int:
    found = re.search(r"Total/Daily Avg Trades\s*[│|]\s*(\d+)", text)
    return int(found[1]) if found else 0


@contextmanager
def market(folder: Path) -> Iterator[tuple[Path, datetime, Running]]:
    """Yield a data directory with three pairs of 15m futures, its end, and the exchange that lists them."""
    home = Home(ROOT, folder / "market")
    home.make()
    port = free_port()
    if recorded := os.environ.get("CANDLEWRIGHT_MARKET_DATA"):
        datadir = Path(recorded) / "binance"
        dates = pd.read_feather(datadir / "futures" / "BTC_USDT_USDT-15m-futures.feather", columns=["date"])["date"]
        command = exchange_command(port, datadir, None, 0, 0)
        with temporary(home, "exchange", command, port) as exchange:
            yield datadir, (dates.iloc[-1] + pd.Timedelta("15min")).floor("D").to_pydatetime(), exchange
        return
    until, days = datetime(2025, 10, 1, tzinfo=UTC), TRAIN_DAYS + TEST_DAYS + WARMUP_DAYS
    command = [*exchange_command(port, None, PAIRS, days, 7), "--planted-trend", "0.4"]
    with temporary(home, "exchange", command, port) as exchange:
        config = merged_config(home, layers("futures", "sim"), {"exchange": {"pair_whitelist": list(PAIRS)}})
        path = home.run / "download.json"
        path.write_text(json.dumps(at_port(config, port)))
        argv = [sys.executable, "-m", "freqtrade", "download-data", "--config", str(path), "--timeframes", "15m", "1h"]
        argv += ["--timerange", f"{until - timedelta(days=days):%Y%m%d}-{until:%Y%m%d}"]
        argv += ["--userdir", str(home.user_data), "--datadir", str(home.user_data / "data" / "binance")]
        subprocess.run(argv, check=True, cwd=ROOT, stdout=sys.stderr, stderr=subprocess.DEVNULL)
        yield home.user_data / "data" / "binance", until, exchange


def missing() -> list[str]:
    return [need for name, need in MISSING.items() if not find_spec(name) and not (SITE / name).is_dir()]


def install() -> None:
    if needed := missing():
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--target", str(SITE), *needed], check=True)


def table(sides: list[Side]) -> str:
    """Return the figures as a Markdown table, each side beside the first of ours."""
    names = ("train + serve + backtest, s", "CPU, s", "peak, MiB", "training, s", "predictions/s")
    head = ("", *names, "again, s", "again, peak MiB", "IC 1h", "trades")
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    for side in sides:
        whole, again = side.whole, side.repeat
        cells = (f"{whole.wall:.1f}", f"{whole.cpu:.1f}", f"{whole.peak:,.0f}", f"{side.training:.1f}")
        cells += (f"{side.predictions_per_second:,.0f}", f"{again.wall:.1f}", f"{again.peak:,.0f}")
        cells += (f"{side.information_coefficient:+.3f}", str(side.trades))
        lines.append(f"| {side.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


CONTENDERS = {
    "lightgbm": lambda bench: freqai(bench, "LightGBMRegressor", LIGHTGBM),
    "demo": lambda bench: ours(bench, "ours, profile demo", ["base", "demo"], {}),
    "equal": lambda bench: ours(bench, "ours, profile demo, FreqAI's passes", ["base", "demo"], EQUAL_PASSES),
    "base": lambda bench: ours(bench, "ours, profile base", ["base"], {}),
    "transformer": lambda bench: freqai(bench, "PyTorchTransformerRegressor", TRANSFORMER),
}

FREQAI = {"lightgbm", "transformer"}  # the contenders that are not ours


def main() -> None:
    command = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    command.add_argument("--peers", action="store_true", help="install what FreqAI lacks aside, once")
    command.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), help="(default: all)")
    command.add_argument("--json", type=Path, help="write the figures there as well")
    options = command.parse_args()
    if options.peers:
        install()
    elif FREQAI & set(options.only) and (needed := missing()):
        raise SystemExit(f"FreqAI needs {', '.join(needed)}, which is not installed: run again with --peers")
    sides = []
    with tempfile.TemporaryDirectory(prefix="freqai-") as scratch, market(Path(scratch)) as (datadir, until, exchange):
        for name in options.only:
            bench = Bench(Path(scratch) / name, datadir, until, exchange.port, exchange.pid)
            sides.append(CONTENDERS[name](bench))
            print(table(sides[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
    print(f"{len(PAIRS)} pairs x {TEST_DAYS} days of 15m, until {until:%Y-%m-%d}, trained on {TRAIN_DAYS} days\n")
    print(table(sides))
    if options.json:
        found = [asdict(side) | {"predictions_per_second": side.predictions_per_second} for side in sides]
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
