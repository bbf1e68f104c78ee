"""Queue models by hand (LOB-13): what one change of a level does to an order in it."""

import math

import numpy as np
import pytest

from tradekernels.orderbook import Feed, Instrument, Queue, Replay, TradingModels

# an order behind 6 of 10 lots: 4 more came after it; then the level shrinks to 8, without a trade
FRONT, BACK, CHANGE = 6.0, 4.0, 2.0
SHARES = {
    ("power", 2.0): BACK**2 / (BACK**2 + FRONT**2),
    ("power", 3.0): BACK**3 / (BACK**3 + FRONT**3),
    ("log", 1.0): math.log(1 + BACK) / (math.log(1 + BACK) + math.log(1 + FRONT)),
    ("power2", 2.0): BACK**2 / (BACK + FRONT) ** 2,
    ("log2", 1.0): math.log(1 + BACK) / math.log(1 + BACK + FRONT),
    ("power3", 3.0): 1 - (FRONT / (FRONT + BACK)) ** 3,
}


def ahead(queue, *rows):
    """Return what is ahead of an order that queued behind 6 lots, after each of (kind, lots) rows at its tick."""
    columns = [(0, 100, 6, 0, 0), *((kind, 100, lots, 10 * k, 10 * k) for k, (kind, lots) in enumerate(rows, 2))]
    feed = Feed.from_rows(Instrument("X", "1", "1"), *np.array([*columns, (0, 1, 1, 999, 999)]).T)
    replay = Replay(feed, TradingModels(queue=queue))
    order = replay.submit("buy", 100, 1)
    replay.elapse(15)
    seen = []
    for _ in rows:
        replay.elapse(10)
        seen.append(replay.queue_ahead(order))
    return seen


@pytest.mark.parametrize(("model", "n"), SHARES)
def test_a_cancellation_is_shared_between_front_and_back(model, n):
    """p behind, 1 - p ahead."""
    p = SHARES[model, n]
    assert ahead(Queue(model, n), (0, 10), (0, 8))[-1] == pytest.approx(FRONT - (1 - p) * CHANGE, rel=1e-15)


def test_the_risk_averse_queue_moves_by_trades_only():
    """Unless the level is smaller than what would be ahead."""
    assert ahead(Queue("risk"), (0, 10), (0, 8), (5, 2), (0, 6), (0, 3)) == [6, 6, 4, 4, 3]


@pytest.mark.parametrize("model", ["power", "log", "power2", "log2", "power3"])
def test_what_a_trade_explains_is_no_cancellation(model):
    """`traded` is forgotten at the next SET, and growth moves nothing."""
    assert ahead(Queue(model), (0, 10), (5, 2), (0, 8), (0, 9)) == [6, 4, 4, 4]


@pytest.mark.parametrize("model", ["power", "log", "power2", "log2", "power3"])
def test_an_empty_level_leaves_nothing_ahead(model):
    """Zero over zero is no number; the front is then what the level holds."""
    assert ahead(Queue(model), (0, 0), (0, 0), (0, 5)) == [0, 0, 0]
