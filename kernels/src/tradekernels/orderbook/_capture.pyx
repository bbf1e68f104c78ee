"""Compiled parser of raw captures. From: whole lines of text that capture.py has cut. To: arrays the caller owns.

A line is `<local_ns> <json>`. `Payload` collects what its JSON says, levels go straight to rows; `finish` then turns the
event into a message. Numbers go from digits to integers, never through a float.
"""

from . cimport _json
from ._json cimport (
    AFTER, BAD_JSON, BAD_SHAPE, CROSSED, MISSING, NO_TIME, NONE, SYMBOL, ZERO, Cursor, Scale, equal, plain_steps,
)
from ._records cimport BUY_TRADE, CLEAR_ASK, CLEAR_BID, SELL_TRADE, SET_ASK, SET_BID, Row


cdef packed struct Ticker:
    long long update_id
    long long local_time_ns
    long long bid_tick
    long long bid_lots
    long long ask_tick
    long long ask_lots


FAULTS = (
    "", "no receive time at the start, expected `<local_ns> <json>`", "broken JSON", "JSON nested deeper than 32",
    "a price or quantity is no plain decimal", "a price or quantity is negative",
    "a price or quantity is not a multiple of its step", "a price or quantity is out of range",
    "a time or id is no integer below 2**63", "levels are not lists of [price, quantity]",
    "a field of the event is missing", "another symbol", "crossed snapshot: best bid is not below best ask",
    "text after the JSON object", "a price, or the quantity of a trade, is zero",
)  # fmt: skip

cdef struct Payload:  # what a line has said so far
    const unsigned char* event
    const unsigned char* symbol
    const unsigned char* price
    const unsigned char* quantity
    const unsigned char* asks_later  # asks met before the bids: read after them
    const unsigned char* order_type
    const unsigned char* ticker[4]   # b, B, a, A
    Py_ssize_t event_size, symbol_size, order_type_size, n_bids, n_asks
    long long event_time, transaction_time, first_id, last_id, previous_id, trade_id, snapshot_id
    int buyer_is_maker  # -1: not said
    bint has_bids, has_asks, is_snapshot, has_data


