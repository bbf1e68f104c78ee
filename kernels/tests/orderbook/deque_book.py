"""The slow twin of the matching engine, dicts of deques. From: MESSAGE rows. To: the same tape, by the rules alone."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from tradekernels.orderbook.matching import (
    EVENT,
    MAX_CAPACITY,
    MAX_LOTS,
    MAX_SLICES,
    MAX_TICK,
    TRADE,
    EventKind,
    Kind,
    Policy,
    Reason,
    SelfTrade,
)

assert MAX_CAPACITY * MAX_LOTS < 2**63


@dataclass
class Resting:
    """A live order."""

    id: int
    side: int
    tick: int
    stop: int
    lots: int
    hidden: int
    peak: int
    owner: int
    kind: int
    policy: int
    self_trade: int


class DequeBook:
    """Price-time priority with a deque a level and a search for the best level at every step."""

    def __init__(self, capacity):
        self.capacity, self.live, self.waiting = capacity, {}, {}
        self.levels = {1: {}, -1: {}}  # side -> tick -> deque of Resting
        self.last, self.time = 0, 0
        self.trade_rows, self.event_rows = [], []

    # ---- what a test compares

    @property
    def trades(self):
        return np.array(self.trade_rows, TRADE)

    @property
    def events(self):
        return np.array([(*row, 0) for row in self.event_rows], EVENT)

    def rows(self):
        """Return the resting orders as `Engine.rows` does."""
        out = []
        for side in (1, -1):
            for tick in sorted(self.levels[side]):
                out += [(o.id, o.side, o.tick, o.lots, o.hidden, o.owner) for o in self.levels[side][tick]]
        return out

    # ---- the rules

    def event(self, order_id, lots, tick, kind, reason=Reason.NO_REASON):
        self.event_rows.append((self.time, order_id, lots, tick, int(kind), int(reason)))

    def best(self, side):
        levels = self.levels[side]
        if not levels:
            return None
        return max(levels) if side == 1 else min(levels)

    def crosses(self, side, limit):
        """Return whether an order of `side` at `limit` (None: market) would meet the other side's best."""
        best = self.best(-side)
        return best is not None and (limit is None or side * best <= side * limit)

    def submit(self, row):
        self.time, order_id, lots, peak, tick, stop, owner, kind, side, policy, self_trade = row
        reason = self.fault(order_id, lots, peak, tick, stop, kind, side, policy, self_trade)
        if reason:
            self.event(order_id, lots, tick, EventKind.REJECTED, reason)
        elif kind == Kind.CANCEL or (kind == Kind.REDUCE and lots >= self.total(order_id)):
            order = self.live.get(order_id) or self.waiting[order_id]
            self.event(order_id, order.lots + order.hidden, order.tick, EventKind.CANCELLED, Reason.REQUESTED)
            self.remove(order)
        elif kind == Kind.REDUCE:
            self.shrink(self.live[order_id], lots)
        elif kind == Kind.MODIFY:
            self.modify(self.live[order_id], tick, lots, self_trade)
        else:
            order = Resting(order_id, side, tick, stop, lots, 0, peak, owner, kind, policy, self_trade)
            if kind in (Kind.STOP, Kind.STOP_LIMIT):
                if not (self.last and side * stop <= side * self.last):
                    self.waiting[order_id] = order
                    self.event(order_id, lots, stop, EventKind.WAITING)
                    return
                self.event(order_id, lots, stop, EventKind.TRIGGERED)
            self.execute_all(order)

    def total(self, order_id):
        order = self.live.get(order_id) or self.waiting[order_id]
        return order.lots + order.hidden

    def fault(self, order_id, lots, peak, tick, stop, kind, side, policy, self_trade):
        bad_size = not 1 <= lots <= MAX_LOTS
        bad_price = not 1 <= tick <= MAX_TICK
        if kind > Kind.MODIFY:
            return Reason.BAD_KIND
        if kind >= Kind.CANCEL:
            if order_id not in self.live and order_id not in self.waiting:
                return Reason.UNKNOWN_ID
            if kind == Kind.CANCEL:
                return 0
            if order_id in self.waiting:
                return Reason.STILL_WAITING
            order = self.live[order_id]
            if bad_size:
                return Reason.BAD_SIZE
            if kind == Kind.REDUCE:
                return 0
            if bad_price:
                return Reason.BAD_PRICE
            if policy not in (Policy.GTC, Policy.POST_ONLY):
                return Reason.BAD_POLICY
            if self_trade > SelfTrade.CANCEL_BOTH:
                return Reason.BAD_SELF_TRADE
            if tick == order.tick and lots <= order.lots + order.hidden:
                return 0
            if order.peak and -(-lots // order.peak) > MAX_SLICES:
                return Reason.BAD_PEAK
            return Reason.WOULD_CROSS if policy == Policy.POST_ONLY and self.crosses(order.side, tick) else 0
        priced, rests = kind in (Kind.LIMIT, Kind.STOP_LIMIT), policy in (Policy.GTC, Policy.POST_ONLY)
        stops = kind in (Kind.STOP, Kind.STOP_LIMIT)
        if side not in (1, -1):
            return Reason.BAD_SIDE
        if policy > Policy.POST_ONLY or (policy == Policy.POST_ONLY and not priced):
            return Reason.BAD_POLICY
        if self_trade > SelfTrade.CANCEL_BOTH:
            return Reason.BAD_SELF_TRADE
        if priced and bad_price:
            return Reason.BAD_PRICE
        if bad_size:
            return Reason.BAD_SIZE
        if peak < 0 or (peak and not (priced and rests and -(-lots // peak) <= MAX_SLICES)):
            return Reason.BAD_PEAK
        if stops and not 1 <= stop <= MAX_TICK:
            return Reason.BAD_STOP
        if order_id in self.live or order_id in self.waiting:
            return Reason.DUPLICATE_ID
        if len(self.live) + len(self.waiting) == self.capacity and (stops or (kind == Kind.LIMIT and rests)):
            return Reason.BOOK_FULL
        if kind == Kind.LIMIT and policy == Policy.POST_ONLY and self.crosses(side, tick):
            return Reason.WOULD_CROSS
        return 0

    def remove(self, order):
        if order.id in self.waiting:
            del self.waiting[order.id]
            return
        del self.live[order.id]
        queue = self.levels[order.side][order.tick]
        queue.remove(order)
        if not queue:
            del self.levels[order.side][order.tick]

    def shrink(self, order, lots):
        reserve = min(lots, order.hidden)
        order.hidden -= reserve
        order.lots -= lots - reserve
        self.event(order.id, order.lots + order.hidden, order.tick, EventKind.MODIFIED)

    def modify(self, order, tick, lots, self_trade):
        now = order.lots + order.hidden
        if tick == order.tick and lots <= now:
            self.shrink(order, now - lots)
            return
        self.remove(order)
        self.event(order.id, lots, tick, EventKind.MODIFIED)
        order.tick, order.lots, order.hidden = tick, lots, 0
        order.kind, order.policy, order.self_trade = Kind.LIMIT, Policy.GTC, self_trade
        self.execute_all(order)

    def execute_all(self, order):
        """Execute an order and then every stop that it, or one of those, has triggered."""
        line = deque([order])
        while line:
            order = line.popleft()
            if order.id in self.waiting:
                del self.waiting[order.id]
                self.event(order.id, order.lots, order.stop, EventKind.TRIGGERED)
            prices = self.execute(order)
            if prices:
                idle = [o for o in self.waiting.values() if o not in line]
                buys = [o for o in idle if o.side == 1 and o.stop <= max(prices)]
                sells = [o for o in idle if o.side == -1 and o.stop >= min(prices)]
                line += sorted(buys, key=lambda o: o.stop)  # dicts and sorts keep the order of arrival
                line += sorted(sells, key=lambda o: -o.stop)

    def execute(self, order):
        market = order.kind in (Kind.MARKET, Kind.STOP)
        limit, shown, lots = (None, 0, order.lots) if market else (order.tick, order.tick, order.lots)
        prices = []
        if self.crosses(order.side, limit):
            if order.policy == Policy.POST_ONLY:
                self.event(order.id, lots, shown, EventKind.CANCELLED, Reason.WOULD_CROSS)
                return prices
            if order.policy == Policy.FOK and self.available(order, limit) < lots:
                self.event(order.id, lots, shown, EventKind.CANCELLED, Reason.UNFILLED)
                return prices
            ended = self.trade(order, limit, prices)
            if order.lots == 0:
                self.event(order.id, 0, shown, EventKind.FILLED)
                return prices
            if ended:
                self.event(order.id, order.lots, shown, EventKind.CANCELLED, Reason.SELF_TRADE)
                return prices
        if market or order.policy in (Policy.IOC, Policy.FOK):
            self.event(order.id, order.lots, shown, EventKind.CANCELLED, Reason.UNFILLED)
            return prices
        total = order.lots
        order.lots = min(total, order.peak or total)
        order.hidden = total - order.lots
        self.live[order.id] = order
        self.levels[order.side].setdefault(order.tick, deque()).append(order)
        self.event(order.id, total, order.tick, EventKind.RESTING)
        return prices

    def meets_itself(self, order, maker):
        return order.self_trade != SelfTrade.ALLOW and order.owner != 0 and maker.owner == order.owner

    def trade(self, order, limit, prices):
        """Match; return whether self-trade prevention has ended the order."""
        while order.lots and self.crosses(order.side, limit):
            tick = self.best(-order.side)
            queue = self.levels[-order.side][tick]
            maker = queue[0]
            if self.meets_itself(order, maker):
                if order.self_trade != SelfTrade.CANCEL_NEWEST:
                    left = maker.lots + maker.hidden
                    self.event(maker.id, left, tick, EventKind.CANCELLED, Reason.SELF_TRADE)
                    self.remove(maker)
                if order.self_trade != SelfTrade.CANCEL_OLDEST:
                    return True
                continue
            size = min(order.lots, maker.lots)
            self.trade_rows.append((self.time, order.id, maker.id, size, tick, order.side))
            order.lots -= size
            maker.lots -= size
            prices.append(tick)
            self.last = tick
            if maker.lots:
                continue
            if maker.hidden:
                maker.lots = min(maker.peak, maker.hidden)
                maker.hidden -= maker.lots
                queue.rotate(-1)
                self.event(maker.id, maker.lots, tick, EventKind.REFILLED)
            else:
                self.event(maker.id, 0, tick, EventKind.FILLED)
                self.remove(maker)
        return False

    def available(self, order, limit):
        """Return what the order would trade, by trading it on copies."""
        found, side = 0, -order.side
        for tick in sorted(self.levels[side], reverse=side == 1):
            if limit is not None and order.side * tick > order.side * limit:
                break
            queue = deque([o, o.lots, o.hidden] for o in self.levels[side][tick])
            while queue:
                maker, lots, hidden = queue.popleft()
                if self.meets_itself(order, maker):
                    if order.self_trade != SelfTrade.CANCEL_OLDEST:
                        return found
                    continue
                found += lots
                if found >= order.lots:
                    return found
                if hidden:
                    queue.append([maker, min(maker.peak, hidden), hidden - min(maker.peak, hidden)])
        return found


def random_messages(n, seed, *, n_ids=60, middle=1000, spread=12, far=0.01, bad=0.03, owners=4, drift=0.0):
    """Return seeded messages of every kind, most of them sensible, around a price that may drift."""
    from tradekernels.orderbook.matching import MESSAGE

    random = np.random.default_rng(seed)
    rows = np.zeros(n, MESSAGE)
    rows["time"] = np.cumsum(random.integers(0, 1000, n))
    rows["id"] = random.integers(1, n_ids + 1, n)
    rows["kind"] = random.choice(7, n, p=[0.5, 0.08, 0.04, 0.04, 0.2, 0.06, 0.08])
    rows["side"] = random.choice([-1, 1], n)
    rows["policy"] = random.choice(4, n, p=[0.7, 0.1, 0.1, 0.1])
    rows["self_trade"] = random.integers(0, 4, n)
    rows["owner"] = random.integers(0, owners, n)
    rows["lots"] = random.integers(1, 30, n)
    rows["peak"] = np.where((random.random(n) < 0.2) & (rows["policy"] % 3 == 0), random.integers(1, 9, n), 0)
    rows["peak"][(rows["kind"] == Kind.MARKET) | (rows["kind"] == Kind.STOP)] = 0
    centre = middle + np.cumsum(random.normal(0, drift, n)).astype(int) if drift else middle
    rows["tick"] = np.maximum(centre + np.rint(random.normal(0, spread / 2, n)), 1)
    rows["stop_tick"] = np.maximum(centre + np.rint(random.normal(0, spread, n)), 1)
    away = random.random(n) < far
    rows["tick"][away] = random.choice([1, 7, 500, 4000, 1_000_000, MAX_TICK], away.sum())
    spoil = np.flatnonzero(random.random(n) < bad)
    for k, field in zip(
        spoil,
        random.choice(["kind", "side", "policy", "self_trade", "lots", "peak", "tick", "stop_tick", "id"], len(spoil)),
        strict=True,
    ):
        values = {
            "kind": [7, 255], "side": [0, 2, -128], "policy": [4, 200], "self_trade": [4, 255],
            "lots": [0, -1, -(2**63), 2**63 - 1, MAX_LOTS + 1], "peak": [-1, 1, 2**62], "id": [0, -5, 2**63 - 1],
            "tick": [0, -1, MAX_TICK + 1, -(2**31)], "stop_tick": [0, -7, MAX_TICK + 1],
        }  # fmt: skip
        rows[field][k] = random.choice(values[field])
    return rows
