# cython: language_level=3
"""A strict walker over one line of JSON. From: text that ends with a newline. To: _decimal.pxd, _payload.pxd, _depth.pxd.

Each step starts at its token and ends behind it, and sets `fault` where the text is no JSON. No token may hold a newline,
so every scan stops at the end of its line at the latest.
"""

cdef enum Fault:
    NONE, NO_TIME, BAD_JSON, NO_OBJECT, TOO_DEEP, NOT_DECIMAL, NEGATIVE, OFF_GRID, RANGE, NOT_WHOLE, NOT_BOOLEAN
    NOT_TEXT, BAD_SHAPE, TWICE, MISSING, SYMBOL, CROSSED, AFTER, ZERO, LATE

cdef enum:
    DEEPEST = 32


cdef struct Cursor:
    const unsigned char* p  # at the token that is wrong, once there is a fault
    int fault
    const char* field       # whose fault it is, NULL: of the line


cdef inline void refuse(Cursor* c, int fault, const char* field, const unsigned char* at) noexcept nogil:
    """Say what is wrong, with which field, and where its value lies; the first fault stays."""
    if not c.fault:
        c.fault, c.field = fault, field
        if at != NULL:
            c.p = at


cdef inline bint is_hex(unsigned char c) noexcept nogil:
    return c"0" <= c <= c"9" or c"a" <= c <= c"f" or c"A" <= c <= c"F"


cdef inline bint is_escape(unsigned char c) noexcept nogil:
    return (c == c'"' or c == c"\\" or c == c"/" or c == c"b" or c == c"f" or c == c"n" or c == c"r" or c == c"t")


cdef inline bint ordinary(unsigned char c) noexcept nogil:
    """Whether a string holds this byte as it is."""
    return c >= 32 and c != c'"' and c != c"\\"


cdef inline void space(Cursor* c) noexcept nogil:
    while c.p[0] == c" " or c.p[0] == c"\t" or c.p[0] == c"\r":
        c.p += 1


cdef inline void string(Cursor* c) noexcept nogil:
    if c.p[0] != c'"':
        c.fault = BAD_JSON
        return
    cdef const unsigned char* p = c.p + 1
    cdef int k
    while True:
        while ordinary(p[0]):
            p += 1
        if p[0] == c'"':
            break
        if p[0] < 32:
            c.fault = BAD_JSON
            return
        if p[0] == c"\\":
            p += 1
            if p[0] == c"u":
                for k in range(4):
                    p += 1
                    if not is_hex(p[0]):
                        c.fault = BAD_JSON
                        return
            elif not is_escape(p[0]):
                c.fault = BAD_JSON
                return
        p += 1
    c.p = p + 1


cdef inline bint digits(Cursor* c) noexcept nogil:
    cdef const unsigned char* first = c.p
    while c"0" <= c.p[0] <= c"9":
        c.p += 1
    return c.p > first


cdef inline void number(Cursor* c) noexcept nogil:
    if c.p[0] == c"-":
        c.p += 1
    if c.p[0] == c"0":
        c.p += 1
    elif not digits(c):
        c.fault = BAD_JSON
        return
    if c.p[0] == c".":
        c.p += 1
        if not digits(c):
            c.fault = BAD_JSON
            return
    if c.p[0] == c"e" or c.p[0] == c"E":
        c.p += 1
        if c.p[0] == c"+" or c.p[0] == c"-":
            c.p += 1
        if not digits(c):
            c.fault = BAD_JSON


cdef inline void word(Cursor* c, const unsigned char* text, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(size):
        if c.p[k] != text[k]:
            c.fault = BAD_JSON
            return
    c.p += size


cdef inline void value(Cursor* c, int depth) noexcept nogil:
    """Walk over one JSON value of any kind."""
    cdef unsigned char first = c.p[0], close
    if first == c'"':
        string(c)
    elif first == c"t":
        word(c, b"true", 4)
    elif first == c"f":
        word(c, b"false", 5)
    elif first == c"n":
        word(c, b"null", 4)
    elif first == c"{" or first == c"[":
        if depth >= DEEPEST:
            c.fault = TOO_DEEP
            return
        close = c"}" if first == c"{" else c"]"
        c.p += 1
        space(c)
        if c.p[0] == close:
            c.p += 1
            return
        while True:
            space(c)
            if first == c"{":
                string(c)
                space(c)
                if c.fault or c.p[0] != c":":
                    c.fault = BAD_JSON
                    return
                c.p += 1
                space(c)
            value(c, depth + 1)
            space(c)
            if c.fault:
                return
            if c.p[0] == close:
                c.p += 1
                return
            if c.p[0] != c",":
                c.fault = BAD_JSON
                return
            c.p += 1
    else:
        number(c)
