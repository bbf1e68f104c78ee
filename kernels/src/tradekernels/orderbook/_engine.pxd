# cython: language_level=3
"""The replay: a venue's book that fills own orders, and a trader's book. Loops of strategies cimport it."""

from ._book cimport BookState
from ._latency cimport Latency
from ._levels cimport i64, u64
from ._mail cimport Letter, Mailbox
from ._records cimport Message, Row

cdef enum Force:
    GTC, IOC, FOK, GTX

cdef enum Status:
    SENT, WORKING, PARTLY_FILLED, FILLED, CANCELED, EXPIRED, REJECTED

cdef enum Request:
    NOTHING, NEW, CANCEL, MODIFY

cdef enum Answer:
    ACCEPTED, TRADED, GONE, UNFILLABLE, REFUSED, CHANGED, LOST


cdef struct Order:
    i64 id
    i64 submit_ns
    i64 request_ns    # newest request about it
    i64 lots          # as submitted, or as last modified
    i64 leaves        # what the trader knows to be left
    i64 venue_leaves
    i64 born          # row of the venue's stream at which it queued
    double front      # what rests before it, in the units of the queue model
    double traded     # at its tick since the last SET
    int tick          # what the trader knows
    int venue_tick
    int next, previous          # orders of its bucket of ticks, at the venue
    int next_own, previous_own  # orders of its trader; next_own chains the free list as well
    int trader
    int in_flight     # letters about it that are under way
    unsigned char side, force, resting, status, pending, finished


cdef packed struct Fill:
    i64 exchange_time_ns
    i64 local_time_ns
    i64 submit_time_ns
    i64 request_time_ns  # newest request about the order when the fill was reported
    i64 order_id
    i64 lots
    i64 tick
    i64 side          # 1 bought, -1 sold
    i64 maker
    i64 trader


cdef struct Rate:    # a fee in whole fee steps: basis * numerator / denominator
    i64 numerator
    i64 denominator


cdef struct Trader:
    i64 position      # lots
    i64 cash          # ticks * lots
    i64 fee           # fee steps
    i64 n_fills, volume, value  # lots and ticks * lots traded
    i64 n_submits, n_cancels
    int first_own
    int queue_model
    double queue_n
    double unit_numerator, unit_denominator, lot  # lots to the units of the queue model
    bint partial
    int fee_basis     # 0 value, 1 quantity, 2 fill
    Rate maker, taker
    Latency latency
    Mailbox requests, answers, losses
    bint changed      # an answer came since the strategy last looked
    bint overflow


cdef class Engine:
    cdef readonly BookState venue, view
    cdef const Row[::1] row_view
    cdef const Message[::1] message_view
    cdef const int[::1] venue_stream, trader_stream
    cdef const int[::1] born_view
    cdef object kept
    cdef const Row* rows
    cdef const Message* messages
    cdef const int* born
    cdef Py_ssize_t n_rows, n_messages, n_venue, n_trader
    cdef readonly Py_ssize_t venue_at, trader_at   # entries of the streams that have happened
    cdef i64 venue_time, trader_time, venue_feed, trader_feed  # times of the newest entries, and their latencies
    cdef readonly i64 now
    cdef i64 next_arrival, horizon
    cdef bint stop_at_answer
    cdef int* head[2]
    cdef i64 best_own[2]
    cdef i64 n_resting[2]
    cdef Order* orders
    cdef int n_orders, room, free_order
    cdef Trader* trader
    cdef readonly int n_traders
    cdef Fill* tape
    cdef Py_ssize_t n_tape, tape_room
    cdef readonly bint failed

    cdef bint elapse_to(self, i64 until) noexcept nogil
    cdef bint run_venue(self, i64 until) noexcept nogil
    cdef void run_view(self, i64 until) noexcept nogil
    cdef void deliver(self, int who, i64 until) noexcept nogil
    cdef int submit_order(self, int who, i64 id, unsigned char side, int tick, i64 lots,
                          unsigned char force) noexcept nogil
    cdef void request(self, int order, unsigned char kind, int tick, i64 lots) noexcept nogil
    cdef void forget(self, int order) noexcept nogil
    cdef void venue_rows(self, const Row* row, const Row* end) noexcept nogil
    cdef void on_set(self, unsigned int side, int tick, i64 was, i64 now, Py_ssize_t row) noexcept nogil
    cdef void on_trade(self, const Row* row) noexcept nogil
    cdef void fill_between(self, unsigned int side, i64 low, i64 high) noexcept nogil
    cdef void arrivals(self) noexcept nogil
    cdef void arrive(self, int who) noexcept nogil
    cdef void place(self, int order, i64 time) noexcept nogil
    cdef i64 born_row(self) noexcept nogil
    cdef void rest(self, int order) noexcept nogil
    cdef void unrest(self, int order) noexcept nogil
    cdef i64 own_below(self, unsigned int side, i64 key) noexcept nogil
    cdef void fill(self, int order, i64 time, i64 lots, int tick, bint maker) noexcept nogil
    cdef void answer(self, int order, i64 time, int kind, i64 lots, int tick, bint maker) noexcept nogil
    cdef void settle(self, Trader* t, const Order* o, const Letter* letter) noexcept nogil
    cdef int check(self) except -1
