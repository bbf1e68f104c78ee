"""Compiled loops of flow.py and facts.py. From: settings or feed rows. To: feed rows, or samples of the book."""

from libc.math cimport exp, log
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

import numpy as np

from ._flow cimport N_BINS, N_KERNELS, Flow, Settings, add_limit, bin_of, flow_start, flow_step, flow_stop
from ._matching cimport BUY, Book, Trade, depth_of
from ._matching_levels cimport Level, find_level

cdef enum:
    MOST_EVENTS = 1_000_000  # a second: a thousand times a busy market

SIZES = {"N_BINS": N_BINS, "N_KERNELS": N_KERNELS, "MOST_EVENTS": MOST_EVENTS}


cdef packed struct Row:
    int64_t time, lots
    int32_t tick, kind

cdef enum RowKind:
    SET_BID = 0, SET_ASK = 1, CLEAR_BID = 2, CLEAR_ASK = 3, BUY_TRADE = 4, SELL_TRADE = 5


def replay(const char[::1] rows, int64_t base, int64_t[:, ::1] lots, int64_t[:, ::1] samples, double[::1] depth,
           double[:, ::1] added):
    """Apply the rows of a feed and look at the book after each message.

    `lots` has a row a side and a column a tick from `base` on; what lies outside is left out. `samples` gets (time, bid,
    bid lots, ask, ask lots) after every message that leaves two sides; `depth` the lots of a side by distance bin, summed
    over samples; `added` the rises of a level by distance bin: count, lots, their logarithms and the squares of these. Returns the number of samples.
    """
    cdef Py_ssize_t i, n = rows.shape[0] // <Py_ssize_t> sizeof(Row), n_samples = 0, k
    cdef const Row* row = <const Row*> &rows[0]
    cdef int64_t width = lots.shape[1], bid = -1, ask = width, at, side, d, change, bins = depth.shape[0]
    with nogil:
        for i in range(n):
            at = row[i].tick - base
            if row[i].kind <= SET_ASK and 0 <= at < width:
                side = row[i].kind
                change = row[i].lots - lots[side, at]
                d = ask - at if side == 0 else at - bid
                if change > 0 and bid >= 0 and ask < width and d > 0:
                    k = bin_of(d)
                    if d <= <int64_t> 1 << (bins - 1):
                        added[0, k] += 1
                        added[1, k] += change
                        added[2, k] += log(<double> change)
                        added[3, k] += log(<double> change) ** 2
                lots[side, at] = row[i].lots
                if side == 0:
                    if row[i].lots > 0 and at > bid:
                        bid = at
                        while ask < width and (ask <= bid or lots[1, ask] == 0):
                            ask += 1
                    while bid >= 0 and lots[0, bid] == 0:
                        bid -= 1
                else:
                    if row[i].lots > 0 and at < ask:
                        ask = at
                        while bid >= 0 and (bid >= ask or lots[0, bid] == 0):
                            bid -= 1
                    while ask < width and lots[1, ask] == 0:
                        ask += 1
            elif row[i].kind == CLEAR_BID:
                for k in range(max(at, <int64_t> 0), width):
                    lots[0, k] = 0
                while bid >= 0 and lots[0, bid] == 0:
                    bid -= 1
            elif row[i].kind == CLEAR_ASK:
                for k in range(0, min(at + 1, width)):
                    lots[1, k] = 0
                while ask < width and lots[1, ask] == 0:
                    ask += 1
            if row[i].kind <= SET_ASK and (i + 1 == n or row[i + 1].time != row[i].time or row[i + 1].kind > CLEAR_ASK):
                if bid >= 0 and ask < width:
                    if n_samples and samples[n_samples - 1, 0] == row[i].time:
                        n_samples -= 1
                    samples[n_samples, 0] = row[i].time
                    samples[n_samples, 1], samples[n_samples, 2] = base + bid, lots[0, bid]
                    samples[n_samples, 3], samples[n_samples, 4] = base + ask, lots[1, ask]
                    n_samples += 1
                    for d in range(1, min(<int64_t> 1 << (bins - 1), min(ask, width - 1 - bid)) + 1):
                        depth[bin_of(d)] += 0.5 * (lots[0, ask - d] + lots[1, bid + d])
    return n_samples


