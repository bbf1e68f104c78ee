# cython: language_level=3
"""The record of a message as a capture states it; its dtype is RAW_MESSAGE in `records.py`."""


cdef packed struct RawMessage:
    long long exchange_time_ns  # 0: the message does not say
    long long local_time_ns
    long long update_id
    long long previous_id  # update id that must precede a diff, -1: none stated
    long long opening_id   # a diff's: the least id of a snapshot that it may be the first to follow, -1: none stated
    long long first_row
    long long line
    long long kind  # one of MessageKind


cdef enum MessageKind:
    DIFF, TRADE, SNAPSHOT    # these become messages
    TICKER, OTHER, NOT_MARKET  # these are counted
