"""`python -m nn.policy.judge --line policy-15m --datadir DIR`: judge signed policies, each in its own period (EVA-7).

From: the registry and Freqtrade's candles. To: a table per version and one of the chain on stdout, JSON with `--out`.
Only versions whose signature and hashes hold are read. With `--config sim` or `live` they trade in another account and
at other costs than those they learned in; what is signed beside a version stays as it is.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from rich.console import Console

from ..data.candles import read_candles
from ..forecast.judge_line import periods
from ..forecast.options import date, registry_folder
from ..registry.evaluations import Evaluation
from ..registry.files import ModelRefused
from ..registry.keys import Keys, read_keys
from ..registry.manifest import LoadedVersion, load_aliases, load_version
from ..registry.promotion import evaluation_of
from .account import Frames
from .judge import NOT_SEARCHED, Judged, chained, judge_policy, judgement, table
from .trading import TradingData, make_trading_data
from .trading_config import (
    CostSection,
    DataSection,
    ExecutionSection,
    SearchedSection,
    TradingConfig,
    load_trading_config,
)
from .version import Policy, grids_of, settings_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 judged, 1 a version is refused, 2 with one sentence when it cannot be done."""
    options = parser().parse_args(arguments)
    folder = options.registry / options.line
    try:
        keys = read_keys()
        versions = versions_of(folder, options.version, keys)
        searched = [searched_before(evaluation_of(folder, each.manifest.version, keys)) for each in versions]
        manifest = versions[0].manifest
        account = None if options.config is None else load_trading_config(["train", *options.config])
        frames = {pair: read_candles(options.datadir, pair, manifest.timeframe)[0] for pair in manifest.pairs}
        judged = judge_chain(versions, frames, options.until, options.validation_share, options.seed, account)
    except ModelRefused as error:
        return _fail(error, 1)
    except (ValueError, OSError) as error:
        return _fail(error, 2)
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    found = [judgement(each, options.seed, behind) for each, behind in zip(judged, searched, strict=True)]
    for loaded, each in zip(versions, found, strict=True):
        console.print(table(each, f"{loaded.manifest.version}: {each.begin:%Y-%m-%d} to {each.end:%Y-%m-%d}"))
    whole = judgement(chained(judged), options.seed, max(searched, key=lambda each: each.trials))
    if len(found) > 1:
        console.print(table(whole, f"{options.line}: {whole.begin:%Y-%m-%d} to {whole.end:%Y-%m-%d}"))
    for reason in whole.reasons:
        console.print(f"- {reason}", markup=False)
    print(f"verdict: {options.line} {'beats' if whole.beats else 'does NOT beat'} its rivals on {whole.rows} candles")
    if options.out is not None:
        payload = whole.payload(options.line, versions[-1].manifest.version)
        options.out.write_text(json.dumps(payload, indent=1, default=str, allow_nan=False), encoding="utf-8")
    return 0


def versions_of(folder: Path, version: str | None, keys: Keys) -> list[LoadedVersion]:
    """Return the version asked for, else the chain of the line; nothing unsigned."""
    names = (version,) if version else load_aliases(folder, keys).chain
    if not names:
        raise ModelRefused(f"{folder.name} has no chain; --version judges one version")
    found = [load_version(folder / name, keys) for name in names]
    return sorted(found, key=lambda loaded: loaded.manifest.valid_from)


def searched_before(signed: Evaluation | None) -> SearchedSection:
    """Return the tries that the signed judgement of a version counts besides the one that is judged here (EVA-9)."""
    if signed is None:
        return NOT_SEARCHED
    said = signed.trading
    n_more = max(int(said.get("trials", 1)) - 1, 0)
    return SearchedSection(trials=n_more, sharpe_deviation=said.get("trials_deviation"), pbo=said.get("pbo"))


def judge_chain(
    versions: Sequence[LoadedVersion],
    frames: Frames,
    until: datetime | None,
    validation_share: float,
    seed: int,
    account: TradingConfig | None = None,
) -> list[Judged]:
    """Return each version's account and its rivals' in the period from its `valid_from` to the next one's."""
    found = []
    for loaded, (begin, end) in zip(versions, periods(list(versions), dict(frames), until), strict=True):
        policy = Policy.from_loaded(loaded)
        data = trading_data_of(policy, frames, validation_share)
        acting = policy if account is None else under(policy, account)
        found.append(judge_policy([acting], data, frames, begin, end, seed))
    return found


def under(policy: Policy, config: TradingConfig) -> Policy:
    """Return the policy in another account; what it may do and the grids of its pairs stay its own."""
    own = policy.manifest.environment
    assert own is not None  # of every policy
    other = config.account(policy.observations.tokens)
    account = other.model_copy(update={"can_short": own.can_short, "grids": own.grids})
    manifest = policy.manifest.model_copy(update={"environment": account})
    return replace(policy, manifest=manifest, settings=settings_of(account), grids=grids_of(account))


def trading_data_of(policy: Policy, frames: Frames, validation_share: float) -> TradingData:
    """Return what a version learned from, made anew; ValueError when candles or statistics are others by now."""
    manifest, own = policy.manifest, policy.manifest.environment
    assert own is not None
    config = TradingConfig(
        data=DataSection(
            timeframe=manifest.timeframe,
            max_num_tokens=len(policy.observations.slots) - 55,
            validation_share=validation_share,
            episode_days=0.01,  # the rivals' rows need no room for an episode
        ),
        costs=CostSection(fees=own.fees, slippage=own.slippage, latency=own.latency),
        execution=ExecutionSection(
            cash=own.cash, can_short=own.can_short, dead_band=own.dead_band, risk=own.risk, grids=own.grids
        ),
    )
    since = {
        pair: frame[frame["date"] >= manifest.trained_from].reset_index(drop=True) for pair, frame in frames.items()
    }
    statistics = policy.observations.statistics  # fitted anew they may differ in a last bit on another machine
    data = make_trading_data(since, manifest.trained_until, config, statistics)
    if data.fingerprint != manifest.data_fingerprint:
        raise ValueError(
            f"{manifest.version} learned from candles with fingerprint {manifest.data_fingerprint[:12]}, those in"
            f" --datadir have {data.fingerprint[:12]}: its rivals would learn from others"
        )
    if data.n_train_candles != statistics.rows:
        raise ValueError(
            f"{manifest.version} has statistics of {statistics.rows} train rows, here are {data.n_train_candles}: "
            "give the --validation-share of its training"
        )
    return data


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m nn.policy.judge", description="Judge a chain of trading policies.")
    made.add_argument("--line", required=True, help="model line, such as policy-15m")
    made.add_argument("--datadir", type=Path, required=True, help="Freqtrade data directory of one exchange")
    made.add_argument("--registry", type=Path, default=registry_folder(), help="[default: %(default)s]")
    made.add_argument("--version", help="one version instead of the chain")
    made.add_argument("--until", type=date, help="end of the last period, such as 2025-09-30")
    share = DataSection().validation_share
    made.add_argument("--validation-share", type=float, default=share, help="[default: %(default)s]")
    made.add_argument("--config", action="append", metavar="NAME|FILE", help="other costs and account: sim, live")
    made.add_argument("--seed", type=int, default=7, help="of random rivals and bootstrap [default: %(default)s]")
    made.add_argument("--out", type=Path, help="file for the chain's judgement, JSON")
    return made


def _fail(error: object, code: int) -> int:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return code
