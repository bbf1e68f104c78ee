"""The combined decision: the direction line says which way, the unified line how much and how far (ENS-1..3).

From: rows of both lines about the same candles, (N, 38) and (N, 12). To: POST /predict, as the columns of
configs/contracts/decision_reply.v1.json. A pure function of its rows: no clock, no setting, nothing remembered.

==================  =============================================================================================
column              formula; d = max_drawdown_4h, r = max_rally_4h, q = risk_reward_ratio of the unified line
==================  =============================================================================================
probability_*_h     UP and DOWN of the direction line at horizon h
expected_return_h   future_return_h of the unified line, a ratio
fall, rise          d / (1 + d) and r: the typical worst fall and best rise of the price within 4h, as ratios of the
                    close; a drawdown is close / lowest - 1, the rise needed to come back, so it is turned round
stake_multiplier    sqrt(signal_strength x confidence_4h), the geometric mean of two numbers in [0, 1]: 1 only if both
                    are, 0 if either is; it can only reduce what risk allows (ENS-2)
stop_long           fall, and stop_short rise: where a typical adverse move ends. Half of all adverse moves go
                    further; how much room to leave beyond it is the strategy's to say
target_long         min(rise, q x fall), and target_short min(fall, q x rise): never further than the typical best
                    move, nearer when the model expects less reward for the risk; at least the cost of a round trip
signal              BUY or SELL where UP or DOWN is more probable at 4h than both others, else HOLD
signal_probability  of the class that the signal stands for at 4h: UP, DOWN or FLAT
==================  =============================================================================================

ENS-3: where the unified line expects a loss after costs on the direction's side, that is
side x expected_return_4h < ROUND_TRIP_COST, the signal is HOLD with reason `disagree`; the numbers stay. Both are
compared as float32, which is what the columns hold: a return of exactly the cost is no loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data.target_table import DIRECTION_COLUMNS, DIRECTIONS, DOWN, FLAT, FORECAST_COLUMNS, ROUND_TRIP_COST, UP

HORIZONS = ("15m", "1h", "4h", "12h")
SIGNAL_HORIZON = "4h"  # of best_action and of the levels: what the unified line is trained to trade
SIGNALS = ("BUY", "SELL", "HOLD")  # codes 0, 1, 2, as UP, DOWN, FLAT
BUY, SELL, HOLD = range(len(SIGNALS))
PER_HORIZON = ("probability_up", "probability_down", "expected_return")
LEVELS = ("stake_multiplier", "stop_long", "stop_short", "target_long", "target_short")
DECISION_COLUMNS = (*(f"{name}_{horizon}" for horizon in HORIZONS for name in PER_HORIZON), *LEVELS)  # in wire order
DISAGREE = "disagree"

Floats = NDArray[np.float64]
_RETURNS = [FORECAST_COLUMNS.index(f"future_return_{horizon}") for horizon in HORIZONS]
_DRAWDOWN, _RALLY, _STRENGTH, _REWARD, _CONFIDENCE = (
    FORECAST_COLUMNS.index(name)
    for name in (
        f"max_drawdown_{SIGNAL_HORIZON}",
        f"max_rally_{SIGNAL_HORIZON}",
        "signal_strength",
        "risk_reward_ratio",
        f"confidence_{SIGNAL_HORIZON}",
    )
)
_COST = float(np.float32(ROUND_TRIP_COST))  # 0.0022 lies between two float32; a forecast can only be one of them
_AT_SIGNAL = HORIZONS.index(SIGNAL_HORIZON)


@dataclass(frozen=True)
class Decisions:
    """One row per candle. A row with any NaN is NaN whole, its signal HOLD with probability NaN."""

    values: NDArray[np.float32]  # (N, 17) in DECISION_COLUMNS order
    signal: NDArray[np.int32]  # (N,) index into SIGNALS
    signal_probability: NDArray[np.float32]  # (N,)
    disagree: NDArray[np.bool_]  # (N,) ENS-3

    @property
    def known(self) -> NDArray[np.bool_]:
        return np.isfinite(self.signal_probability)


def decide(unified: NDArray[np.float32], direction: NDArray[np.float32]) -> Decisions:
    """Return the decision of every candle.

    Parameters
    ----------
    unified : ndarray of float32, shape (N, 38)
        In FORECAST_COLUMNS order, NaN where that line scored nothing.
    direction : ndarray of float32, shape (N, 12)
        In DIRECTION_COLUMNS order, NaN where that line scored nothing.

    Raises
    ------
    ValueError
        If a shape is another.
    """
    expected = ((len(unified), len(FORECAST_COLUMNS)), (len(unified), len(DIRECTION_COLUMNS)))
    if (unified.shape, direction.shape) != expected:
        raise ValueError(
            f"rows have shapes {unified.shape} and {direction.shape}, expected {expected[0]}, {expected[1]}"
        )
    numbers = unified.astype(np.float64)
    probabilities = direction.astype(np.float64).reshape(len(direction), len(HORIZONS), len(DIRECTIONS))
    per_horizon = np.stack([probabilities[:, :, UP], probabilities[:, :, DOWN], numbers[:, _RETURNS]], axis=2)
    values = np.concatenate(
        [per_horizon.reshape(len(numbers), len(HORIZONS) * len(PER_HORIZON)), levels(numbers)], axis=1
    )
    # the class FLAT is in no column, and an excursion of 0 or less is a finite number but no level
    known = np.isfinite(values).all(1) & np.isfinite(probabilities).all((1, 2)) & (values[:, -4:] > 0).all(1)
    values[~known] = np.nan

    at_signal = probabilities[:, _AT_SIGNAL]
    signal = leaning(at_signal)
    side = np.select([signal == BUY, signal == SELL], [1.0, -1.0])
    disagree = known & (side != 0) & (side * numbers[:, _RETURNS[_AT_SIGNAL]] < _COST)
    signal[disagree | ~known] = HOLD
    probability = at_signal[np.arange(len(signal)), signal]
    probability[~known] = np.nan
    return Decisions(values.astype(np.float32), signal, probability.astype(np.float32), disagree)


def levels(numbers: Floats) -> Floats:
    """Return stake multiplier, stops and targets (N, 5) of unified rows (N, 38)."""
    drawdown, rise, reward = numbers[:, _DRAWDOWN], numbers[:, _RALLY], numbers[:, _REWARD]
    with np.errstate(divide="ignore", invalid="ignore"):  # a drawdown of -1 is no number, and becomes no decision
        fall = drawdown / (1 + drawdown)
        stake = np.sqrt(np.clip(numbers[:, _STRENGTH], 0, 1) * np.clip(numbers[:, _CONFIDENCE], 0, 1))
        target_long = np.maximum(np.minimum(rise, reward * fall), ROUND_TRIP_COST)
        target_short = np.maximum(np.minimum(fall, reward * rise), ROUND_TRIP_COST)
    return np.stack([stake, fall, rise, target_long, target_short], axis=1)


def leaning(probabilities: Floats) -> NDArray[np.int32]:
    """Return BUY, SELL or HOLD of (N, 3) probabilities of UP, DOWN, FLAT; equals and NaN are HOLD."""
    up, down, flat = probabilities[:, UP], probabilities[:, DOWN], probabilities[:, FLAT]
    buy, sell = (up > down) & (up > flat), (down > up) & (down > flat)
    return np.select([buy, sell], [BUY, SELL], HOLD).astype(np.int32)
