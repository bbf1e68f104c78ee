"""A second slow twin of the matching engine: sorted lists of plain rows. From: MESSAGE rows. To: trades and events.

It shares nothing with deque_book.py but the rules, and none of the engine's constants: they are wrong together only
where two readings of the rules are. Numbers stand for themselves, as the pages of the format give them.
"""

from bisect import insort
from itertools import count

LIMIT, MARKET, STOP, STOP_LIMIT, CANCEL, REDUCE, MODIFY = range(7)
GTC, IOC, FOK, POST_ONLY = range(4)
ALLOW, NEWEST, OLDEST, BOTH = range(4)


class SortedBook:
    """Every resting order is an entry of a sorted list: bids by falling, asks by rising price, then by time.

    An entry is [price key, queue number, id, displayed, hidden]; what else is known of an id lies in `known`.
    """

    def __init__(self, capacity):
        self.capacity, self.clock, self.now, self.last = capacity, count(), 0, None
        self.sides = {1: [], -1: []}
        self.stops = []  # (queue number, id), in order of arrival
        self.known = {}  # id -> the message that made it
        self.trades, self.events = [], []

    def say(self, order_id, lots, tick, kind, reason=0):
        self.events.append((self.now, order_id, lots, tick, kind, reason, 0))

    def rows(self):
        """Return (id, side, tick, displayed, hidden, owner) by rising tick, first in line first."""
        entries = [(abs(e[0]), e[1], e, side) for side in (1, -1) for e in self.sides[side]]
        return [(e[2], side, t, e[3], e[4], self.known[e[2]]["owner"]) for t, _, e, side in sorted(entries)]

    def entry(self, order_id):
        side = self.known[order_id]["side"]
        return next((e for e in self.sides[side] if e[2] == order_id), None)

    def leave(self, order_id):
        side = self.known.pop(order_id)["side"]
        self.sides[side] = [e for e in self.sides[side] if e[2] != order_id]
        self.stops = [s for s in self.stops if s[1] != order_id]

    def reach(self, side, limit):
        """Return the entries an order may trade with, best first."""
        return [e for e in self.sides[-side] if limit is None or side * abs(e[0]) <= side * limit]

    def submit(self, row):
        names = ("time", "id", "lots", "peak", "tick", "stop", "owner", "kind", "side", "policy", "guard")
        m = dict(zip(names, row, strict=True))
        self.now = m["time"]
        reason = self.objection(m)
        if reason:
            self.say(m["id"], m["lots"], m["tick"], 8, reason)
        elif m["kind"] <= STOP_LIMIT:
            self.arrive(m)
        else:
            self.touch(m)

    def objection(self, m):
        """Return the first reason to reject a message, in the order of their checks, or 0."""
        kind, lots, tick, policy = m["kind"], m["lots"], m["tick"], m["policy"]
        size_ok, price_ok = 0 < lots <= 2**40, 0 < tick <= 2**30
        known = self.known.get(m["id"])
        if kind > MODIFY:
            return 16
        if kind in (CANCEL, REDUCE, MODIFY):
            if known is None:
                return 25
            if kind == CANCEL:
                return 0
            entry = self.entry(m["id"])
            if entry is None:
                return 27
            keeps = tick == abs(entry[0]) and lots <= entry[3] + entry[4]
            peak, side = known["peak"], known["side"]
            crossing = policy == POST_ONLY and bool(self.reach(side, tick))
            checks = [(not size_ok, 20)]
            if kind == MODIFY:
                checks += [(not price_ok, 19), (policy not in (GTC, POST_ONLY), 18), (m["guard"] > BOTH, 23)]
                checks += [(not keeps and peak > 0 and lots > 1000 * peak, 21), (not keeps and crossing, 4)]
            return next((reason for bad, reason in checks if bad), 0)
        stop, priced = kind in (STOP, STOP_LIMIT), kind in (LIMIT, STOP_LIMIT)
        lasting = policy in (GTC, POST_ONLY)
        needs_room = stop or (kind == LIMIT and lasting)
        peak_ok = m["peak"] == 0 or (m["peak"] > 0 and priced and lasting and lots <= 1000 * m["peak"])
        checks = [
            (abs(m["side"]) != 1, 17), (policy > 3 or (policy == POST_ONLY and not priced), 18), (m["guard"] > 3, 23),
            (priced and not price_ok, 19), (not size_ok, 20), (not peak_ok, 21),
            (stop and not 0 < m["stop"] <= 2**30, 22), (known is not None, 24),
            (needs_room and len(self.known) >= self.capacity, 26),
        ]  # fmt: skip
        reason = next((reason for bad, reason in checks if bad), 0)
        if not reason and kind == LIMIT and policy == POST_ONLY and self.reach(m["side"], tick):
            return 4
        return reason

    def arrive(self, m):
        if m["kind"] in (STOP, STOP_LIMIT):
            if self.last is None or m["side"] * self.last < m["side"] * m["stop"]:
                self.known[m["id"]] = m
                self.stops.append((next(self.clock), m["id"]))
                self.say(m["id"], m["lots"], m["stop"], 2)
                return
            self.say(m["id"], m["lots"], m["stop"], 3)
        self.run(m)

    def touch(self, m):
        """CANCEL, REDUCE or MODIFY an order that is known."""
        made, entry = self.known[m["id"]], self.entry(m["id"])
        total = entry[3] + entry[4] if entry else made["lots"]
        if m["kind"] == CANCEL or (m["kind"] == REDUCE and m["lots"] >= total):
            self.say(m["id"], total, abs(entry[0]) if entry else made["tick"], 5, 1)
            self.leave(m["id"])
            return
        target = total - m["lots"] if m["kind"] == REDUCE else m["lots"]
        if m["kind"] == REDUCE or (m["tick"] == abs(entry[0]) and target <= total):
            entry[3] = min(entry[3], target)  # the reserve goes first
            entry[4] = target - entry[3]
            self.say(m["id"], target, abs(entry[0]), 6)
            return
        self.leave(m["id"])
        self.say(m["id"], target, m["tick"], 6)
        self.run(made | {"kind": LIMIT, "policy": GTC, "tick": m["tick"], "lots": target, "guard": m["guard"]})

    def run(self, m):
        """Execute an order, and the stops that it sets off, one after another."""
        line = [m]
        while line:
            m = line.pop(0)
            if m["id"] in self.known:  # it has waited
                self.known.pop(m["id"])
                self.say(m["id"], m["lots"], m["stop"], 3)
            seen = len(self.trades)
            self.execute(m)
            prices = [trade[4] for trade in self.trades[seen:]]
            for side in (1, -1):
                hit = [(side * self.known[i]["stop"], n, i) for n, i in self.stops if self.known[i]["side"] == side]
                for key, n, i in sorted(hit):
                    if prices and key <= max(side * price for price in prices):
                        self.stops.remove((n, i))
                        line.append(self.known[i])

    def execute(self, m):
        market, side, lots = m["kind"] in (MARKET, STOP), m["side"], m["lots"]
        limit, shown = (None, 0) if market else (m["tick"], m["tick"])
        mine = m["owner"] if m["guard"] != ALLOW else 0
        if m["policy"] == POST_ONLY and self.reach(side, limit):
            return self.say(m["id"], lots, shown, 5, 4)
        if m["policy"] == FOK and self.reach(side, limit) and self.fillable(m, limit, mine) < lots:
            return self.say(m["id"], lots, shown, 5, 2)
        while lots and self.reach(side, limit):
            entry = self.reach(side, limit)[0]
            tick, maker = abs(entry[0]), entry[2]
            if mine and self.known[maker]["owner"] == mine:
                if m["guard"] in (OLDEST, BOTH):
                    self.say(maker, entry[3] + entry[4], tick, 5, 3)
                    self.leave(maker)
                if m["guard"] in (NEWEST, BOTH):
                    return self.say(m["id"], lots, shown, 5, 3)
                continue
            size = min(lots, entry[3])
            self.trades.append((self.now, m["id"], maker, size, tick, side))
            self.last = tick
            lots -= size
            entry[3] -= size
            if entry[3] == 0 and entry[4] == 0:
                self.say(maker, 0, tick, 4)
                self.leave(maker)
            elif entry[3] == 0:
                self.sides[-side].remove(entry)
                entry[3] = min(self.known[maker]["peak"], entry[4])
                entry[4] -= entry[3]
                entry[1] = next(self.clock)
                insort(self.sides[-side], entry)
                self.say(maker, entry[3], tick, 7)
        if lots == 0:
            return self.say(m["id"], 0, shown, 4)
        if market or m["policy"] in (IOC, FOK):
            return self.say(m["id"], lots, shown, 5, 2)
        peak = m["peak"] or lots
        self.known[m["id"]] = m
        insort(self.sides[side], [-side * m["tick"], next(self.clock), m["id"], min(peak, lots), max(lots - peak, 0)])
        return self.say(m["id"], lots, m["tick"], 1)

    def fillable(self, m, limit, mine):
        """Return what a FOK could trade, reserves included: a level's before the next level's display."""
        found = 0
        for tick in sorted({abs(e[0]) for e in self.reach(m["side"], limit)}, key=lambda tick: m["side"] * tick):
            queue = [e for e in self.reach(m["side"], limit) if abs(e[0]) == tick]
            own = [k for k, e in enumerate(queue) if mine and self.known[e[2]]["owner"] == mine]
            if own and m["guard"] != OLDEST:
                return found + sum(e[3] for e in queue[: own[0]])  # what icebergs hide stands behind the own order
            found += sum(e[3] + e[4] for k, e in enumerate(queue) if k not in own)
        return found
