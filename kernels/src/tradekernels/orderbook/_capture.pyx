"""Compiled parser of raw captures. From: whole lines of text that capture.py has cut. To: arrays the caller owns.

A line is `<local_ns> <json>`. Its JSON is read into a payload (_payload.pxd), its levels straight into rows (_depth.pxd);
here a payload becomes a message. Nothing holds the GIL.
"""

from libc.string cimport memcpy

from . cimport _json
from ._decimal cimport decimal, integer
from ._depth cimport Reader
from ._json cimport (
    AFTER, BAD_SHAPE, CROSSED, LATE, MISSING, NO_TIME, NONE, NOT_BOOLEAN, NOT_TEXT, NOT_WHOLE, SYMBOL, ZERO, Cursor,
    refuse,
)
from ._payload cimport (
    IN_E, IN_T, IN_U, IN_asks, IN_bids, IN_last, IN_m, IN_pu, IN_s, IN_t, IN_u, Payload, read_payload, says,
)
from ._records cimport BUY_TRADE, SELL_TRADE, SET_ASK, SET_BID, Row


cdef packed struct Ticker:
    long long update_id
    long long local_time_ns
    long long bid_tick
    long long bid_lots
    long long ask_tick
    long long ask_lots


cdef enum:
    LONGEST_SYMBOL = 64  # bytes
    LONGEST_VALUE = 40   # bytes of a wrong value that are shown
    BAD_LINES_KEPT = 100


cdef struct BadLine:
    long long line
    int fault
    int size
    const char* field  # NULL: the line as such is wrong
    unsigned char value[LONGEST_VALUE]

cdef extern from *:
    """
    #define TK_LATEST ((1LL << 62) - 1)
    """
    const long long LATEST "TK_LATEST"  # ns, in the year 2116: sums and differences of two times fit into 64 bits

