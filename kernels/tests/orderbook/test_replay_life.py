"""A replay's end, other threads, copies, errors midway (LOB-10): the same calls, at odd times."""

import copy
import gc
import pickle
import threading

import numpy as np
import pytest

from tradekernels.orderbook import ConstantLatency, DrawnLatency, Feed, Instrument, Replay, Status, TradingModels

UNIT = Instrument("X", "0.1", "0.001")
SECOND = 10**9
LOST = TradingModels(DrawnLatency(2e9, 0, 0.0, 1.0, timeout_ns=1.5e9, retries=0))


def short_feed():
    return Feed.from_rows(UNIT, [0, 1, 0], [100, 110, 99], [5, 5, 5], [0, 0, SECOND], [0, 0, SECOND])


def long_feed(n=2_000_000):
    ticks = 100 + np.arange(n) % 50
    return Feed.from_rows(UNIT, np.arange(n) % 2, ticks + 100 * (np.arange(n) % 2), np.full(n, 5), *[np.arange(n)] * 2)


@pytest.mark.parametrize("models", [LOST, TradingModels(ConstantLatency(SECOND, SECOND))], ids=["lost", "slow"])
def test_a_loop_that_always_sends_comes_to_an_end(models):
    """A minute behind the last event, not for ever; what is on its way then arrives if the clock is moved on."""
    replay, n = Replay(short_feed(), models), 0
    while replay.elapse(SECOND // 10):
        order = replay.submit("buy", 90, 1, "IOC")
        n += 1
    assert 61 * SECOND < replay.now <= 61.2 * SECOND
    assert n == round(replay.now / (SECOND // 10)) - 1
    assert replay.order(order).status == Status.SENT
    assert not replay.elapse(5 * SECOND)
    assert replay.order(order).status == (Status.REJECTED if models is LOST else Status.EXPIRED)


def test_a_loop_that_waits_ends_with_its_last_answer():
    """Letters that are on their way keep it going, nothing else does."""
    replay = Replay(short_feed(), TradingModels(ConstantLatency(SECOND, SECOND)))
    assert replay.elapse(SECOND // 2)
    order = replay.submit("buy", 110, 1)
    assert replay.elapse(2 * SECOND - 1)
    assert not replay.elapse(1)
    assert replay.order(order).status == Status.FILLED
    assert not replay.elapse(0)
    replay.submit("sell", 100, 1)
    assert replay.elapse_to_answer(SECOND)
    assert not replay.elapse_to_answer(SECOND)
    assert replay.position_lots == 0
    assert len(replay.trades()) == 0
    assert replay.book.best("bid") == (100, 5)


def test_copies_and_pickles_are_refused():
    """Two replays would share one clock."""
    replay = Replay(short_feed())
    for make in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            make(replay)


def test_a_replay_keeps_its_feed_alive():
    """Whoever made it may forget it; the account of what was read stays the same."""
    replay = Replay(short_feed(), TradingModels(ConstantLatency(1, 1)))
    replay.submit("buy", 110, 2)
    gc.collect()
    waste = [np.full(64, 255, np.uint8) for _ in range(1000)]
    while replay.elapse(SECOND // 10):
        pass
    assert (replay.position_lots, replay.book.best("bid"), len(waste)) == (2, (100, 5), 1000)


def test_another_thread_is_kept_out_while_time_passes():
    """Its calls raise RuntimeError and change nothing, so the books are those of a single thread."""
    feed, refused = long_feed(), {}
    single = Replay(feed)
    single.elapse(2 * len(feed))
    for _ in range(50):  # whether a call meets the other thread at work is up to the scheduler
        replay = Replay(feed)
        thread = threading.Thread(target=replay.elapse, args=(2 * len(feed),))
        calls = {"elapse": (replay.elapse, 1), "answer": (replay.elapse_to_answer, 1),
                 "fills": (getattr, replay, "fills"), "account": (getattr, replay, "account"),
                 "submit": (replay.submit, "buy", 1, 1)}  # fmt: skip
        thread.start()
        for name in calls.keys() - refused.keys():
            try:
                calls[name][0](*calls[name][1:])
            except RuntimeError as error:
                refused[name] = str(error)
        thread.join()
        assert [replay.book.best(side) for side in ("bid", "ask")] == [single.book.best(s) for s in ("bid", "ask")]
        if len(refused) == len(calls):
            break
    assert len(refused) == len(calls)
    assert all("in another thread" in message for message in refused.values())


def test_an_error_midway_leaves_a_replay_to_go_on_with():
    """The strategy's own exceptions, and refused calls, change nothing."""
    runs = []
    for fails in (False, True):
        replay = Replay(short_feed(), TradingModels(ConstantLatency(10, 10)))
        order = replay.submit("buy", 105, 3)
        for k in range(25):
            try:
                replay.elapse(SECOND // 20)
                if fails and k % 3 == 0:
                    raise KeyboardInterrupt
                if fails:
                    replay.submit("buy", 0, 1)
            except (KeyboardInterrupt, ValueError):
                assert fails
        runs.append((replay.order(order), replay.account, replay.now, replay.submit("buy", 100, 1)))
    assert runs[0] == runs[1]
