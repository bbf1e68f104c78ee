"""The dtypes of a feed. They are the structs of `_records.pxd` and `_capture.pyx`, field for field."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

ROW = np.dtype([("lots", "<i8"), ("tick", "<i4"), ("kind", "<u4")])
MESSAGE = np.dtype([("exchange_time_ns", "<i8"), ("local_time_ns", "<i8"), ("update_id", "<i8"), ("first_row", "<i8")])
RAW_MESSAGE = np.dtype(
    [
        ("exchange_time_ns", "<i8"), ("local_time_ns", "<i8"), ("update_id", "<i8"), ("previous_id", "<i8"),
        ("opening_id", "<i8"), ("first_row", "<i8"), ("line", "<i8"), ("kind", "<i8"),
    ]
)  # fmt: skip
TICKER = np.dtype(
    [
        ("update_id", "<i8"), ("local_time_ns", "<i8"), ("bid_tick", "<i8"), ("bid_lots", "<i8"),
        ("ask_tick", "<i8"), ("ask_lots", "<i8"),
    ]
)  # fmt: skip
GAP = np.dtype([("file", "<i4"), ("line", "<i8"), ("expected_id", "<i8"), ("stated_id", "<i8")])


class Kind(IntEnum):
    """What a row does. Bit 0 is the side: 0 bid or buy, 1 ask or sell.

    SET makes `lots` the total at `tick`; 0 removes the level. A trade's side is the aggressor's. CLEAR and DROP start a
    snapshot and have no lots. CLEAR, under `arrival`, erases from its tick up to the best quote, and the next best is
    looked for two ticks beyond, as hftbacktest does (LOB-6). DROP, under `venue`, erases every level at its tick or
    better, crossed ones too; an empty side of a snapshot drops the whole side.
    """

    SET_BID = 0
    SET_ASK = 1
    CLEAR_BID = 2
    CLEAR_ASK = 3
    BUY_TRADE = 4
    SELL_TRADE = 5
    DROP_BID = 6
    DROP_ASK = 7
