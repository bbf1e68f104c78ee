"""Slow twins of the book, the queues and the replay, written from the specification alone. To: test_book, test_replay.

Everything is a dict, a list, a Fraction or a float; nothing is fast, and the clock takes one event at a time (LOB-10).
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal


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
        p = math.nan if top == 0 or math.isnan(top) else 1.0
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


def round_half_away(x):
    return int(Decimal(x).quantize(Decimal(1), ROUND_HALF_UP)) if x >= 0 else -round_half_away(-x)


class ReplayTwin:
    """One trader, constant latency, one event at a time.

    `rows`: (kind, tick, lots, exchange time, local time). `requests`: (time, "new" | "cancel" | "modify", id, ...).
    """

    def __init__(self, rows, requests, latency, model, n, partial, lot=1.0):
        self.rows, self.model, self.n, self.partial, self.lot = rows, model, n, partial, lot
        self.entry, self.response = latency
        self.scale = 1.0 if model == "risk" else lot
        self.venue, self.view = BookTwin(), BookTwin()
        self.orders, self.fills, self.position = {}, [], 0
        self.exchange = sorted(rows, key=lambda row: row[3])
        self.local = sorted(rows, key=lambda row: row[4])
        self.mail, self.answers = [], []
        self.requests = requests

    def run(self, end):
        """Play everything up to a time; return the fills (exchange time, id, tick, lots, maker)."""
        at = [0, 0]
        pending = sorted(self.requests, key=lambda r: r[0])
        while True:
            times = [
                self.local[at[0]][4] if at[0] < len(self.local) else math.inf,
                self.answers[0][0] if self.answers else math.inf,
                self.exchange[at[1]][3] if at[1] < len(self.exchange) else math.inf,
                self.mail[0][0] if self.mail else math.inf,
            ]
            now = min(times)
            if pending and pending[0][0] < now:  # the trader acts after all events of its own time
                request = pending.pop(0)
                arrival = max([request[0] + self.entry, *(m[0] for m in self.mail)])
                self.mail.append((arrival, *request[1:]))
                continue
            if now > end:
                return self.fills
            kind = times.index(now)
            if kind == 0:
                row = self.local[at[0]]
                self.view.apply(*row[:3])
                at[0] += 1
            elif kind == 1:
                self.position += self.answers.pop(0)[1]
            elif kind == 2:
                row = self.exchange[at[1]]
                self.venue_row(now, *row[:3])
                at[1] += 1
            else:
                self.arrive(*self.mail.pop(0))

    def fill(self, now, order, lots, tick, maker):
        order["left"] -= lots
        if order["left"] == 0:
            order["rests"] = False
        self.fills.append((now, order["id"], tick, lots, maker))
        at = max([now + self.response, *(a[0] for a in self.answers)])
        self.answers.append((at, lots * (1 - 2 * order["side"])))

    def resting(self, side):
        return [o for o in self.orders.values() if o["rests"] and o["side"] == side]

    def venue_row(self, now, kind, tick, lots):
        if kind <= 1:
            side, sign, before = kind, 1 - 2 * kind, self.venue.best[kind]
            was = self.venue.set(side, tick, lots)
            for o in self.resting(side):
                if o["tick"] == tick:
                    o["front"] = after_set(
                        self.model, self.n, o["front"], was * self.scale, lots * self.scale, o["traded"]
                    )
                    o["traded"] = 0.0
            best = self.venue.best[side]
            if best is not None and (before is None or sign * (best - before) > 0):
                for o in self.resting(1 - side):
                    passed = before is not None and sign * (before - o["tick"]) >= 0
                    if sign * (best - o["tick"]) >= 0 and not passed:
                        self.fill(now, o, o["left"], o["tick"], True)
        elif kind in (4, 5):
            side, sign = 1 - (kind & 1), 1 - 2 * (kind & 1)
            for o in self.resting(side):
                if sign * (tick - o["tick"]) > 0:
                    self.fill(now, o, o["left"], o["tick"], True)
                elif o["tick"] == tick:
                    o["front"] -= lots * self.scale
                    o["traded"] += lots * self.scale
                    left = round_half_away(-o["front"] / self.scale)
                    if left > 0:
                        o["front"] = 0.0
                        self.fill(now, o, min(left, o["left"]) if self.partial else o["left"], tick, True)
        else:
            self.venue.clear(kind, tick)

    def arrive(self, now, what, id, *more):
        if what == "new":
            side, tick, lots, force = more
            self.orders[id] = {"id": id, "side": side, "tick": tick, "left": lots, "force": force, "rests": False}
            self.place(now, self.orders[id])
            return
        order = self.orders.get(id)
        if order is None or not order["rests"]:
            return
        if what == "cancel":
            order["rests"] = False
        elif more[0] == order["tick"] and more[1] <= order["left"]:
            order["left"] = more[1]
        else:
            order["rests"], order["tick"], order["left"] = False, more[0], more[1]
            self.place(now, order)

    def place(self, now, o):
        side, sign = o["side"], 1 - 2 * o["side"]
        best = self.venue.best[1 - side]
        if best is not None and sign * (o["tick"] - best) >= 0:
            if o["force"] == "GTX":
                return
            if not self.partial:
                self.fill(now, o, o["left"], best, False)
                return
            ticks = [t for t in self.venue.levels[1 - side] if sign * (o["tick"] - t) >= 0 and sign * (t - best) >= 0]
            ticks.sort(key=lambda t: sign * t)
            if o["force"] == "FOK" and sum(self.venue.levels[1 - side][t] for t in ticks) < o["left"]:
                return
            for t in ticks:
                if o["left"]:
                    self.fill(now, o, min(o["left"], self.venue.levels[1 - side][t]), t, False)
            if not o["left"]:
                return
        if o["force"] in ("GTC", "GTX"):
            o["rests"], o["traded"] = True, 0.0
            o["front"] = self.venue.levels[side].get(o["tick"], 0) * self.scale
