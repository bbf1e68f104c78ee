"""When a target weight opens, changes and ends a trade, and how many units the difference is (PPA-1, ENV-2).

From: columns of a policy (NaN where it did not act) or one number of them, and the account as it was at the candle's
close. To: `ppo_agent`. NaN compares false everywhere: a missing action neither enters nor adjusts.
"""

from dataclasses import dataclass

import pandas as pd

SIDES = {"long": 1, "short": -1}
BUCKET = 5  # percent of the account that share a tag


@dataclass(frozen=True)
class Account:
    """One pair's account: quote currency, base currency (negative when short), and what a unit is worth."""

    cash: float
    units: float
    price: float

    @property
    def worth(self) -> float:
        """Quote currency."""
        return self.cash + self.units * self.price

    @property
    def weight(self) -> float:
        """Share of the worth that is held, negative when short; 0 where it is worth nothing."""
        return self.units * self.price / self.worth if self.worth > 0 else 0.0


def gates(
    action: pd.DataFrame, side: str, dead_band: float, least_value: float, worst_cvar: float
) -> dict[str, pd.Series]:
    """Return each condition of an entry.

    Freqtrade enters only where it holds nothing of the pair, so the difference to the held weight is the target itself.

    Parameters
    ----------
    action : DataFrame
        With `target_weight`, `value` and `cvar`.
    side : {"long", "short"}
        A short wants a weight below 0.
    dead_band : float
        Least difference of weights that is traded.
    least_value, worst_cvar : float
        Least mean of the return's quantiles, and of its worst ones; minus infinity asks nothing.
    """
    return {
        "target": action["target_weight"] * SIDES[side] >= dead_band,
        "value": action["value"] >= least_value,
        "cvar": action["cvar"] >= worst_cvar,
    }


def leaves(action: pd.DataFrame, side: str, dead_band: float) -> pd.Series:
    """Return where a trade of this side ends: the target last known is within the dead band, or on the other side.

    A candle without an action keeps the last target: it may still close a trade, and opens none.
    """
    return action["target_weight"].ffill() * SIDES[side] < dead_band


def tags(action: pd.DataFrame, side: str) -> pd.Series:
    """Return entry tags such as ppo_long_60: 60 % to below 65 % of the account."""
    percent = (action["target_weight"].abs().astype("float64") * 100 + 1e-4) // BUCKET * BUCKET
    return f"ppo_{side}_" + percent.astype("int64").astype("str")


def missing_units(target: float, account: Account, dead_band: float) -> float:
    """Return the base currency to buy (above 0) or to sell, 0 within the dead band; sized at the close, as in training.

    A target of 0 is always gone to; one that is not finite asks nothing.
    """
    difference = target - account.weight
    if account.worth <= 0 or not (abs(difference) >= dead_band or target == 0):
        return 0.0
    return target * account.worth / account.price - account.units


def affordable(units: float, cash: float, rate: float, fee: float) -> float:
    """Return how many of `units` the cash buys at `rate`, fee included."""
    return max(0.0, min(units, cash / (rate * (1 + fee))))
