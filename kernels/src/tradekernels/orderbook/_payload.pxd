# cython: language_level=3
"""What one line of a capture says, field by field. From: its JSON. To: _capture.pyx, which makes a message of it.

Levels go straight to rows; of all else the payload keeps the number, or where its text lies.
"""

from ._decimal cimport integer
from ._depth cimport Reader, read_levels
from ._json cimport BAD_JSON, BAD_SHAPE, NO_OBJECT, NONE, TWICE, refuse, space, string, value


cdef enum:  # fields that may be stated, but not as what they have to be
    IN_E, IN_T, IN_U, IN_u, IN_pu, IN_t, IN_m, IN_s, IN_bids, IN_asks, IN_last, N_WRONG


cdef struct Text:
    const unsigned char* at  # NULL: not said
    Py_ssize_t size


cdef struct Payload:
    Text event
    Text symbol
    Text order_type
    const unsigned char* price
    const unsigned char* quantity
    const unsigned char* ticker[4]   # b, B, a, A
    const unsigned char* asks_later  # asks met before the bids: read after them
    Py_ssize_t n_bids, n_asks
    long long event_time, transaction_time, first_id, last_id, previous_id, trade_id, snapshot_id  # -1: not said
    int buyer_is_maker  # -1: not said
    bint has_bids, has_asks, has_data
    bint is_snapshot, is_diff  # which of the two spellings it uses for its sides
    const unsigned char* wrong[N_WRONG]  # where such a value lies, NULL: nothing is wrong with it


