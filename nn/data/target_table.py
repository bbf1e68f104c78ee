"""The 24 targets of the unified model by name, and the columns of a forecast about them.

From: the specification, section 8. To: targets.py, which computes them; the model's heads and losses; the service.
"""

from __future__ import annotations

from dataclasses import dataclass

from .timeframe import bars_in

# Class codes, for every label, loss, confusion matrix and reply (TGT-25). Library codes are ordered otherwise.
UP, DOWN, FLAT = 0, 1, 2
LONG, SHORT, HOLD = 0, 1, 2
DIRECTIONS = ("up", "down", "flat")
ACTIONS = ("long", "short", "hold")

ROUND_TRIP_COST = 0.0022  # 2 x (0.06% fee + 0.05% slippage), in and out, as a ratio of the notional (TGT-21)
FULL_SIGNAL = 0.02  # net return at which the signal strength reaches 1 (TGT-22)
MAX_RISK_REWARD = 10.0  # TGT-23


@dataclass(frozen=True)
class Target:
    """One label of a bar."""

    id: str
    name: str
    minutes: int  # the future it looks at; the entry's own bar is not part of it
    kind: str  # return | direction | reach | risk | action | unit
    side: str = ""  # long | short, where one side is meant
    threshold: float = 0.0  # band of a direction, level of a reach, as a ratio
    n_classes: int = 0  # 0: a number
    maximum: float = 1.0  # of kind "unit": values lie in [0, maximum]


def _table() -> tuple[Target, ...]:
    hours = {"15m": 15, "1h": 60, "4h": 240, "12h": 720}
    bands = {"15m": 0.0015, "1h": 0.003, "4h": 0.007, "12h": 0.01}
    levels = (("1pct_4h", 0.01), ("2pct_4h", 0.02), ("3pct_12h", 0.03), ("5pct_12h", 0.05))
    rows: list[Target] = []

    def add(name: str, minutes: int, kind: str, **more: str | float) -> None:
        rows.append(Target(f"TGT-{len(rows) + 1}", name, minutes, kind, **more))  # type: ignore[arg-type]

    for label, minutes in hours.items():
        add(f"future_return_{label}", minutes, "return")
    for label, minutes in hours.items():
        add(f"direction_{label}", minutes, "direction", threshold=bands[label], n_classes=3)
    for side in ("long", "short"):
        for label, level in levels:
            minutes = hours[label.split("_")[1]]
            add(f"{side}_will_reach_{label}", minutes, "reach", side=side, threshold=level, n_classes=2)
    for label in ("1h", "4h"):
        add(f"max_drawdown_{label}", hours[label], "risk", side="long")
    for label in ("1h", "4h"):
        add(f"max_rally_{label}", hours[label], "risk", side="short")
    add("best_action", hours["4h"], "action", n_classes=3)
    add("signal_strength", hours["4h"], "unit")
    add("risk_reward_ratio", hours["4h"], "unit", maximum=MAX_RISK_REWARD)
    add("optimal_hold_time", hours["12h"], "unit")
    return tuple(rows)


def _forecast_columns() -> tuple[str, ...]:
    columns: list[str] = []
    for target in TARGETS:
        if target.kind == "direction":
            columns += [f"{target.name}_{word}" for word in DIRECTIONS]
        elif target.kind == "action":
            columns += [f"{target.name}_{word}" for word in ACTIONS]
        else:
            columns.append(target.name)
    return (*columns, *(f"confidence_{label}" for label in ("15m", "1h", "4h", "12h")))


TARGETS = _table()
TARGET_NAMES = tuple(target.name for target in TARGETS)
FORECAST_COLUMNS = _forecast_columns()  # in wire order: a class target has a probability per class
DIRECTION_COLUMNS = tuple(name for name in FORECAST_COLUMNS if name.startswith("direction_"))


def horizon_bars(timeframe: str) -> tuple[int, ...]:
    """Return each target's horizon in bars; a timeframe on which one is no whole number is refused (DAT-10)."""
    return tuple(bars_in(target.minutes, timeframe) for target in TARGETS)


def max_horizon_bars(timeframe: str) -> int:
    """Return the longest horizon in bars, which is also the purge and the embargo (WIN-2): 48 on 15m."""
    return max(horizon_bars(timeframe))
