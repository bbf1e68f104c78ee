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
    """What a row does. Bit 0 is the side: 0 bid or buy, 1 ask or sell."""

    SET_BID = 0
    SET_ASK = 1
    CLEAR_BID = 2
    CLEAR_ASK = 3
    BUY_TRADE = 4
    SELL_TRADE = 5
    DROP_BID = 6
    DROP_ASK = 7
