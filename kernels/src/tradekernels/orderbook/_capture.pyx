"""Compiled parser of raw captures. From: whole lines of text that capture.py has cut. To: arrays the caller owns.

A line is `<local_ns> <json>`. Its JSON is read into a payload (_payload.pxd), its levels straight into rows (_depth.pxd);
here a payload becomes a message. Nothing holds the GIL.
"""

from libc.string cimport memcpy

from . cimport _json
from ._decimal cimport decimal, integer
from ._depth cimport Reader
from ._json cimport AFTER, CROSSED, LATE, MISSING, NO_TIME, NONE, SYMBOL, ZERO
from ._payload cimport Payload, read_payload, says
from ._records cimport BUY_TRADE, SELL_TRADE, SET_ASK, SET_BID, Row


cdef packed struct Ticker:
    long long update_id
    long long local_time_ns
    long long bid_tick
    long long bid_lots
    long long ask_tick
    long long ask_lots


cdef struct BadLine:
    long long line
    int fault


cdef enum:
    LONGEST_SYMBOL = 64  # bytes
    BAD_LINES_KEPT = 100

cdef extern from *:
    """
    #define TK_LATEST ((1LL << 62) - 1)
    """
    const long long LATEST "TK_LATEST"  # ns, in the year 2116: sums and differences of two times fit into 64 bits

FAULTS = (
    "", "no receive time at the start, expected `<local_ns> <json>`", "broken JSON", "JSON nested deeper than 32",
    "a price or quantity is no plain decimal", "a price or quantity is negative",
    "a price or quantity is not a multiple of its step", "a price or quantity is out of range",
    "a time or id is no integer below 2**63", "levels are not lists of [price, quantity]",
    "a field of the event is missing", "another symbol, or one of over 64 bytes", "crossed snapshot: best bid is not below best ask",
    "text after the JSON object", "a price, or the quantity of a trade, is zero", "a time is not before the year 2116",
)  # fmt: skip


