"""Slow twins of the book and of the queues, from the specification alone. To: trading_twin.py, test_book_twin.py."""

from __future__ import annotations

import math


class BookTwin:
    """Two dicts from tick to lots, and two best ticks that follow LOB-6 to the letter."""

    def __init__(self):
        self.levels = ({}, {})
        self.best = [None, None]

    def set(self, side, tick, lots):
        """Apply a SET row; return what was at the tick."""
        own, sign = self.levels[side], 1 - 2 * side
        was = own.pop(tick, 0)
        best = self.best[side]
        if lots:
            own[tick] = lots
            if best is None or sign * (tick - best) > 0:
                self.best[side] = tick
                other = self.best[1 - side]
                if other is not None and sign * (tick - other) >= 0:
                    self.best[1 - side] = self.next(1 - side, lambda t: sign * (t - tick) > 0)
        elif tick == best:
            self.best[side] = self.next(side, lambda t: sign * (tick - t) > 0)
        return was

    def clear(self, kind, tick):
        side, sign = kind & 1, 1 - 2 * (kind & 1)
        own, best = self.levels[side], self.best[side]
        if kind >= 6:
            for t in [t for t in own if sign * (t - tick) >= 0]:
                del own[t]
            self.best[side] = self.next(side, lambda t: sign * (tick - t) > 0)
            return
        if best is not None:
            for t in [t for t in own if sign * (t - tick) >= 0 and sign * (best - t) >= 0]:
                del own[t]
        self.best[side] = self.next(side, lambda t: sign * (tick - t) > 1)

    def next(self, side, accept):
        ticks = [t for t in self.levels[side] if accept(t)]
        return None if not ticks else min(ticks) if side else max(ticks)

    def apply(self, kind, tick, lots):
        if kind <= 1:
            self.set(kind, tick, lots)
        elif kind not in (4, 5):
            self.clear(kind, tick)

    def quote(self, side):
        best = self.best[side]
        return None if best is None else (best, self.levels[side].get(best, 0))


def after_set(model, n, front, was, now, traded):
    """LOB-13, in float64."""
    if model == "risk":
        return min(front, now)
    change = was - now - traded
    if change < 0:
        return min(front, now)
    back = was - front
    try:
        p = _share(model, n, front, back)
    except ZeroDivisionError:
        top, _ = _parts(model, n, front, back)
        p = math.nan if isinstance(top, complex) or top == 0 or math.isnan(top) else 1.0
    except ValueError:
        p = math.nan
    if isinstance(p, complex) or math.isnan(p):
        return now
    p = 1.0 if math.isinf(p) else p
    return min(front - (1 - p) * change + min(back - p * change, 0.0), now)


def _f(model, n, x):
    if model.startswith("power"):
        return float(x) ** n
    return math.log(1.0 + x) if x > -1 else (-math.inf if x == -1 else math.nan)


def _parts(model, n, front, back):
    if model == "power3":
        return front, front + back
    bottom = _f(model, n, back + front) if model.endswith("2") else _f(model, n, back) + _f(model, n, front)
    return _f(model, n, back), bottom


def _share(model, n, front, back):
    top, bottom = _parts(model, n, front, back)
    return 1.0 - (top / bottom) ** n if model == "power3" else top / bottom
