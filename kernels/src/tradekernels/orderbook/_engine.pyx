"""The clock of a replay with own orders (LOB-10, LOB-16). From: a feed and requests. To: answers, fills, accounts.

Own orders never change a replayed book, so the venue and the trader meet only in letters. A stretch of time is therefore
run in three sweeps: the venue's rows with the requests that arrive among them, the trader's rows, then the answers. The
order of events that LOB-10 asks for (trader's row, answer, venue's row, request) survives within each of them.

Any number of traders share the rows and both books.
"""

from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

import numpy as np

from . cimport _account, _book, _latency, _mail, _own_orders, _venue
from ._account cimport Account
from ._latency cimport LetterLatency
from ._levels cimport NEVER
from ._mail cimport Letter
from ._own_orders cimport (CANCEL, CANCELED, EXPIRED, FILLED, NEW, NOTHING, PARTLY_FILLED, REJECTED, SENT, WORKING,
                           Order)
from ._venue cimport ACCEPTED, CHANGED, GONE, LOST, TRADED, UNFILLABLE, Fill, Trader


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
        self.now = self.trader_time = feed.first_time_ns
        self.next_arrival = NEVER
        self.floor.book, self.floor.rows, self.floor.time = &self.venue.book, self.rows, self.now
        if feed.born is not None and self.n_rows:
            self.born_view = feed.born
            self.floor.born = &self.born_view[0]
        self.floor.trader = <Trader*> calloc(n_traders, sizeof(Trader))
        if not _own_orders.create(&self.floor.orders) or self.floor.trader == NULL:
            raise MemoryError
        self.floor.n_traders = n_traders
        for k in range(n_traders):
            self.floor.trader[k].first_own = -1
            self.floor.trader[k].requests.newest = self.now  # which may lie before 1970
            self.floor.trader[k].answers.newest = self.floor.trader[k].losses.newest = self.now

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

    # What a trader does.

    cdef int submit_order(self, int who, i64 id, unsigned char side, int tick, i64 lots,
                          unsigned char force) noexcept nogil:
        """Send a new order; return its slot, or -1 without memory."""
        cdef Trader* t = &self.floor.trader[who]
        cdef Order* o
        cdef int slot = _own_orders.new_slot(&self.floor.orders)
        if slot < 0:
            self.floor.failed = True
            return -1
        o = &self.floor.orders.order[slot]
        o.id, o.number, o.submit_ns = id, t.account.n_submits, self.now
        o.lots, o.leaves, o.venue_leaves, o.tick, o.venue_tick = lots, lots, lots, tick, tick
        o.side, o.force, o.trader, o.status = side, force, who, SENT
        o.next_own, o.previous_own = t.first_own, -1
        if t.first_own >= 0:
            self.floor.orders.order[t.first_own].previous_own = slot
        t.first_own = slot
        t.account.n_submits += 1
        self.request(slot, NEW, tick, lots)
        return slot

    cdef void request(self, int slot, unsigned char kind, int tick, i64 lots) noexcept nogil:
        """Post a request about an order, or the news that it got lost."""
        cdef Order* o = &self.floor.orders.order[slot]
        cdef Trader* t = &self.floor.trader[o.trader]
        cdef bint lost
        cdef Letter letter = Letter(time=0, lots=lots, leaves=0, fill=-1, order=slot, tick=tick, kind=kind, maker=False)
        letter.time = self.now + _latency.entry_ns(
            &t.latency, self.now, self.trader_feed, o.number, o.n_requests, &lost)
        o.pending, o.request_ns = kind, self.now
        o.n_requests += 1
        o.in_flight += 1
        t.account.n_cancels += kind == CANCEL
        if lost:
            letter.kind = LOST
        if not _mail.post(&t.losses if lost else &t.requests, &letter):
            self.floor.failed = True
        self.next_arrival = min(self.next_arrival, _mail.next_time(&t.requests))

    cdef void forget(self, int slot) noexcept nogil:
        """Take a finished order, which no letter names, off its trader's list, and free its slot."""
        cdef Order* order = self.floor.orders.order
        cdef Order* o = &order[slot]
        if o.previous_own >= 0:
            order[o.previous_own].next_own = o.next_own
        else:
            self.floor.trader[o.trader].first_own = o.next_own
        if o.next_own >= 0:
            order[o.next_own].previous_own = o.previous_own
        o.next_own, self.floor.orders.unused = self.floor.orders.unused, slot

    # What time does.

    cdef void elapse_to(self, i64 until) noexcept nogil:
        """Handle all events with time <= until."""
        cdef int k
        self.run_venue(until, False)
        self.run_view(until)
        for k in range(self.floor.n_traders):
            self.deliver(k, until)
        self.now = until

    cdef bint goes_on(self, int who) noexcept nogil:
        """Whether a trader has something to wait for.

        Rows, or for at most AFTER_THE_END letters of its own: those who always send would never come to an end.
        """
        cdef Trader* t = &self.floor.trader[who]
        return not self.over() or (self.now - max(self.floor.time, self.trader_time) <= AFTER_THE_END and min(
            _mail.next_time(&t.requests), _mail.next_time(&t.answers), _mail.next_time(&t.losses)) < NEVER)

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
            if self.next_arrival < time:
                if self.next_arrival > until:
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
        cdef i64 time = self.next_arrival
        self.next_arrival = NEVER
        self.floor.next_row = self.n_rows
        if self.venue_at < self.n_venue:
            self.floor.next_row = self.messages[self.venue_stream[self.venue_at]].first_row
        for k in range(self.floor.n_traders):
            while _mail.next_time(&self.floor.trader[k].requests) == time:
                _venue.arrive(&self.floor, k)
            self.next_arrival = min(self.next_arrival, _mail.next_time(&self.floor.trader[k].requests))

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
            self.trader_feed = max(0, time - self.messages[m].exchange_time_ns)
            _book.apply_rows(&self.view.book, self.rows + self.messages[m].first_row, self.end_of(m))
            self.trader_at += 1

    cdef void deliver(self, int who, i64 until) noexcept nogil:
        """Tell a trader what the venue answered, and what got lost, up to a time."""
        cdef Trader* t = &self.floor.trader[who]
        cdef Letter letter
        cdef Order* o
        cdef i64 answered, lost
        while True:
            answered, lost = _mail.next_time(&t.answers), _mail.next_time(&t.losses)
            if min(answered, lost) > until:
                return
            letter = _mail.take(&t.answers if answered <= lost else &t.losses)
            o = &self.floor.orders.order[letter.order]
            t.changed = True
            o.in_flight -= 1
            if letter.kind == TRADED:
                o.leaves = letter.leaves
                o.status = FILLED if letter.leaves == 0 else PARTLY_FILLED
                self.floor.tape[letter.fill].request_time_ns = o.request_ns
                _account.book_fill(&t.account, o.side, letter.tick, letter.lots, letter.maker)
            elif letter.kind == ACCEPTED:
                o.status = WORKING if o.status == SENT else o.status
            elif letter.kind == GONE:
                o.status = CANCELED
            elif letter.kind == UNFILLABLE:
                o.status = EXPIRED
            elif letter.kind == CHANGED:
                o.tick, o.lots, o.leaves = letter.tick, letter.lots, letter.leaves
            elif letter.kind == LOST and o.pending == NEW:
                o.status = REJECTED
            o.finished = o.status >= FILLED
            # A fill and an acceptance also follow older requests than the pending one, which only its own answer ends.
            if o.pending == NEW or not (letter.kind == TRADED or letter.kind == ACCEPTED):
                o.pending = NOTHING

    cdef i64 next_answer(self) noexcept nogil:
        """Return the time of the first letter on its way to any trader."""
        cdef int k
        cdef i64 time = NEVER
        for k in range(self.floor.n_traders):
            time = min(time, _mail.next_time(&self.floor.trader[k].answers),
                       _mail.next_time(&self.floor.trader[k].losses))
        return time

    cdef int check(self) except -1:
        cdef int k
        if self.floor.failed or _book.failed(&self.venue.book) or _book.failed(&self.view.book):
            raise MemoryError
        for k in range(self.floor.n_traders):
            if self.floor.trader[k].account.overflow:
                raise OverflowError("money is beyond 4e18 ticks * lots or fee steps, expected smaller sums")
        return 0

    # For Python.

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
        self.at_rest()
        self.busy = True
        with nogil:
            until = min(until, self.next_answer())
            self.run_venue(until, True)
            self.elapse_to(min(until, self.floor.first_answer))
            more = self.goes_on(0)
        self.busy = False
        self.check()
        return more

    def submit(self, int who, i64 id, unsigned char side, int tick, i64 lots, unsigned char force):
        cdef int slot
        self.at_rest()
        slot = self.submit_order(who, id, side, tick, lots, force)
        self.check()
        return slot

    def ask(self, int slot, unsigned char kind, int tick, i64 lots):
        """Request CANCEL or MODIFY."""
        self.at_rest()
        self.request(slot, kind, tick, lots)
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
        self.forget(slot)
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
