"""The observation at a frame's newest candle, or why there is none (PPA-2, DQ-4, OBS-59, ENR-9).

From: candles, the statistics that a service told, the pair's account. To: `actions`. The market's slots are made by the
service's own code (`tradekernels.observation`) from the service's own statistics, the agent's from the bot's wallet and
orders: for the same candles and the same account it is the row that a rollout sees, bit for bit.
"""

import numpy as np
import pandas as pd
from tradekernels.observation import ObservationSet

from strategies.shared import wire
from strategies.shared.client import ForecastUnavailable

MARGIN = 8  # rows more than the newest observation reads
MAX_HOLE, HOLE_WINDOW = 3, 20  # bars


def observe(observations: ObservationSet, pair: str, frame: pd.DataFrame, agent: tuple[float, ...]) -> np.ndarray:
    """Return the observation at a frame's newest candle, float32 (slots,); `ForecastUnavailable` says what is wrong.

    Parameters
    ----------
    observations : ObservationSet
        What the policy reads.
    frame : DataFrame
        Closed candles, and the columns beside them that the policy was trained with.
    agent : tuple of float
        `tradekernels.observation.AGENT_FIELDS`.
    """
    if pair not in observations.tokens:
        raise ForecastUnavailable("unknown_pair", f"the policy knows {', '.join(observations.tokens)}")
    needed = observations.warmup + 1
    if len(frame) < needed:
        raise ForecastUnavailable("short", f"the frame has {len(frame)} candles, an observation reads {needed}")
    if holed(frame, observations.bar_ms):
        raise ForecastUnavailable("unscored", f"more than {MAX_HOLE} bars in a row are missing among the last 20")
    if lacking := unknown_inputs(observations, frame):
        raise ForecastUnavailable("unobservable", f"the policy was trained with {', '.join(lacking)}, unknown here")
    columns = ["date", *wire.PRICES, *observations.inputs]
    recent = frame[columns].iloc[-(needed + MARGIN) :].reset_index(drop=True)
    try:
        rows = observations.market(recent, observations.tokens.index(pair))
        return observations.observe(rows[-1], agent, float(recent["close"].iloc[-1]))
    except ValueError as error:  # no candle, an input out of its range, an account that cannot be
        raise ForecastUnavailable("unobservable", str(error)) from error


def unknown_inputs(observations: ObservationSet, frame: pd.DataFrame) -> list[str]:
    """Return what the policy was trained with beside candles and the newest candle of the frame does not have.

    Without it a slot would show its default, or a formula of candles alone: another thing than was learned.
    """
    return [name for name in observations.inputs if name not in frame or pd.isna(frame[name].iloc[-1])]


def holed(frame: pd.DataFrame, bar_ms: int) -> bool:
    """Tell whether more than 3 bars in a row are missing or filled among the last 20 (DQ-4): nothing is acted on there.

    Freqtrade fills a missing candle with one of no volume at the last price.
    """
    recent = frame.iloc[-HOLE_WINDOW:]
    still = [recent[name] == recent["close"] for name in ("open", "high", "low")]
    times, filled = wire.open_times(recent), np.logical_and.reduce([recent["volume"] == 0, *still])
    marks = np.concatenate([[times[0] - bar_ms], times[~filled], [times[-1] + bar_ms]])
    return bool((np.diff(marks) // bar_ms - 1 > MAX_HOLE).any())
