"""Volatility and order flow over windows in clock time, with pandas. From: market.Market. To: pandas_catalogue.py.

The spans are those of 15m candles.
"""

import math

import numpy as np

from peers.market import DAY, HOUR, MONTH, WEEK, mean, ratio, total

ALPHA, BETA = 0.05, 0.93  # GARCH(1,1), its third parameter from variance targeting


def garch(squares, n):
    """Return the forecast of a GARCH over n bars; of a Riskmetrics mean below 50 bars.

    Its recursion over a window is a decayed sum: a running one less what has left the window.
    """
    start = mean(squares, n)
    new, old = (ALPHA, BETA) if n >= 50 else (0.06, 0.94)
    running = squares.ewm(alpha=1 - old, adjust=False).mean() / (1 - old)
    shocks = running - old**n * running.shift(n)
    floor = (1 - new - old) * start * (1 - old**n) / (1 - old)
    return np.sqrt(floor + new * shocks + old**n * start)


def ranges(m):
    open_close, overnight = np.log(m.c / m.o), np.log(m.o / m.was)
    up, down = np.log(m.h / m.o), np.log(m.l / m.o)
    inside = up * (up - open_close) + down * (down - open_close)  # Rogers and Satchell (1991)
    for name, n in (("24h", DAY), ("168h", WEEK), ("720h", MONTH)):
        k = 0.34 / (1.34 + (n + 1) / (n - 1))
        both = overnight.rolling(n).var() + k * open_close.rolling(n).var()
        yield f"yang_zhang_{name}", np.sqrt(both + (1 - k) * mean(inside, n))
    squares = np.log(m.h / m.l) ** 2
    for name, n in (("24h", DAY), ("168h", WEEK)):
        yield f"parkinson_{name}", np.sqrt(mean(squares, n) / (4 * math.log(2)))
    klass = mean(0.5 * squares - (2 * math.log(2) - 1) * open_close**2, DAY)
    yield "garman_klass_24h", np.sqrt(klass.clip(lower=0))
    yield "rogers_satchell_24h", np.sqrt(mean(inside, DAY).clip(lower=0))


def returns(m):
    yield "garch_12h", garch(m.squares, 48)
    yield "garch_24h", garch(m.squares, DAY)
    yield "garch_500m", garch(m.squares, 34)
    yield "ewma_vol", np.sqrt(m.squares.ewm(alpha=0.06, adjust=False).mean())
    for name, n in (("5m", 1), ("15m", 3), ("60m", 12)):  # the window table of timeframes from 15m to 1h
        yield f"ret_{name}", m.c.pct_change(n)
    yield "sma_60", m.sma(60)


def takers(m):
    delta = 2 * m.column("taker_buy_volume") - m.v
    yield "cvd_24h", total(delta, DAY)
    yield "cvd_168h", total(delta, WEEK)
    yield "trade_flow_imbalance", ratio(delta, m.v)
    yield "taker_buy_ratio", m.buy_share
    for name, n in (("24h", DAY), ("6h", 6 * HOUR), ("12h", 12 * HOUR)):
        yield f"tbr_sma_{name}", mean(m.buy_share, n)
    for name, n in (("1h", HOUR), ("6h", 6 * HOUR), ("12h", 12 * HOUR)):
        before = m.buy_share.shift(n)
        yield f"tbr_momentum_{name}", (m.buy_share / before - 1).where(~(before < 0.01), 0.0)


def book(m):
    bid, ask = m.column("best_bid"), m.column("best_ask")
    bid_size, ask_size = m.column("best_bid_size"), m.column("best_ask_size")
    bids, asks = m.column("bid_size_5"), m.column("ask_size_5")
    mid = (bid + ask) / 2
    weighted = (bid * ask_size + ask * bid_size) / (bid_size + ask_size)
    yield "order_flow_imbalance", ratio(m.column("order_flow_imbalance"), m.column("mean_top_depth"))
    yield "depth_imbalance", ratio(bids - asks, bids + asks)
    yield "weighted_mid_deviation", ((weighted - mid) * 1e4 / mid).where(bid_size + ask_size != 0, 0.0)
    yield "spread_bps", 1e4 * (ask - bid) / mid


PARTS = (ranges, returns, takers, book)
