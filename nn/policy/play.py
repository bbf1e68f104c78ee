"""Plays policies over the candles of a pair, in an account that the environment kernel keeps (ENV-2, ASO-1).

From: `version.Policy`, candles. To: `nn.service` (/rollout), `judge`. What stands at a candle follows from that candle
and those before it, from the first of the frame on: orders of one candle fill in the next.

After a hole nobody acts until it is 20 bars old, and the account keeps what it holds: over so many bars the agent's
slots are sums (OBS-23 to OBS-26), and the environment counts rows, not hours (DQ-4).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from tradekernels.environment import TradingEnvironment, market
from tradekernels.features.frame import read_times
from tradekernels.observation import BLOCKS

from ..data.quality import OHLCV
from ..data.timeframe import timeframe_ms
from ..data.windows import first_start_without_hole
from .version import Policy

AGENT = BLOCKS["agent"]  # slots 21 to 26
RULES = 2  # one more whenever the same candles are played otherwise: who cached the answers asks again
NOBODY = -1
SEED = 0  # of the simulated latencies
WINDOW = 20  # bars that slots 23 to 26 are sums over
OFTEN = 64  # candles, some 2 ms

Frame = Mapping[str, NDArray]


class UnknownPair(ValueError):
    """A policy that acts was not trained on this pair."""


class LackingInput(ValueError):
    """Candles come without what a policy that acts was trained with beside them (OBS-59, ENR-9)."""


@dataclass(frozen=True, eq=False)
class Played:
    """What was done at the close of each of n candles; NaN where nobody acted, of the account before it begins."""

    acted_by: NDArray[np.int64]  # (n,), index in the chain, or NOBODY: before the first version, warming up, a hole
    target_weight: NDArray[np.float32]  # (n,)
    value: NDArray[np.float32]  # (n,), mean of the quantiles: discounted log growth expected
    cvar: NDArray[np.float32]  # (n,), mean of the worst of them
    held_weight: NDArray[np.float64]  # (n,), of the worth, before acting
    agent: NDArray[np.float32]  # (n, 6), slots 21 to 26 as they were seen
    worth: NDArray[np.float64]  # (n,), quote currency at the close
    growth: NDArray[np.float64]  # (n,), log of the worth over that of the candle before; ruin is in it
    turnover: NDArray[np.float64]  # (n,), notional traded since the first candle, quote currency
    n_trades: NDArray[np.int64]  # (n,), since the first candle


def rollout(
    policies: Policy | Sequence[Policy],
    frame: Frame,
    pair: str,
    now_and_then: Callable[[], None] = lambda: None,
    since: datetime | None = None,
) -> Played:
    """Return what a policy, or the newest valid one of a chain, does at each candle of a pair.

    The account begins flat at the first candle at which a version is valid and the observation has warmed up, and goes
    on when the next version takes over. One that is ruined begins anew with its cash.

    Parameters
    ----------
    policies : Policy or sequence of Policy
        Ascending by `valid_from`, equal in environment. A policy given alone acts from its own `valid_from` on too.
    frame : Mapping of str to array, or DataFrame
        Closed candles: date (open time, UTC), open, high, low, close, volume, and the inputs beside them.
    pair : str
    now_and_then : callable
        Called every few candles; what it raises ends the work (deadline, client gone).
    since : datetime, optional
        Where the first policy begins, instead of at its `valid_from`.

    Raises
    ------
    UnknownPair
        If the pair is none of the tokens of a version that acts.
    LackingInput
        If the frame lacks a column that such a version was trained with: a default in its slot is not what it learned.
    ValueError
        If a row is no candle; the message names row, value and expectation.
    """
    chain = (policies,) if isinstance(policies, Policy) else tuple(policies)
    if any(policy.manifest.environment != chain[0].manifest.environment for policy in chain):
        raise ValueError("the versions of a chain have different environments, expected one account for all")
    bar_ms = timeframe_ms(chain[0].manifest.timeframe)
    opened = read_times(frame["date"])
    n, closes = len(opened), opened + bar_ms
    starts = [policy.valid_from_ms for policy in chain]
    if since is not None:
        starts[0] = round(since.timestamp() * 1000)
    acted_by = np.searchsorted(starts, closes, side="right") - 1
    acted_by[: max(policy.observations.warmup for policy in chain)] = NOBODY
    acted_by[holed(frame, opened, bar_ms)] = NOBODY
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
        _play(chain, _with_one_more(frame, opened, bar_ms), pair, int(acting[0]), played, now_and_then)
    return played


def holed(frame: Frame, opened: NDArray[np.int64], bar_ms: int) -> NDArray[np.bool_]:
    """Tell which candles have more than 3 missing or filled bars in a row among the last 20 (DQ-4)."""
    open_, high, low, close, volume = (np.asarray(frame[name]) for name in OHLCV)
    filled = (volume == 0) & (open_ == high) & (high == low) & (low == close)
    return np.arange(len(opened)) - (WINDOW - 1) < first_start_without_hole(opened, filled, bar_ms)


def _with_one_more(frame: Frame, opened: NDArray[np.int64], bar_ms: int) -> Frame:
    """Return the frame with its last candle once more: the environment wants a next one, and nothing looks at it."""
    columns = {name: np.asarray(frame[name]) for name in frame if name != "date"}
    longer = {name: np.concatenate([column, column[-1:]]) for name, column in columns.items()}
    return {"date": np.append(opened, opened[-1] + bar_ms)} | longer


def _play(
    chain: Sequence[Policy], frame: Frame, pair: str, first: int, played: Played, now_and_then: Callable[[], None]
) -> None:
    """Walk from row `first` to the last but one, which is the caller's last."""
    rows = _market_rows(chain, frame, pair, played.acted_by)
    place = market(pair, frame, rows, chain[0].manifest.timeframe, chain[0].grids[pair], first)
    environment = TradingEnvironment(place, 1, replace(chain[0].settings, random_start=False), seed=SEED)
    out, action = environment.empty(), np.empty(1)
    seen = environment.reset(pairs=0, rows=first)
    copy, unit = environment.copies[0], float(place.grid.lot) * float(place.grid.tick)
    price_of_lot, last = place.rows["close"] * unit, len(rows) - 2
    turnover, n_trades = 0.0, 0  # of accounts that were ruined
    for row in range(first, last + 1):
        if (row - first) % OFTEN == 0:
            now_and_then()
        lots, worth, who = copy["lots"], copy["worth"], played.acted_by[row]
        played.worth[row], played.agent[row] = worth, seen[0, AGENT]
        played.held_weight[row] = lots * price_of_lot[row] / worth if worth > 0 else 0.0
        played.turnover[row], played.n_trades[row] = copy["turnover"] + turnover, copy["n_trades"] + n_trades
        if who == NOBODY:
            action[0] = as_it_is(lots, price_of_lot[row], worth)
        else:
            forward = chain[who].forward
            action[0], quantiles = forward(seen[0])
            played.target_weight[row] = action[0]
            played.value[row], played.cvar[row] = forward.value_and_cvar(quantiles)
        if row == last:
            break
        environment.step(action, out)
        seen, played.growth[row + 1] = out.observation, out.reward[0]
        if out.terminated[0]:
            turnover, n_trades = turnover + copy["turnover"], n_trades + int(copy["n_trades"])
            seen = environment.reset(pairs=0, rows=row + 1)


def as_it_is(lots: float, price_of_lot: float, worth: float) -> float:
    """Return the weight that orders nothing: half a lot more than is held, of which the environment takes whole ones.

    A short that has grown beyond the worth of its account is cut back all the same, as by every action.
    """
    return (lots + 0.5 * np.sign(lots)) * price_of_lot / worth if worth > 0 else 0.0


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
        if lacking := [name for name in policy.observations.inputs if name not in frame]:
            raise LackingInput(f"{policy.version} was trained with {', '.join(lacking)}, these candles have none")
        made = policy.observations.market(frame, tokens.index(pair))
        if rows is None:
            rows = made
        else:
            rows[mine] = made[mine]
    assert rows is not None, "called for candles on which somebody acts"
    return rows
