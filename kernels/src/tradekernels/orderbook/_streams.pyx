"""Compiled walks over messages and rows. From: streams.py, feed.py. To: the trader's book stream, checked rows."""

from ._capture cimport DIFF, TRADE, RawMessage
from ._records cimport DROP_ASK, Row


cdef struct Chain:  # what the book at hand reflects
    long long snapshot_id  # -1: no snapshot yet
    long long last_id      # of the newest diff applied since, -1: none


cdef inline bint is_old(const Chain* book, const RawMessage* diff) noexcept nogil:
    return diff.update_id < book.snapshot_id or diff.update_id <= book.last_id


cdef inline bint breaks(const Chain* book, const RawMessage* diff) noexcept nogil:
    """Whether a diff that is not old does not follow the book: the exchange's own two rules."""
    if diff.previous_id < 0 or diff.previous_id == max(book.snapshot_id, book.last_id):
        return False
    return book.last_id >= 0 or diff.opening_id > book.snapshot_id


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
    cdef long long newest_id = -1  # of all diffs applied: gaps before it have been told
    cdef Chain book = Chain(-1, -1)
    cdef const RawMessage* it
    cdef const RawMessage* other
    with nogil:
        for i in range(received.shape[0]):
            it = &messages[received[i]]
            if it.kind == DIFF and book.snapshot_id < 0:
                n_waiting += 1
                continue
            if it.kind == DIFF and is_old(&book, it):
                n_old += 1
                continue
            if it.kind > TRADE and it.update_id < book.snapshot_id:
                n_stale += 1
                continue
            if n + i >= stream.shape[0]:  # a snapshot may be followed by all that came before it
                n = -1
                break
            stream[n] = <int> received[i]
            n += 1
            if it.kind == DIFF:
                if breaks(&book, it):
                    note_gap(gaps, n_gaps, received[i], &book, it)
                    n_gaps += 1
                book.last_id = newest_id = it.update_id
            elif it.kind > TRADE:
                book = Chain(it.update_id, -1)
                while first < i and (messages[received[first]].kind != DIFF or is_old(&book, &messages[received[first]])):
                    n_old += n_waiting > 0 and messages[received[first]].kind == DIFF
                    first += 1  # snapshots get newer, so what is in one is in all later ones
                for k in range(first, i):
                    other = &messages[received[k]]
                    if other.kind != DIFF:
                        continue
                    if is_old(&book, other):
                        n_old += n_waiting > 0
                        continue
                    if other.update_id > newest_id and breaks(&book, other):
                        note_gap(gaps, n_gaps, received[k], &book, other)
                        n_gaps += 1
                    stream[n] = <int> received[k]
                    n += 1
                    book.last_id = other.update_id
                newest_id = max(newest_id, book.last_id)
                n_waiting = 0
    return n, n_gaps, n_old, n_stale, n_waiting


cdef inline void note_gap(long long[:, ::1] gaps, Py_ssize_t n, long long message, const Chain* book,
                          const RawMessage* diff) noexcept nogil:
    gaps[n, 0], gaps[n, 1], gaps[n, 2] = message, max(book.snapshot_id, book.last_id), diff.previous_id


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
