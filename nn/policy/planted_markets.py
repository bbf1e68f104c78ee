"""Markets whose best policy is known, because what can be earned in them was planted there.

From: a few numbers. To: `optimum`, which works out what they are worth; `planted`, which learns them; and, as
Gymnasium ids (`Planted-reversion-v0`, ...), any learner.

What one may know is z, a slow mean of past surprises e ~ N(0, 1): z' = phi z + sqrt(1 - phi^2) e'. A bar's log return
is mean + volatility x e', where the mean is edge x z where prices trend, and -edge x z where they revert. Shocks that
die away are Poterba and Summers' (1988) fads, J. Financial Economics 22(1), eq. 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tradekernels.environment import Costs, Market, Reward, Settings, TradingEnvironment, market
from tradekernels.execution import Fees, Latency, Slippage

from .gym import TradingEnv, TradingVectorEnv

N_SLOTS, SEEN = 27, 0  # of an observation, the account's are 21 to 26; the one that shows z
START = 30_000.0  # first price, quote currency


@dataclass(frozen=True)
class Planted:
    """What is hidden in a market, and what it costs to trade there."""

    edge: float  # deviation of a bar's expected log return; above 0 prices trend, below 0 they revert
    half_life: float = 10.0  # of z, bars; 0: it is new at every bar
    volatility: float = 2e-3  # deviation of what nobody knows of a bar's log return; 0: z shows the future
    fee_bps: float = 0.0  # of the notional of each trade
    can_short: bool = False
    dead_band: float = 0.05  # a target nearer than this to the weight held orders nothing: see docs/policy.md
    distractors: int = 4  # slots that look like z and mean nothing
    episode_length: int = 256
    n_rows: int = 100_000  # fewer, and chance gains of 0.1 bp a bar can be learned by heart

    @property
    def persistence(self) -> float:
        """Return phi, the share of z that is left after a bar."""
        return 0.5 ** (1 / self.half_life) if self.half_life > 0 else 0.0

    @property
    def settings(self) -> Settings:
        """Return an environment that takes the fee and nothing else, and rewards growth."""
        at_once = Latency(base_ms=0.0, jitter_ms=0.0, spike_probability=0.0)
        return Settings(
            costs=Costs(Fees(self.fee_bps, self.fee_bps), Slippage(0.0, 0.0, 0.0), at_once),
            reward=Reward.growth("log"), can_short=self.can_short, dead_band=self.dead_band,
            episode_length=self.episode_length,
        )  # fmt: skip

    def market(self, seed: int) -> Market:
        """Return a history of it; another seed, another history of the same market."""
        e = np.random.default_rng(seed).normal(size=(self.n_rows, 1 + self.distractors))
        z = slow_mean(e, self.persistence)
        returns = -0.5 * self.volatility**2 + self.volatility * e[:, 0]  # a price that is worth its expectation
        returns[1:] += self.edge * z[:-1, 0]
        slots = np.zeros((self.n_rows, N_SLOTS), dtype=np.float32)
        slots[:, SEEN : SEEN + z.shape[1]] = z
        return market("PLANTED/USDT", candles(START * np.exp(np.cumsum(returns))), slots, "15m")

    def environment(self, n_copies: int, market_seed: int = 1, seed: int = 0) -> TradingEnvironment:
        return TradingEnvironment(self.market(market_seed), n_copies, self.settings, seed=seed)


def slow_mean(e: NDArray[np.float64], persistence: float) -> NDArray[np.float64]:
    """Return AR(1) columns of deviation 1 driven by these surprises (T, K)."""
    from scipy.signal import lfilter  # takes half a second, which who learns something else shall not wait for

    driven = e * np.sqrt(1 - persistence**2)
    driven[0] = e[0]
    return np.asarray(lfilter([1.0], [1.0, -persistence], driven, axis=0))


def candles(close: NDArray[np.float64]) -> pd.DataFrame:
    """Return candles of 15 minutes, each of which opens where the last one closed."""
    opened = np.r_[close[0], close[:-1]]
    return pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=len(close), freq="15min", tz="UTC"),
            "open": opened, "high": np.maximum(opened, close), "low": np.minimum(opened, close), "close": close,
            "volume": np.full(len(close), 1e4),
        }
    )  # fmt: skip


MARKETS = {
    "reversion": Planted(edge=-8e-4, fee_bps=5.0),
    "momentum": Planted(edge=8e-4, fee_bps=5.0),
    "free": Planted(edge=-8e-4),
    "costly": Planted(edge=-2e-4, half_life=3.0, fee_bps=30.0),  # an edge that costs more than it brings
    "noise": Planted(edge=0.0, fee_bps=10.0),
    "future": Planted(edge=2e-3, half_life=0.0, volatility=0.0, fee_bps=2.0),  # z is the next bar's return
}


def planted(name: str, **changes: Any) -> Planted:
    """Return the market of this name, with other numbers where they are given."""
    if name not in MARKETS:
        raise ValueError(f"there is no planted market {name!r}, expected {', '.join(MARKETS)}")
    return replace(MARKETS[name], **changes)


def register() -> None:
    """Make the markets known to Gymnasium, as `Planted-reversion-v0` and so on; `make` takes their numbers."""
    for name in MARKETS:
        key = f"Planted-{name}-v0"
        if key not in gym.registry:
            gym.register(
                key, f"{__name__}:single_env", vector_entry_point=f"{__name__}:vector_env", kwargs={"name": name},
                disable_env_checker=True,
            )  # fmt: skip


def vector_env(name: str, num_envs: int = 1, market_seed: int = 1, **changes: Any) -> TradingVectorEnv:
    return TradingVectorEnv(planted(name, **changes).environment(num_envs, market_seed), copy=False)


def single_env(name: str, market_seed: int = 1, **changes: Any) -> TradingEnv:
    chosen = planted(name, **changes)
    return TradingEnv(chosen.market(market_seed), chosen.settings)
