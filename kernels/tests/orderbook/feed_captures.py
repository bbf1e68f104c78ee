"""Writes captures like those of a WebSocket recorder. From: plain Python values. To: the tests of feed and replay."""

from __future__ import annotations

import gzip
import json


def diff(local, time, first, last, before, bids=(), asks=(), symbol="BTCUSDT"):
    """Return a USDT-M depth diff; with `time` None and `before` None it is a spot one (only E)."""
    data = {"e": "depthUpdate", "E": 1700000000000 if time is None else time, "T": time, "s": symbol, "U": first}
    data |= {"u": last, "pu": before, "b": [list(level) for level in bids], "a": [list(level) for level in asks]}
    data = {key: value for key, value in data.items() if value is not None}
    return line(local, {"stream": f"{symbol.lower()}@depth@0ms", "data": data})


def spot_diff(local, time, first, last, bids=(), asks=(), symbol="BTCUSDT"):
    """Return a spot depth diff: event time only, and no `pu`."""
    data = {"e": "depthUpdate", "E": time, "s": symbol, "U": first, "u": last}
    data |= {"b": [list(level) for level in bids], "a": [list(level) for level in asks]}
    return line(local, {"stream": f"{symbol.lower()}@depth@100ms", "data": data})


def trade(local, time, number, price, quantity, buyer_is_maker, kind="MARKET", symbol="BTCUSDT"):
    """Return a trade; `kind` None is spot's, which does not say."""
    data = {"e": "trade", "E": time, "T": time, "s": symbol, "t": number, "p": price, "q": quantity, "X": kind}
    data["m"] = buyer_is_maker
    data = {key: value for key, value in data.items() if value is not None}
    return line(local, {"stream": f"{symbol.lower()}@trade", "data": data})


def snapshot(local, time, last, bids, asks):
    """Return a REST snapshot; `time` None is spot's, which does not say."""
    data = {
        "lastUpdateId": last,
        "E": time,
        "T": time,
        "bids": [list(x) for x in bids],
        "asks": [list(x) for x in asks],
    }
    return line(local, {key: value for key, value in data.items() if value is not None})


def line(local, message):
    """Return one line of a capture."""
    return f"{local} {json.dumps(message, separators=(',', ':'))}\n".encode()


def write(path, *lines, packed=True):
    """Write lines to a file and return its path."""
    text = b"".join(lines)
    path.write_bytes(gzip.compress(text, 1) if packed else text)
    return path
