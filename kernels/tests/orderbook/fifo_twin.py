"""Slow twin of a replay of order-level events (LOB-13): every queue is a list with the own orders in it.

From: the specification alone. To: test_replay_fifo.py.
"""

from __future__ import annotations

from trading_twin import TradingTwin

ADD, REDUCE, DELETE, EXECUTE, HIDDEN = range(5)


def rows_of(events):
    """Return rows (kind, tick, lots, exchange, local, what, id, cut) of events in the order of ORDER_EVENT."""
    rows, orders, totals = [], {}, {}
    for exchange, local, id, lots, tick, what, side in events:
        if what == HIDDEN:
            rows.append((5 - side, tick, lots, exchange, local, what, id, lots))
            continue
        if what == ADD:
            orders[id] = [side, tick, 0]
        side, tick, left = orders[id]
        change = {ADD: lots, REDUCE: -lots, DELETE: -left, EXECUTE: -lots}[what]
        orders[id][2] += change
        totals[side, tick] = totals.get((side, tick), 0) + change
        if what == EXECUTE:
            rows.append((5 - side, tick, lots, exchange, local, what, id, lots))
        rows.append((side, tick, totals[side, tick], exchange, local, what, id, change))
    return rows


class FifoTwin(TradingTwin):
    """Queues are lists of [id, lots] of the feed's orders, oldest first, and of own orders (dicts)."""

    def __init__(self, rows, latency, partial, fee, lot):
        super().__init__(rows, latency, "fifo", 1.0, partial, fee, lot)
        self.queues = {}

    def queue(self, side, tick):
        """Return a queue without the own orders that have left it."""
        queue = self.queues.setdefault((side, tick), [])
        queue[:] = [one for one in queue if not isinstance(one, dict) or (one["rests"] and one["at"] == (side, tick))]
        return queue

    def ahead(self, o):
        """Return the lots of the feed's orders before an own order, None unless it rests."""
        if not o["rests"]:
            return None
        queue = self.queue(o["side"], o["venue_tick"])
        at = next(k for k, one in enumerate(queue) if one is o)
        return sum(one[1] for one in queue[:at] if not isinstance(one, dict))

    def venue_row(self, now, kind, tick, lots, what, id, cut):
        if kind <= 1:
            queue = self.queue(kind, tick)
            if what == ADD:
                queue.append([id, cut])
            else:
                (order,) = (one for one in queue if not isinstance(one, dict) and one[0] == id)
                order[1] += cut
                if not order[1]:
                    queue.remove(order)
            self.set_level(now, kind, tick, lots)
            return
        side, sign = 1 - (kind & 1), 1 - 2 * (kind & 1)
        for o in self.resting(side):
            if sign * (tick - o["venue_tick"]) > 0:
                self.fill(now, o, o["left"], o["venue_tick"], True)
        taken = 0
        for one in list(self.queue(side, tick)):
            if not isinstance(one, dict):
                if one[0] == id and what == EXECUTE:
                    return  # those behind it have not had their turn
                continue
            taken += self.fill_at(now, one, lots, lots, taken)

    def place(self, now, o):
        super().place(now, o)
        if o["rests"]:
            o["at"] = (o["side"], o["venue_tick"])
            queue = self.queue(*o["at"])
            queue[:] = [one for one in queue if one is not o]
            queue.append(o)
