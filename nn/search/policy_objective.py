"""What one policy configuration earns on the inner folds for its losses, and on nothing later (SEA-3, TRN-12).

From: candles cut off at the end of the outer training range, and a `TradingConfig`. To: the weighted Sortino ratio of
normal, choppy and trending spells for the sampler, and returns by day, from which the deflated Sharpe ratio and the
probability of overfitting are computed (EVA-9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError

from ..forecast.dataset import cut
from ..forecast.schedule import Fold
from ..policy.account import Account, account_of, closes_of
from ..policy.learn import learn
from ..policy.trading import make_trading_data
from ..policy.trading_config import TradingConfig
from .objective import Report
from .space import SpaceProblem
from .spells import SpellLimits, weighted_sortino
from .study import Answer

LINE = "search"  # of versions that nobody signs
Frames = Mapping[str, pd.DataFrame]


def with_parameters(base: TradingConfig, parameters: Mapping[str, Any]) -> TradingConfig:
    """Return the config with other values of these dotted names; `SpaceProblem` names one that does not exist."""
    values = base.model_dump(mode="json")
    for name, value in parameters.items():
        *sections, key = name.split(".")
        place: Any = values
        for section in sections:
            place = place.get(section) if isinstance(place, dict) else None
        if not isinstance(place, dict) or key not in place:
            raise SpaceProblem(f"parameter {name} is no setting of a policy config, such as learning.ppo.cvar_alpha")
        place[key] = value
    try:
        return TradingConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise SpaceProblem(f"{'.'.join(map(str, first['loc']))} is {first['input']!r}: {first['msg']}") from error


def earn_policy(
    config: TradingConfig,
    frames: Frames,
    folds: Sequence[Fold],
    seed: int,
    weights: Mapping[str, float],
    report: Report,
) -> Answer:
    """Train on each inner fold and trade the period after it; no candle after a fold's end is looked at.

    Parameters
    ----------
    frames : mapping of str to DataFrame
        Candles of each pair; later ones than the folds' may be there, and change nothing.
    weights : mapping of str to float
        Of the spells.
    report : callable
        Is told the figure so far after each fold; raises to give the trial up.
    """
    timeframe = config.data.timeframe
    growth, spells, daily, trades = [], [], [], 0
    value = 0.0
    for number, fold in enumerate(folds):
        known = {pair: cut(frame, timeframe, fold.end) for pair, frame in frames.items()}
        data = make_trading_data(known, fold.trained_until, config)
        learned = learn(data, config, seed, LINE, fold)
        taught = [cut(frame, timeframe, data.border)["close"].to_numpy() for frame in data.frames.values()]
        limits = SpellLimits.fit(taught, timeframe)
        days = []
        for pair, frame in known.items():
            account, _ = account_of(learned.policy, {pair: frame}, fold.valid_from, fold.end)
            kinds = limits.of(frame["close"].to_numpy(), timeframe)
            at = np.searchsorted(closes_of(frame, timeframe), account.closes[:-1])
            growth.append(np.diff(np.log(account.equity)))
            spells.append(kinds[at])
            days.append(by_day(account))
            trades += account.n_trades
        daily.append(pd.concat(days, axis=1).fillna(0.0).mean(axis=1))
        value, _ = weighted_sortino(np.concatenate(growth), np.concatenate(spells), weights, timeframe)
        report(number, value)
    returns = pd.concat(daily)
    return Answer(value, tuple(day.strftime("%Y-%m-%d") for day in returns.index), tuple(returns.tolist()), trades)


def by_day(account: Account) -> pd.Series:
    """Return the account's growth of each day (UTC), ratio; a candle that closes at midnight ends its day."""
    days: NDArray = (account.closes - 1).astype("datetime64[ms]").astype("datetime64[D]")
    level = pd.Series(account.equity, index=pd.DatetimeIndex(days.astype("datetime64[s]"))).groupby(level=0).last()
    return level / level.shift(fill_value=1.0) - 1.0
