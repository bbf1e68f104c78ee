"""Finds the real feed and its worked answers. From: CANDLEWRIGHT_MARKET_DATA. To: tests that skip without it."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from tradekernels.orderbook import Instrument, read_capture

BTC = Instrument("BTCUSDT", "0.1", "0.001")
FOLDER = Path(os.environ.get("CANDLEWRIGHT_MARKET_DATA", "/nonexistent")) / "l2"
CAPTURE = FOLDER / "btcusdt_20240808.gz"

needs_feed = pytest.mark.skipif(not CAPTURE.exists(), reason="CANDLEWRIGHT_MARKET_DATA names no folder with l2/")


@cache
def real_feed(sequence):
    """Return the real feed, read once for every discipline."""
    return read_capture(CAPTURE, BTC, sequence=sequence, book_ticker=sequence == "venue")