cdef class Parser:
    """The state that goes from line to line: the steps, the symbol, the counts."""

    cdef Scale price, lot
    cdef Cursor at
    cdef Row* rows
    cdef Py_ssize_t n_rows
    cdef bytearray symbol
    cdef readonly long long line, n_bad, n_other, n_ticker, n_not_market, n_clock_back
    cdef long long last_local
    cdef readonly list bad  # (line, index into FAULTS) of the first bad lines
    cdef bint skip_bad, keep_tickers

    def __cinit__(self, tuple price, tuple lot, bytes symbol, bint skip_bad, bint keep_tickers):
        self.price.mantissa, self.price.decimals, self.price.most = price
        self.lot.mantissa, self.lot.decimals, self.lot.most = lot
        self.symbol = bytearray(symbol)
        self.skip_bad, self.keep_tickers = skip_bad, keep_tickers
        self.bad = []

    @property
    def symbol_name(self):
        """The symbol asked for, or else the first one met."""
        return bytes(self.symbol).decode("ascii", "replace")

    def start_file(self):
        """Count lines from 1 again."""
        self.line = 0

    def parse(self, const unsigned char[::1] text, Row[::1] rows, Py_ssize_t n_rows, RawMessage[::1] messages,
              Py_ssize_t n_messages, Ticker[::1] tickers, Py_ssize_t n_tickers):
        """Read whole lines; return (rows, messages, tickers) held, or the fault if a line is bad and none is skipped.

        The caller leaves room for a row for every five bytes of text, and for a message and a ticker for every 24.
        """
        cdef Py_ssize_t size = text.shape[0]
        if size == 0:
            return n_rows, n_messages, n_tickers, 0
        cdef const unsigned char* end = &text[0] + size
        cdef RawMessage* message
        cdef Payload payload
        cdef int kind
        self.rows, self.n_rows, self.at.p = &rows[0], n_rows, &text[0]
        while self.at.p < end:
            self.line += 1
            self.at.fault = NONE
            message = &messages[n_messages]
            message.first_row, message.line = self.n_rows, self.line
            kind = self.read_line(&payload, message)
            if kind == TICKER and self.keep_tickers and not self.at.fault:
                self.read_ticker(&payload, message.local_time_ns, &tickers[n_tickers])
            if self.at.fault:
                self.n_rows = message.first_row
                if not self.skip_bad:
                    return self.n_rows, n_messages, n_tickers, self.at.fault
                self.n_bad += 1
                if len(self.bad) < 100:
                    self.bad.append((self.line, self.at.fault))
            elif kind == TICKER:
                n_tickers += self.keep_tickers
                self.n_ticker += 1
            elif kind != OTHER:
                if message.local_time_ns < self.last_local:
                    self.n_clock_back += 1
                self.last_local = message.local_time_ns
                message.kind = kind
                n_messages += 1
            while self.at.p[0] != c"\n":
                self.at.p += 1
            self.at.p += 1
        return self.n_rows, n_messages, n_tickers, 0

    cdef int read_line(self, Payload* payload, RawMessage* message) except -1:
        """Read one line and return its MessageKind."""
        payload[0] = Payload(event=NULL, symbol=NULL, price=NULL, quantity=NULL, asks_later=NULL, order_type=NULL,
                             ticker=[NULL, NULL, NULL, NULL], event_size=0, symbol_size=0, order_type_size=0,
                             n_bids=0, n_asks=0, event_time=-1, transaction_time=-1, first_id=-1, last_id=-1,
                             previous_id=-1, trade_id=-1, snapshot_id=-1, buyer_is_maker=-1, has_bids=False,
                             has_asks=False, is_snapshot=False, has_data=False)
        cdef const unsigned char* start = self.at.p
        message.local_time_ns = _json.integer(&self.at)
        if self.at.fault or self.at.p == start or self.at.p[0] != c" ":
            self.at.fault = NO_TIME
            return OTHER
        self.at.p += 1
        _json.space(&self.at)
        self.members(payload, 0)
        if self.at.fault:
            return OTHER
        _json.space(&self.at)
        if self.at.p[0] != c"\n":
            self.at.fault = AFTER
            return OTHER
        return self.finish(payload, message)

    cdef int finish(self, Payload* payload, RawMessage* message) except -1:
        """Turn what the line has said into rows and the fields of a message."""
        cdef int kind
        cdef const unsigned char* end = self.at.p
        cdef Row* row
        cdef long long time = payload.transaction_time if payload.transaction_time >= 0 else payload.event_time
        if payload.symbol != NULL and not self.same_symbol(payload):
            self.at.fault = SYMBOL
            return OTHER
        if payload.event == NULL:
            if payload.last_id >= 0 and payload.ticker[1] != NULL and payload.ticker[3] != NULL:
                self.n_rows = message.first_row  # spot's bookTicker does not say what it is
                return TICKER
            if not payload.is_snapshot:
                return self.other(message)
            if payload.snapshot_id < 0 or not (payload.has_bids and payload.has_asks):
                self.at.fault = MISSING
                return OTHER
            if (payload.n_bids and payload.n_asks
                    and self.rows[message.first_row + 1].tick >= self.rows[message.first_row + payload.n_bids + 2].tick):
                self.at.fault = CROSSED
                return OTHER
            kind, message.update_id, message.previous_id = SNAPSHOT, payload.snapshot_id, -1
        elif equal(payload.event, payload.event_size, b"depthUpdate", 11):
            if payload.last_id < 0 or time < 0 or not (payload.has_bids and payload.has_asks) or payload.is_snapshot:
                self.at.fault = MISSING
                return OTHER
            kind, message.update_id = DIFF, payload.last_id
            message.previous_id = payload.previous_id  # futures say `pu`, spot says only where the message starts
            if message.previous_id < 0 and payload.first_id >= 0:
                message.previous_id = payload.first_id - 1
        elif equal(payload.event, payload.event_size, b"trade", 5):
            if payload.order_type != NULL and not equal(payload.order_type, payload.order_type_size, b"MARKET", 6):
                self.n_not_market += 1  # an insurance fund or an auto-deleveraging: nobody's order met the book
                self.n_rows = message.first_row
                return OTHER
            if payload.price == NULL or payload.quantity == NULL or payload.buyer_is_maker < 0 or time < 0:
                self.at.fault = MISSING
                return OTHER
            self.n_rows = message.first_row
            row = &self.rows[self.n_rows]
            row.tick = <int> self.decimal_at(payload.price, &self.price)
            row.lots = self.decimal_at(payload.quantity, &self.lot)
            row.kind = SELL_TRADE if payload.buyer_is_maker else BUY_TRADE
            self.at.p = end
            if not self.at.fault and (row.tick == 0 or row.lots == 0):
                self.at.fault = ZERO
            self.n_rows += 1
            kind, message.update_id, message.previous_id = TRADE, payload.trade_id, -1
        elif equal(payload.event, payload.event_size, b"bookTicker", 10):
            self.n_rows = message.first_row
            return TICKER
        else:
            return self.other(message)
        message.exchange_time_ns = to_ns(time) if time >= 0 else 0
        return kind

    cdef int other(self, RawMessage* message) noexcept:
        self.n_other += 1
        self.n_rows = message.first_row
        return OTHER

    cdef void read_ticker(self, Payload* payload, long long local, Ticker* out) noexcept:
        cdef const unsigned char* end = self.at.p
        cdef int k
        for k in range(4):
            if payload.ticker[k] == NULL:
                self.at.fault = MISSING
                return
        out.update_id, out.local_time_ns = payload.last_id, local
        out.bid_tick = self.decimal_at(payload.ticker[0], &self.price)
        out.bid_lots = self.decimal_at(payload.ticker[1], &self.lot)
        out.ask_tick = self.decimal_at(payload.ticker[2], &self.price)
        out.ask_lots = self.decimal_at(payload.ticker[3], &self.lot)
        self.at.p = end

    cdef bint same_symbol(self, Payload* payload):
        if len(self.symbol) == 0:
            self.symbol = bytearray(payload.symbol[: payload.symbol_size])
            return True
        cdef const unsigned char* own = self.symbol
        return equal(payload.symbol, payload.symbol_size, own, len(self.symbol))

    cdef void members(self, Payload* payload, int depth) noexcept:
        """Read the outer object, or the one under "data", and note the fields of interest."""
        cdef const unsigned char* key
        cdef Py_ssize_t size
        if self.at.p[0] != c"{":
            self.at.fault = BAD_JSON
            return
        self.at.p += 1
        _json.space(&self.at)
        if self.at.p[0] == c"}":
            self.at.p += 1
            return
        while True:
            _json.space(&self.at)
            key = self.at.p + 1
            _json.string(&self.at)
            size = self.at.p - key - 1
            _json.space(&self.at)
            if self.at.fault or self.at.p[0] != c":":
                self.at.fault = BAD_JSON
                return
            self.at.p += 1
            _json.space(&self.at)
            self.field(payload, key, size, depth)
            if self.at.fault:
                return
            _json.space(&self.at)
            if self.at.p[0] == c",":
                self.at.p += 1
            elif self.at.p[0] == c"}":
                self.at.p += 1
                return
            else:
                self.at.fault = BAD_JSON
                return

    cdef void field(self, Payload* payload, const unsigned char* key, Py_ssize_t size, int depth) noexcept:
        """Read one value, and note it if its key is one that an event may have."""
        cdef unsigned char k = key[0]
        cdef const unsigned char* value = self.at.p
        if size == 1:
            if (k == c"b" or k == c"a") and value[0] == c"[":
                self.side(payload, k == c"a", False)
                return
            if (k == c"E" or k == c"T" or k == c"u" or k == c"U" or k == c"t") and c"0" <= value[0] <= c"9":
                self.noted_integer(payload, k)
                return
            _json.value(&self.at, depth + 1)
            if self.at.fault:
                return
            if value[0] == c'"':
                if k == c"e":
                    payload.event, payload.event_size = value + 1, self.at.p - value - 2
                elif k == c"s":
                    payload.symbol, payload.symbol_size = value + 1, self.at.p - value - 2
                elif k == c"X":
                    payload.order_type, payload.order_type_size = value + 1, self.at.p - value - 2
                elif k == c"p":
                    payload.price = value
                elif k == c"q":
                    payload.quantity = value
                elif k == c"b":
                    payload.ticker[0] = value
                elif k == c"B":
                    payload.ticker[1] = value
                elif k == c"a":
                    payload.ticker[2] = value
                elif k == c"A":
                    payload.ticker[3] = value
            elif k == c"m" and (value[0] == c"t" or value[0] == c"f"):
                payload.buyer_is_maker = value[0] == c"t"
        elif size == 2 and k == c"p" and key[1] == c"u" and c"0" <= value[0] <= c"9":
            payload.previous_id = _json.integer(&self.at)
        elif size == 4 and equal(key, size, b"data", 4) and depth == 0 and value[0] == c"{":
            if payload.has_data:
                self.at.fault = BAD_SHAPE
                return
            payload.has_data = True
            self.members(payload, 1)
        elif size == 4 and equal(key, size, b"bids", 4) and value[0] == c"[":
            payload.is_snapshot = True
            self.side(payload, False, True)
        elif size == 4 and equal(key, size, b"asks", 4) and value[0] == c"[":
            payload.is_snapshot = True
            self.side(payload, True, True)
        elif size == 12 and equal(key, size, b"lastUpdateId", 12) and c"0" <= value[0] <= c"9":
            payload.is_snapshot = True
            payload.snapshot_id = _json.integer(&self.at)
        else:
            _json.value(&self.at, depth + 1)

    cdef void noted_integer(self, Payload* payload, unsigned char k) noexcept:
        cdef long long number = _json.integer(&self.at)
        if k == c"E":
            payload.event_time = number
        elif k == c"T":
            payload.transaction_time = number
        elif k == c"u":
            payload.last_id = number
        elif k == c"U":
            payload.first_id = number
        else:
            payload.trade_id = number

    cdef void side(self, Payload* payload, bint ask, bint snapshot) noexcept:
        """Read the levels of one side; asks that come first are read again after the bids."""
        cdef const unsigned char* end
        if payload.has_asks if ask else payload.has_bids:
            self.at.fault = BAD_SHAPE
            return
        if ask and not payload.has_bids:
            payload.asks_later, payload.has_asks = self.at.p, True
            _json.value(&self.at, 2)
            return
        if ask:
            payload.has_asks = True
            payload.n_asks = self.levels(ask, snapshot)
            return
        payload.has_bids = True
        payload.n_bids = self.levels(ask, snapshot)
        if payload.asks_later != NULL and not self.at.fault:
            end, self.at.p = self.at.p, payload.asks_later
            payload.n_asks = self.levels(True, snapshot)
            self.at.p = end

    cdef Py_ssize_t levels(self, bint ask, bint snapshot) noexcept:
        """Read [[price, quantity], ...] into SET rows, after one CLEAR row if they are a snapshot's."""
        cdef Py_ssize_t first = self.n_rows, n = 0
        cdef Row* row
        cdef const unsigned char* after
        cdef int worst = 0
        if snapshot:
            self.n_rows += 1
        self.at.p += 1
        _json.space(&self.at)
        if self.at.p[0] == c"]":
            self.at.p += 1
            self.n_rows = first
            return 0
        while True:
            _json.space(&self.at)
            if self.at.p[0] != c"[":
                self.at.fault = BAD_SHAPE
                return 0
            self.at.p += 1
            _json.space(&self.at)
            row = &self.rows[self.n_rows]
            row.kind = SET_ASK if ask else SET_BID
            after = self.quick_level(row)
            if after != NULL:
                self.at.p = after
                if n == 0 or (row.tick > worst if ask else row.tick < worst):
                    worst = row.tick
                n += 1
                self.n_rows += 1
                if after[0] == c"," and after[1] == c"[":
                    self.at.p += 1
                    continue
                _json.space(&self.at)
                if self.at.p[0] == c",":
                    self.at.p += 1
                    continue
                if self.at.p[0] == c"]":
                    self.at.p += 1
                    break
                self.at.fault = BAD_JSON
                return 0
            row.tick = <int> _json.decimal(&self.at, &self.price)
            _json.space(&self.at)
            if self.at.fault:
                return 0
            if self.at.p[0] != c",":
                self.at.fault = BAD_SHAPE
                return 0
            self.at.p += 1
            _json.space(&self.at)
            row.lots = _json.decimal(&self.at, &self.lot)
            _json.space(&self.at)
            if self.at.fault:
                return 0
            if row.tick == 0:
                self.at.fault = ZERO
                return 0
            while self.at.p[0] == c",":  # the spot REST of old times had a third, empty value
                self.at.p += 1
                _json.space(&self.at)
                _json.value(&self.at, 3)
                _json.space(&self.at)
                if self.at.fault:
                    return 0
            if self.at.p[0] != c"]":
                self.at.fault = BAD_SHAPE
                return 0
            self.at.p += 1
            if n == 0 or (row.tick > worst if ask else row.tick < worst):
                worst = row.tick
            n += 1
            self.n_rows += 1
            _json.space(&self.at)
            if self.at.p[0] == c",":
                self.at.p += 1
            elif self.at.p[0] == c"]":
                self.at.p += 1
                break
            else:
                self.at.fault = BAD_JSON
                return 0
        if snapshot:
            row = &self.rows[first]
            row.kind, row.tick, row.lots = (CLEAR_ASK if ask else CLEAR_BID), worst, 0
        return n

    cdef inline const unsigned char* quick_level(self, Row* row) noexcept:
        """Read `"price","quantity"]` as exchanges write it; return the end, NULL where `decimal` has to look closer."""
        cdef long long tick, lots
        cdef const unsigned char* p
        if self.at.p[0] != c'"':
            return NULL
        p = plain_steps(self.at.p + 1, &self.price, &tick)
        if p == NULL or tick == 0 or p[0] != c"," or p[1] != c'"':
            return NULL
        p = plain_steps(p + 2, &self.lot, &lots)
        if p == NULL or p[0] != c"]":
            return NULL
        row.tick, row.lots = <int> tick, lots
        return p + 1

    cdef inline long long decimal_at(self, const unsigned char* p, Scale* step) noexcept:
        self.at.p = p
        return _json.decimal(&self.at, step)

cdef inline long long to_ns(long long time) noexcept:
    # Binance sends milliseconds, and microseconds where a client asks for them; 9 * 10**12 ms is the year 2255.
    return time * 1000000 if time < 9000000000000LL else time * 1000 if time < 9000000000000000LL else time
