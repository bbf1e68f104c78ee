"""When a decision of both models is worth a trade, when it has turned, and where stop and target belong.

From: the columns of `strategies.shared.forecasts` (NaN where there is none) and the cost of a round trip.
To: `nn_predictor`. NaN compares false everywhere: a missing forecast neither enters nor exits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

Combine = Literal["nn_only", "and_ta", "veto"]
SIDES = {"long": 1, "short": -1}
PLAN_COLUMNS = ("stop_long", "stop_short", "target_long", "target_short")  # what `plan_trade` reads
TREND_FEATURES = ("ema_20_50", "rsi_14")  # what the rules of `combine` read
BUCKET = 5  # percent of confidence that share a tag


@dataclass(frozen=True)
class TradePlan:
    """Prices at which a trade ends, fixed at its entry."""

    stop: float
    target: float


def gates(
    decision: pd.DataFrame, side: str, horizon: str, edge: float, confidence: float, round_trip_cost: float
) -> dict[str, pd.Series]:
    """Return each condition of an entry; where all are true the trade pays, as far as the models know (NNP-2, ENS-1).

    Parameters
    ----------
    decision : DataFrame
        With the decision columns.
    side : {"long", "short"}
        A short expects the mirrored return.
    horizon : {"15m", "1h", "4h", "12h"}
        The direction and return that are read.
    edge : float
        Round trips of cost that the expected return must pay.
    confidence : float
        Least probability of the side, given that price leaves the flat band (0.5 says nothing). The plain probability
        of one of three classes is no measure here: it depends on how wide the band is.
    round_trip_cost : float
        Ratio of the price.

    Returns
    -------
    dict
        `direction`: the direction line is sure of the side; `agreement`: the unified line expects no loss after costs
        there (ENS-3); `edge`: and enough gain.
    """
    expected = decision[f"expected_return_{horizon}"] * SIDES[side]
    return {
        "direction": (sureness(decision, side, horizon) >= confidence) & _leans(decision, side, horizon),
        "agreement": expected >= round_trip_cost,
        "edge": expected > edge * round_trip_cost,
    }


def reversal(decision: pd.DataFrame, side: str, horizon: str) -> pd.Series:
    """Tell where the decision has turned against an open trade of this side: return and direction both say so."""
    against = "short" if side == "long" else "long"
    expected = decision[f"expected_return_{horizon}"] * SIDES[against]
    return (expected > 0) & _leans(decision, against, horizon)


def allowed_by_rules(features: pd.DataFrame, side: str, combine: Combine) -> pd.Series:
    """Tell where the rules let a side through: they agree (and_ta), do not object (veto), are not asked (NNP-1)."""
    if combine == "nn_only":
        return pd.Series(True, index=features.index)
    up = (features["ema_20_50"] > 0) & (features["rsi_14"] > 0.5)
    down = (features["ema_20_50"] < 0) & (features["rsi_14"] < 0.5)
    agree, object_ = (up, down) if side == "long" else (down, up)
    return agree if combine == "and_ta" else ~object_


def tags(decision: pd.DataFrame, side: str, horizon: str) -> pd.Series:
    """Return the entry tag of each row, side and bucket of confidence: nn_long_60 is 60 % up to below 65 % (ENS-2)."""
    percent = np.floor(100 / BUCKET * sureness(decision, side, horizon) + 1e-4) * BUCKET  # float32: 0.6 is just below
    return f"nn_{side}_" + percent.astype("int64").astype("str")


def sureness(decision: pd.DataFrame, side: str, horizon: str) -> pd.Series:
    """Return the probability of a side, given that price leaves the flat band."""
    up, down = decision[f"probability_up_{horizon}"], decision[f"probability_down_{horizon}"]
    return (up if side == "long" else down) / (up + down)


def plan_trade(
    candle: Mapping[str, float],
    entry: float,
    side: str,
    stop_factor: float,
    stop_bounds: tuple[float, float],
    target_factor: float,
    least_target: float,
) -> TradePlan | None:
    """Return where a trade filled at `entry` ends, from PLAN_COLUMNS of its signal candle; None without them (ENS-2).

    Parameters
    ----------
    stop_factor, target_factor : float
        Typical adverse and favourable moves of 4 h that stop and target leave room for.
    stop_bounds : tuple of float
        Least and largest distance of the stop, ratios of the price; the largest is what the strategy's stoploss allows.
    least_target : float
        Ratio of the price below which taking the profit would not pay.
    """
    stop, target = (float(candle[f"{level}_{side}"]) for level in ("stop", "target"))
    if not (np.isfinite(stop) and np.isfinite(target)):
        return None
    stop = float(np.clip(stop_factor * stop, *stop_bounds))
    target = max(target_factor * target, least_target)
    return TradePlan(entry * (1 - SIDES[side] * stop), entry * (1 + SIDES[side] * target))


def reduced_stake(stake: float, multiplier: float, least: float | None) -> float:
    """Return the stake that the models leave; 0, no trade, if the exchange takes none so small (SIZ-4, SIZ-5)."""
    share = min(max(multiplier, 0.0), 1.0) if np.isfinite(multiplier) else 0.0
    return stake * share if stake * share >= (least or 0.0) else 0.0


def _leans(decision: pd.DataFrame, side: str, horizon: str) -> pd.Series:
    up, down = decision[f"probability_up_{horizon}"], decision[f"probability_down_{horizon}"]
    return up > down if side == "long" else down > up
