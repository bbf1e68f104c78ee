"""Times hftbacktest on a capture, in its own environment. From: orderbook_replay.py. To: one line of JSON on stdout.

    python orderbook_replay_peer.py CAPTURE TICK_SIZE LOT_SIZE ROUNDS

The market maker is the grid of the specification (LOB-17), compiled by numba as the peer's manual advises.
"""

import contextlib
import io
import json
import sys
import time

import numpy as np
from hftbacktest import (
    BUY,
    GTX,
    LIMIT,
    BacktestAsset,
    HashMapMarketDepthBacktest,
    ROIVectorMarketDepthBacktest,
)  # fmt: skip
from hftbacktest.data.utils import binancefutures
from numba import njit
from numba.typed import Dict
from numba.types import float64, int64


@njit
def to_the_end(hbt):
    while hbt.elapse(3_600_000_000_000) == 0:
        pass


@njit
def grid(hbt, tick, lot, levels, step, half, lots, most):
    hbt.elapse(0)  # before it the peer has no time
    start = hbt.current_timestamp
    while hbt.elapse(100_000_000) == 0:
        if hbt.current_timestamp - start < 5_000_000_000:
            continue
        hbt.clear_inactive_orders(0)
        depth, position = hbt.depth(0), np.int64(round(hbt.position(0) / lot))
        middle = depth.best_bid_tick + depth.best_ask_tick
        bid = np.int64(np.floor((middle - 2 * half) / (2 * step))) * step
        ask = np.int64(np.ceil((middle + 2 * half) / (2 * step))) * step
        buys, sells = Dict.empty(int64, float64), Dict.empty(int64, float64)  # by order id: 2 tick, 2 tick + 1
        if position < most:
            for i in range(levels):
                buys[2 * (bid - i * step)] = (bid - i * step) * tick
        if position > -most:
            for i in range(levels):
                sells[2 * (ask + i * step) + 1] = (ask + i * step) * tick
        orders = hbt.orders(0)
        values = orders.values()
        while values.has_next():
            order = values.get()
            wanted = buys if order.side == BUY else sells
            if order.cancellable and order.order_id not in wanted:
                hbt.cancel(0, order.order_id, False)
        for number, price in buys.items():
            if number not in orders:
                hbt.submit_buy_order(0, number, price, lots * lot, GTX, LIMIT, False)
        for number, price in sells.items():
            if number not in orders:
                hbt.submit_sell_order(0, number, price, lots * lot, GTX, LIMIT, False)
    return hbt.state_values(0).num_trades


def asset(events, tick, lot, queue):
    """Return the peer's asset with the latencies and fees of the worked answers."""
    made = (BacktestAsset().data(events).linear_asset(1.0).constant_order_latency(10_000_000, 10_000_000)
            .no_partial_fill_exchange().trading_value_fee_model(-0.00005, 0.0007).tick_size(tick).lot_size(lot)
            .roi_lb(0.0).roi_ub(float(events["px"].max()) * 2))  # fmt: skip
    if queue == "power":
        return made.power_prob_queue_model(2.0)
    return made.log_prob_queue_model() if queue == "log" else made.risk_adverse_queue_model()


def best_of(rounds, make, work):
    """Return the shortest of some runs, in seconds, and what `work` returned."""
    shortest = float("inf")
    for _ in range(rounds + 1):  # the first one compiles
        hbt = make()
        start = time.perf_counter()
        result = work(hbt)
        shortest = min(shortest, time.perf_counter() - start)
        hbt.close()
    return shortest, result


def main():
    capture, tick, lot, rounds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    with contextlib.redirect_stdout(io.StringIO()):
        start = time.perf_counter()
        events = binancefutures.convert(capture, buffer_size=5_000_000)
        result = {"raw capture to events (arrival)": len(events) / (time.perf_counter() - start)}
    kinds = {"hash map": HashMapMarketDepthBacktest, "vector": ROIVectorMarketDepthBacktest}
    n = len(events)
    seen = {name: n / best_of(rounds, lambda kind=kind: kind([asset(events, tick, lot, "risk")]), to_the_end)[0]
            for name, kind in kinds.items()}  # fmt: skip
    result["two books to the end"] = max(seen.values())
    result |= {f"two books to the end, {name}": value for name, value in seen.items()}
    for name, parameters in {"wide": (20, 10, 10, 10, 200), "touch": (3, 1, 0, 10, 200)}.items():
        for queue in ("risk", "power", "log"):
            runs = [best_of(rounds, lambda kind=kind, queue=queue: kind([asset(events, tick, lot, queue)]),
                            lambda hbt, p=parameters: grid(hbt, tick, lot, *p)) for kind in kinds.values()]  # fmt: skip
            seconds, fills = min(runs)
            result[f"{name} grid, {queue}"] = n / seconds
            result[f"{name} grid, {queue}, fills"] = int(fills)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
