"""What a policy does on candles that taught it nothing, in the form that `plots` draws.

From: `learn`'s policy and the candles after its border. To: `plots.figures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tradekernels.observation import BLOCKS

from .account import Account, closes_of, columns_of, together, until
from .play import NOBODY, rollout
from .plots import Validation
from .version import Policy

AGENT = BLOCKS["agent"]


def validation_run(policy: Policy, frames: Mapping[str, pd.DataFrame], begin: datetime, end: datetime) -> Validation:
    """Return one run over the candles of all pairs that close in [begin, end]; those before only warm it up.

    Raises
    ------
    ValueError
        If a pair has no candle there to act on.
    """
    accounts, held, said, came = [], [], [], []
    timeframe = policy.manifest.timeframe
    for pair, whole in frames.items():
        frame = until(whole, timeframe, end)
        played = rollout(policy, columns_of(frame), pair, since=begin)
        acting = np.flatnonzero(played.acted_by != NOBODY)
        if not len(acting):
            raise ValueError(
                f"{pair}: no candle that closes in [{begin}, {end}] can be acted on, expected at least one"
            )
        rows = policy.observations.market(frame, policy.observations.tokens.index(pair))
        rows[:, AGENT] = played.agent
        _, quantiles = policy.act(rows[acting])
        gamma = policy.manifest.objective.gamma  # type: ignore[union-attr]
        sums = discounted(played.growth[1:], gamma)  # what comes after each candle
        came.append(np.append(sums, np.nan)[acting])
        said.append(quantiles)
        part, closes = slice(acting[0], None), closes_of(frame, timeframe)
        traded = np.diff(played.turnover[part], prepend=0.0) / played.worth[part]
        growth, weight = np.exp(np.cumsum(played.growth[part])), np.nan_to_num(played.held_weight[part])
        accounts.append(Account(closes[part], growth, traded, weight, int(played.n_trades[-1])))
        price = frame["close"].to_numpy(dtype=np.float64)[part]
        held.append(Account(closes[part], price / price[0], np.zeros(len(price)), np.ones(len(price)), 0))
    account, holding = together(accounts), together(held)
    return Validation(
        account.closes.astype("datetime64[ms]"), account.equity, holding.equity, account.weight, account.traded,
        np.concatenate(said), np.concatenate(came),
    )  # fmt: skip


def discounted(rewards: NDArray, gamma: float, enough: float = 0.05) -> NDArray[np.float64]:
    """Return the discounted sum of rewards (T,) from each on; NaN where more than `enough` of its weight is cut off."""
    sums, running = np.empty(len(rewards)), 0.0
    for step in range(len(rewards) - 1, -1, -1):
        sums[step] = running = float(rewards[step]) + gamma * running
    left = np.arange(len(rewards), 0, -1)
    return np.where(gamma**left <= enough, sums, np.nan)
