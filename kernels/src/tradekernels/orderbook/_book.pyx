"""Compiled books and what is read from them. From: feeds and arguments that book.py has checked. To: caller's arrays."""

from libc.math cimport NAN

from . cimport _levels
from ._records cimport Message


cdef inline const Row* rows_of(const Row* rows, const Message* messages, Py_ssize_t n_messages, Py_ssize_t n_rows,
                               Py_ssize_t k, const Row** end) noexcept nogil:
    end[0] = rows + (messages[k + 1].first_row if k + 1 < n_messages else n_rows)
    return rows + messages[k].first_row


cdef class BookState:
    """A book that owns its memory."""

    def __cinit__(self):
        if not create(&self.book):
            raise MemoryError

    def __dealloc__(self):
        destroy(&self.book)

    def set_level(self, unsigned int side, i64 tick, i64 lots):
        set_level(&self.book, side, key_of(side, tick), lots)
        self.check()

    def clear(self, unsigned int kind, i64 tick):
        clear(&self.book, kind, key_of(kind & 1, tick))
        self.check()

    def best(self, unsigned int side):
        """Return (tick, lots) of the best level, or None."""
        cdef i64 key = self.book.side[side].best
        if key == EMPTY:
            return None
        return key_of(side, key), _levels.get(&self.book.side[side], key)

    def lots_at(self, unsigned int side, i64 tick):
        return _levels.get(&self.book.side[side], key_of(side, tick))

    def depth(self, unsigned int side, i64[:, ::1] out):
        """Write (tick, lots) of the levels from the best on; return how many there were."""
        return write_depth(&self.book, side, out)

    def volume_to(self, unsigned int side, i64 tick):
        """Return the lots from the best to a tick, both included."""
        cdef i64 limit = key_of(side, tick), total = 0
        cdef i64 at = self.book.side[side].best
        while at >= limit and at != EMPTY:
            total += _levels.get(&self.book.side[side], at)
            at = _levels.below(&self.book.side[side], at)
        return total

    def apply(self, const Row[::1] rows):
        """Apply rows in order."""
        if rows.shape[0]:
            with nogil:
                apply_rows(&self.book, &rows[0], &rows[0] + rows.shape[0])
            self.check()

    cdef int check(self) except -1:
        if failed(&self.book):
            raise MemoryError
        return 0


cdef Py_ssize_t write_depth(L2* book, unsigned int side, i64[:, ::1] out) noexcept nogil:
    cdef Py_ssize_t n = 0
    cdef i64 at = book.side[side].best
    while n < out.shape[0] and at != EMPTY:
        out[n, 0], out[n, 1] = key_of(side, at), _levels.get(&book.side[side], at)
        n += 1
        at = _levels.below(&book.side[side], at)
    return n


def run_through(BookState state, const Row[::1] rows, const Message[::1] messages, const int[::1] stream):
    """Apply a whole stream."""
    cdef Py_ssize_t k, n_messages = messages.shape[0], n_rows = rows.shape[0]
    cdef const Row* end
    cdef const Row* row
    with nogil:
        for k in range(stream.shape[0]):
            row = rows_of(&rows[0], &messages[0], n_messages, n_rows, stream[k], &end)
            apply_rows(&state.book, row, end)
    state.check()


def quotes_at(BookState state, const Row[::1] rows, const Message[::1] messages, const int[::1] stream,
              const i64[::1] stream_time, const i64[::1] at, i64[:, ::1] out):
    """Write (bid tick, ask tick, bid lots, ask lots) after all entries with time <= each of `at`; 0 for none."""
    cdef Py_ssize_t k = 0, j, side, n_messages = messages.shape[0], n_rows = rows.shape[0]
    cdef const Row* end
    cdef const Row* row
    cdef i64 key
    with nogil:
        for j in range(at.shape[0]):
            while k < stream.shape[0] and stream_time[k] <= at[j]:
                row = rows_of(&rows[0], &messages[0], n_messages, n_rows, stream[k], &end)
                apply_rows(&state.book, row, end)
                k += 1
            for side in range(2):
                key = state.book.side[side].best
                out[j, side] = key_of(side, key) if key != EMPTY else 0
                out[j, 2 + side] = _levels.get(&state.book.side[side], key) if key != EMPTY else 0
    state.check()


