"""Plays policies over the candles of a pair, in an account that the environment kernel keeps (ENV-2, ASO-1).

From: `version.Policy`, candles. To: `nn.service` (/rollout), `judge`. What stands at a candle follows from that candle
and those before it, from the first of the frame on: orders of one candle fill in the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from tradekernels.environment import TradingEnvironment, market
from tradekernels.features.frame import read_times
from tradekernels.observation import BLOCKS

from ..data.timeframe import timeframe_ms
from .version import Policy

AGENT = BLOCKS["agent"]  # slots 21 to 26
NOBODY = -1
SEED = 0  # of the simulated latencies

Frame = Mapping[str, NDArray]


class UnknownPair(ValueError):
    """A policy that acts was not trained on this pair."""


@dataclass(frozen=True, eq=False)
class Played:
    """What was done at the close of each of n candles; NaN where nobody acted."""

    acted_by: NDArray[np.int64]  # (n,), index in the chain, or NOBODY: before the first version, or warming up
    target_weight: NDArray[np.float32]  # (n,)
    value: NDArray[np.float32]  # (n,), mean of the quantiles: discounted log growth expected
    cvar: NDArray[np.float32]  # (n,), mean of the worst of them
    held_weight: NDArray[np.float64]  # (n,), of the worth, before acting
    agent: NDArray[np.float32]  # (n, 6), slots 21 to 26 as they were seen
    worth: NDArray[np.float64]  # (n,), quote currency at the close
    growth: NDArray[np.float64]  # (n,), log of the worth over that of the candle before; ruin is in it
    turnover: NDArray[np.float64]  # (n,), notional traded since the first candle, quote currency
    n_trades: NDArray[np.int64]  # (n,), since the first candle


def rollout(policies: Policy | Sequence[Policy], frame: Frame, pair: str) -> Played:
    """Return what a policy, or the newest valid one of a chain, does at each candle of a pair.

    The account begins flat at the first candle at which a version is valid and the observation has warmed up, and goes
    on when the next version takes over. One that is ruined begins anew with its cash.

    Parameters
    ----------
    policies : Policy or sequence of Policy
        Ascending by `valid_from`, equal in environment. A policy given alone acts from its own `valid_from` on too.
    frame : Mapping of str to array, or DataFrame
        Closed candles: date (open time, UTC), open, high, low, close, volume.
    pair : str

    Raises
    ------
    UnknownPair
        If the pair is none of the tokens of a version that acts.
    ValueError
        If a row is no candle; the message names row, value and expectation.
    """
    chain = (policies,) if isinstance(policies, Policy) else tuple(policies)
    if any(policy.manifest.environment != chain[0].manifest.environment for policy in chain):
        raise ValueError("the versions of a chain have different environments, expected one account for all")
    bar_ms = timeframe_ms(chain[0].manifest.timeframe)
    opened = read_times(frame["date"])
    n, closes = len(opened), opened + bar_ms
    acted_by = np.searchsorted([policy.valid_from_ms for policy in chain], closes, side="right") - 1
    acted_by[: max(policy.observations.warmup for policy in chain)] = NOBODY
    played = Played(
        acted_by,
        np.full(n, np.nan, np.float32),
        np.full(n, np.nan, np.float32),
        np.full(n, np.nan, np.float32),
        np.full(n, np.nan),
        np.full((n, AGENT.stop - AGENT.start), np.nan, np.float32),
        np.full(n, np.nan),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n, np.int64),
    )
    acting = np.flatnonzero(acted_by != NOBODY)
    if len(acting):
        _play(chain, frame, pair, int(acting[0]), played)
    return played


def _play(chain: Sequence[Policy], frame: Frame, pair: str, first: int, played: Played) -> None:
    """Walk from row `first` to the last."""
    rows = _market_rows(chain, frame, pair, played.acted_by)
    last = len(rows) - 1
    cash = chain[0].manifest.environment.cash  # type: ignore[union-attr]  # every policy has one
    if first == last:  # no candle to fill in: a flat account looks on
        _note(chain, played, last, rows[last], _Account(0.0, cash, 0.0, 0))
        return
    place = market(pair, frame, rows, chain[0].manifest.timeframe, chain[0].grids[pair], first)
    environment = TradingEnvironment(place, 1, replace(chain[0].settings, random_start=False), seed=SEED)
    observation = environment.reset(pairs=0, rows=first)
    out, action = environment.empty(), np.empty(1, np.float32)
    copy, lot, close = environment.copies, float(place.grid.lot), place.rows["close"] * float(place.grid.tick)
    seen, before = observation, (0.0, 0)  # turnover and trades of accounts that were ruined
    for row in range(first, last + 1):
        worth, turnover, n_trades = copy["worth"][0], copy["turnover"][0] + before[0], copy["n_trades"][0] + before[1]
        held = copy["lots"][0] * lot * close[row] / worth if worth > 0 else 0.0
        action[0] = _note(chain, played, row, seen[0], _Account(held, worth, turnover, n_trades))
        if row == last:
            break
        environment.step(action, out)
        seen, played.growth[row + 1] = out.observation, out.reward[0]
        if out.terminated[0] and row + 1 < last:
            before = copy["turnover"][0] + before[0], copy["n_trades"][0] + before[1]
            seen = environment.reset(pairs=0, rows=row + 1)


@dataclass(frozen=True)
class _Account:
    held: float
    worth: float
    turnover: float
    n_trades: int


def _note(
    chain: Sequence[Policy], played: Played, row: int, seen: NDArray[np.float32], account: _Account
) -> np.float32:
    """Let the version of this row act on what it sees, write everything down, and return the target weight."""
    forward = chain[played.acted_by[row]].forward
    target, quantiles = forward(seen)
    played.target_weight[row] = target
    played.value[row], played.cvar[row] = forward.value_and_cvar(quantiles)
    played.held_weight[row], played.worth[row] = account.held, account.worth
    played.agent[row] = seen[AGENT]
    played.turnover[row], played.n_trades[row] = account.turnover, account.n_trades
    return target


def _market_rows(chain: Sequence[Policy], frame: Frame, pair: str, acted_by: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the market slots of every candle, as the version that acts on it sees them."""
    rows: NDArray[np.float32] | None = None
    for k, policy in enumerate(chain):
        mine = np.flatnonzero(acted_by == k)
        if not len(mine):
            continue
        tokens = policy.observations.tokens
        if pair not in tokens:
            raise UnknownPair(f"{policy.version} does not know {pair}, expected one of {', '.join(tokens)}")
        made = policy.observations.market(frame, tokens.index(pair))
        if rows is None:
            rows = made
        else:
            rows[mine] = made[mine]
    assert rows is not None, "called for candles on which somebody acts"
    return rows
