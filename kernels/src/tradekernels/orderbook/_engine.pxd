# cython: language_level=3
"""The replay: a venue's book that fills own orders, and a trader's book. Loops of strategies cimport it."""

from ._book cimport BookState
from ._levels cimport i64
from ._records cimport Message, Row
from ._venue cimport Venue


cdef class Engine:
    cdef readonly BookState venue, view
    cdef Venue floor
    cdef const Row[::1] row_view
    cdef const Message[::1] message_view
    cdef const int[::1] venue_stream, trader_stream, born_view
    cdef object kept
    cdef const Row* rows
    cdef const Message* messages
    cdef Py_ssize_t n_rows, n_messages, n_venue, n_trader
    cdef readonly Py_ssize_t venue_at, trader_at   # entries of the streams that have happened
    cdef i64 trader_time                           # of the trader's newest message
    cdef bint busy                                 # time passes, without the GIL

    cdef void elapse_to(self, i64 until) noexcept nogil
    cdef bint goes_on(self, int who) noexcept nogil
    cdef bint over(self) noexcept nogil
    cdef void run_venue(self, i64 until, bint stop_at_answer) noexcept nogil
    cdef void run_view(self, i64 until) noexcept nogil
    cdef const Row* end_of(self, Py_ssize_t message) noexcept nogil
    cdef void arrivals(self) noexcept nogil
    cdef int check(self) except -1
    cdef int at_rest(self) except -1
