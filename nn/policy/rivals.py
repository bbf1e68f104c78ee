"""What a policy has to beat, in its own environment and at its own costs (issue: flat, hold, random, linear).

From: train rows of `trading.TradingData`, the targets of the policy itself. To: `judge`. No rival has seen a candle of
the judged period before it trades it; what the linear one needs was chosen on train rows.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tradekernels.observation import BLOCKS

from .account import Account, Floats, Frames, account_of_weights, figures_of, first_row, until
from .trading import TradingData
from .version import Policy

FLAT, HOLD, RANDOM, LINEAR = "flat", "buy_and_hold", "random", "linear"
RIVALS = (FLAT, HOLD, RANDOM, LINEAR)
N_SHIFTS = 50  # of the random rival: its figures are their medians
RIDGE = 0.01  # penalty per row of standardised inputs
LIMITS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.998)  # quantiles of |forecast| on train rows


class Linear:
    """Ridge regression of the next bar's log return on the market slots; a target weight by a limit chosen in train.

    In above the limit, out (or short, where that is allowed) below its negative, as before between. The limit is the
    one of `LIMITS`, or never to trade at all, whose account was worth most at the end of the train rows.
    """

    def __init__(self, data: TradingData, policy: Policy) -> None:
        self.policy, agent = policy, np.r_[BLOCKS["agent"]]
        self.slots = np.setdiff1d(np.arange(len(policy.observations.names)), agent)
        inputs, returns = [], []
        for place in data.markets:
            rows, close = slice(place.first, place.last), np.log(place.rows["close"])
            inputs.append(place.observation[rows][:, self.slots].astype(np.float64))
            returns.append((close[1:] - close[:-1])[rows])
        x, y = np.concatenate(inputs), np.concatenate(returns)
        self.mean, spread = x.mean(0), x.std(0)
        self.spread = np.where(spread > 1e-9, spread, np.inf)  # a slot that never moves says nothing
        z = (x - self.mean) / self.spread
        self.weights = np.linalg.solve(z.T @ z + RIDGE * len(z) * np.eye(z.shape[1]), z.T @ (y - y.mean()))
        self.limits = np.append(np.quantile(np.abs(z @ self.weights), LIMITS), np.inf)
        train = {pair: until(frame, policy.manifest.timeframe, data.border) for pair, frame in data.frames.items()}
        begin = max(frame["date"].iloc[policy.observations.warmup] for frame in train.values()).to_pydatetime()
        weights = self.targets(train, begin, data.border, self.limits)
        found = account_of_weights(policy, train, weights, begin, data.border)
        self.limit = self.limits[int(np.argmax([figures_of(each)["net_return"] for each in found]))]

    def forecasts(self, frame: pd.DataFrame, pair: str) -> Floats:
        """Return the forecast of the next bar's log return, less its mean, at every candle."""
        token = self.policy.observations.tokens.index(pair)
        rows = self.policy.observations.market(frame, token)[:, self.slots]
        return (rows - self.mean) / self.spread @ self.weights

    def targets(self, frames: Frames, begin: datetime, end: datetime, limits: NDArray) -> dict[str, NDArray]:
        """Return the target weights (T, len(limits)) of every pair for candles that close in [begin, end]."""
        low = -1.0 if self.policy.settings.can_short else 0.0
        found = {}
        for pair, frame in frames.items():
            part = until(frame, self.policy.manifest.timeframe, end)
            forecast = self.forecasts(part, pair)[first_row(self.policy, part, begin) :, None]
            wanted = np.where(forecast > limits, 1.0, np.where(forecast < -limits, low, np.nan))
            found[pair] = pd.DataFrame(wanted).ffill().fillna(0.0).to_numpy()
        return found

    def account(self, frames: Frames, begin: datetime, end: datetime) -> Account:
        weights = self.targets(frames, begin, end, np.array([self.limit]))
        return account_of_weights(self.policy, frames, weights, begin, end)[0]


def holders(
    policy: Policy, frames: Frames, targets: dict[str, Floats], begin: datetime, end: datetime, seed: int
) -> dict[str, list[Account]]:
    """Return the accounts of who is flat, who buys and holds, and who does what the policy does at other times.

    The random rival's targets are the policy's own, moved in time by a random number of candles and closed to a ring:
    as much exposure and turnover, and no skill.
    """
    draw = np.random.default_rng([seed, 2])
    weights = {}
    shares = draw.uniform(0.1, 0.9, N_SHIFTS)  # of the period; the same for all pairs, which move together
    for pair, target in targets.items():
        shifted = [np.roll(target, int(share * len(target))) for share in shares]
        weights[pair] = np.stack([np.zeros(len(target)), np.ones(len(target)), *shifted], axis=1)
    flat, hold, *shifts = account_of_weights(policy, frames, weights, begin, end)
    return {FLAT: [flat], HOLD: [hold], RANDOM: shifts}
