"""Any number of grid market makers in one pass give what each gives alone (LOB-16), on feeds at their worst."""

import sys
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

sys.path.insert(0, str(Path(__file__).parent))

from test_replay_fifo import order_feed
from test_replay_twin import HOURS, INSTRUMENT, MODELS, fee_rule, synthetic

from tradekernels.orderbook import (
    ConstantLatency,
    DrawnLatency,
    Feed,
    FeedLatency,
    Grid,
    Queue,
    TableLatency,
    TradingModels,
    order_events,
    read_orders,
    run_grids,
)  # fmt: skip

MS = 1_000_000


def latencies(random, start):
    """Return one of each latency model, and one that loses requests for ever."""
    sent = start + MS * np.arange(1, 12_000, 1000)
    seed = int(random.integers(0, 2**63))
    return [
        ConstantLatency(), ConstantLatency(*(int(x) for x in random.integers(0, 200 * MS, 2))),
        FeedLatency(2.5, 1.25, -30 * MS, 9 * MS),
        TableLatency(sent, sent + random.integers(1, 200 * MS, 12), sent + random.integers(200 * MS, 400 * MS, 12)),
        DrawnLatency(50.0 * MS, 40.0 * MS, 0.2, 4.0, 190 * MS, 1, HOURS, seed),
        DrawnLatency(50.0 * MS, 40.0 * MS, 0.2, 4.0, 40 * MS, 0, HOURS, seed),
    ]  # fmt: skip


def crowd_feed(random, start):
    """Return a feed: one-sided for a while, emptied in the middle, late or early first rows, order-level at times."""
    seed, late = int(random.integers(0, 2**32)), int(random.choice([0, 60, 2000])) * MS
    if random.random() < 0.3:
        events = order_feed(seed, 250, start, 60 * MS, late)
        return read_orders(order_events(events), INSTRUMENT), "fifo"
    rows = synthetic(seed, 250, start, 90 * MS, late, int(random.choice([0, -40])) * MS, spread=9)
    if random.random() < 0.5:  # nothing is left of one side, or of both
        middle = len(rows) // 2
        wiped = [(k, tick, 0, *rows[middle][3:]) for k in (6, 7)[: int(random.integers(1, 3))] for tick in (1, 10**6)]
        rows[middle:middle] = wiped
    if random.random() < 0.5:  # asks come late
        rows = [row for k, row in enumerate(rows) if k > 80 or row[0] != 1]
    return Feed.from_rows(INSTRUMENT, *np.array(rows).T), None


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_many_sets_give_what_each_gives_alone(seed):
    """Every latency model, queue, fill mode and fee in one crowd: fills, accounts, equity."""
    random = np.random.default_rng(seed)
    start = int(random.choice([0, -1000 * MS, 1_723_161_255 * 10**9]))
    feed, fifo = crowd_feed(random, start)
    queues = [*MODELS, "fifo"] if fifo else MODELS
    grids, models = [], []
    for latency in latencies(random, start):
        grids.append(Grid(*(int(random.choice(x)) for x in ((1, 2, 6), (1, 2, 5), (0, 1, 4), (1, 5), (0, 5, 50)))))
        queue, fills = Queue(str(random.choice(queues)), 1.5), str(random.choice(["whole", "partial"]))
        models.append(TradingModels(latency, queue, fee_rule(random)[0], fills))
    clock = {"interval_ns": int(random.choice([20, 40, 300])) * MS, "warm_up_ns": int(random.choice([0, 500])) * MS}
    clock["sample_ns"] = int(random.choice([1, 3])) * clock["interval_ns"]
    together = run_grids(feed, grids, models, **clock)
    for grid, model, result in zip(grids, models, together, strict=True):
        (alone,) = run_grids(feed, grid, model, **clock)
        assert_array_equal(result.samples, alone.samples)
        assert (result.account, result.n_decisions) == (alone.account, alone.n_decisions)
        for name in set(alone.fills.dtype.names) - {"trader"}:
            assert_array_equal(result.fills[name], alone.fills[name], err_msg=name)