FAULTS = (  # capture.py fills in the field, its value, its step and the symbol asked for
    "", "no receive time at the start, expected `<local_ns> <json>`", "broken JSON",
    "{field} is {value}, expected a JSON object", "JSON nested deeper than 32",
    "{field} is {value}, which is no plain decimal", "{field} is {value}, which is negative",
    "{field} is {value}, not a multiple of its step {step}", "{field} is {value}, which is out of range",
    "{field} is {value}, expected a whole number from 0 to 2**63 - 1", "{field} is {value}, expected true or false",
    "{field} is {value}, expected a string", "{field} is {value}, expected lists of [price, quantity]",
    "{field} is stated twice", "{field} is missing", "symbol is {value}, expected {symbol} of at most 64 bytes",
    "crossed snapshot: best bid is not below best ask", "text after the JSON object", "{field} is zero",
    "a time is not before the year 2116",
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
        """(line, index into FAULTS, field or "", value as the line has it) of the first bad lines."""
        cdef BadLine* it
        cdef int k
        found = []
        for k in range(<int> min(self.n_bad, BAD_LINES_KEPT)):
            it = &self.first_bad[k]
            field = (<bytes> it.field).decode() if it.field != NULL else ""
            found.append((it.line, it.fault, field, it.value[: it.size].decode("utf-8", "replace")))
        return found

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
            r.rows, r.n_rows, r.at.p, r.at.fault, r.at.field = &rows[0], n_rows, &text[0], NONE, NULL
            while r.at.p < end:
                self.line += 1
                message = &messages[n_messages]
                message.first_row, message.line = r.n_rows, self.line
                kind = self.read_line(r, message, &tickers[n_tickers])
                if r.at.fault:
                    r.n_rows = message.first_row
                    self.note_bad(&r.at)
                    if not self.skip_bad:
                        break
                    r.at.fault, r.at.field = NONE, NULL
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

    cdef void note_bad(self, const Cursor* at) noexcept nogil:
        """Keep what is wrong with the line, and the text up to the end of the value at hand."""
        cdef const unsigned char* p = at.p
        cdef BadLine* it
        cdef bint quoted = p[0] == c'"'
        if self.n_bad < BAD_LINES_KEPT:
            it = &self.first_bad[self.n_bad]
            it.line, it.fault, it.field, it.size = self.line, at.fault, at.field, 0
            while it.size < LONGEST_VALUE and p[0] != c"\n" and p[0] != c"\r":
                if not quoted and (p[0] == c"," or p[0] == c"}" or p[0] == c"]"):
                    break
                it.value[it.size] = p[0]
                it.size += 1
                p += 1
                if quoted and p[0] == c'"':
                    it.value[min(it.size, LONGEST_VALUE - 1)] = c'"'
                    it.size = min(it.size + 1, LONGEST_VALUE)
                    break
        self.n_bad += 1

    cdef int read_line(self, Reader* r, RawMessage* message, Ticker* ticker) noexcept nogil:
        """Read one line and return its MessageKind."""
        cdef Payload payload
        cdef int kind
        message.local_time_ns = integer(&r.at)
        if r.at.fault or r.at.p[0] != c" ":
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
            refuse(&r.at, SYMBOL, b"s", payload.symbol.at - 1)
            return OTHER
        kind = kind_of(&payload)
        if kind < TICKER:
            allow(r, payload.wrong[IN_s], NOT_TEXT, b"s")
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
    allow(r, it.wrong[IN_U], NOT_WHOLE, b"U")
    allow(r, it.wrong[IN_pu], NOT_WHOLE, b"pu")
    need(r, it.last_id >= 0, it.wrong[IN_u], NOT_WHOLE, b"u")
    need(r, it.has_bids and not it.is_snapshot, it.wrong[IN_bids], BAD_SHAPE, b"b")
    need(r, it.has_asks and not it.is_snapshot, it.wrong[IN_asks], BAD_SHAPE, b"a")
    if r.at.fault:
        return
    message.exchange_time_ns = event_ns(r, it, True)
    message.update_id = it.last_id
    message.previous_id = message.opening_id = it.previous_id
    if it.first_id >= 0 and it.previous_id >= 0:  # futures: U <= lastUpdateId, then pu is the last u
        message.opening_id = it.first_id
    elif it.first_id >= 0:  # spot: U <= lastUpdateId + 1, then U is the last u + 1
        message.previous_id = message.opening_id = it.first_id - 1


cdef inline void read_trade(Reader* r, const Payload* it, RawMessage* message) noexcept nogil:
    cdef Row* row = &r.rows[message.first_row]
    allow(r, it.wrong[IN_t], NOT_WHOLE, b"t")
    need(r, it.price != NULL, NULL, NONE, b"p")
    need(r, it.quantity != NULL, NULL, NONE, b"q")
    need(r, it.buyer_is_maker >= 0, it.wrong[IN_m], NOT_BOOLEAN, b"m")
    if r.at.fault:
        return
    message.exchange_time_ns, message.update_id = event_ns(r, it, True), it.trade_id
    message.previous_id = message.opening_id = -1
    if r.at.fault:
        return
    row.tick = <int> decimal_at(r, it.price, True)
    row.lots = decimal_at(r, it.quantity, False)
    row.kind = SELL_TRADE if it.buyer_is_maker else BUY_TRADE
    if row.tick == 0 or row.lots == 0:
        refuse(&r.at, ZERO, b"quantity" if row.tick else b"price", NULL)
    r.n_rows = message.first_row + 1


cdef inline void read_snapshot(Reader* r, const Payload* it, RawMessage* message) noexcept nogil:
    cdef Py_ssize_t k
    cdef long long bid = 0, ask = r.price.most + 1
    need(r, it.snapshot_id >= 0, it.wrong[IN_last], NOT_WHOLE, b"lastUpdateId")
    need(r, it.has_bids and not it.is_diff, it.wrong[IN_bids], BAD_SHAPE, b"bids")
    need(r, it.has_asks and not it.is_diff, it.wrong[IN_asks], BAD_SHAPE, b"asks")
    if r.at.fault:
        return
    for k in range(message.first_row, r.n_rows):
        if r.rows[k].kind == SET_BID:
            bid = max(bid, r.rows[k].tick)
        elif r.rows[k].kind == SET_ASK:
            ask = min(ask, r.rows[k].tick)
    if bid >= ask:
        r.at.fault = CROSSED
    message.exchange_time_ns, message.update_id, message.previous_id = event_ns(r, it, False), it.snapshot_id, -1
    message.opening_id = -1


cdef inline void allow(Reader* r, const unsigned char* wrong, int fault, const char* field) noexcept nogil:
    """Refuse a field that is stated, but not as what it has to be."""
    if wrong != NULL:
        refuse(&r.at, fault, field, wrong)


cdef inline void need(Reader* r, bint there, const unsigned char* wrong, int fault, const char* field) noexcept nogil:
    """Refuse a message without a field."""
    allow(r, wrong, fault, field)
    if not there:
        refuse(&r.at, MISSING, field, NULL)


cdef inline void read_ticker(Reader* r, const Payload* it, long long local, Ticker* out) noexcept nogil:
    cdef int k
    for k in range(4):
        if it.ticker[k] == NULL:
            refuse(&r.at, MISSING, b"one of b, B, a, A", NULL)
            return
    out.update_id, out.local_time_ns = it.last_id, local
    out.bid_tick, out.bid_lots = decimal_at(r, it.ticker[0], True), decimal_at(r, it.ticker[1], False)
    out.ask_tick, out.ask_lots = decimal_at(r, it.ticker[2], True), decimal_at(r, it.ticker[3], False)


cdef inline long long decimal_at(Reader* r, const unsigned char* p, bint price) noexcept nogil:
    """Read a decimal further back on the line, and come back unless it is none."""
    cdef const unsigned char* here = r.at.p
    cdef long long steps
    if r.at.fault:
        return 0
    r.at.p = p
    steps = decimal(&r.at, &r.price if price else &r.lot)
    if r.at.fault:
        r.at.field = b"price" if price else b"quantity"
    else:
        r.at.p = here
    return steps


cdef inline long long event_ns(Reader* r, const Payload* it, bint needed) noexcept nogil:
    """Return when it happened: transaction time, else event time; 0 where a message does not say and need not."""
    allow(r, it.wrong[IN_T], NOT_WHOLE, b"T")
    if it.transaction_time < 0:
        allow(r, it.wrong[IN_E], NOT_WHOLE, b"E")
    cdef long long time = it.transaction_time if it.transaction_time >= 0 else it.event_time
    if time < 0:
        if needed:
            refuse(&r.at, MISSING, b"T or E", NULL)
        return 0
    # Binance sends milliseconds, and microseconds where a client asks for them; 4 * 10**12 ms is the year 2096.
    if time < 4000000000000LL:
        time *= 1000000
    elif time < 4000000000000000LL:
        time *= 1000
    if time > LATEST:
        r.at.fault = LATE
    return time
