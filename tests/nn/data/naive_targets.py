"""The slow twin of `nn.data.targets`: one bar after the other, exact fractions, straight from the specification."""

from fractions import Fraction
from math import nan

COST = 2 * (Fraction("0.0006") + Fraction("0.0005"))
BANDS = {"15m": Fraction("0.0015"), "1h": Fraction("0.003"), "4h": Fraction("0.007"), "12h": Fraction("0.01")}
HOURS = {"15m": 1, "1h": 4, "4h": 16, "12h": 48}  # bars of 15 minutes


def exact(column):
    """The decimal numbers that the exchange published."""
    return [Fraction(repr(float(value))) for value in column]


def naive_targets(frame):
    """Return {name: [value of every bar, nan where the future is not all there]} for 15m candles without gaps."""
    high, low, close = exact(frame["high"]), exact(frame["low"]), exact(frame["close"])
    rows = [bar_targets(high, low, close, t) for t in range(len(close))]
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def bar_targets(high, low, close, t):
    now, labels = close[t], {}

    def future(column, bars):
        after = column[t + 1 : t + 1 + bars]
        return after if len(after) == bars else None

    for label, bars in HOURS.items():
        closes = future(close, bars)
        change = closes[-1] / now - 1 if closes else nan
        labels[f"future_return_{label}"] = change
        labels[f"direction_{label}"] = (
            nan if not closes else 0 if change > BANDS[label] else 1 if change < -BANDS[label] else 2
        )
    for percent, label in ((1, "4h"), (2, "4h"), (3, "12h"), (5, "12h")):
        highs, lows = future(high, HOURS[label]), future(low, HOURS[label])
        level = Fraction(percent, 100)
        labels[f"long_will_reach_{percent}pct_{label}"] = int(max(highs) / now - 1 >= level) if highs else nan
        labels[f"short_will_reach_{percent}pct_{label}"] = int(1 - min(lows) / now >= level) if lows else nan
    for label in ("1h", "4h"):
        highs, lows = future(high, HOURS[label]), future(low, HOURS[label])
        labels[f"max_drawdown_{label}"] = now / min(lows) - 1 if lows else nan
        labels[f"max_rally_{label}"] = max(highs) / now - 1 if highs else nan
    return labels | trade_targets(now, future(high, 16), future(low, 16), future(close, 16), future(close, 48))


def trade_targets(now, highs, lows, closes, half_day):
    names = ("best_action", "signal_strength", "risk_reward_ratio", "optimal_hold_time")
    if not closes:
        return dict.fromkeys(names, nan)
    change = closes[-1] / now - 1
    if change - COST > 0 and change - COST > -change - COST:
        action, sign = 0, 1
    elif -change - COST > 0:
        action, sign = 1, -1
    else:
        return dict(zip(names, (2, 0, 0, 0 if half_day else nan), strict=True))
    up, down = max(highs) / now - 1, 1 - min(lows) / now
    favourable, adverse = (up, down) if action == 0 else (down, up)
    ratio = 10 if adverse <= 0 else min(max(favourable / adverse, 0), 10)
    strength = min(abs(sign * change - COST) / Fraction("0.02"), 1)
    if not half_day:
        return dict(zip(names, (action, strength, ratio, nan), strict=True))
    net = [sign * (price / now - 1) - COST for price in half_day]
    hold = Fraction(net.index(max(net)) + 1, 48)
    return dict(zip(names, (action, strength, ratio, hold), strict=True))
