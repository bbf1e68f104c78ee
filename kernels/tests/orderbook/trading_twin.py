"""Slow twin of a replay with own orders (LOB-10 to LOB-15), from the specification alone. To: test_replay_twin.py.

Everything is a dict, a list, a Fraction or a float; nothing is fast, and the clock takes one event at a time.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from replay_twin import BookTwin, after_set

SENT, WORKING, PARTLY_FILLED, FILLED, CANCELED, EXPIRED, REJECTED = range(7)


def round_half_away(x):
    return math.floor(abs(x) + Fraction(1, 2)) * (1 if x >= 0 else -1)


class ConstantTwin:
    def __init__(self, entry, response):
        self.to, self.back = entry, response

    def entry(self, now, feed, number, nth):
        return self.to, False

    def response(self, now, feed, number, nth):
        return self.back


class FeedTwin:
    def __init__(self, entry_factor, response_factor, entry, response):
        self.factors, self.more = (entry_factor, response_factor), (entry, response)

    def entry(self, now, feed, number, nth):
        return max(0, self.more[0] + int(self.factors[0] * max(0, feed))), False

    def response(self, now, feed, number, nth):
        return max(0, self.more[1] + int(self.factors[1] * max(0, feed)))


class TableTwin:
    """Latencies between two orders lie on a line; outside, the nearest one holds."""

    def __init__(self, request, exchange, response):
        self.columns = request, exchange, response

    def at(self, x, y, now):
        if now < x[0]:
            return max(0, y[0] - x[0])
        for k in range(len(x) - 1):
            if x[k] <= now < x[k + 1]:
                first, second = y[k] - x[k], y[k + 1] - x[k + 1]
                return max(0, first + int((second - first) / (x[k + 1] - x[k]) * (now - x[k])))
        return max(0, y[-1] - x[-1])

    def entry(self, now, feed, number, nth):
        return self.at(self.columns[0], self.columns[1], now), False

    def response(self, now, feed, number, nth):
        return self.at(self.columns[1], self.columns[2], now)


class DrawnTwin:
    """EXE-3 with the words of numpy's own Philox, two to an attempt."""

    def __init__(self, base, jitter, probability, multiple, timeout, retries, hours, seed):
        self.base, self.jitter, self.probability, self.multiple = base, jitter, probability, multiple
        self.timeout, self.retries, self.hours, self.seed = timeout, retries, hours, seed

    def one(self, now, number, nth, answer, attempt):
        counter = number + ((2 * nth + answer) << 64) + ((attempt // 2) << 128)
        before = [(counter - 1) >> 64 * k & (2**64 - 1) for k in range(4)]
        words = np.random.Philox(
            key=np.array([self.seed, 0], np.uint64), counter=np.array(before, np.uint64)
        ).random_raw(4)
        jitter, spike = (int(word) >> 11 for word in words[2 * (attempt % 2) :][:2])
        hour = (now // 3_600_000_000_000 + 72) % 168
        ns = (self.base + self.jitter * (jitter / 2**53)) * self.hours[hour]
        return ns * self.multiple if spike / 2**53 < self.probability else ns

    def entry(self, now, feed, number, nth):
        waited = 0.0
        for attempt in range(1 + self.retries):
            ns = self.one(now, number, nth, 0, attempt)
            if ns <= self.timeout:
                return int(waited + ns), False
            waited += self.timeout
        return int(waited), True

    def response(self, now, feed, number, nth):
        return int(self.one(now, number, nth, 1, 0))


class TradingTwin:
    """One trader; `rows` are (kind, tick, lots, exchange time, local time) in the order of arrival."""

    def __init__(self, rows, latency, queue, n, partial, fee, lot):
        self.latency, self.model, self.n, self.partial, self.fee_of = latency, queue, n, partial, fee
        self.unit = (1, 1) if queue in ("risk", "fifo") else (lot.numerator, lot.denominator)
        self.venue, self.view = BookTwin(), BookTwin()
        self.exchange = sorted(rows, key=lambda row: row[3])
        self.local = sorted(rows, key=lambda row: row[4])
        self.requests, self.answers, self.losses = [], [], []
        self.newest = {"requests": -math.inf, "answers": -math.inf, "losses": -math.inf}
        self.trader_feed = self.venue_feed = 0
        self.now = min(self.exchange[0][3], self.local[0][4])
        self.orders, self.fills = {}, []
        self.position = self.cash = self.number = self.n_queued = 0
        self.fee = Fraction(0)

    def units(self, lots):
        return float(lots) * self.unit[0] / self.unit[1]

    # The clock.

    def next(self):
        """Return (time, what) of the next event; the order of a tie is that of LOB-10."""
        heads = [(self.local, 4), (self.answers, 0), (self.losses, 0), (self.exchange, 3), (self.requests, 0)]
        times = [box[0][at] if box else math.inf for box, at in heads]
        return min(times), times.index(min(times))

    def step_one(self):
        time, what = self.next()
        if what == 0:
            row = self.local.pop(0)
            self.view.apply(*row[:3])
            self.trader_feed = row[4] - row[3]
        elif what in (1, 2):
            self.told(*(self.answers if what == 1 else self.losses).pop(0)[1:])
        elif what == 3:
            row = self.exchange.pop(0)
            self.venue_feed = row[4] - row[3]
            self.venue_row(time, *row[:3], *row[5:])
        else:
            self.arrive(time, *self.requests.pop(0)[1:])
        return what in (1, 2)

    def elapse(self, duration):
        end = self.now + duration
        while self.next()[0] <= end:
            self.step_one()
        self.now = end
        return self.next()[0] < math.inf

    def elapse_to_answer(self, duration):
        end = self.now + duration
        while self.next()[0] <= end:
            time = self.next()[0]
            if self.step_one():
                self.now = time
                return self.elapse(0)
        return self.elapse(end - self.now)

    # The trader.

    def post(self, box, time, *letter):
        self.newest[box] = max(time, self.newest[box])
        getattr(self, box).append((self.newest[box], *letter))

    def submit(self, side, tick, lots, force, id):
        self.orders[id] = {
            "id": id, "number": self.number, "side": side, "force": force, "tick": tick, "lots": lots, "leaves": lots,
            "venue_tick": tick, "left": lots, "status": SENT, "pending": None, "rests": False, "sent": self.now,
            "n": [0, 0], "asked": self.now,
        }  # fmt: skip
        self.number += 1
        self.ask(id, "new")

    def ask(self, id, what, *more):
        o = self.orders[id]
        ns, lost = self.latency.entry(self.now, self.trader_feed, o["number"], o["n"][0])
        o["pending"], o["asked"] = what, self.now
        o["n"][0] += 1
        if lost:
            self.post("losses", self.now + ns, o, "lost", what)
        else:
            self.post("requests", self.now + ns, o, what, *more)

    def told(self, o, what, *more):
        if what == "traded":
            fill, left = more
            sign, value = 1 - 2 * o["side"], fill["tick"] * fill["lots"]
            self.position += sign * fill["lots"]
            self.cash -= sign * value
            self.fee += self.fee_of(value, fill["lots"], fill["maker"])
            o["leaves"], o["status"] = left, FILLED if left == 0 else PARTLY_FILLED
            fill["asked"] = o["asked"]
            done = "new"
        elif what == "accepted":
            o["status"] = WORKING if o["status"] == SENT else o["status"]
            done = "new"
        elif what == "changed":
            o["tick"], o["lots"] = more
            o["leaves"] = o["lots"]
            done = "modify"
        elif what == "lost":
            done = more[0]
            o["status"] = REJECTED if done == "new" else o["status"]
        else:
            o["status"] = {"gone": CANCELED, "unfillable": EXPIRED}.get(what, o["status"])
            done = o["pending"]
        if o["pending"] == done:
            o["pending"] = None

    # The venue.

    def answer(self, now, o, *letter):
        ns = self.latency.response(now, self.venue_feed, o["number"], o["n"][1])
        o["n"][1] += 1
        self.post("answers", now + ns, o, *letter)

    def fill(self, now, o, lots, tick, maker):
        o["left"] -= lots
        o["rests"] = o["rests"] and o["left"] > 0
        fill = {"time": now, "id": o["id"], "tick": tick, "lots": lots, "maker": maker, "sent": o["sent"]}
        self.answer(now, o, "traded", fill, o["left"])
        fill["known"] = self.newest["answers"]
        self.fills.append(fill)

    def fill_at(self, now, o, left, lots, taken):
        """Fill an order at the price of a trade of `lots`, of which older own orders took some; return what it got.

        Whole, or what the trade left behind the market's queue, less what is taken.
        """
        got = max(0, min(left, lots) - taken) if self.partial else o["left"]
        got = min(got, o["left"])
        if got:
            self.fill(now, o, got, o["venue_tick"], True)
        return got

    def resting(self, side):
        """Own orders of a side, by price and then by time."""
        resting = [o for o in self.orders.values() if o["rests"] and o["side"] == side]
        return sorted(resting, key=lambda o: ((2 * side - 1) * o["venue_tick"], o["queued"]))

    def set_level(self, now, side, tick, lots):
        """Own orders that the best quote of the other side newly reaches fill."""
        sign, before = 1 - 2 * side, self.venue.best[side]
        self.venue.set(side, tick, lots)
        best = self.venue.best[side]
        if best is not None and (before is None or sign * (best - before) > 0):
            for o in self.resting(1 - side):
                passed = before is not None and sign * (before - o["venue_tick"]) >= 0
                if sign * (best - o["venue_tick"]) >= 0 and not passed:
                    self.fill(now, o, o["left"], o["venue_tick"], True)

    def venue_row(self, now, kind, tick, lots):
        if kind <= 1:
            was = self.units(self.venue.levels[kind].get(tick, 0))
            for o in self.resting(kind):
                if o["venue_tick"] == tick:
                    o["front"] = after_set(self.model, self.n, o["front"], was, self.units(lots), o["traded"])
                    o["traded"] = 0.0
            self.set_level(now, kind, tick, lots)
        elif kind in (4, 5):
            side, sign, taken = 1 - (kind & 1), 1 - 2 * (kind & 1), 0
            for o in self.resting(side):
                if sign * (tick - o["venue_tick"]) > 0:
                    self.fill(now, o, o["left"], o["venue_tick"], True)
                elif o["venue_tick"] == tick:
                    o["front"] -= self.units(lots)
                    o["traded"] += self.units(lots)
                    left = round_half_away(-o["front"] / self.units(1))
                    if left > 0:
                        o["front"] = 0.0
                        taken += self.fill_at(now, o, left, lots, taken)
        else:
            self.venue.clear(kind, tick)

    def arrive(self, now, o, what, *more):
        if what == "new":
            self.place(now, o)
        elif not o["rests"]:
            self.answer(now, o, "refused")
        elif what == "cancel":
            o["rests"] = False
            self.answer(now, o, "gone")
        else:
            same = more[0] == o["venue_tick"] and more[1] <= o["left"]
            o["venue_tick"], o["left"], o["rests"] = *more, same
            self.answer(now, o, "changed", *more)
            if not same:
                self.place(now, o)

    def place(self, now, o):
        side, sign = o["side"], 1 - 2 * o["side"]
        best = self.venue.best[1 - side]
        if best is not None and sign * (o["venue_tick"] - best) >= 0:
            levels = self.venue.levels[1 - side]
            ticks = [t for t in levels if sign * (o["venue_tick"] - t) >= 0 and sign * (t - best) >= 0]
            ticks.sort(key=lambda t: sign * t)
            if o["force"] == "GTX" or (
                o["force"] == "FOK" and self.partial and sum(levels[t] for t in ticks) < o["left"]
            ):
                self.answer(now, o, "unfillable")
                return
            if not self.partial:
                self.fill(now, o, o["left"], best, False)
            for t in ticks:
                if o["left"]:
                    self.fill(now, o, min(o["left"], levels[t]), t, False)
            if not o["left"]:
                return
        if o["force"] in ("IOC", "FOK"):
            self.answer(now, o, "unfillable")
            return
        self.n_queued += 1
        o["rests"], o["traded"], o["queued"] = True, 0.0, self.n_queued
        o["front"] = self.units(self.venue.levels[side].get(o["venue_tick"], 0))
        self.answer(now, o, "accepted")