def excite(const double[::1] gaps, const double[::1] marks, const double[::1] decays, double[:, ::1] out):
    """Write what each exponential kernel gives to each event of a Hawkes process, in children a unit of branching."""
    cdef Py_ssize_t i, k
    cdef double level
    with nogil:
        for k in range(decays.shape[0]):
            level = 0.0
            for i in range(1, out.shape[0]):
                level = exp(-decays[k] * gaps[i - 1]) * (level + decays[k] * marks[i - 1])
                out[i, k] = level


cdef inline int64_t lots_at(Flow* flow, int32_t tick) noexcept nogil:
    cdef const Level* level = find_level(&flow.book.resting, tick)
    return 0 if level == NULL else level.lots


cdef class Simulation:
    """A flow that writes what a venue would publish: trades at once, changed levels every so often."""

    cdef Flow flow
    cdef object tables      # keeps what the settings point to
    cdef int64_t every, next_message, n_touched, touched_room, last_message, step
    cdef int32_t* touched
    cdef int32_t[65536] seen
    cdef int32_t lowest_ask, highest_bid
    cdef Row* rows
    cdef int64_t n_rows, row_room
    cdef bint lost

    def __cinit__(self, double[::1] values, double[:, ::1] orders, double[::1] closed_to, double[::1] retreats, uint64_t key, int32_t centre,
                  int32_t step, int64_t start_ns, int64_t every, int32_t capacity, int32_t window):
        cdef Settings settings
        cdef Py_ssize_t k
        memset(&settings, 0, sizeof(Settings))
        for k in range(values.shape[0]):  # the doubles of Settings, in its order
            (<double*> &settings)[k] = values[k]
        settings.n_orders = orders.shape[1]
        settings.order_lots, settings.order_span, settings.order_mark = &orders[0, 0], &orders[1, 0], &orders[2, 0]
        settings.n_closed, settings.closed_to = closed_to.shape[0], &closed_to[0]
        settings.n_retreats, settings.retreats = retreats.shape[0], &retreats[0]
        self.tables, self.step = (orders, closed_to, retreats), step
        if not flow_start(&self.flow, &settings, key, centre, start_ns, capacity, window):
            raise MemoryError("no memory for the book of a flow")
        self.every, self.next_message, self.last_message = every, start_ns + every, start_ns
        self.forget_touch()

    def __dealloc__(self):
        flow_stop(&self.flow)
        free(self.touched)
        free(self.rows)

    cdef void forget_touch(self) noexcept nogil:
        memset(self.seen, 0, sizeof(self.seen))
        self.n_touched = 0
        self.lowest_ask, self.highest_bid = self.flow.book.ask, self.flow.book.bid

    cdef void touch(self, int32_t tick) noexcept nogil:
        cdef void* block
        if self.seen[tick & 65535] == tick:
            return
        self.seen[tick & 65535] = tick
        if self.n_touched == self.touched_room:
            block = realloc(self.touched, (2 * self.touched_room + 256) * sizeof(int32_t))
            if block == NULL:
                self.lost = True
                return
            self.touched, self.touched_room = <int32_t*> block, 2 * self.touched_room + 256
        self.touched[self.n_touched] = tick
        self.n_touched += 1

    cdef void write(self, int64_t time, int64_t lots, int32_t tick, int32_t kind) noexcept nogil:
        cdef void* block
        if self.n_rows == self.row_room:
            block = realloc(self.rows, (2 * self.row_room + 4096) * sizeof(Row))
            if block == NULL:
                self.lost = True
                return
            self.rows, self.row_room = <Row*> block, 2 * self.row_room + 4096
        self.rows[self.n_rows].time, self.rows[self.n_rows].lots = time, lots
        self.rows[self.n_rows].tick, self.rows[self.n_rows].kind = <int32_t> (tick * self.step), kind
        self.n_rows += 1

    cdef void publish(self, int64_t time) noexcept nogil:
        """Write every level that has changed; both sides of one that the touch has run over."""
        cdef int64_t k
        cdef int32_t tick, bid = self.flow.book.bid, ask = self.flow.book.ask
        for k in range(self.n_touched):
            tick = self.touched[k]
            if tick <= bid or tick <= self.highest_bid:
                self.write(time, lots_at(&self.flow, tick) if tick <= bid else 0, tick, SET_BID)
            if tick >= ask or tick >= self.lowest_ask:
                self.write(time, lots_at(&self.flow, tick) if tick >= ask else 0, tick, SET_ASK)
        self.forget_touch()

    def run(self, int64_t end):
        """Go on until `end`, ns; return the bytes of the feed rows since the last call, and whether all went well.

        False: more than MOST_EVENTS a second have come, and the flow has stopped.
        """
        cdef int64_t k, time
        cdef const Trade* trade
        cdef double until
        cdef bint sound = True
        cdef Flow* flow = &self.flow
        self.n_rows = 0
        with nogil:
            while sound:
                until = (min(end, self.next_message) - flow.start_ns) * 1e-9
                while flow_step(flow, until):
                    for k in range(flow.tape.n_trades):
                        trade = &flow.tape.trades[k]
                        time = trade.time - (trade.time - flow.start_ns) % 1000000  # a venue's clock shows milliseconds
                        self.write(max(time, self.last_message), trade.lots, trade.tick, BUY_TRADE if trade.side == BUY else SELL_TRADE)
                        self.touch(trade.tick)
                    for k in range(flow.tape.n_events):
                        if flow.tape.events[k].tick:
                            self.touch(flow.tape.events[k].tick)
                    self.lowest_ask = min(self.lowest_ask, flow.book.ask)
                    self.highest_bid = max(self.highest_bid, flow.book.bid)
                    if flow.n_events > MOST_EVENTS * (1.0 + flow.time):
                        sound = False
                        break
                if self.next_message > end or not sound:
                    break
                self.publish(self.next_message)
                self.last_message = self.next_message
                self.next_message += self.every
        if self.lost:
            raise MemoryError("the flow found no memory for its rows")
        if self.n_rows == 0:
            return bytearray(), sound
        return bytearray((<char*> self.rows)[:self.n_rows * sizeof(Row)]), sound

    def fill(self, double[::1] depth):
        """Rest orders until each distance bin of each side holds `depth` lots, from the usual spread outwards."""
        cdef int32_t bin, side
        cdef int64_t low, high, before, k, tight = <int64_t> self.flow.settings.tight
        for bin in range(bin_of(tight), N_BINS):
            low, high = max(tight, 1 if bin == 0 else (<int64_t> 1 << (bin - 1)) + 1), max(tight, <int64_t> 1 << bin)
            for side in (BUY, -BUY):
                before, k = self.flow.book.volume_resting, 0
                while self.flow.book.volume_resting - before < depth[bin] and k < 100_000:
                    self.flow.tape.n_trades = self.flow.tape.n_events = 0
                    add_limit(&self.flow, side, bin, low + (k * 7919) % (high - low + 1))
                    k += 1

    def depth(self, int side, int64_t[:, ::1] out):
        """Write (tick, displayed lots, orders) of the best levels; return how many there are."""
        return depth_of(&self.flow.book, side, out)

    @property
    def events(self):
        """Events so far, those that changed nothing included."""
        return self.flow.n_events

    @property
    def market_orders(self):
        """Market orders so far."""
        return self.flow.n_market

    @property
    def resting(self):
        """Orders in the book."""
        return self.flow.book.n_live
