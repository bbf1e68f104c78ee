"""Settings of an environment: costs, reward, risk (ENV-2 to ENV-8). From: a caller. To: one record for the loop."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ..execution import Fees, Latency, Slippage
from ..execution.decimals import Number, as_number, at_least_0
from .flow import BookFlow

_LATENCY = np.dtype(
    [(name, np.float64) for name in ("base", "jitter", "spike_probability", "spike_multiple", "timeout")]
    + [("retries", np.int64), ("hour_of_week", np.float64, (168,))]
)
REWARD = np.dtype(
    [
        (name, np.float64)
        for name in (
            "logarithmic", "gamma", "shaping", "variance", "drawdown", "per_trade", "taker_bps", "half_spread_bps",
            "impact_bps", "impact_exponent", "turnover", "gain_bonus", "loss_penalty",
        )
    ]
)  # fmt: skip
SETTINGS = np.dtype(
    [("latency", _LATENCY), ("k", np.float64), ("reward", REWARD)]
    + [
        (name, np.float64)
        for name in (
            "position_limit", "notional_limit", "max_drawdown", "max_intrabar_drawdown", "ruin", "pause_ms",
            "lowest_weight", "dead_band",
        )
    ]
    + [("episode_length", np.int64), ("random_start", np.int64)]
)  # fmt: skip
LONGEST_MS = 2.0**61  # longer than any candles last, and still an int64 when a time is added


@dataclass(frozen=True)
class Costs:
    """What the account really pays: it is in the worth, and so in the reward's growth.

    An order sent at a bar's close fills in the next bar at open + (worst - open) x sqrt(latency/bar), times 1 +-
    slippage, put on the tick against the account. Worst is the high for a buy and the low for a sell: who is late is
    late to the bad side. Half spread, volatility and liquidity are those of the row in which it was sent. A buy that
    the cash cannot pay is cut to what it can, at the slippage of the order as it was wanted.
    """

    fees: Fees = field(default_factory=Fees)
    slippage: Slippage = field(default_factory=Slippage)
    latency: Latency = field(default_factory=Latency)

    @classmethod
    def none(cls) -> Costs:
        """Return a market where trading is free and at once."""
        free = Latency(base_ms=0.0, jitter_ms=0.0, spike_probability=0.0)
        return cls(Fees(0, 0), Slippage(0.0, 0.0, 0.0), free)


@dataclass(frozen=True)
class Reward:
    """The reward's terms. Those after the growth come on top of costs that the worth has already borne.

    Parameters
    ----------
    form : {"ratio", "log"}
        (W - W_prev)/abs(W_prev), or log(W/W_prev) with the ratio held within 0.1 and 10 (ENV-4).
    gamma, shaping, variance, drawdown : float
        ENV-5: + gamma phi' - phi, phi = shaping x tanh(-variance x abs(units) x ATR/W - drawdown x (peak - W)/peak),
        peak of the last 500 bars. phi is 0 after ruin.
    per_trade : float
        Taken off for each fill, as are the next five by its notional (ENV-6), W being the worth after the step.
    taker_bps, half_spread_bps : float
    impact_bps, impact_exponent : float
        impact_bps x (notional/daily volume)^impact_exponent.
    turnover : float
        Per notional/W.
    gain_bonus, loss_penalty : float
        Added or taken off when a position closes with a profit or a loss, its fees included.
    """

    form: Literal["ratio", "log"] = "ratio"
    gamma: float = 0.99
    shaping: float = 0.0
    variance: float = 1.0
    drawdown: float = 1.0
    per_trade: float = 0.0
    taker_bps: float = 10.0
    half_spread_bps: float = 5.0
    impact_bps: float = 0.0
    impact_exponent: float = 0.5
    turnover: float = 0.0005
    gain_bonus: float = 0.0
    loss_penalty: float = 0.0

    def __post_init__(self) -> None:
        if self.form not in ("ratio", "log"):
            raise ValueError(f"form is {self.form!r}, expected 'ratio' or 'log'")
        for name in REWARD.names[1:]:  # type: ignore[index]
            as_number(name, getattr(self, name), 0.0)

    @classmethod
    def growth(cls, form: Literal["ratio", "log"] = "log") -> Reward:
        """Return the growth of the worth alone, which all real costs are in."""
        return cls(form=form, taker_bps=0.0, half_spread_bps=0.0, turnover=0.0)

    def record(self) -> np.ndarray:
        """Return the terms as the loop reads them."""
        out = np.zeros(1, dtype=REWARD)
        out["logarithmic"] = self.form == "log"
        for name in REWARD.names[1:]:  # type: ignore[index]
            out[name] = getattr(self, name)
        return out


@dataclass(frozen=True)
class Risk:
    """Limits (ENV-8); an order that only reduces a position passes them all.

    Parameters
    ----------
    position_limit : float
        Base currency held or short.
    notional_limit : float
        Quote currency of one order.
    max_drawdown : float
        From the highest close of the last 500 bars; at it or beyond, nothing is opened.
    max_intrabar_drawdown : float
        At a bar's worst price, from the worth before the bar; then nothing is opened for `pause_s`.
    ruin : float
        Share of the starting worth at or below which the episode is terminated. 0 is reached by shorts alone.
    pause_s : float
        Seconds without openings after too deep a bar, or after the 61st order within a minute (never with one a bar).
    """

    position_limit: float = math.inf
    notional_limit: float = math.inf
    max_drawdown: float = 0.30
    max_intrabar_drawdown: float = 0.30
    ruin: float = 0.1
    pause_s: float = 300.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (isinstance(value, (int, float)) and value >= 0):
                raise ValueError(f"{name} is {value!r}, expected a number of at least 0")
        if self.ruin >= 1:
            raise ValueError(f"ruin is {self.ruin}, expected a share below 1")


_KINDS: dict[str, tuple[type, ...]] = {
    "costs": (Costs,), "reward": (Reward,), "risk": (Risk,), "can_short": (bool,), "random_start": (bool,),
    "book": (BookFlow, type(None)),
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """Everything about an environment but its markets.

    Parameters
    ----------
    costs : Costs
    reward : Reward
    risk : Risk
    cash : str, int, float or Decimal
        Quote currency at the start of an episode; exact up to 2^53 steps of tick x lot or quote step.
    can_short : bool
        Actions in [-1, 1] instead of [0, 1].
    dead_band : float
        An action nearer than this to the present weight orders nothing, unless it is 0.
    episode_length : int, optional
        Steps until truncation; without it an episode ends with the market's range.
    random_start : bool
        Draw where each episode begins, every row of every pair alike: a pair of twice the candles is begun twice as
        often. Else copy i begins pair i (modulo their number) at its first row.
    book : BookFlow, optional
        Fill orders in a small live order book inside each candle (book fidelity) instead of by a formula.
    """

    costs: Costs = field(default_factory=Costs)
    reward: Reward = field(default_factory=Reward)
    risk: Risk = field(default_factory=Risk)
    cash: Number = 10_000
    can_short: bool = False
    dead_band: float = 0.0
    episode_length: int | None = None
    random_start: bool = True
    book: BookFlow | None = None

    def __post_init__(self) -> None:
        as_number("dead_band", self.dead_band, 0.0)
        for name, kinds in _KINDS.items():
            if not isinstance(getattr(self, name), kinds):
                expected = " or ".join(kind.__name__ for kind in kinds)
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected {expected}")
        if at_least_0("cash", self.cash) == 0:
            raise ValueError(f"cash is {self.cash!r}, expected a number above 0")
        length = self.episode_length
        if length is not None and (not isinstance(length, int) or isinstance(length, bool) or length < 1):
            raise ValueError(f"episode_length is {length!r}, expected a whole number from 1 on, or None")

    def record(self) -> np.ndarray:
        """Return the settings as the loop reads them."""
        out, latency = np.zeros(1, dtype=SETTINGS), self.costs.latency
        *out_latency, _ = _LATENCY.names or ()
        for name, value in zip(out_latency, latency.numbers(), strict=True):
            out["latency"][name] = value
        out["latency"]["hour_of_week"] = latency.hour_of_week
        out["k"], out["reward"] = self.costs.slippage.k, self.reward.record()
        for name in ("position_limit", "notional_limit", "max_drawdown", "max_intrabar_drawdown", "ruin"):
            out[name] = getattr(self.risk, name)
        out["pause_ms"] = min(self.risk.pause_s * 1000, LONGEST_MS)
        out["lowest_weight"], out["dead_band"] = -1.0 if self.can_short else 0.0, self.dead_band
        out["episode_length"], out["random_start"] = self.episode_length or 0, self.random_start
        return out
