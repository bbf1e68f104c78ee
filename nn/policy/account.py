"""What an account came to: equity, drawdown, ratios, turnover (EVA-1). One for each pair, added up.

From: rollouts of policies, or target weights of anybody else. To: `learn` for its validation run, `judge`.

Every pair has an account of its own with an equal part of the money, and money never moves between them. Days are UTC;
ratios are annualised by 365 days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tradekernels.environment import TradingEnvironment, market
from tradekernels.features.frame import read_times

from ..data.timeframe import timeframe_ms
from ..evaluation.overfitting import sharpe_ratio
from .play import rollout
from .version import Policy

DAY_MS = 86_400_000
DAYS_A_YEAR = 365
HIGHEST_LOG = 20.0  # of a year's growth, which a good day alone would put beyond all bounds
TAIL = 0.05  # share of the worst days whose mean CVaR is
Floats = NDArray[np.float64]
Frames = Mapping[str, pd.DataFrame]


@dataclass(frozen=True, eq=False)
class Account:
    """T candles of all pairs together; the first is the one at which trading may begin."""

    closes: NDArray[np.int64]  # (T,), milliseconds since 1970, UTC
    equity: Floats  # (T,), 1 at the first candle
    traded: Floats  # (T,), notional of the candle's trades over the equity
    weight: Floats  # (T,), share of the equity that is held
    n_trades: int

    @property
    def day_returns(self) -> Floats:
        """Growth of every day that the candles reach into, ratio."""
        days = (self.closes - 1) // DAY_MS  # a candle that closes at midnight is the last of its day
        last = np.flatnonzero(np.append(np.diff(days) != 0, True))
        levels = np.append(1.0, self.equity[last])
        return np.diff(levels) / levels[:-1]


def account_of(policy: Policy, frames: Frames, begin: datetime, end: datetime) -> tuple[Account, dict[str, Floats]]:
    """Return what a policy makes of the candles that close in [begin, end], and its target weights by pair.

    Candles before `begin` only warm it up. Where it does not act, near a hole, its target is what it wanted last.
    """
    parts, targets = [], {}
    for pair, frame in frames.items():
        part = until(frame, policy.manifest.timeframe, end)
        played = rollout(policy, columns_of(part), pair, since=begin)
        if not (played.acted_by >= 0).any():
            raise ValueError(f"{pair}: no candle from {begin:%Y-%m-%d %H:%M} on has warmed up, expected some to act on")
        rows = slice(first_row(policy, part, begin), None)
        traded = np.nan_to_num(np.diff(played.turnover[rows], prepend=0.0) / played.worth[rows])
        equity, held = np.exp(np.cumsum(played.growth[rows])), np.nan_to_num(played.held_weight[rows])
        closes = closes_of(part, policy.manifest.timeframe)[rows]
        parts.append(Account(closes, equity, traded, held, int(played.n_trades[-1])))
        targets[pair] = np.asarray(pd.Series(played.target_weight[rows]).ffill().fillna(0.0), dtype=np.float64)
    return together(parts), targets


def account_of_weights(
    policy: Policy, frames: Frames, weights: Mapping[str, Floats], begin: datetime, end: datetime
) -> list[Account]:
    """Return what N series of target weights come to in the policy's own environment, with all its costs.

    Parameters
    ----------
    weights : mapping of str to ndarray of shape (T, N)
        For every candle of the pair that closes in [begin, end].
    """
    by_pair = [_of_weights(policy, pair, frame, weights[pair], begin, end) for pair, frame in frames.items()]
    return [together(parts) for parts in zip(*by_pair, strict=True)]


def together(parts: Sequence[Account]) -> Account:
    """Return the accounts of several pairs as one, over the candles that all of them have."""
    closes = parts[0].closes
    for part in parts[1:]:
        closes = np.intersect1d(closes, part.closes, assume_unique=True)
    rows = [np.searchsorted(part.closes, closes) for part in parts]
    equity = np.stack([part.equity[row] for part, row in zip(parts, rows, strict=True)])
    whole = equity.sum(0)

    def weighed(name: str) -> Floats:
        values = [getattr(part, name)[row] for part, row in zip(parts, rows, strict=True)]
        return (np.stack(values) * equity).sum(0) / whole

    n_trades = sum(part.n_trades for part in parts)
    return Account(closes, whole / len(parts), weighed("traded"), weighed("weight"), n_trades)


def joined(parts: Sequence[Account]) -> Account:
    """Return the accounts of periods that follow each other as one; each goes on with what the last one left."""
    level, equity = 1.0, []
    for part in parts:
        equity.append(part.equity * level)
        level = equity[-1][-1]
    return Account(
        np.concatenate([part.closes for part in parts]),
        np.concatenate(equity),
        np.concatenate([part.traded for part in parts]),
        np.concatenate([part.weight for part in parts]),
        sum(part.n_trades for part in parts),
    )


def figures_of(account: Account) -> dict[str, float]:
    """Return what an account came to, by name; docs/policy.md says what each is."""
    days = account.day_returns
    n_days = max((account.closes[-1] - account.closes[0]) / DAY_MS, 1e-9)
    grown = float(account.equity[-1] - 1)
    drawdown = float((1 - account.equity / np.maximum.accumulate(account.equity)).max())
    yearly = np.expm1(min(float(np.log(account.equity[-1])) * DAYS_A_YEAR / max(n_days, 1.0), HIGHEST_LOG))
    return {
        "net_return": grown,
        "sharpe": sharpe(days),
        "sortino": sortino(days),
        "cvar_5": cvar(days),
        "cvar_5_week": cvar(weeks(days)),
        "calmar": float(yearly / drawdown) if drawdown > 0 else 0.0,
        "max_drawdown": drawdown,
        "turnover": float(account.traded.sum() / n_days),
        "win_rate": float((days > 0).mean()) if len(days) else 0.0,
        "mean_weight": float(account.weight.mean()),
        "trades": float(account.n_trades),
    }


def sharpe(returns: Floats) -> float:
    """Return the annual Sharpe ratio of daily returns; 0 where nothing moved."""
    ratio = sharpe_ratio(returns) if len(returns) > 1 else None
    return 0.0 if ratio is None else float(ratio * np.sqrt(DAYS_A_YEAR))


def sortino(returns: Floats) -> float:
    """Return the annual mean over the root mean square of losses, daily returns (Sortino and Price, 1994)."""
    bad = float(np.sqrt(np.mean(np.minimum(returns, 0) ** 2))) if len(returns) else 0.0
    mean = float(returns.mean()) if len(returns) else 0.0
    # Without a single loss the ratio has no end: a millionth of a day's return stands for it.
    return mean / max(bad, 1e-6) * float(np.sqrt(DAYS_A_YEAR))


def cvar(returns: Floats) -> float:
    """Return the mean of the worst 5 % of days, at least one day: a loss is negative."""
    worst = max(1, round(TAIL * len(returns)))
    return float(np.sort(returns)[:worst].mean()) if len(returns) else 0.0


def weeks(returns: Floats) -> Floats:
    """Return the growth of every seven days in a row, ratio: what an episode of training is as long as."""
    if len(returns) < 7:
        return np.array([np.expm1(np.log1p(returns).sum())]) if len(returns) else returns
    return np.expm1(np.convolve(np.log1p(returns), np.ones(7), mode="valid"))


def until(frame: pd.DataFrame, timeframe: str, end: datetime) -> pd.DataFrame:
    """Return the candles that closed at or before `end`."""
    keep = frame["date"] <= end - pd.Timedelta(milliseconds=timeframe_ms(timeframe))
    return frame[keep].reset_index(drop=True)


def columns_of(frame: pd.DataFrame) -> dict[str, NDArray]:
    """Return the candles as `rollout` takes them, whatever a policy reads beside them included."""
    beside = {str(name): column.to_numpy() for name, column in frame.items() if name != "date"}
    return {"date": read_times(frame["date"])} | beside


def closes_of(frame: pd.DataFrame, timeframe: str) -> NDArray[np.int64]:
    """Return the times at which candles close, milliseconds since 1970, UTC."""
    return read_times(frame["date"]) + timeframe_ms(timeframe)


def first_row(policy: Policy, frame: pd.DataFrame, begin: datetime) -> int:
    """Return the first candle that closes at or after `begin` and has warmed up."""
    closes = closes_of(frame, policy.manifest.timeframe)
    return max(int(np.searchsorted(closes, round(begin.timestamp() * 1000))), policy.observations.warmup)


def _of_weights(
    policy: Policy, pair: str, frame: pd.DataFrame, weights: Floats, begin: datetime, end: datetime
) -> list[Account]:
    """Return the accounts of one pair, all stepped at once."""
    frame = until(frame, policy.manifest.timeframe, end)
    closes, first = closes_of(frame, policy.manifest.timeframe), first_row(policy, frame, begin)
    n_steps, n = len(frame) - first, weights.shape[1]
    if len(weights) != n_steps:
        raise ValueError(f"weights of {pair} have {len(weights)} rows, expected {n_steps}: one a candle of the period")
    unseen = np.zeros((len(frame), 27), np.float32)
    place = market(pair, frame, unseen, policy.manifest.timeframe, policy.grids[pair], first)
    environment = TradingEnvironment(place, n, policy.settings)
    environment.reset(pairs=0, rows=first)
    out, action = environment.empty(), np.ascontiguousarray(weights)
    copies, price_of_lot = environment.copies, place.rows["close"] * float(place.grid.lot) * float(place.grid.tick)
    growth, turnover, held = (np.zeros((n_steps, n)) for _ in range(3))
    n_trades = np.zeros(n, dtype=np.int64)
    alive = np.ones(n, dtype=bool)  # a ruined account stays as it is, though the kernel begins another
    worth = np.tile(copies["worth"], (n_steps, 1))
    for step in range(n_steps):
        held[step] = np.where(alive, copies["lots"] * price_of_lot[first + step] / worth[step], 0.0)
        if step + 1 < n_steps:
            before = copies["turnover"].copy()
            environment.step(action[step], out)
            growth[step + 1] = np.where(alive, out.reward, 0.0)
            turnover[step + 1] = np.where(alive, copies["turnover"] - before, 0.0)
            worth[step + 1] = copies["worth"]
            n_trades = np.where(alive, copies["n_trades"], n_trades)
            alive &= ~out.terminated
    equity = np.exp(np.cumsum(growth, axis=0))
    return [
        Account(closes[first:], equity[:, k], turnover[:, k] / worth[:, k], held[:, k], int(n_trades[k]))
        for k in range(n)
    ]
