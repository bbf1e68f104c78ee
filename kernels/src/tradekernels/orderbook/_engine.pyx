"""Compiled replay with own orders (LOB-10 to LOB-15). From: a feed and requests. To: answers, fills, positions.

Own orders never change a replayed book, so the venue and the trader meet only in letters. A stretch of time is therefore
run in three sweeps: the venue's rows with the requests that arrive among them, the trader's rows, then the answers. The
order of events that LOB-10 asks for (trader's row, answer, venue's row, request) survives within each of them.

Any number of traders share the rows and both books (LOB-16). Their resting orders hang in buckets of ticks, so a row
finds those that it concerns with one look, whoever owns them.
"""

from libc.math cimport fabs, round
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

import numpy as np

from . cimport _book, _latency, _levels, _mail, _queue
from ._levels cimport EMPTY, NEVER
from ._records cimport BUY_TRADE, SELL_TRADE, SET_ASK

cdef enum:
    BUCKETS = 65536
    NEARBY = 4096  # ticks looked at one by one before all orders are


cdef class Engine:
    """A feed on its way past one or more traders."""

    def __cinit__(self, feed, int n_traders):
        cdef int k, side
        self.venue, self.view = BookState(), BookState()
        self.kept = feed
        self.row_view, self.message_view = feed.rows, feed.messages
        self.venue_stream, self.trader_stream = feed.venue_stream, feed.trader_stream
        self.n_rows, self.n_messages = self.row_view.shape[0], self.message_view.shape[0]
        self.n_venue, self.n_trader = self.venue_stream.shape[0], self.trader_stream.shape[0]
        self.rows = &self.row_view[0] if self.n_rows else NULL
        self.messages = &self.message_view[0] if self.n_messages else NULL
        if feed.born is not None and self.n_rows:
            self.born_view = feed.born
            self.born = &self.born_view[0]
        self.now = self.venue_time = self.trader_time = feed.first_time_ns
        self.next_arrival, self.horizon, self.free_order = NEVER, NEVER, -1
        for side in range(2):
            self.head[side] = <int*> malloc(BUCKETS * sizeof(int))
            if self.head[side] == NULL:
                raise MemoryError
            memset(self.head[side], 0xff, BUCKETS * sizeof(int))
            self.best_own[side] = EMPTY
        self.trader = <Trader*> calloc(n_traders, sizeof(Trader))
        if self.trader == NULL:
            raise MemoryError
        self.n_traders = n_traders
        for k in range(n_traders):
            self.trader[k].first_own = -1

    def __dealloc__(self):
        cdef int k
        for k in range(self.n_traders):
            free(self.trader[k].requests.letter)
            free(self.trader[k].answers.letter)
            free(self.trader[k].losses.letter)
        free(self.trader)
        free(self.orders)
        free(self.tape)
        free(self.head[0])
        free(self.head[1])

    def set_up(self, int who, int queue_model, double queue_n, tuple units, bint partial, int fee_basis, tuple fees,
               dict latency):
        """Give a trader its models; replay.py has checked them."""
        cdef Trader* t = &self.trader[who]
        cdef Latency* l = &t.latency
        cdef const i64[::1] times
        cdef int k
        t.queue_model, t.queue_n, t.partial, t.fee_basis = queue_model, queue_n, partial, fee_basis
        t.unit_numerator, t.unit_denominator = units
        t.lot = t.unit_numerator / t.unit_denominator
        t.maker.numerator, t.maker.denominator, t.taker.numerator, t.taker.denominator = fees
        l.kind, l.entry, l.response = latency["kind"], latency["entry"], latency["response"]
        l.entry_factor, l.response_factor = latency["factors"]
        l.base, l.jitter, l.spike_probability, l.spike_multiple = latency["draw"]
        l.timeout, l.retries, l.seed = latency["timeout"], latency["retries"], latency["seed"]
        for k in range(168):
            l.hour[k] = latency["hours"][k]
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
        cdef Trader* t = &self.trader[who]
        cdef Order* o
        cdef Order* grown
        cdef int slot
        if self.free_order >= 0:
            slot = self.free_order
            self.free_order = self.orders[slot].next_own
        else:
            if self.n_orders == self.room:
                grown = <Order*> realloc(self.orders, (2 * self.room + 256) * sizeof(Order))
                if grown == NULL:
                    self.failed = True
                    return -1
                self.orders, self.room = grown, 2 * self.room + 256
            slot = self.n_orders
            self.n_orders += 1
        o = &self.orders[slot]
        memset(o, 0, sizeof(Order))
        o.id, o.submit_ns, o.lots, o.leaves, o.venue_leaves = id, self.now, lots, lots, lots
        o.tick, o.venue_tick, o.side, o.force, o.trader = tick, tick, side, force, who
        o.status, o.next, o.previous = SENT, -1, -1
        o.next_own, o.previous_own = t.first_own, -1
        if t.first_own >= 0:
            self.orders[t.first_own].previous_own = slot
        t.first_own = slot
        t.n_submits += 1
        self.request(slot, NEW, tick, lots)
        return slot

    cdef void request(self, int order, unsigned char kind, int tick, i64 lots) noexcept nogil:
        """Post a request about an order, or the news that it got lost."""
        cdef Order* o = &self.orders[order]
        cdef Trader* t = &self.trader[o.trader]
        cdef bint lost
        cdef Letter letter = Letter(time=0, lots=lots, leaves=0, fill=-1, order=order, tick=tick, kind=kind, maker=False)
        letter.time = self.now + _latency.entry_ns(&t.latency, self.now, self.trader_feed, &lost)
        o.pending, o.request_ns = kind, self.now
        o.in_flight += 1
        t.n_cancels += kind == CANCEL
        if lost:
            letter.kind = LOST
            if not _mail.post(&t.losses, &letter):
                self.failed = True
        else:
            if not _mail.post(&t.requests, &letter):
                self.failed = True
            self.next_arrival = min(self.next_arrival, _mail.next_time(&t.requests))

    cdef bint elapse_to(self, i64 until) noexcept nogil:
        """Handle all events with time <= until; return whether any event is left after it."""
        cdef int k
        cdef bint more
        self.run_venue(until)
        self.run_view(until)
        more = self.venue_at < self.n_venue or self.trader_at < self.n_trader or self.next_arrival < NEVER
        for k in range(self.n_traders):
            self.deliver(k, until)
            more = more or self.trader[k].answers.head < self.trader[k].answers.tail or (
                self.trader[k].losses.head < self.trader[k].losses.tail)
        self.now = until
        return more

    cdef void run_view(self, i64 until) noexcept nogil:
        """Take the trader's book to a time."""
        cdef Py_ssize_t m
        cdef i64 time
        cdef const Row* end
        while self.trader_at < self.n_trader:
            m = self.trader_stream[self.trader_at]
            time = max(self.messages[m].local_time_ns, self.trader_time)
            if time > until:
                break
            self.trader_time = time
            self.trader_feed = time - self.messages[m].exchange_time_ns
            end = self.rows + (self.messages[m + 1].first_row if m + 1 < self.n_messages else self.n_rows)
            _book.apply_rows(&self.view.book, self.rows + self.messages[m].first_row, end)
            self.trader_at += 1

    cdef void deliver(self, int who, i64 until) noexcept nogil:
        """Tell a trader what the venue answered, and what got lost, up to a time."""
        cdef Trader* t = &self.trader[who]
        cdef Letter letter
        cdef Order* o
        cdef i64 answered, lost
        while True:
            answered, lost = _mail.next_time(&t.answers), _mail.next_time(&t.losses)
            if min(answered, lost) > until:
                return
            letter = _mail.take(&t.answers if answered <= lost else &t.losses)
            o = &self.orders[letter.order]
            t.changed = True
            if letter.kind == TRADED:
                o.in_flight -= 1
                o.leaves = letter.leaves
                o.status = FILLED if letter.leaves == 0 else PARTLY_FILLED
                if o.pending == NEW:
                    o.pending = NOTHING
                self.tape[letter.fill].request_time_ns = o.request_ns
                self.settle(t, o, &letter)
            else:
                o.in_flight -= 1
                if letter.kind == ACCEPTED:
                    o.status = WORKING if o.status == SENT else o.status
                elif letter.kind == GONE:
                    o.status = CANCELED
                elif letter.kind == UNFILLABLE:
                    o.status = EXPIRED
                elif letter.kind == CHANGED:
                    o.tick, o.lots, o.leaves = letter.tick, letter.lots, letter.leaves
                elif letter.kind == LOST and o.pending == NEW:
                    o.status = REJECTED
                o.pending = NOTHING
            o.finished = o.status >= FILLED

    cdef void settle(self, Trader* t, const Order* o, const Letter* letter) noexcept nogil:
        """Book a reported fill: position, cash, fee. All in exact integers."""
        cdef i64 sign = 1 - 2 * <i64> o.side
        cdef i64 value = <i64> letter.tick * letter.lots
        cdef Rate* rate = &t.maker if letter.maker else &t.taker
        cdef i64 basis = value if t.fee_basis == 0 else letter.lots if t.fee_basis == 1 else 1
        cdef i64 product = rate.numerator * basis, whole, rest
        if (fabs(<double> letter.tick * <double> letter.lots) > 9e18
                or fabs(<double> rate.numerator * <double> basis) > 9e18
                or fabs(<double> t.cash) + fabs(<double> value) > 9e18
                or fabs(<double> t.value) + fabs(<double> value) > 9e18
                or fabs(<double> t.fee) + fabs(<double> product) > 9e18):
            t.overflow = True
        whole, rest = product // rate.denominator, product % rate.denominator
        if 2 * (rest if rest >= 0 else -rest) >= rate.denominator:  # half away from zero; cdivision truncates
            whole += 1 if product >= 0 else -1
        t.position += sign * letter.lots
        t.cash -= sign * value
        t.fee += whole
        t.n_fills += 1
        t.volume += letter.lots
        t.value += value

    cdef void forget(self, int order) noexcept nogil:
        """Take a finished order off its trader's list; its slot is free once no letter names it."""
        cdef Order* o = &self.orders[order]
        if o.previous_own >= 0:
            self.orders[o.previous_own].next_own = o.next_own
        else:
            self.trader[o.trader].first_own = o.next_own
        if o.next_own >= 0:
            self.orders[o.next_own].previous_own = o.previous_own
        o.next_own = self.free_order
        self.free_order = order

    # What the venue does.

    cdef bint run_venue(self, i64 until) noexcept nogil:
        """Take the venue to a time: its rows, and behind those of an equal time, the requests that arrive."""
        cdef Py_ssize_t m
        cdef i64 time
        cdef const Row* end
        self.horizon = until
        while True:
            time = NEVER
            if self.venue_at < self.n_venue:
                m = self.venue_stream[self.venue_at]
                time = max(self.messages[m].exchange_time_ns, self.venue_time)
            if self.next_arrival < time:
                if self.next_arrival > self.horizon:
                    return True
                self.arrivals()
                continue
            if time > self.horizon or time == NEVER:
                return time < NEVER
            self.venue_time = time
            self.venue_feed = max(0, self.messages[m].local_time_ns - time)
            end = self.rows + (self.messages[m + 1].first_row if m + 1 < self.n_messages else self.n_rows)
            if self.n_resting[0] + self.n_resting[1]:
                self.venue_rows(self.rows + self.messages[m].first_row, end)
            else:
                _book.apply_rows(&self.venue.book, self.rows + self.messages[m].first_row, end)
            self.venue_at += 1

    cdef void venue_rows(self, const Row* row, const Row* end) noexcept nogil:
        """Apply the rows of one message to the venue's book, and to the own orders that they concern."""
        cdef unsigned int side
        cdef i64 key, best, was
        while row < end:
            if row.kind <= SET_ASK:
                side = row.kind
                key = _book.key_of(side, row.tick)
                best = self.venue.book.side[side].best
                was = _book.set_level(&self.venue.book, side, key, row.lots)
                if self.head[side][row.tick & (BUCKETS - 1)] >= 0:
                    self.on_set(side, row.tick, was, row.lots, row - self.rows)
                # the best came nearer: own orders opposite that it reaches fill, those it had passed before do not
                if self.venue.book.side[side].best > best and self.best_own[side ^ 1] + key >= 0:
                    self.fill_between(side ^ 1, -key, -best - 1 if best != EMPTY else -EMPTY)
            elif row.kind == BUY_TRADE or row.kind == SELL_TRADE:
                side = (row.kind & 1) ^ 1
                if self.best_own[side] >= _book.key_of(side, row.tick):
                    self.on_trade(row)
            else:
                _book.clear(&self.venue.book, row.kind, _book.key_of(row.kind & 1, row.tick))
            row += 1

    cdef void on_set(self, unsigned int side, int tick, i64 was, i64 now, Py_ssize_t row) noexcept nogil:
        """Move the queues of own orders at a tick whose total changed."""
        cdef int k = self.head[side][tick & (BUCKETS - 1)]
        cdef Order* o
        cdef Trader* t
        while k >= 0:
            o = &self.orders[k]
            k = o.next
            if o.venue_tick != tick:
                continue
            t = &self.trader[o.trader]
            if t.queue_model == _queue.FIFO:
                if self.born[row] >= 0 and self.born[row] < o.born:
                    o.front -= <double> (was - now)
            else:
                o.front = _queue.after_set(
                    t.queue_model, t.queue_n, o.front, <double> was * t.unit_numerator / t.unit_denominator,
                    <double> now * t.unit_numerator / t.unit_denominator, o.traded)
                o.traded = 0.0

    cdef void on_trade(self, const Row* row) noexcept nogil:
        """Fill own orders that a trade passed, and move the queues of those at its tick."""
        cdef unsigned int side = (row.kind & 1) ^ 1
        cdef i64 key = _book.key_of(side, row.tick), left
        cdef int k
        cdef Order* o
        cdef Trader* t
        cdef double quantity
        self.fill_between(side, key + 1, -EMPTY)
        k = self.head[side][row.tick & (BUCKETS - 1)]
        while k >= 0:
            o = &self.orders[k]
            if o.venue_tick == row.tick:
                t = &self.trader[o.trader]
                left = 0
                if t.queue_model == _queue.FIFO:  # it took from an order behind this one: this one had its turn
                    if self.born[row - self.rows] >= o.born:
                        left = row.lots
                else:
                    quantity = <double> row.lots * t.unit_numerator / t.unit_denominator
                    o.front -= quantity
                    o.traded += quantity
                    left = <i64> round(-o.front / t.lot)
                    if left > 0:
                        o.front = 0.0
                if left > 0:
                    left = min(left, o.venue_leaves) if t.partial else o.venue_leaves
                    k = o.next
                    self.fill(<int> (o - self.orders), self.venue_time, left, row.tick, True)
                    continue
            k = o.next

    cdef void fill_between(self, unsigned int side, i64 low, i64 high) noexcept nogil:
        """Fill every own order with low <= key <= high, each at its own price."""
        cdef int k, following
        cdef i64 key, tick
        while True:
            key = self.own_below(side, high + 1)
            if key < low or key == EMPTY:
                return
            tick = _book.key_of(side, key)
            k = self.head[side][tick & (BUCKETS - 1)]
            while k >= 0:
                following = self.orders[k].next
                if self.orders[k].venue_tick == tick:
                    self.fill(k, self.venue_time, self.orders[k].venue_leaves, <int> tick, True)
                k = following
            high = key - 1

    cdef i64 own_below(self, unsigned int side, i64 key) noexcept nogil:
        """Return the best key below `key` at which an own order rests, or EMPTY."""
        cdef i64 at, tick, found = EMPTY
        cdef int k
        if self.n_resting[side] == 0:
            return EMPTY
        if self.best_own[side] < key and self.best_own[side] != EMPTY:
            return self.best_own[side]
        for at in range(key - 1, key - 1 - NEARBY, -1):
            tick = _book.key_of(side, at)
            k = self.head[side][tick & (BUCKETS - 1)]
            while k >= 0:
                if self.orders[k].venue_tick == tick:
                    return at
                k = self.orders[k].next
        for k in range(self.n_orders):
            if self.orders[k].resting and self.orders[k].side == side:
                at = _book.key_of(side, self.orders[k].venue_tick)
                if found < at < key:
                    found = at
        return found

    cdef void arrivals(self) noexcept nogil:
        """Handle all requests that arrive at the time of the next one."""
        cdef int k
        cdef i64 time = self.next_arrival
        self.next_arrival = NEVER
        for k in range(self.n_traders):
            while _mail.next_time(&self.trader[k].requests) == time:
                self.arrive(k)
            self.next_arrival = min(self.next_arrival, _mail.next_time(&self.trader[k].requests))

    cdef void arrive(self, int who) noexcept nogil:
        """Handle the next request of a trader."""
        cdef Trader* t = &self.trader[who]
        cdef Letter letter = _mail.take(&t.requests)
        cdef Order* o = &self.orders[letter.order]
        o.in_flight -= 1
        if letter.kind == NEW:
            self.place(letter.order, letter.time)
        elif not o.resting:
            self.answer(letter.order, letter.time, REFUSED, 0, letter.tick, False)
        elif letter.kind == CANCEL:
            self.unrest(letter.order)
            self.answer(letter.order, letter.time, GONE, 0, letter.tick, False)
        elif letter.tick == o.venue_tick and letter.lots <= o.venue_leaves:
            o.venue_leaves = letter.lots
            self.answer(letter.order, letter.time, CHANGED, letter.lots, letter.tick, False)
        else:
            self.unrest(letter.order)
            o.venue_tick, o.venue_leaves = letter.tick, letter.lots
            self.answer(letter.order, letter.time, CHANGED, letter.lots, letter.tick, False)
            self.place(letter.order, letter.time)

    cdef void place(self, int order, i64 time) noexcept nogil:
        """Match a new order against what is displayed, then let it rest or expire."""
        cdef Order* o = &self.orders[order]
        cdef Trader* t = &self.trader[o.trader]
        cdef _levels.Levels* other = &self.venue.book.side[o.side ^ 1]
        cdef i64 key = _book.key_of(o.side, o.venue_tick), at = other.best, left, lots
        if at != EMPTY and key + at >= 0:
            if o.force == GTX:
                self.answer(order, time, UNFILLABLE, 0, o.venue_tick, False)
                return
            if not t.partial:
                self.fill(order, time, o.venue_leaves, <int> _book.key_of(o.side ^ 1, at), False)
                return
            if o.force == FOK:
                left = o.venue_leaves
                while left > 0 and at != EMPTY and key + at >= 0:
                    left -= _levels.get(other, at)
                    at = _levels.below(other, at)
                if left > 0:
                    self.answer(order, time, UNFILLABLE, 0, o.venue_tick, False)
                    return
                at = other.best
            while o.venue_leaves > 0 and at != EMPTY and key + at >= 0:
                lots = min(_levels.get(other, at), o.venue_leaves)
                self.fill(order, time, lots, <int> _book.key_of(o.side ^ 1, at), False)
                at = _levels.below(other, at)
            if o.venue_leaves == 0:
                return
        if o.force == IOC or o.force == FOK:
            self.answer(order, time, UNFILLABLE, 0, o.venue_tick, False)
            return
        o.front = <double> _levels.get(&self.venue.book.side[o.side], key) * t.unit_numerator / t.unit_denominator
        o.traded, o.born = 0.0, self.born_row()
        self.rest(order)
        self.answer(order, time, ACCEPTED, 0, o.venue_tick, False)

    cdef i64 born_row(self) noexcept nogil:
        """Return the row that comes next at the venue: what queued before it is ahead."""
        cdef Py_ssize_t m
        if self.venue_at >= self.n_venue:
            return self.n_rows
        m = self.venue_stream[self.venue_at]
        return self.messages[m].first_row

    cdef void rest(self, int order) noexcept nogil:
        cdef Order* o = &self.orders[order]
        cdef int* head = &self.head[o.side][o.venue_tick & (BUCKETS - 1)]
        cdef i64 key = _book.key_of(o.side, o.venue_tick)
        o.next, o.previous, o.resting = head[0], -1, True
        if head[0] >= 0:
            self.orders[head[0]].previous = order
        head[0] = order
        self.n_resting[o.side] += 1
        if key > self.best_own[o.side]:
            self.best_own[o.side] = key

    cdef void unrest(self, int order) noexcept nogil:
        cdef Order* o = &self.orders[order]
        cdef i64 key = _book.key_of(o.side, o.venue_tick)
        if o.previous >= 0:
            self.orders[o.previous].next = o.next
        else:
            self.head[o.side][o.venue_tick & (BUCKETS - 1)] = o.next
        if o.next >= 0:
            self.orders[o.next].previous = o.previous
        o.resting = False
        self.n_resting[o.side] -= 1
        if key == self.best_own[o.side]:
            self.best_own[o.side] = EMPTY
            self.best_own[o.side] = self.own_below(o.side, key + 1)

    cdef void fill(self, int order, i64 time, i64 lots, int tick, bint maker) noexcept nogil:
        """Trade an own order, note it on the tape, and write to its trader."""
        cdef Order* o = &self.orders[order]
        cdef Fill* grown
        cdef Fill* it
        o.venue_leaves -= lots
        if maker and o.venue_leaves == 0:
            self.unrest(order)
        if self.n_tape == self.tape_room:
            grown = <Fill*> realloc(self.tape, (2 * self.tape_room + 1024) * sizeof(Fill))
            if grown == NULL:
                self.failed = True
                return
            self.tape, self.tape_room = grown, 2 * self.tape_room + 1024
        self.answer(order, time, TRADED, lots, tick, maker)
        it = &self.tape[self.n_tape]
        it.exchange_time_ns, it.local_time_ns = time, self.trader[o.trader].answers.newest
        it.submit_time_ns, it.request_time_ns, it.order_id = o.submit_ns, o.request_ns, o.id
        it.lots, it.tick = lots, tick
        it.side, it.maker, it.trader = 1 - 2 * <i64> o.side, maker, o.trader
        self.n_tape += 1

    cdef void answer(self, int order, i64 time, int kind, i64 lots, int tick, bint maker) noexcept nogil:
        cdef Order* o = &self.orders[order]
        cdef Trader* t = &self.trader[o.trader]
        cdef Letter letter = Letter(time=0, lots=lots, leaves=o.venue_leaves, fill=self.n_tape, order=order,
                                    tick=tick, kind=kind, maker=maker)
        letter.time = time + _latency.response_ns(&t.latency, time, self.venue_feed)
        o.in_flight += 1
        if not _mail.post(&t.answers, &letter):
            self.failed = True
        elif self.stop_at_answer and t.answers.newest < self.horizon:
            self.horizon = t.answers.newest

    cdef int check(self) except -1:
        cdef int k
        if self.failed or _book.failed(&self.venue.book) or _book.failed(&self.view.book):
            raise MemoryError
        for k in range(self.n_traders):
            if self.trader[k].overflow:
                raise OverflowError("money is beyond 9e18 ticks * lots or fee steps, expected smaller sums")
        return 0

    # For Python.

    def elapse(self, i64 until):
        """Handle all events with time <= until; return whether any event is left."""
        cdef bint more
        with nogil:
            more = self.elapse_to(until)
        self.check()
        return more

    def elapse_to_answer(self, i64 until):
        """Go to the next answer to any trader, or to `until` if that is earlier; return whether any event is left."""
        cdef bint more
        cdef int k
        with nogil:
            for k in range(self.n_traders):
                until = min(until, _mail.next_time(&self.trader[k].answers), _mail.next_time(&self.trader[k].losses))
            self.stop_at_answer = True
            self.run_venue(until)
            self.stop_at_answer = False
            more = self.elapse_to(min(until, self.horizon))
        self.check()
        return more

    def submit(self, int who, i64 id, unsigned char side, int tick, i64 lots, unsigned char force):
        cdef int slot = self.submit_order(who, id, side, tick, lots, force)
        self.check()
        return slot

    def ask(self, int order, unsigned char kind, int tick, i64 lots):
        """Request CANCEL or MODIFY."""
        self.request(order, kind, tick, lots)
        self.check()

    def order(self, int slot):
        """Return what the trader knows of an order: (id, side, tick, lots, leaves, status, pending, submit_ns)."""
        cdef Order* o = &self.orders[slot]
        return o.id, o.side, o.tick, o.lots, o.leaves, o.status, o.pending, o.submit_ns

    def front(self, int slot):
        """Return what rests before an order at the venue, base currency; NaN unless it rests."""
        cdef Order* o = &self.orders[slot]
        cdef Trader* t = &self.trader[o.trader]
        return o.front if o.resting else float("nan")

    def release(self, int slot):
        """Forget a finished order that no letter names; return whether that could be done."""
        cdef Order* o = &self.orders[slot]
        if not o.finished or o.in_flight or o.resting:
            return False
        self.forget(slot)
        return True

    def account(self, int who):
        """Return (position, cash, fee, n_fills, volume, value, n_submits, n_cancels) as exact integers."""
        cdef Trader* t = &self.trader[who]
        return t.position, t.cash, t.fee, t.n_fills, t.volume, t.value, t.n_submits, t.n_cancels

    def fills(self, dtype, i64 until):
        """Return the fills that have been reported by a time."""
        cdef Py_ssize_t k
        out = np.empty(self.n_tape, dtype)
        cdef Fill[::1] view = out
        if self.n_tape:
            memcpy(&view[0], self.tape, self.n_tape * sizeof(Fill))
        return out[out["local_time_ns"] <= until]
