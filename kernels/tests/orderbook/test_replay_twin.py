"""Random strategies on random feeds, in step with the slow twin (LOB-10 to LOB-15)."""

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from trading_twin import ConstantTwin, DrawnTwin, FeedTwin, TableTwin, TradingTwin, round_half_away

from tradekernels.orderbook import (
    ConstantLatency,
    DrawnLatency,
    Feed,
    FeedLatency,
    Fees,
    Instrument,
    Queue,
    Replay,
    TableLatency,
    TradingModels,
)  # fmt: skip

MODELS = ["risk", "power", "log", "power2", "log2", "power3"]
FORCES = ["GTC", "IOC", "FOK", "GTX"]
INSTRUMENT = Instrument("X", "0.1", "0.001")
HOUR = 3_600_000_000_000
HOURS = tuple(1.0 + (k % 7) / 4 for k in range(168))
STARTS = (0, -200 * HOUR, 1_723_161_255 * 10**9, 71 * HOUR + HOUR - 2000)


def synthetic(seed, n=150, start=0, most_wait=90, latest=60, earliest=0, spread=6):
    """Return rows (kind, tick, lots, exchange time, local time) around a price that moves and crosses now and then."""
    random = np.random.default_rng(seed)
    sides = [(0, 1), (0, 0), (1, 1)][int(random.choice(3, p=[0.8, 0.1, 0.1]))]
    rows, time, centre = [(0, 1, 1, start, start)], start, 100
    for _ in range(n):
        time += int(random.integers(0, most_wait)) if random.random() < 0.7 else 0
        centre = max(20, centre + int(random.integers(-1, 2)))
        kind = int(random.choice([0, 1, 4, 5, 2, 3, 6, 7], p=[0.36, 0.36, 0.12, 0.12, 0.01, 0.01, 0.01, 0.01]))
        kind = kind if kind > 1 else sides[kind]
        away = int(random.integers(-1, spread))
        tick = centre + (away if kind & 1 else -away) if kind < 2 else centre + int(random.integers(-3, 4))
        lots = int(random.integers(1, 8)) if kind in (4, 5) else int(random.choice([0, 1, 3, 7, 20]))
        late = int(random.integers(earliest, latest + 1))
        rows.append((kind, tick, 0 if kind not in (0, 1, 4, 5) else lots, time, time + late))
    return rows


def latencies(name, random, start):
    """Return a latency model and its twin."""
    if name == "none":
        return ConstantLatency(), ConstantTwin(0, 0)
    if name == "constant":
        numbers = [int(x) for x in random.integers(0, 200, 2)]
        return ConstantLatency(*numbers), ConstantTwin(*numbers)
    if name == "feed":
        numbers = (float(random.choice([0, 0.5, 2.5])), 1.25, int(random.integers(-30, 30)), int(random.integers(0, 9)))
        return FeedLatency(*numbers), FeedTwin(*numbers)
    if name == "table":
        gaps = random.integers(1, 900, 12).cumsum() + start - 500
        there = np.maximum.accumulate(gaps + random.integers(-20, 200, 12)) + np.arange(12)
        back = np.maximum.accumulate(there + random.integers(0, 150, 12)) + np.arange(12)
        columns = [[int(x) for x in column] for column in (gaps, there, back)]
        return TableLatency(*columns), TableTwin(*columns)
    numbers = (50.0, 40.0, 0.2, 4.0, 190, int(random.integers(0, 6)))
    seed = int(random.integers(0, 2**63))
    return DrawnLatency(*numbers, HOURS, seed), DrawnTwin(*numbers, HOURS, seed)


def fee_rule(random):
    """Return fees, and a function of (ticks * lots, lots, maker) in quote currency."""
    per = str(random.choice(["value", "quantity", "fill"]))
    maker, taker = (str(random.choice(["-0.00005", "0.0007", "0", "0.123"])) for _ in range(2))
    rounding = random.choice([None, "0.00001", "0.0003"])
    unit = {"value": INSTRUMENT.tick * INSTRUMENT.lot, "quantity": INSTRUMENT.lot, "fill": 1}[per]

    def fee(value, lots, is_maker):
        basis = {"value": value, "quantity": lots, "fill": 1}[per]
        exact = Fraction(maker if is_maker else taker) * basis * unit
        return exact if rounding is None else round_half_away(exact / Fraction(rounding)) * Fraction(rounding)

    return Fees(maker, taker, per, None if rounding is None else str(rounding)), fee