cdef inline bint says(const Text* text, const unsigned char* expected, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t k
    if text.size != size:
        return False
    for k in range(size):
        if text.at[k] != expected[k]:
            return False
    return True


cdef inline void read_payload(Reader* r, Payload* it) noexcept nogil:
    """Read one JSON object."""
    cdef const unsigned char* at = r.at.p
    it[0] = Payload(event=Text(NULL, 0), symbol=Text(NULL, 0), order_type=Text(NULL, 0), price=NULL, quantity=NULL,
                    ticker=[NULL, NULL, NULL, NULL], asks_later=NULL, n_bids=0, n_asks=0, event_time=-1,
                    transaction_time=-1, first_id=-1, last_id=-1, previous_id=-1, trade_id=-1, snapshot_id=-1,
                    buyer_is_maker=-1, has_bids=False, has_asks=False, has_data=False, is_snapshot=False, is_diff=False,
                    wrong=[NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL])
    if at[0] != c"{":
        value(&r.at, 0)
        if not r.at.fault:
            refuse(&r.at, NO_OBJECT, b"the message", at)
        return
    members(r, it, 0)


cdef inline void members(Reader* r, Payload* it, int depth) noexcept nogil:
    """Read the outer object, or the one under "data", and note the fields of interest."""
    cdef Text key
    r.at.p += 1
    space(&r.at)
    if r.at.p[0] == c"}":
        r.at.p += 1
        return
    while True:
        space(&r.at)
        key.at = r.at.p + 1
        string(&r.at)
        key.size = r.at.p - key.at - 1
        space(&r.at)
        if r.at.fault or r.at.p[0] != c":":
            r.at.fault = BAD_JSON
            return
        r.at.p += 1
        space(&r.at)
        if key.size == 1:
            short_field(r, it, key.at[0], depth)
        else:
            long_field(r, it, &key, depth)
        if r.at.fault:
            return
        space(&r.at)
        if r.at.p[0] == c"}":
            r.at.p += 1
            return
        if r.at.p[0] != c",":
            r.at.fault = BAD_JSON
            return
        r.at.p += 1


cdef inline bint is_digit(unsigned char c) noexcept nogil:
    return c"0" <= c <= c"9"


cdef inline void whole(Reader* r, long long* out, const unsigned char** wrong, int depth) noexcept nogil:
    """Read an id or a time; what is none is noted, for those who need it."""
    cdef const unsigned char* at = r.at.p
    out[0] = integer(&r.at)
    if r.at.fault:
        r.at.fault, out[0], wrong[0] = NONE, -1, at
        value(&r.at, depth + 1)


cdef inline void short_field(Reader* r, Payload* it, unsigned char k, int depth) noexcept nogil:
    """Read the value of a key of one letter, as events have them."""
    cdef const unsigned char* at = r.at.p
    cdef Text text
    if (k == c"b" or k == c"a") and at[0] == c"[":
        it.is_diff = True
        side(r, it, k == c"a", False)
    elif k == c"E":
        whole(r, &it.event_time, &it.wrong[IN_E], depth)
    elif k == c"T":
        whole(r, &it.transaction_time, &it.wrong[IN_T], depth)
    elif k == c"u":
        whole(r, &it.last_id, &it.wrong[IN_u], depth)
    elif k == c"U":
        whole(r, &it.first_id, &it.wrong[IN_U], depth)
    elif k == c"t":
        whole(r, &it.trade_id, &it.wrong[IN_t], depth)
    else:
        value(&r.at, depth + 1)
        if r.at.fault:
            return
        if k == c"m" and (at[0] == c"t" or at[0] == c"f"):
            it.buyer_is_maker = at[0] == c"t"
        elif k == c"m":
            it.wrong[IN_m] = at
        elif k == c"p":
            it.price = at
        elif k == c"q":
            it.quantity = at
        elif at[0] != c'"':
            if k == c"s":
                it.wrong[IN_s] = at
            elif k == c"b":
                it.wrong[IN_bids] = at
            elif k == c"a":
                it.wrong[IN_asks] = at
        else:
            text = Text(at + 1, r.at.p - at - 2)
            if k == c"e":
                it.event = text
            elif k == c"s":
                it.symbol = text
            elif k == c"X":
                it.order_type = text
            elif k == c"b":
                it.ticker[0] = it.wrong[IN_bids] = at
            elif k == c"B":
                it.ticker[1] = at
            elif k == c"a":
                it.ticker[2] = it.wrong[IN_asks] = at
            elif k == c"A":
                it.ticker[3] = at


cdef inline void long_field(Reader* r, Payload* it, const Text* key, int depth) noexcept nogil:
    """Read the value of any other key."""
    cdef unsigned char first = r.at.p[0]
    if says(key, b"pu", 2):
        whole(r, &it.previous_id, &it.wrong[IN_pu], depth)
    elif says(key, b"lastUpdateId", 12):
        whole(r, &it.snapshot_id, &it.wrong[IN_last], depth)
        it.is_snapshot = it.is_snapshot or it.snapshot_id >= 0
    elif first == c"[" and (says(key, b"bids", 4) or says(key, b"asks", 4)):
        it.is_snapshot = True
        side(r, it, key.at[0] == c"a", True)
    elif first == c"{" and depth == 0 and says(key, b"data", 4):
        if it.has_data:
            refuse(&r.at, TWICE, b"data", NULL)
            return
        it.has_data = True
        members(r, it, 1)
    else:
        if says(key, b"bids", 4):
            it.wrong[IN_bids] = r.at.p
        elif says(key, b"asks", 4):
            it.wrong[IN_asks] = r.at.p
        value(&r.at, depth + 1)


cdef inline void side(Reader* r, Payload* it, bint ask, bint snapshot) noexcept nogil:
    """Read the levels of one side; asks that come first are read again after the bids."""
    cdef const unsigned char* end
    if it.has_asks if ask else it.has_bids:
        refuse(&r.at, TWICE, b"asks" if ask else b"bids", NULL)
    elif ask and it.has_bids:
        it.has_asks = True
        it.n_asks = read_levels(r, True, snapshot)
    elif ask:
        it.asks_later, it.has_asks = r.at.p, True
        value(&r.at, 2)
    else:
        it.has_bids = True
        it.n_bids = read_levels(r, False, snapshot)
        if it.asks_later != NULL and not r.at.fault:
            end, r.at.p = r.at.p, it.asks_later
            it.n_asks = read_levels(r, True, snapshot)
            r.at.p = end