cdef class Parser:
    """The state that goes from line to line: the steps, the symbol, the counts.

    `price` and `lot` are (mantissa, decimals, most steps). `drop`: snapshots speak of the exchange's whole book, as the
    venue discipline needs it; otherwise they clear what they span, as the peer does.
    """

    cdef Reader reader
    cdef unsigned char symbol[LONGEST_SYMBOL]
    cdef Py_ssize_t symbol_size
    cdef readonly long long line, n_bad, n_other, n_ticker, n_not_market, n_clock_back
    cdef long long last_local
    cdef BadLine first_bad[BAD_LINES_KEPT]
    cdef bint skip_bad, keep_tickers

    def __cinit__(self, tuple price, tuple lot, bytes symbol, bint drop, bint skip_bad, bint keep_tickers):
        cdef const unsigned char* text = symbol
        cdef Reader* r = &self.reader
        r.price.mantissa, r.price.decimals, r.price.most = price
        r.lot.mantissa, r.lot.decimals, r.lot.most = lot
        r.drop = drop
        self.skip_bad, self.keep_tickers = skip_bad, keep_tickers
        self.symbol_size = min(len(symbol), <Py_ssize_t> LONGEST_SYMBOL)
        memcpy(self.symbol, text, self.symbol_size)

    @property
    def symbol_name(self):
        """The symbol asked for, or else the first one met."""
        return self.symbol[: self.symbol_size].decode("utf-8", "replace")

    @property
    def bad(self):
        """(line, index into FAULTS) of the first bad lines."""
        return [(self.first_bad[k].line, self.first_bad[k].fault) for k in range(min(self.n_bad, BAD_LINES_KEPT))]

    def start_file(self):
        """Count lines from 1 again."""
        self.line = 0

    def parse(self, const unsigned char[::1] text, Row[::1] rows, Py_ssize_t n_rows, RawMessage[::1] messages,
              Py_ssize_t n_messages, Ticker[::1] tickers, Py_ssize_t n_tickers):
        """Read whole lines; return (rows, messages, tickers) held, and the fault if a line is bad and none is skipped.

        The caller leaves room for a row for every five bytes of text, and for a message and a ticker for every 24.
        """
        cdef Reader reader = self.reader
        cdef Reader* r = &reader
        cdef Py_ssize_t size = text.shape[0]
        cdef const unsigned char* end
        cdef RawMessage* message
        cdef int kind
        if size == 0:
            return n_rows, n_messages, n_tickers, 0
        with nogil:
            end = &text[0] + size
            r.rows, r.n_rows, r.at.p, r.at.fault = &rows[0], n_rows, &text[0], NONE
            while r.at.p < end:
                self.line += 1
                message = &messages[n_messages]
                message.first_row, message.line = r.n_rows, self.line
                kind = self.read_line(r, message, &tickers[n_tickers])
                if r.at.fault:
                    r.n_rows = message.first_row
                    if not self.skip_bad:
                        break
                    self.note_bad(r.at.fault)
                    r.at.fault = NONE
                elif kind == TICKER:
                    n_tickers += self.keep_tickers
                    self.n_ticker += 1
                elif kind == OTHER:
                    self.n_other += 1
                elif kind == NOT_MARKET:
                    self.n_not_market += 1
                else:
                    self.n_clock_back += message.local_time_ns < self.last_local
                    self.last_local = message.local_time_ns
                    message.kind = kind
                    n_messages += 1
                if kind >= TICKER:
                    r.n_rows = message.first_row
                while r.at.p[0] != c"\n":
                    r.at.p += 1
                r.at.p += 1
        return r.n_rows, n_messages, n_tickers, r.at.fault

    cdef void note_bad(self, int fault) noexcept nogil:
        if self.n_bad < BAD_LINES_KEPT:
            self.first_bad[self.n_bad] = BadLine(self.line, fault)
        self.n_bad += 1

    cdef int read_line(self, Reader* r, RawMessage* message, Ticker* ticker) noexcept nogil:
        """Read one line and return its MessageKind."""
        cdef Payload payload
        cdef const unsigned char* start = r.at.p
        cdef int kind
        message.local_time_ns = integer(&r.at)
        if r.at.fault or r.at.p == start or r.at.p[0] != c" ":
            r.at.fault = NO_TIME
            return OTHER
        r.at.p += 1
        _json.space(&r.at)
        read_payload(r, &payload)
        if r.at.fault:
            return OTHER
        _json.space(&r.at)
        if r.at.p[0] != c"\n":
            r.at.fault = AFTER
            return OTHER
        if payload.symbol.at != NULL and not self.same_symbol(&payload):
            r.at.fault = SYMBOL
            return OTHER
        kind = kind_of(&payload)
        if kind == DIFF:
            read_diff(r, &payload, message)
        elif kind == TRADE:
            read_trade(r, &payload, message)
        elif kind == SNAPSHOT:
            read_snapshot(r, &payload, message)
        elif kind == TICKER and self.keep_tickers:
            read_ticker(r, &payload, message.local_time_ns, ticker)
        if message.local_time_ns > LATEST and kind < TICKER:
            r.at.fault = LATE
        return kind

    cdef bint same_symbol(self, const Payload* payload) noexcept nogil:
        """Compare with the symbol asked for; without one, the first one met is."""
        if self.symbol_size == 0 and payload.symbol.size <= LONGEST_SYMBOL:
            self.symbol_size = payload.symbol.size
            memcpy(self.symbol, payload.symbol.at, self.symbol_size)
        return says(&payload.symbol, self.symbol, self.symbol_size)


cdef inline int kind_of(const Payload* it) noexcept nogil:
    if it.event.at == NULL:
        if it.last_id >= 0 and it.ticker[1] != NULL and it.ticker[3] != NULL:
            return TICKER  # spot's bookTicker does not say what it is
        return SNAPSHOT if it.is_snapshot else OTHER
    if says(&it.event, b"depthUpdate", 11):
        return DIFF
    if says(&it.event, b"trade", 5):
        # an insurance fund or an auto-deleveraging: nobody's order met the book
        return TRADE if it.order_type.at == NULL or says(&it.order_type, b"MARKET", 6) else NOT_MARKET
    return TICKER if says(&it.event, b"bookTicker", 10) else OTHER


