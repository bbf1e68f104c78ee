"""`python -m nn.forecast.evaluate --line NAME --datadir DIR`: judge signed versions, each in its own period (EVA-7).

From: the registry and Freqtrade's candles. To: tables on stdout, and with `--out` JSON and CSV. Only versions whose
signature and hashes hold are read. Baselines learn anew from the candles that each version learned from.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
from rich.console import Console

from ..data.candles import read_candles
from ..data.quality import BadCandles
from ..evaluation.judged import Judged, chain
from ..evaluation.tables import comparison, csv_files, table
from ..evaluation.verdict import Evaluation, evaluate
from ..registry.files import ModelRefused
from ..registry.keys import Keys, read_keys
from ..registry.manifest import LoadedVersion, load_aliases, load_version
from .config import DataConfig, load_config
from .dataset import TrainingData, make_training_data
from .evaluate import block_of, judge_version
from .options import date, registry_folder
from .permute import permute, told
from .schedule import data_end

VALIDATION_SHARE = 0.15  # of configs/nn/base.yaml

Frames = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Asked:
    """What the command line asks for."""

    line: Path
    version: str | None
    datadir: Path
    end: datetime | None
    validation_share: float
    seed: int
    n_searched: int


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 judged, 1 refused or impossible, 3 judged and SuspectedLeak (PRM-3)."""
    options = _parser().parse_args(arguments)
    asked = Asked(
        options.registry / options.line, options.version, options.datadir, options.until,
        options.validation_share, options.seed, options.n_searched,
    )  # fmt: skip
    say = _say
    try:
        keys = read_keys()
        versions = versions_of(asked, keys)
        frames = {pair: read_candles(asked.datadir, pair, versions[0].manifest.timeframe)[0]
                  for pair in versions[0].manifest.pairs}  # fmt: skip
        if options.permutation_test is not None:
            return permute_labels(asked, versions[-1], frames, options.permutation_test, options.network)
        whole = judge_chain(asked, versions, frames)
        if options.out is not None:
            write(options.out, whole)
    except (ModelRefused, BadCandles, ValueError, OSError) as error:
        print(f"evaluate: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    if whole.suspected_leak:
        say("SUSPECTED LEAK: no honest forecaster of these markets is right that often")
    return 3 if whole.suspected_leak else 0


def judge_chain(asked: Asked, versions: list[LoadedVersion], frames: Frames) -> Evaluation:
    """Judge every version in its period, print the tables, return the judgement of all periods as one."""
    parts: list[Judged] = []
    results = {}
    spans = periods(versions, frames, asked.end)
    timeframe = versions[0].manifest.timeframe
    for number, (loaded, (begin, end)) in enumerate(zip(versions, spans, strict=True), 1):
        _say(f"{number}/{len(versions)} {loaded.manifest.version}: {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}")
        data = training_data_of(loaded, frames, asked.validation_share)
        parts.append(judge_version(loaded, data, frames, begin, end, asked.seed, _say))
        results[begin] = evaluate(parts[-1], begin, end, block_of(timeframe), asked.seed, asked.n_searched).flat()
    whole = evaluate(chain(parts), spans[0][0], spans[-1][1], block_of(timeframe), asked.seed, asked.n_searched)
    console = Console(width=None if sys.stdout.isatty() else 80, highlight=False)
    console.print(table(results))
    console.print(comparison(whole))
    for reason in whole.reasons:
        console.print(f"- {reason}", markup=False)
    beaten = "beats" if whole.beats_baselines else "does NOT beat"
    console.print(f"verdict: {asked.line.name} {beaten} the best baselines on {whole.rows} rows")
    return whole


def versions_of(asked: Asked, keys: Keys) -> list[LoadedVersion]:
    """Return the version asked for, else the chain of the line; nothing unsigned."""
    names = (asked.version,) if asked.version else load_aliases(asked.line, keys).chain
    if not names:
        raise ModelRefused(f"{asked.line.name} has no chain; --version judges one version")
    found = [load_version(asked.line / name, keys) for name in names]
    return sorted(found, key=lambda loaded: loaded.manifest.valid_from)


def periods(versions: list[LoadedVersion], frames: Frames, until: datetime | None) -> list[tuple[datetime, datetime]]:
    """Return [begin, end) of each version: from its valid_from to the next one's, the last to the end of the data."""
    end = data_end(frames, versions[0].manifest.timeframe, until)
    begins = [loaded.manifest.valid_from for loaded in versions]
    found = list(zip(begins, [*begins[1:], end], strict=True))
    if found[-1][0] >= end:
        raise ValueError(
            f"{versions[-1].manifest.version} is valid from {begins[-1]:%Y-%m-%d %H:%M}, the candles end at"
            f" {end:%Y-%m-%d %H:%M}: there is nothing to judge it on"
        )
    return found


def training_data_of(loaded: LoadedVersion, frames: Frames, validation_share: float) -> TrainingData:
    """Return what a version learned from, made anew; ValueError when the candles are not the same any more."""
    manifest = loaded.manifest
    config = DataConfig(
        features=manifest.feature_names,
        feature_parameters=manifest.feature_parameters,
        volatility=None,  # of the network's own scales, which are in its weights
        logs="logs" in manifest.scaler,
        history_days=None,
        validation_share=validation_share,
        outlier_quantile=None,  # of the version's own limits, which are in its manifest
    )
    since = {
        pair: frame[frame["date"] >= manifest.trained_from].reset_index(drop=True) for pair, frame in frames.items()
    }
    context_length = manifest.architecture["context_length"]
    assert isinstance(context_length, int)
    data = make_training_data(since, manifest.timeframe, manifest.trained_until, config, context_length)
    if data.fingerprint != manifest.data_fingerprint:
        raise ValueError(
            f"{manifest.version} learned from candles with fingerprint {manifest.data_fingerprint[:12]}, those in"
            f" --datadir have {data.fingerprint[:12]}: baselines would learn from others"
        )
    if data.scaler.to_dict() != manifest.scaler:
        raise ValueError(
            f"{manifest.version} was scaled by other train rows: give the --validation-share that it was trained with"
        )
    return data


def permute_labels(asked: Asked, loaded: LoadedVersion, frames: Frames, n: int, profiles: list[str] | None) -> int:
    """Print what a learner finds in permuted labels; 0 when that is nothing, 3 when it is something."""
    data = training_data_of(loaded, frames, asked.validation_share)
    (begin, end), *_ = periods([loaded], frames, asked.end)
    config = None if profiles is None else load_config(profiles)
    found = permute(loaded, data, frames, begin, end, n, asked.seed, config, _say)
    print(told(found, n))
    return 0 if found.at_chance else 3


def write(folder: Path, found: Evaluation) -> None:
    """Write evaluation.json and the CSV tables."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps(found.document(), indent=1, allow_nan=False), encoding="utf-8")
    for name, text in csv_files(found):
        (folder / name).write_text(text, encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nn.forecast.evaluate", description="Judge a chain of versions.")
    parser.add_argument("--line", required=True, help="model line, such as unified-15m")
    parser.add_argument("--datadir", type=Path, required=True, help="Freqtrade data directory of one exchange")
    parser.add_argument("--registry", type=Path, default=registry_folder(), help="[default: %(default)s]")
    parser.add_argument("--version", help="one version instead of the chain")
    parser.add_argument("--until", type=date, help="end of the last period, such as 2025-09-30")
    parser.add_argument("--validation-share", type=float, default=VALIDATION_SHARE, help="[default: %(default)s]")
    parser.add_argument("--seed", type=int, default=7, help="of baselines and bootstrap [default: %(default)s]")
    parser.add_argument("--n-searched", type=int, default=0, help="trials of a search before these versions")
    parser.add_argument("--permutation-test", type=int, metavar="N", help="learn from N permutations of the labels")
    parser.add_argument("--network", nargs="+", metavar="PROFILE", help="permutation test of a network so trained")
    parser.add_argument("--out", type=Path, help="folder for evaluation.json and the CSV tables")
    return parser


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
