# cython: language_level=3
"""A strict walker over one line of JSON, and exact decimals. From: text that ends with a newline. To: _capture.pyx.

Each step starts at its token and ends behind it, and sets `fault` where the text is no JSON. No token may hold a newline,
so every scan stops at the end of its line at the latest.
"""

cdef enum Fault:
    NONE, NO_TIME, BAD_JSON, TOO_DEEP, NOT_DECIMAL, NEGATIVE, OFF_GRID, RANGE, BAD_INTEGER, BAD_SHAPE, MISSING
    SYMBOL, CROSSED, AFTER, ZERO

cdef enum:
    DEEPEST = 32


cdef packed struct Scale:
    long long mantissa  # size of a step: mantissa * 10 ** -decimals
    long long decimals
    long long most      # largest number of steps


cdef struct Cursor:
    const unsigned char* p
    int fault


cdef inline bint is_hex(unsigned char c) noexcept:
    return c"0" <= c <= c"9" or c"a" <= c <= c"f" or c"A" <= c <= c"F"


cdef inline bint is_escape(unsigned char c) noexcept:
    return (c == c'"' or c == c"\\" or c == c"/" or c == c"b" or c == c"f" or c == c"n" or c == c"r" or c == c"t")


cdef inline bint ordinary(unsigned char c) noexcept:
    """Whether a string holds this byte as it is."""
    return c >= 32 and c != c'"' and c != c"\\"


cdef inline bint equal(const unsigned char* a, Py_ssize_t size, const unsigned char* b, Py_ssize_t size_b) noexcept:
    cdef Py_ssize_t k
    if size != size_b:
        return False
    for k in range(size):
        if a[k] != b[k]:
            return False
    return True


cdef inline void space(Cursor* c) noexcept:
    while c.p[0] == c" " or c.p[0] == c"\t" or c.p[0] == c"\r":
        c.p += 1


cdef inline long long integer(Cursor* c) noexcept:
    """Read an integer of at most 2**63 - 1."""
    cdef const unsigned char* p = c.p
    cdef unsigned long long x = 0
    cdef unsigned char digit
    while True:
        digit = p[0] - c"0"
        if digit > 9:
            break
        if p - c.p < 19:
            x = x * 10 + digit
        p += 1
    if (p - c.p > 19 or x > 9223372036854775807ULL or p[0] == c"." or p[0] == c"e" or p[0] == c"E"
            or (c.p[0] == c"0" and p - c.p > 1)):
        c.fault = BAD_INTEGER
    c.p = p
    return <long long> x


cdef inline long long decimal(Cursor* c, Scale* step) noexcept:
    """Read a plain decimal, quoted or not, as a whole number of steps."""
    cdef const unsigned char* p = c.p
    cdef const unsigned char* first
    cdef long long x = 0, decimals = step.decimals
    cdef bint quoted = p[0] == c'"'
    cdef unsigned char digit
    p += quoted
    if p[0] == c"-":
        c.fault = NEGATIVE
        return 0
    first = p
    while True:
        digit = p[0] - c"0"
        if digit > 9:
            break
        x = x * 10 + digit
        p += 1
    if p == first or p - first > 17:
        c.fault = NOT_DECIMAL if p == first else RANGE
        return 0
    if p[0] == c".":
        p += 1
        first = p
        while True:
            digit = p[0] - c"0"
            if digit > 9:
                break
            if decimals > 0:
                if x > 100000000000000000LL:
                    c.fault = RANGE
                    return 0
                x = x * 10 + digit
                decimals -= 1
            elif digit:
                c.fault = OFF_GRID
                return 0
            p += 1
        if p == first:
            c.fault = NOT_DECIMAL
            return 0
    if quoted:
        if p[0] != c'"':
            c.fault = NOT_DECIMAL
            return 0
        p += 1
    c.p = p
    while decimals > 0:
        if x > 100000000000000000LL:
            c.fault = RANGE
            return 0
        x *= 10
        decimals -= 1
    if step.mantissa != 1:
        if x % step.mantissa:
            c.fault = OFF_GRID
            return 0
        x //= step.mantissa
    if x > step.most:
        c.fault = RANGE
        return 0
    return x


cdef inline const unsigned char* plain_steps(const unsigned char* p, const Scale* step, long long* out) noexcept:
    """Read up to nine digits, a point, and all the decimals of a power of ten, then a quote; NULL if it is not so."""
    cdef const unsigned char* first = p
    cdef const unsigned char* end
    cdef long long x = 0
    cdef unsigned char digit
    while True:
        digit = p[0] - c"0"
        if digit > 9:
            break
        x = x * 10 + digit
        p += 1
    if p == first or p - first > 9 or step.decimals > 8 or step.mantissa != 1:
        return NULL
    if p[0] == c".":
        p += 1
        end = p + step.decimals
        if p[0] < c"0":
            return NULL
        while p < end:
            digit = p[0] - c"0"
            if digit > 9:
                return NULL
            x = x * 10 + digit
            p += 1
        while p[0] == c"0":
            p += 1
    elif step.decimals:
        return NULL
    if p[0] != c'"' or x > step.most:
        return NULL
    out[0] = x
    return p + 1


cdef inline void string(Cursor* c) noexcept:
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


cdef inline bint digits(Cursor* c) noexcept:
    cdef const unsigned char* first = c.p
    while c"0" <= c.p[0] <= c"9":
        c.p += 1
    return c.p > first


cdef inline void number(Cursor* c) noexcept:
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


cdef inline void word(Cursor* c, const unsigned char* text, Py_ssize_t size) noexcept:
    cdef Py_ssize_t k
    for k in range(size):
        if c.p[k] != text[k]:
            c.fault = BAD_JSON
            return
    c.p += size


cdef inline void value(Cursor* c, int depth) noexcept:
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
