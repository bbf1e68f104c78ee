"""Random strategies on random order-level feeds, in step with the slow twin (LOB-10 to LOB-15)."""

import math
import sys
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from fifo_twin import ADD, DELETE, EXECUTE, HIDDEN, REDUCE, FifoTwin, rows_of
from test_replay_twin import INSTRUMENT, Both, fee_rule, latencies

from tradekernels.orderbook import Queue, Replay, TradingModels, order_events, read_orders


def order_feed(seed, n=200, start=0, most_wait=60, latest=60):
    """Return events (exchange, local, id, lots, tick, kind, side): adds, cuts, executions, hidden ones, few ticks."""
    random = np.random.default_rng(seed)
    live, events, time, centre = {}, [], start, 100
    for id in range(n):
        time += int(random.integers(0, most_wait)) if random.random() < 0.7 else 0
        centre = max(20, centre + int(random.integers(-1, 2))) if random.random() < 0.3 else centre
        what = int(random.choice([ADD, REDUCE, DELETE, EXECUTE, HIDDEN], p=[0.45, 0.1, 0.15, 0.25, 0.05]))
        side, lots = int(random.integers(0, 2)), int(random.integers(1, 9))
        tick = centre + (1 - 2 * side) * -int(random.integers(-1, 5))
        local = time + int(random.integers(0, latest + 1))
        if what in (HIDDEN, ADD) or not live:
            what = what if what == HIDDEN else ADD
            if what == ADD:
                live[id] = [side, tick, lots]
            events.append((time, local, id, lots, tick, what, side))
            continue
        old = list(live) if random.random() < 0.5 else sorted(live, key=lambda k: (2 * live[k][0] - 1) * live[k][1])[:4]
        other = int(random.choice(old))
        side, tick, left = live[other]
        lots = left if what == DELETE else int(random.integers(1, left + 1))
        events.append((time, local, other, lots, tick, what, side))
        live[other][2] -= lots
        if not live[other][2]:
            del live[other]
    return events


class BothFifo(Both):
    """As `Both`, and what rests before every order is the same."""

    def __init__(self, events, models, twin):
        feed = read_orders(order_events(events), INSTRUMENT)
        self.replay, self.twin, self.n = Replay(feed, models), twin, 0

    def agree(self):
        super().agree()
        for id, o in self.twin.orders.items():
            ahead, ours = self.twin.ahead(o), self.replay.queue_ahead(id)
            assert math.isnan(ours) if ahead is None else ours == ahead, id


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.booleans(), st.sampled_from(("none", "constant", "feed", "table", "drawn")))
def test_a_random_strategy_queues_as_it_does_in_lists_of_orders(seed, partial, latency):
    """Statuses, queues, positions, fees and quotes after every wait, and every field of every fill."""
    random = np.random.default_rng(seed + 1)
    events = order_feed(seed, int(random.choice([5, 60, 250])), most_wait=int(random.choice([1, 20, 60])))
    ours, slow = latencies(latency, random, 0)
    fees, fee = fee_rule(random)
    models = TradingModels(ours, Queue("fifo"), fees, "partial" if partial else "whole")
    both = BothFifo(events, models, FifoTwin(rows_of(events), slow, partial, fee, INSTRUMENT.lot))
    for _ in range(100):
        both.act(random)
    both.replay.elapse(20_000), both.twin.elapse(20_000)
    both.agree()
    got, expected = both.fills()
    assert got == expected
