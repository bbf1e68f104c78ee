"""Compiled walks over messages and rows. From: streams.py, feed.py. To: the trader's book stream, checked rows."""

from ._capture cimport DIFF, TRADE, RawMessage
from ._records cimport CLEAR_ASK, CLEAR_BID, DROP_ASK, DROP_BID, Row


def venue_stream(const RawMessage[::1] messages, const long long[::1] received, int[::1] stream, long long[:, ::1] gaps):
    """Write the venue-discipline stream, as indices of messages, and the breaks of the chain of update ids.

    A snapshot is followed by the diffs that were received before it and are newer than it: they were waiting for the
    first one, and have to be applied again over a later one.

    Returns
    -------
    tuple of int
        Entries written, or -1 if `stream` is too short; gaps found; diffs dropped as older than the book; stale
        snapshots dropped; diffs never used because no snapshot came before or after them.
    """
    cdef Py_ssize_t i, k, n = 0, n_gaps = 0, n_old = 0, n_stale = 0, n_waiting = 0, first = 0
    cdef long long snapshot_id = -1, chain_id = -1
    cdef bint fresh = False  # no diff since the last snapshot
    cdef const RawMessage* it
    cdef const RawMessage* other
    with nogil:
        for i in range(received.shape[0]):
            it = &messages[received[i]]
            if n >= stream.shape[0]:
                n = -1
                break
            if it.kind == TRADE:
                stream[n] = <int> received[i]
                n += 1
            elif it.kind == DIFF:
                if snapshot_id < 0:
                    n_waiting += 1
                    continue
                if it.update_id < snapshot_id or (it.update_id <= chain_id):
                    n_old += 1
                    continue
                if it.previous_id >= 0 and (it.previous_id > snapshot_id if fresh and chain_id < snapshot_id
                                            else it.previous_id > chain_id):
                    note_gap(gaps, n_gaps, received[i], max(chain_id, snapshot_id), it.previous_id)
                    n_gaps += 1
                chain_id, fresh = it.update_id, False
                stream[n] = <int> received[i]
                n += 1
            else:
                if it.update_id < snapshot_id:
                    n_stale += 1
                    continue
                stream[n] = <int> received[i]
                n += 1
                n_waiting = 0
                while first < i and not (messages[received[first]].kind == DIFF
                                         and messages[received[first]].update_id >= it.update_id):
                    first += 1  # snapshots get newer, so what is in one is in all later ones
                if snapshot_id < 0:
                    n_old += count_diffs(messages, received, first)
                snapshot_id, fresh = it.update_id, True
                for k in range(first, i):
                    other = &messages[received[k]]
                    if other.kind != DIFF or other.update_id < snapshot_id:
                        continue
                    if fresh and other.previous_id > snapshot_id and chain_id < 0:
                        note_gap(gaps, n_gaps, received[k], snapshot_id, other.previous_id)
                        n_gaps += 1
                    elif not fresh and other.update_id > chain_id and other.previous_id > chain_id:
                        note_gap(gaps, n_gaps, received[k], chain_id, other.previous_id)
                        n_gaps += 1
                    if n >= stream.shape[0]:
                        n = -1
                        break
                    stream[n] = <int> received[k]
                    n += 1
                    chain_id, fresh = max(chain_id, other.update_id), False
                if n < 0:
                    break
    return n, n_gaps, n_old, n_stale, n_waiting


cdef inline Py_ssize_t count_diffs(const RawMessage[::1] messages, const long long[::1] received,
                                   Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t k, n = 0
    for k in range(end):
        n += messages[received[k]].kind == DIFF
    return n


cdef inline void note_gap(long long[:, ::1] gaps, Py_ssize_t n, long long message, long long expected,
                          long long stated) noexcept nogil:
    if n < gaps.shape[0]:
        gaps[n, 0], gaps[n, 1], gaps[n, 2] = message, expected, stated


def first_bad_row(const Row[::1] rows):
    """Return the first row that no feed may hold, or -1: kind, tick from 1 to 2**31 - 2, lots from 0 to 2**53."""
    cdef Py_ssize_t k, n = rows.shape[0]
    with nogil:
        for k in range(n):
            if (rows[k].kind > DROP_ASK or rows[k].tick < 1 or rows[k].tick == 0x7fffffff or rows[k].lots < 0
                    or rows[k].lots > 9007199254740992LL):
                break
        else:
            k = -1
    return k


def clear_to_drop(Row[::1] rows):
    """Turn the CLEAR rows of snapshots into those of the venue discipline."""
    cdef Py_ssize_t k
    with nogil:
        for k in range(rows.shape[0]):
            if rows[k].kind == CLEAR_BID or rows[k].kind == CLEAR_ASK:
                rows[k].kind += DROP_BID - CLEAR_BID