def depth_at(BookState state, const Row[::1] rows, const Message[::1] messages, const int[::1] stream,
             const i64[::1] stream_time, const i64[::1] at, i64[:, :, :, ::1] out):
    """Write, for each of `at`, both sides' levels from the best on as (tick, lots); what is not there stays."""
    cdef Py_ssize_t k = 0, j, side, n_messages = messages.shape[0], n_rows = rows.shape[0]
    cdef const Row* end
    cdef const Row* row
    with nogil:
        for j in range(at.shape[0]):
            while k < stream.shape[0] and stream_time[k] <= at[j]:
                row = rows_of(&rows[0], &messages[0], n_messages, n_rows, stream[k], &end)
                apply_rows(&state.book, row, end)
                k += 1
            for side in range(2):
                write_depth(&state.book, side, out[j, side])
    state.check()


cdef inline double queue_flow(i64 key, i64 lots, i64 key_was, i64 lots_was) noexcept nogil:
    # A better price counts its whole queue as new, a worse one counts the old queue as gone (Cont et al., 2014).
    return <double> lots * (key >= key_was) - <double> lots_was * (key <= key_was)


def flows_between(BookState state, const Row[::1] rows, const Message[::1] messages, const int[::1] stream,
                  const i64[::1] stream_time, const i64[::1] edges, double[:, ::1] out):
    """Write (order flow imbalance, mean lots at the best quotes, bought lots, sold lots) of each span between edges.

    A span holds the entries with edge[j] <= time < edge[j + 1]. The quotes are compared after every message; the mean
    is over time, of the half-sum of both best queues, while both exist; NaN if they never do.
    """
    cdef Py_ssize_t k = 0, j = -1, side, n_messages = messages.shape[0], n_rows = rows.shape[0]
    cdef Py_ssize_t n = edges.shape[0] - 1
    cdef const Row* end
    cdef const Row* row
    cdef i64[2] key
    cdef i64[2] lots
    cdef i64[2] key_was
    cdef i64[2] lots_was
    cdef i64 now, since
    cdef double weight = 0.0
    cdef bint known = False
    with nogil:
        key_was[0] = key_was[1] = EMPTY
        lots_was[0] = lots_was[1] = 0
        since = edges[0]
        for k in range(stream.shape[0] + 1):
            now = stream_time[k] if k < stream.shape[0] else edges[n]
            while j < n and (j < 0 or now >= edges[j + 1]):  # close the spans that end before this entry
                if j >= 0:
                    if known:
                        weight += <double> (edges[j + 1] - since)
                        out[j, 1] += <double> (edges[j + 1] - since) * 0.5 * <double> (lots_was[0] + lots_was[1])
                    out[j, 1] = out[j, 1] / weight if weight > 0.0 else NAN
                    since, weight = edges[j + 1], 0.0
                elif now < edges[0]:
                    break
                j += 1
            if k == stream.shape[0] or j >= n:
                break
            row = rows_of(&rows[0], &messages[0], n_messages, n_rows, stream[k], &end)
            apply_rows(&state.book, row, end)
            for side in range(2):
                key[side] = state.book.side[side].best
                lots[side] = _levels.get(&state.book.side[side], key[side]) if key[side] != EMPTY else 0
            if j >= 0:
                while row < end:
                    if row.kind == BUY_TRADE or row.kind == SELL_TRADE:
                        out[j, 2 + (row.kind & 1)] += <double> row.lots
                    row += 1
                if known:
                    weight += <double> (now - since)
                    out[j, 1] += <double> (now - since) * 0.5 * <double> (lots_was[0] + lots_was[1])
                    if key[0] != EMPTY and key[1] != EMPTY:
                        out[j, 0] += (queue_flow(key[0], lots[0], key_was[0], lots_was[0])
                                      - queue_flow(key[1], lots[1], key_was[1], lots_was[1]))
                since = now
            known = key[0] != EMPTY and key[1] != EMPTY
            for side in range(2):
                key_was[side], lots_was[side] = key[side], lots[side]
    state.check()
