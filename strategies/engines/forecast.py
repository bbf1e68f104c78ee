"""When a forecast is worth a trade, when it has turned, and how far the stop must be.

From: forecast columns (NaN where there is no forecast) and the cost of a round trip. To: `nn_predictor`.
NaN compares false everywhere: a missing forecast neither enters nor exits.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

Combine = Literal["nn_only", "and_ta", "veto"]
SIDES = {"long": 1, "short": -1}
STOP_COLUMNS = ("max_drawdown_4h", "max_rally_4h")  # what `stop_distance` reads
TREND_FEATURES = ("ema_20_50", "rsi_14")  # what the rules of `combine` read


def entry(
    forecast: pd.DataFrame, side: str, horizon: str, edge: float, confidence: float, round_trip_cost: float
) -> pd.Series:
    """Tell where an entry pays: the expected return covers `edge` round trips and the direction agrees (NNP-2).

    Parameters
    ----------
    forecast : DataFrame
        With the forecast columns.
    side : {"long", "short"}
        A short expects the mirrored return.
    horizon : {"15m", "1h", "4h", "12h"}
        The direction and return that are read.
    edge : float
        Round trips of cost that the expected return must pay.
    confidence : float
        Least probability of the side, given that price leaves the flat band (0.5 says nothing). The plain probability
        of one of three classes is no measure here: it depends on how wide the band is. The direction heads answer
        at temperature 2 (MOD-2), where 0.55 is what 0.6 (NNP-2) would be without it.
    round_trip_cost : float
        Ratio of the price.
    """
    expected = forecast[f"future_return_{horizon}"] * SIDES[side]
    up, down = forecast[f"direction_{horizon}_up"], forecast[f"direction_{horizon}_down"]
    confident = (up if side == "long" else down) >= confidence * (up + down)
    return (expected > edge * round_trip_cost) & _direction_agrees(forecast, side, horizon) & confident


def reversal(forecast: pd.DataFrame, side: str, horizon: str) -> pd.Series:
    """Tell where the forecast has turned against an open trade of this side: return and direction both say so."""
    against = "short" if side == "long" else "long"
    expected = forecast[f"future_return_{horizon}"] * SIDES[against]
    return (expected > 0) & _direction_agrees(forecast, against, horizon)


def allowed_by_rules(features: pd.DataFrame, side: str, combine: Combine) -> pd.Series:
    """Tell where the rules let a side through: they agree (and_ta), do not object (veto), are not asked (NNP-1)."""
    if combine == "nn_only":
        return pd.Series(True, index=features.index)
    up = (features["ema_20_50"] > 0) & (features["rsi_14"] > 0.5)
    down = (features["ema_20_50"] < 0) & (features["rsi_14"] < 0.5)
    agree, object_ = (up, down) if side == "long" else (down, up)
    return agree if combine == "and_ta" else ~object_


def stop_distance(candle: Mapping[str, float], side: str, factor: float, least: float, most: float) -> float | None:
    """Return how far from the price the stop belongs, a ratio, from the adverse move that the signal candle predicted.

    Parameters
    ----------
    candle : mapping
        STOP_COLUMNS of the signal candle.
    factor : float
        Predicted adverse moves of 4 h that the stop leaves room for.
    least, most : float
        Bounds of the ratio; `most` is what the strategy's stoploss allows.
    """
    if side == "long":
        drawdown = candle["max_drawdown_4h"]  # TGT-18: C / min L - 1, the rise that would bring the price back
        move = drawdown / (1 + drawdown)
    else:
        move = candle["max_rally_4h"]  # TGT-20: max H / C - 1
    return float(np.clip(factor * move, least, most)) if np.isfinite(move) else None


def _direction_agrees(forecast: pd.DataFrame, side: str, horizon: str) -> pd.Series:
    up, down = forecast[f"direction_{horizon}_up"], forecast[f"direction_{horizon}_down"]
    return up > down if side == "long" else down > up
