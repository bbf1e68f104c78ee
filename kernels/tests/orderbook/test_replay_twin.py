"""Replays with own orders against the slow twin, on synthetic feeds (LOB-10, LOB-12 to LOB-14)."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from replay_twin import ReplayTwin

from tradekernels.orderbook import ConstantLatency, Feed, Fees, Instrument, Queue, Replay, TradingModels

END = 10_000
MODELS = ["risk", "power", "log", "power2", "log2", "power3"]


def synthetic(seed, n=150, centre=100, spread=6):
    """Return rows (kind, tick, lots, exchange time, local time) around a price that moves and crosses now and then."""
    random = np.random.default_rng(seed)
    rows, time = [], 0
    for _ in range(n):
        time += int(random.integers(0, 90))
        centre = max(20, centre + int(random.integers(-1, 2)))
        kind = int(random.choice([0, 1, 4, 5, 2, 3, 6], p=[0.36, 0.36, 0.12, 0.12, 0.01, 0.01, 0.02]))
        away = int(random.integers(-1, spread))
        tick = centre + (away if kind & 1 else -away) if kind < 2 else centre + int(random.integers(-3, 4))
        lots = int(random.integers(1, 8)) if kind in (4, 5) else int(random.choice([0, 1, 3, 7, 20]))
        rows.append((kind, tick, 0 if kind in (2, 3, 6) else lots, time, time + int(random.integers(0, 60))))
    return rows


def synthetic_requests(seed, n=25):
    random = np.random.default_rng(seed + 1)
    requests, ids = [], []
    for id, time in enumerate(np.sort(random.integers(0, 7000, n)).tolist()):
        what = random.choice(["new", "cancel", "modify"], p=[0.7, 0.15, 0.15]) if ids else "new"
        if what == "new":
            force = str(random.choice(["GTC", "IOC", "FOK", "GTX"]))
            requests.append((time, "new", id, int(random.integers(0, 2)), int(random.integers(92, 109)),
                             int(random.integers(1, 30)), force))  # fmt: skip
            ids.append(id)
        elif what == "cancel":
            requests.append((time, "cancel", int(random.choice(ids))))
        else:
            requests.append((time, "modify", int(random.choice(ids)), int(random.integers(92, 109)),
                             int(random.integers(1, 30))))  # fmt: skip
    return requests


def play(feed, requests, models):
    """Make the same requests of a Replay; return those that it took, the replay, and its fills."""
    replay, taken = Replay(feed, models), []
    for request in requests:
        replay.elapse(request[0] - replay.now)
        what, id, *more = request[1:]
        if what == "new":
            side, tick, lots, force = more
            replay.submit("sell" if side else "buy", tick, lots, force, order_id=id)
        elif replay.order(id).status.finished or replay.order(id).pending:
            continue
        elif what == "cancel":
            replay.cancel(id)
        else:
            replay.modify(id, *more)
        taken.append(request)
    replay.elapse(END + 10_000 - replay.now)
    return taken, replay


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(MODELS), st.sampled_from((1.0, 2.0, 3.0)), st.booleans(),
       st.sampled_from(((0, 0), (30, 10), (7, 200))))  # fmt: skip
def test_fills_equal_those_of_the_twin(seed, model, n, partial, latency):
    """Six queue models, both ways to fill, four order types, cancels and modifications."""
    rows, requests = synthetic(seed), synthetic_requests(seed)
    rows = [(0, 1, 1, 0, 0), *rows]
    feed = Feed.from_rows(Instrument("X", "0.1", "0.001"), *np.array(rows).T)
    models = TradingModels(ConstantLatency(*latency), Queue(model, n), fills="partial" if partial else "whole")
    taken, replay = play(feed, requests, models)
    twin = ReplayTwin(rows, taken, latency, model, n, partial, lot=1 / 1000)
    expected = twin.run(END + 10_000)
    got = [tuple(int(x) for x in fill) for fill in
           replay.fills[["exchange_time_ns", "order_id", "tick", "lots", "maker"]].tolist()]  # fmt: skip
    assert sorted(got) == sorted(expected)
    assert replay.position_lots == twin.position == sum(
        lots * (1 - 2 * twin.orders[id]["side"]) for _, id, _, lots, _ in expected
    )  # fmt: skip
    assert replay.book.best("bid") == twin.view.quote(0)


@pytest.mark.parametrize("seed", range(30))
def test_partial_fills_survive_every_feed(seed):
    """LOB-14: thousands of orders, some far larger than the book; the sums agree with the tape."""
    rows = [(0, 1, 1, 0, 0), *synthetic(seed, 1500)]
    feed = Feed.from_rows(Instrument("X", "0.1", "0.001"), *np.array(rows).T)
    random = np.random.default_rng(seed)
    models = TradingModels(ConstantLatency(5, 5), Queue(MODELS[seed % 6]), Fees("-0.0001", "0.0004"), "partial")
    replay = Replay(feed, models)
    while replay.elapse(20):
        side, force = str(random.choice(["buy", "sell"])), str(random.choice(["GTC", "IOC", "FOK", "GTX"]))
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
