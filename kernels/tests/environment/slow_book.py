"""The slow twin of the book inside a candle: dicts of deques. From: the flow's record, a key. To: own trades."""

from collections import deque

MASK = 2**64 - 1
CENTRE, OWN, MOST = 1 << 20, 1, 1 << 30


def bits_at(key, counter):
    """Return splitmix64's draw of a counter."""
    x = (key + (counter + 1) * 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


class SlowBook:
    """A book that lives for one candle."""

    def __init__(self, flow, key, volume):
        self.flow, self.key, self.volume, self.counter = flow.record()[0], key, volume, 0
        self.sides = {1: {}, -1: {}}
        self.ids, self.next_id, self.own_fills = [], OWN + 1, []
        for level in range(self.flow["n_levels"]):
            bits = self.draw()
            for side, tick, index in ((1, CENTRE - level, bits & 255), (-1, CENTRE + 1 + level, bits >> 8 & 255)):
                mean = float(self.flow["depth"][level]) * volume
                self.add(side, tick, self.lots(mean, self.flow["depth_factor"][index]))
        self.last_side = 1 if bits >> 63 else -1

    def draw(self):
        self.counter += 1
        return bits_at(self.key, self.counter)

    def lots(self, mean, factor):
        return max(1, int(min(mean * float(factor) + 0.5, MOST)))

    def best(self, side):
        """Return the best tick of a side, or where it was at the beginning if that is empty."""
        ticks = [tick for tick, queue in self.sides[side].items() if queue]
        return (max(ticks) if side == 1 else min(ticks)) if ticks else None

    def rest(self, side, tick, lots, its_id):
        self.sides[side].setdefault(tick, deque()).append([its_id, lots])

    def add(self, side, tick, lots):
        self.rest(side, tick, lots, self.next_id)
        self.ids.append(self.next_id)
        self.next_id += 1

    def take(self, side, lots):
        """Match a market order; return [(tick, lots)] and note what the own order gets."""
        trades = []
        while lots and self.best(-side) is not None:
            tick = self.best(-side)
            maker = self.sides[-side][tick][0]
            size = min(lots, maker[1])
            trades.append((tick, size))
            if maker[0] == OWN:
                self.own_fills.append(size)
            lots -= size
            maker[1] -= size
            if not maker[1]:
                self.sides[-side][tick].popleft()
        return trades

    def happen(self, n_events):
        flow = self.flow
        for _ in range(n_events):
            bits = self.draw()
            kind, side = (bits & 0xFFFF) / 65536, 1 if bits >> 16 & 1 else -1
            if kind < flow["market"]:
                if (bits >> 48) / 65536 < flow["sign_memory"]:
                    side = self.last_side
                self.last_side = side
                mean = float(flow["market_size"]) * self.volume
                self.take(side, self.lots(mean, flow["market_factor"][bits >> 24 & 255]))
                self.next_id += 1
            elif kind < flow["market"] + flow["add"]:
                distance = int(flow["distance"][bits >> 32 & 255])
                mean = float(flow["depth"][min(distance, flow["n_levels"] - 1)]) * self.volume
                mean *= float(flow["limit_size"])
                best = self.best(-side)
                best = (CENTRE + 1 if side == 1 else CENTRE) if best is None else best
                lots = self.lots(mean, flow["limit_factor"][bits >> 24 & 255])
                self.add(side, best - side * (1 + distance), lots)
            elif self.ids:
                k = (bits >> 32) * len(self.ids) >> 32
                self.ids[k], gone = self.ids[-1], self.ids[k]
                self.ids.pop()
                for queues in self.sides.values():
                    for queue in queues.values():
                        for order in list(queue):
                            if order[0] == gone:
                                queue.remove(order)