cdef inline void read_diff(Reader* r, const Payload* it, RawMessage* message) noexcept nogil:
    if it.last_id < 0 or not (it.has_bids and it.has_asks) or it.is_snapshot:
        r.at.fault = MISSING
        return
    message.exchange_time_ns = event_ns(r, it, True)
    message.update_id = it.last_id
    message.previous_id = it.previous_id  # futures say `pu`, spot says only where the message starts
    if it.previous_id < 0 and it.first_id >= 0:
        message.previous_id = it.first_id - 1


cdef inline void read_trade(Reader* r, const Payload* it, RawMessage* message) noexcept nogil:
    cdef Row* row = &r.rows[message.first_row]
    if it.price == NULL or it.quantity == NULL or it.buyer_is_maker < 0:
        r.at.fault = MISSING
        return
    message.exchange_time_ns, message.update_id, message.previous_id = event_ns(r, it, True), it.trade_id, -1
    row.tick = <int> decimal_at(r, it.price, True)
    row.lots = decimal_at(r, it.quantity, False)
    row.kind = SELL_TRADE if it.buyer_is_maker else BUY_TRADE
    if not r.at.fault and (row.tick == 0 or row.lots == 0):
        r.at.fault = ZERO
    r.n_rows = message.first_row + 1


cdef inline void read_snapshot(Reader* r, const Payload* it, RawMessage* message) noexcept nogil:
    cdef Py_ssize_t k
    cdef long long bid = 0, ask = r.price.most + 1
    if it.snapshot_id < 0 or not (it.has_bids and it.has_asks) or it.is_diff:
        r.at.fault = MISSING
        return
    for k in range(message.first_row, r.n_rows):
        if r.rows[k].kind == SET_BID:
            bid = max(bid, r.rows[k].tick)
        elif r.rows[k].kind == SET_ASK:
            ask = min(ask, r.rows[k].tick)
    if bid >= ask:
        r.at.fault = CROSSED
    message.exchange_time_ns, message.update_id, message.previous_id = event_ns(r, it, False), it.snapshot_id, -1


cdef inline void read_ticker(Reader* r, const Payload* it, long long local, Ticker* out) noexcept nogil:
    cdef int k
    for k in range(4):
        if it.ticker[k] == NULL:
            r.at.fault = MISSING
            return
    out.update_id, out.local_time_ns = it.last_id, local
    out.bid_tick, out.bid_lots = decimal_at(r, it.ticker[0], True), decimal_at(r, it.ticker[1], False)
    out.ask_tick, out.ask_lots = decimal_at(r, it.ticker[2], True), decimal_at(r, it.ticker[3], False)


cdef inline long long decimal_at(Reader* r, const unsigned char* p, bint price) noexcept nogil:
    """Read a decimal further back on the line, and come back."""
    cdef const unsigned char* here = r.at.p
    cdef long long steps
    r.at.p = p
    steps = decimal(&r.at, &r.price if price else &r.lot)
    r.at.p = here
    return steps


cdef inline long long event_ns(Reader* r, const Payload* it, bint needed) noexcept nogil:
    """Return when it happened: transaction time, else event time; 0 where a message does not say and need not."""
    cdef long long time = it.transaction_time if it.transaction_time >= 0 else it.event_time
    if time < 0:
        if needed:
            r.at.fault = MISSING
        return 0
    # Binance sends milliseconds, and microseconds where a client asks for them; 4 * 10**12 ms is the year 2096.
    if time < 4000000000000LL:
        time *= 1000000
    elif time < 4000000000000000LL:
        time *= 1000
    if time > LATEST:
        r.at.fault = LATE
    return time
