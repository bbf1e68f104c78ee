"""What one trading policy may learn from: markets made of candles that closed before a moment, and nothing later.

From: checked candles of all pairs, a `TradingConfig`. To: `learn`, as environments; `version`, as the observation.

The frames are cut first. Statistics, GARCH weights and the markets that teach come from the part before the border; the
newest part is walked through once at the end, to be looked at, and teaches nothing (LEK-2, LEK-3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from tradekernels.environment import Market, Settings, TradingEnvironment, market
from tradekernels.observation import ObservationSet, Statistics, fit, observation_set

from ..data.candles import check_candles
from ..data.garch import fit_garch
from ..data.timeframe import timeframe_ms
from ..forecast.dataset import ADVICE, TooLittleData, cut
from ..registry.policy_fields import PolicyEnvironment
from .gym import TradingVectorEnv
from .trading_config import TradingConfig
from .version import grids_of, settings_of

DAY_MS = 86_400_000


@dataclass(frozen=True, eq=False)
class TradingData:
    observations: ObservationSet  # statistics and GARCH weights of the train rows
    markets: tuple[Market, ...]  # train rows alone: one per pair, or per stretch without a hole
    account: PolicyEnvironment
    episode_length: int  # bars
    frames: dict[str, pd.DataFrame]  # all that the version may see, validation rows included
    border: datetime  # train candles closed at or before it
    n_train_candles: int  # of all pairs, holes and warm-up included
    trained_until: datetime
    fingerprint: str
    notes: tuple[str, ...]  # what was left out, a sentence each

    @property
    def pairs(self) -> tuple[str, ...]:
        return tuple(self.frames)

    @property
    def trained_from(self) -> datetime:
        return min(frame["date"].iloc[0] for frame in self.frames.values()).to_pydatetime()

    @property
    def n_train(self) -> int:
        """Candles at which an episode may act."""
        return sum(each.last - each.first for each in self.markets)

    def settings(self) -> Settings:
        """Return the account in training: short episodes that begin anywhere, on any pair."""
        return replace(settings_of(self.account), episode_length=self.episode_length, random_start=True)

    def environments(self, n_copies: int, seed: int) -> TradingVectorEnv:
        """Return copies of the account on all markets; they share their arrays from step to step."""
        return TradingVectorEnv(TradingEnvironment(self.markets, n_copies, self.settings(), seed=seed), copy=False)


def make_trading_data(
    frames: Mapping[str, pd.DataFrame], until: datetime, config: TradingConfig, statistics: Statistics | None = None
) -> TradingData:
    """Return the markets of the candles that closed at or before `until`.

    Parameters
    ----------
    statistics : Statistics, optional
        Those of a version, to look at again what it learned from; fitted on the train rows where there are none.

    Raises
    ------
    TooLittleData
        If a pair has too few candles for the warm-up and one episode, or the GARCH weights cannot be fitted.
    BadCandles
        If a row is no candle; the message names pair, row and value.
    """
    timeframe = config.data.timeframe
    bar_ms = timeframe_ms(timeframe)
    days = config.data.history_days
    seen = {
        pair: cut(frame, timeframe, until, None if days is None else until - timedelta(days=days))
        for pair, frame in frames.items()
    }
    for pair, frame in seen.items():
        if frame.empty:
            raise TooLittleData(f"{pair}: no {timeframe} candle closed before {until:%Y-%m-%d %H:%M}: {ADVICE}")
    first = min(frame["date"].iloc[0] for frame in seen.values())
    bar = pd.Timedelta(milliseconds=bar_ms)
    border = pd.Timestamp(until - (until - first) * config.data.validation_share).floor(bar).to_pydatetime()
    train = {pair: cut(frame, timeframe, border) for pair, frame in seen.items()}
    digest = hashlib.sha256()
    for pair, frame in seen.items():
        digest.update(f"{pair} {check_candles(frame, pair, timeframe).fingerprint}\n".encode())
    try:
        statistics = statistics or fit(train, timeframe, fit_garch(train))
    except ValueError as error:
        raise TooLittleData(f"{error}: {ADVICE}") from error
    observations = observation_set(statistics, tuple(seen), config.data.max_num_tokens or len(seen))
    account = config.account(tuple(seen))
    length = max(1, round(config.data.episode_days * DAY_MS / bar_ms))
    markets, notes = [], []
    for token, (pair, frame) in enumerate(train.items()):
        found, said = _markets(pair, frame, observations, token, account, length)
        markets += found
        notes += said
    return TradingData(
        observations,
        tuple(markets),
        account,
        length,
        seen,
        border,
        sum(map(len, train.values())),
        until,
        digest.hexdigest(),
        tuple(notes),
    )


def _markets(
    pair: str, frame: pd.DataFrame, observations: ObservationSet, token: int, account: PolicyEnvironment, length: int
) -> tuple[list[Market], list[str]]:
    """Return a market for every stretch of candles without a hole that is long enough, and what was left out."""
    times = frame["date"].to_numpy(dtype="datetime64[ms]").astype(np.int64)
    holes = np.flatnonzero(np.diff(times) != observations.bar_ms) + 1
    needed = observations.warmup + length + 1
    grid = grids_of(account)[pair]
    markets, notes = [], []
    for begin, end in zip([0, *holes], [*holes, len(frame)], strict=True):
        part = frame.iloc[begin:end].reset_index(drop=True)
        if len(part) >= needed:
            rows = observations.market(part, token)
            markets.append(market(pair, part, rows, observations.timeframe, grid, observations.warmup))
        elif len(holes):
            notes.append(
                f"{pair}: {len(part)} candles from {part['date'].iloc[0]:%Y-%m-%d %H:%M} lie between two gaps, which is"
                f" fewer than the {needed} of warm-up and one episode: left out"
            )
    if not markets:
        raise TooLittleData(
            f"{pair} has {len(frame)} {observations.timeframe} candles to learn from"
            f"{f' in {len(holes) + 1} stretches' if len(holes) else ''}, expected {needed} in a row: "
            f"{observations.warmup} to warm up and {length} of an episode: {ADVICE}"
        )
    return markets, notes
