"""A plain reader of Binance captures for tests. From: `<local_ns> <json>` lines. To: FEED rows by exchange time."""

import gzip
import json
from decimal import Decimal

import numpy as np

from tradekernels.orderbook.facts import BUY_TRADE, CLEAR_ASK, CLEAR_BID, FEED, SELL_TRADE, SET_ASK, SET_BID


def read_capture(path, tick="0.1", lot="0.001"):
    """Return the rows of the venue's stream: snapshot first, then every later diff and trade, by exchange time."""
    ticks, lots = Decimal(tick), Decimal(lot)
    rows, diffs, snapshot = [], [], None
    with gzip.open(path, "rt") as lines:
        for line in lines:
            message = json.loads(line[20:])
            data = message.get("data", message)
            if "lastUpdateId" in data:
                snapshot = data
            elif data["e"] == "depthUpdate":
                diffs.append(data)
            elif data["e"] == "trade":
                kind = SELL_TRADE if data["m"] else BUY_TRADE
                rows.append((data["T"], int(Decimal(data["q"]) / lots), int(Decimal(data["p"]) / ticks), kind))
    known = snapshot["lastUpdateId"]
    messages = [(snapshot["T"], snapshot["bids"], snapshot["asks"])]
    messages += [(diff["T"], diff["b"], diff["a"]) for diff in diffs if diff["u"] >= known]
    book = [(snapshot["T"], 0, 1, CLEAR_BID), (snapshot["T"], 0, 2**30, CLEAR_ASK)]
    for time, bids, asks in messages:
        for kind, levels in ((SET_BID, bids), (SET_ASK, asks)):
            book += [(time, int(Decimal(q) / lots), int(Decimal(p) / ticks), kind) for p, q in levels]
    out = np.array(rows + book, FEED)
    out["time"] *= 1_000_000
    out = out[out["time"] >= snapshot["T"] * 1_000_000]
    return out[np.argsort(out["time"], kind="stable")]
