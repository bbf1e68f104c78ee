"""What the service answers about each candle of a history: columns, who made them, and which numbers can be true.

From: the contracts in configs/contracts. To: `wire`, `replies` and `history`, which know no endpoint by name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

HORIZONS = ("15m", "1h", "4h", "12h")
PROBABILITIES = tuple(f"probability_{side}_{horizon}" for horizon in HORIZONS for side in ("up", "down"))
RETURNS = tuple(f"expected_return_{horizon}" for horizon in HORIZONS)  # ratios of the close
LEVELS = ("stop_long", "stop_short", "target_long", "target_short")  # ratios of the close, above 0
SHARES = (*PROBABILITIES, "stake_multiplier", "signal_probability")  # 0..1
NUMBERS = (*PROBABILITIES, *RETURNS, "stake_multiplier", *LEVELS, "signal_probability")
AGENT_SLOTS = (  # OBS-21 to OBS-26, as the policy saw them
    "cash_ratio", "position_ratio", "volume_imbalance", "trade_intensity", "realized_spread", "agent_fill_ratio",
)  # fmt: skip
ACTION = ("target_weight", "value", "cvar")
Checked = Callable[[Mapping[str, np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Form:
    """One endpoint over history.

    Attributes
    ----------
    path : str
        Of the endpoint.
    lines : mapping
        Model lines that decide together: a short name and the kind that GET /models tells.
    versions : tuple of str
        Column that names the deciding version of each line, in the order of `lines`.
    digests : tuple of str
        Metadata that names the chain of each line.
    numbers, texts : tuple of str
        Columns of float32 and of words; `texts` includes the versions. A column `reason` comes beside them.
    sound : callable
        Which rows hold numbers that can be true, given the columns by name.
    subject : str
        What a complaint says of the lines' beginning.
    divisible : bool
        Whether a long history may be asked in overlapping parts; not where a row depends on all rows before it.
    """

    path: str
    lines: Mapping[str, str]
    versions: tuple[str, ...]
    digests: tuple[str, ...]
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    sound: Checked
    subject: str
    divisible: bool = True


def _sound_decision(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    shares = [(columns[name] >= 0) & (columns[name] <= 1) for name in SHARES]
    return np.logical_and.reduce([*shares, *(columns[name] > 0 for name in LEVELS)])


def _sound_rollout(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    within = [np.abs(columns[name]) <= 1 for name in ("target_weight", "position_ratio", "volume_imbalance")]
    shares = [(columns[name] >= 0) & (columns[name] <= 1) for name in ("cash_ratio", "trade_intensity")]
    return np.logical_and.reduce([*within, *shares, columns["agent_fill_ratio"] >= 0])


DECISION = Form(
    "/predict",
    {"unified": "unified_patchtst", "direction": "direction"},
    ("model_version", "direction_version"),
    ("chain_digest", "direction_chain_digest"),
    NUMBERS,
    ("signal", "model_version", "direction_version"),
    _sound_decision,
    "both lines have a version",
)
ROLLOUT = Form(
    "/rollout",
    {"policy": "actor_critic"},
    ("model_version",),
    ("chain_digest",),
    (*ACTION, "held_weight", *AGENT_SLOTS),
    ("model_version",),
    _sound_rollout,
    "the policy line has a version",
    divisible=False,
)
