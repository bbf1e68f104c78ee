"""A market maker in 30 lines, replayed over a recorded feed. From: a raw capture. To: a line a minute on stdout.

python market_maker.py CAPTURE SYMBOL TICK_SIZE LOT_SIZE
python market_maker.py btcusdt_20240808.gz BTCUSDT 0.1 0.001
"""

import sys

from tradekernels.orderbook import ConstantLatency, Fees, Instrument, Queue, Replay, TradingModels, read_capture

LOTS, MOST, STEP_NS = 10, 100, 100_000_000


def make_market(feed, models):
    """Quote one order a side at the touch, lean against the position, and yield the replay every minute."""
    replay = Replay(feed, models)
    minute = replay.now
    while replay.elapse(STEP_NS):
        bid, ask = replay.book.best("bid"), replay.book.best("ask")
        if bid is None or ask is None:
            continue
        lean = round(2 * replay.position_lots / MOST)  # ticks away from the side that we have too much of
        wanted = {"buy": min(bid[0], ask[0] - 1) - max(lean, 0), "sell": max(ask[0], bid[0] + 1) - min(lean, 0)}
        if abs(replay.position_lots) >= MOST:
            wanted.pop("buy" if replay.position_lots > 0 else "sell")
        for order in replay.orders:
            if wanted.get(order.side) == order.tick:
                del wanted[order.side]
            elif not order.pending:
                replay.cancel(order.id)
        for side, tick in wanted.items():
            replay.submit(side, tick, LOTS, "GTX")
        replay.forget_finished()
        if replay.now >= minute:
            minute += 60_000_000_000
            yield replay
    yield replay


if __name__ == "__main__":
    capture, *instrument = sys.argv[1:]
    latency = ConstantLatency(entry_ns=10_000_000, response_ns=10_000_000)
    venue = TradingModels(latency, Queue("power", 2), Fees(maker="-0.00005", taker="0.0007"))
    for replay in make_market(read_capture(capture, Instrument(*instrument)), venue):
        account, mid = replay.account, replay.book.mid_ticks
        print(
            f"{replay.now} fills {account.n_fills} position {account.position_lots} equity {account.equity_at(mid):.2f}"
        )
