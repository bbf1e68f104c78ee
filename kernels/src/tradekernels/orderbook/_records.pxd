# cython: language_level=3
"""The records that all loops of a feed share. Their NumPy dtypes are ROW and MESSAGE in `feed.py`."""

cdef packed struct Row:
    long long lots  # SET: the new total at the tick; trade: the traded quantity; CLEAR and DROP: 0
    int tick
    unsigned int kind  # one of Kind; bit 0 is the side: 0 bid or buy, 1 ask or sell


cdef packed struct Message:
    long long exchange_time_ns
    long long local_time_ns
    long long update_id  # last update id of a diff or snapshot, trade id of a trade
    long long first_row  # its rows end where those of the next message start


cdef enum Kind:
    SET_BID, SET_ASK      # a level has this new total
    CLEAR_BID, CLEAR_ASK  # arrival discipline: erase from the tick up to the best, as hftbacktest does
    BUY_TRADE, SELL_TRADE # the side is the aggressor's
    DROP_BID, DROP_ASK    # venue discipline: erase every level at the tick or better
