"""A small market to try things on, written as a recorder would. From: a seed. To: a raw capture of Binance USDT-M.

python small_capture.py small.gz
"""

import gzip
import json
import sys

import numpy as np


def write_capture(path, seconds=60, seed=1):
    """Write a snapshot, then 20 trades and 20 books a second whose price steps up and down by ticks of 0.1."""
    random, ms, mid = np.random.default_rng(seed), 1_700_000_000_000, 1000

    def line(time_ms, **message):
        return f"{(time_ms + 4) * 1_000_000} {json.dumps(message)}\n"  # received 4 ms after it happened

    def levels(side, lots):
        return [[f"{(mid + side * (k + 1)) / 10:.1f}", f"{n / 1000:.3f}"] for k, n in enumerate(lots)]

    lines = [line(ms, lastUpdateId=1, E=ms, T=ms, bids=levels(-1, [9] * 8), asks=levels(1, [9] * 8))]
    for u in range(2, 20 * seconds):
        ms, sold = ms + 50, bool(random.random() < 0.5)
        trade = {"e": "trade", "E": ms, "T": ms, "s": "BTCUSDT", "t": u, "X": "MARKET", "m": sold}
        trade |= {"p": f"{(mid - 1 if sold else mid + 1) / 10:.1f}", "q": f"{random.integers(1, 12) / 1000:.3f}"}
        lines.append(line(ms, stream="btcusdt@trade", data=trade))
        passed, mid = mid, mid + int(random.choice([-1, 0, 0, 0, 1]))
        gone = [[f"{tick / 10:.1f}", "0.000"] for tick in (passed - 1, passed, passed + 1)]
        book = {"e": "depthUpdate", "E": ms + 5, "T": ms + 5, "s": "BTCUSDT", "U": u, "u": u, "pu": u - 1}
        book |= {"b": gone + levels(-1, random.integers(1, 20, 8)), "a": gone + levels(1, random.integers(1, 20, 8))}
        lines.append(line(ms + 5, stream="btcusdt@depth@0ms", data=book))
    with gzip.open(path, "wt") as file:
        file.writelines(lines)


if __name__ == "__main__":
    write_capture(sys.argv[1])
