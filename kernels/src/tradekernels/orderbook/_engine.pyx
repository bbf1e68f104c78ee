"""The clock of a replay with own orders (LOB-10, LOB-16). From: a feed, and the requests of _desk.pxd. To: the same.

Own orders never change a replayed book, so the venue and the trader meet only in letters. A stretch of time is therefore
run in three sweeps: the venue's rows with the requests that arrive among them, the trader's rows, then the answers. The
order of events that LOB-10 asks for (trader's row, answer, venue's row, request) survives within each of them.

Any number of traders share the rows and both books.
"""

from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

import numpy as np

from . cimport _book, _desk, _mail, _own_orders, _venue
from ._account cimport Account
from ._latency cimport LetterLatency
from ._levels cimport NEVER
from ._own_orders cimport Order
from ._venue cimport Fill, Trader


cdef extern from *:
    """
    #define TK_AFTER_THE_END 60000000000LL
    """
    const i64 AFTER_THE_END "TK_AFTER_THE_END"  # ns


cdef class Engine:
    """A feed on its way past one or more traders."""

    def __cinit__(self, feed, int n_traders):
        cdef int k
        self.venue, self.view = BookState(), BookState()
        self.kept = feed
        self.row_view, self.message_view = feed.rows, feed.messages
        self.venue_stream, self.trader_stream = feed.venue_stream, feed.trader_stream
        self.n_rows, self.n_messages = self.row_view.shape[0], self.message_view.shape[0]
        self.n_venue, self.n_trader = self.venue_stream.shape[0], self.trader_stream.shape[0]
        self.rows = &self.row_view[0] if self.n_rows else NULL
        self.messages = &self.message_view[0] if self.n_messages else NULL
        self.trader_time = feed.first_time_ns
        self.floor.now = self.floor.time = self.trader_time
        self.floor.next_arrival = NEVER
        self.floor.book, self.floor.rows = &self.venue.book, self.rows
        if feed.born is not None and self.n_rows:
            self.born_view = feed.born
            self.floor.born = &self.born_view[0]
        self.floor.trader = <Trader*> calloc(n_traders, sizeof(Trader))
        if not _own_orders.create(&self.floor.orders) or self.floor.trader == NULL:
            raise MemoryError
        self.floor.n_traders = n_traders
        for k in range(n_traders):
            self.floor.trader[k].first_own = -1
            self.floor.trader[k].requests.newest = self.floor.now  # which may lie before 1970
            self.floor.trader[k].answers.newest = self.floor.trader[k].losses.newest = self.floor.now

    def __dealloc__(self):
        cdef int k
        for k in range(self.floor.n_traders):
            free(self.floor.trader[k].requests.letter)
            free(self.floor.trader[k].answers.letter)
            free(self.floor.trader[k].losses.letter)
        free(self.floor.trader)
        free(self.floor.tape)
        _own_orders.destroy(&self.floor.orders)

    def set_up(self, int who, int queue_model, double queue_n, tuple units, bint partial, int fee_basis, tuple fees,
               dict latency):
        """Give a trader its models; models.py has checked them."""
        cdef Trader* t = &self.floor.trader[who]
        cdef Account* a = &t.account
        cdef LetterLatency* l = &t.latency
        cdef const i64[::1] times
        cdef int k
        t.queue_model, t.queue_n, t.partial = queue_model, queue_n, partial
        t.unit_numerator, t.unit_denominator = units
        t.lot = t.unit_numerator / t.unit_denominator
        a.fee_basis = fee_basis
        a.maker.numerator, a.maker.denominator, a.taker.numerator, a.taker.denominator = fees
        l.kind, l.entry, l.response = latency["kind"], latency["entry"], latency["response"]
        l.entry_factor, l.response_factor = latency["factors"]
        l.request.base, l.request.jitter, l.request.spike_probability, l.request.spike_multiple = latency["draw"]
        l.request.timeout, l.retries, l.seed = latency["timeout"], latency["retries"], latency["seed"]
        for k in range(168):
            l.request.hour_of_week[k] = latency["hours"][k]
        l.answer = l.request
        l.answer.timeout = float("inf")
        if latency["table"] is not None:
            self.kept = (self.kept, latency["table"])
            times = latency["table"][0]
            l.n, l.request_time = times.shape[0], &times[0]
            times = latency["table"][1]
            l.exchange_time = &times[0]
            times = latency["table"][2]
            l.response_time = &times[0]

    # What time does.

    cdef void elapse_to(self, i64 until) noexcept nogil:
        """Handle all events with time <= until."""
        cdef int k
        self.run_venue(until, False)
        self.run_view(until)
        for k in range(self.floor.n_traders):
            _desk.deliver(&self.floor, k, until)
        self.floor.now = until

    cdef bint goes_on(self, int who) noexcept nogil:
        """Whether a trader has something to wait for.

        Rows, or for at most AFTER_THE_END letters of its own: those who always send would never come to an end.
        """
        cdef Trader* t = &self.floor.trader[who]
        return not self.over() or (self.floor.now - max(self.floor.time, self.trader_time) <= AFTER_THE_END and min(
            _mail.next_time(&t.requests), _desk.next_letter(&self.floor, who)) < NEVER)

    cdef bint over(self) noexcept nogil:
        """Whether every row of the feed has happened, in both streams."""
        return self.venue_at == self.n_venue and self.trader_at == self.n_trader

    cdef const Row* end_of(self, Py_ssize_t message) noexcept nogil:
        return self.rows + (self.messages[message + 1].first_row if message + 1 < self.n_messages else self.n_rows)

    cdef void run_venue(self, i64 until, bint stop_at_answer) noexcept nogil:
        """Take the venue to a time: its rows, and behind those of an equal time, the requests that arrive."""
        cdef Py_ssize_t m
        cdef i64 time
        cdef const Row* row
        cdef Venue* v = &self.floor
        v.first_answer = NEVER
        while True:
            time = NEVER
            if self.venue_at < self.n_venue:
                m = self.venue_stream[self.venue_at]
                time = max(self.messages[m].exchange_time_ns, v.time)
            if stop_at_answer:
                until = min(until, v.first_answer)
            if v.next_arrival < time:
                if v.next_arrival > until:
                    return
                self.arrivals()
                continue
            if time > until or time == NEVER:
                return
            v.time = time
            v.feed = max(0, self.messages[m].local_time_ns - time)
            row = self.rows + self.messages[m].first_row
            if v.orders.n_resting[0] + v.orders.n_resting[1]:
                _venue.apply_rows(v, row, self.end_of(m))
            else:
                _book.apply_rows(v.book, row, self.end_of(m))
            self.venue_at += 1

    cdef void arrivals(self) noexcept nogil:
        """Handle all requests that arrive at the time of the next one."""
        cdef int k
        cdef i64 time = self.floor.next_arrival
        self.floor.next_arrival = NEVER
        self.floor.next_row = self.n_rows
        if self.venue_at < self.n_venue:
            self.floor.next_row = self.messages[self.venue_stream[self.venue_at]].first_row
        for k in range(self.floor.n_traders):
            while _mail.next_time(&self.floor.trader[k].requests) == time:
                _venue.arrive(&self.floor, k)
            self.floor.next_arrival = min(self.floor.next_arrival, _mail.next_time(&self.floor.trader[k].requests))

    cdef void run_view(self, i64 until) noexcept nogil:
        """Take the trader's book to a time."""
        cdef Py_ssize_t m
        cdef i64 time
        while self.trader_at < self.n_trader:
            m = self.trader_stream[self.trader_at]
            time = max(self.messages[m].local_time_ns, self.trader_time)
            if time > until:
                break
            self.trader_time = time
            self.floor.received = max(0, time - self.messages[m].exchange_time_ns)
            _book.apply_rows(&self.view.book, self.rows + self.messages[m].first_row, self.end_of(m))
            self.trader_at += 1

    cdef int check(self) except -1:
        cdef int k
        if self.floor.failed or _book.failed(&self.venue.book) or _book.failed(&self.view.book):
            raise MemoryError
        for k in range(self.floor.n_traders):
            if self.floor.trader[k].account.overflow:
                raise OverflowError("money is beyond 4e18 ticks * lots or fee steps, expected smaller sums")
        return 0

    # For Python.

    @property
    def now(self):
        return self.floor.now

    cdef int at_rest(self) except -1:
        """Keep other threads out of a replay at work: it has no locks of its own."""
        if self.busy:
            raise RuntimeError("the replay is at work in another thread, expected to be at rest")
        return 0

    def elapse(self, i64 until):
        """Handle all events with time <= until; return whether the first trader has something to wait for."""
        cdef bint more
        self.at_rest()
        self.busy = True
        with nogil:
            self.elapse_to(until)
            more = self.goes_on(0)
        self.busy = False
        self.check()
        return more

    def elapse_to_answer(self, i64 until):
        """As `elapse`, but no further than to the next answer to any trader."""
        cdef bint more
        cdef int k
        self.at_rest()
        self.busy = True
        with nogil:
            for k in range(self.floor.n_traders):
                until = min(until, _desk.next_letter(&self.floor, k))
            self.run_venue(until, True)
            self.elapse_to(min(until, self.floor.first_answer))
            more = self.goes_on(0)
        self.busy = False
        self.check()
        return more

    def submit(self, int who, i64 id, unsigned char side, int tick, i64 lots, unsigned char force):
        cdef int slot
        self.at_rest()
        slot = _desk.submit(&self.floor, who, id, side, tick, lots, force)
        self.check()
        return slot

    def ask(self, int slot, unsigned char kind, int tick, i64 lots):
        """Request CANCEL or MODIFY."""
        self.at_rest()
        _desk.request(&self.floor, slot, kind, tick, lots)
        self.check()

    def order(self, int slot):
        """Return what the trader knows of an order: (id, side, tick, lots, leaves, status, pending, submit_ns)."""
        self.at_rest()
        cdef Order* o = &self.floor.orders.order[slot]
        return o.id, o.side, o.tick, o.lots, o.leaves, o.status, o.pending, o.submit_ns

    def front(self, int slot):
        """Return what rests before an order at the venue, in the units of its queue model; NaN unless it rests."""
        self.at_rest()
        cdef Order* o = &self.floor.orders.order[slot]
        return o.front if o.resting else float("nan")

    def release(self, int slot):
        """Forget a finished order that no letter names; return whether that could be done."""
        self.at_rest()
        cdef Order* o = &self.floor.orders.order[slot]
        if not o.finished or o.in_flight or o.resting:
            return False
        _desk.forget(&self.floor, slot)
        return True

    def account(self, int who):
        """Return (position, cash, fee, n_fills, volume, value, n_submits, n_cancels) as exact integers."""
        self.at_rest()
        cdef Account* a = &self.floor.trader[who].account
        return a.position, a.cash, a.fee, a.n_fills, a.volume, a.value, a.n_submits, a.n_cancels

    def fills(self, dtype, i64 until):
        """Return the fills that have been reported by a time."""
        self.at_rest()
        out = np.empty(self.floor.n_tape, dtype)
        cdef Fill[::1] view = out
        if self.floor.n_tape:
            memcpy(&view[0], self.floor.tape, self.floor.n_tape * sizeof(Fill))
        return out[out["local_time_ns"] <= until]