class Both:
    """A replay and its twin that get the same calls and must agree after each."""

    def __init__(self, rows, models, twin):
        self.replay, self.twin, self.n = Replay(Feed.from_rows(INSTRUMENT, *np.array(rows).T), models), twin, 0

    def agree(self):
        replay, twin = self.replay, self.twin
        assert replay.now == twin.now
        for id, o in twin.orders.items():
            order = replay.order(id)
            got = (int(order.status), order.pending, order.tick, order.lots, order.leaves)
            assert got == (o["status"], o["pending"] is not None, o["tick"], o["lots"], o["leaves"]), id
        account = replay.account
        assert (account.position_lots, account.cash) == (twin.position, twin.cash)
        assert account.fee_steps * account.fee_step == twin.fee
        assert (replay.book.best("bid"), replay.book.best("ask")) == (twin.view.quote(0), twin.view.quote(1))

    def act(self, random):
        """Do something at random, most of it sensible."""
        what = random.choice(["new", "cancel", "modify", "elapse", "answer"], p=[0.35, 0.15, 0.15, 0.25, 0.1])
        if what in ("elapse", "answer"):
            name = "elapse" if what == "elapse" else "elapse_to_answer"
            duration = int(random.choice([0, 1, 40, 300]))
            assert getattr(self.replay, name)(duration) == getattr(self.twin, name)(duration)
            self.agree()
            return
        tick = int(random.integers(92, 109)) if random.random() < 0.95 else int(random.choice([1, 70_000, 2**31 - 2]))
        lots = int(random.integers(1, 30)) if random.random() < 0.95 else 10**6
        if what == "new":
            side, force = int(random.integers(0, 2)), str(random.choice(FORCES))
            self.replay.submit(("buy", "sell")[side], tick, lots, force, order_id=self.n)
            self.twin.submit(side, tick, lots, force, self.n)
            self.n += 1
            return
        free = [id for id, o in self.twin.orders.items() if o["status"] < 3 and o["pending"] is None]
        if free:
            id = int(random.choice(free))
            getattr(self.replay, what)(id, *(() if what == "cancel" else (tick, lots)))
            self.twin.ask(id, what, *(() if what == "cancel" else (tick, lots)))

    def fills(self):
        names = ["exchange_time_ns", "local_time_ns", "submit_time_ns", "request_time_ns", "order_id", "lots", "tick",
                 "maker"]  # fmt: skip
        twins = ["time", "known", "sent", "asked", "id", "lots", "tick", "maker"]
        return self.replay.fills[names].tolist(), [tuple(fill[name] for name in twins) for fill in self.twin.fills]


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(MODELS), st.sampled_from((1.0, 2.0, 3.0, 0.7)), st.booleans(),
       st.sampled_from(("none", "constant", "feed", "table", "drawn")), st.sampled_from(STARTS))  # fmt: skip
def test_a_random_strategy_sees_what_it_sees_in_the_twin(seed, model, n, partial, latency, start):
    """Statuses, positions, fees and quotes after every wait, and every field of every fill."""
    random = np.random.default_rng(seed + 1)
    clock = {"start": start, "most_wait": int(random.choice([1, 20, 90])), "latest": int(random.choice([0, 60])),
             "earliest": int(random.choice([0, -40]))}  # fmt: skip
    rows = synthetic(seed, n=int(random.choice([0, 40, 150])), **clock)
    ours, slow = latencies(latency, random, start)
    fees, fee = fee_rule(random)
    models = TradingModels(ours, Queue(model, n), fees, "partial" if partial else "whole")
    both = Both(rows, models, TradingTwin(rows, slow, model, n, partial, fee, INSTRUMENT.lot))
    for _ in range(120):
        both.act(random)
    both.replay.elapse(20_000), both.twin.elapse(20_000)
    both.agree()
    assert not both.replay.elapse(0)
    got, expected = both.fills()
    assert got == expected


@pytest.mark.parametrize("seed", range(30))
def test_partial_fills_survive_every_feed(seed):
    """LOB-14: thousands of orders, some far larger than the book; the sums agree with the tape."""
    rows = synthetic(seed, 1500)
    feed = Feed.from_rows(INSTRUMENT, *np.array(rows).T)
    random = np.random.default_rng(seed)
    models = TradingModels(ConstantLatency(5, 5), Queue(MODELS[seed % 6]), Fees("-0.0001", "0.0004"), "partial")
    replay = Replay(feed, models)
    while replay.elapse(20):
        side, force = str(random.choice(["buy", "sell"])), str(random.choice(FORCES))
        replay.submit(side, int(random.integers(80, 120)), int(random.integers(1, 60)), force)
        for order in replay.orders[:3]:
            if not order.pending and random.random() < 0.3:
                replay.cancel(order.id)
        replay.forget_finished()
    fills, account = replay.fills, replay.account
    assert account.position_lots == (fills["side"] * fills["lots"]).sum()
    assert account.cash == -(fills["side"] * fills["lots"] * fills["tick"]).sum()
    assert (fills["lots"] > 0).all()
    value = fills["lots"] * fills["tick"] * 1e-4
    assert account.fee == pytest.approx((value * np.where(fills["maker"], -0.0001, 0.0004)).sum(), abs=1e-9)
