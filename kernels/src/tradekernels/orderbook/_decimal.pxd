# cython: language_level=3
"""Numbers of a capture, from digits to integers and never through a float. From: a cursor at a number. To: the parser."""

from ._json cimport NEGATIVE, NOT_DECIMAL, NOT_WHOLE, OFF_GRID, RANGE, Cursor


cdef packed struct Scale:
    long long mantissa  # size of a step: mantissa * 10 ** -decimals
    long long decimals
    long long most      # largest number of steps


cdef enum:
    MOST_DIGITS = 17    # before the point; ten times what they and the decimals make still fits into 64 bits
    QUICK_DIGITS = 9    # as many again behind the point fit as well


cdef inline unsigned long long digits_at(const unsigned char** p, unsigned long long x) noexcept nogil:
    """Append the digits at p to x; a long run of them wraps, the caller counts."""
    cdef unsigned char digit
    while True:
        digit = p[0][0] - c"0"
        if digit > 9:
            return x
        x = x * 10 + digit
        p[0] += 1


cdef inline long long integer(Cursor* c) noexcept nogil:
    """Read an integer of at most 2**63 - 1; where there is none, stay."""
    cdef const unsigned char* p = c.p
    cdef unsigned long long x = digits_at(&p, 0)  # 19 digits cannot wrap
    if (p == c.p or p - c.p > 19 or x > 9223372036854775807ULL or p[0] == c"." or p[0] == c"e" or p[0] == c"E"
            or (c.p[0] == c"0" and p - c.p > 1)):
        c.fault = NOT_WHOLE
        return 0
    c.p = p
    return <long long> x


cdef inline long long decimal(Cursor* c, const Scale* step) noexcept nogil:
    """Read a plain decimal, quoted or not, as a whole number of steps; where there is none, stay."""
    cdef const unsigned char* p = c.p
    cdef const unsigned char* first
    cdef long long x, missing = step.decimals
    cdef bint quoted = p[0] == c'"'
    p += quoted
    if p[0] == c"-":
        c.fault = NEGATIVE
        return 0
    first = p
    x = <long long> digits_at(&p, 0)
    if p == first or p - first > MOST_DIGITS:
        c.fault = NOT_DECIMAL if p == first else RANGE
        return 0
    if p[0] == c".":
        p += 1
        first = p
        while c"0" <= p[0] <= c"9":
            if missing > 0:
                if x > 100000000000000000LL:
                    c.fault = RANGE
                    return 0
                x = x * 10 + (p[0] - c"0")
                missing -= 1
            elif p[0] != c"0":
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
    elif p[0] == c"e" or p[0] == c"E":
        c.fault = NOT_DECIMAL
        return 0
    while missing > 0:
        if x > 100000000000000000LL:
            c.fault = RANGE
            return 0
        x *= 10
        missing -= 1
    if step.mantissa != 1:
        if x % step.mantissa:
            c.fault = OFF_GRID
            return 0
        x //= step.mantissa
    if x > step.most:
        c.fault = RANGE
        return 0
    c.p = p
    return x


cdef inline const unsigned char* quick_steps(const unsigned char* p, const Scale* step, long long* out) noexcept nogil:
    """Read up to nine digits, a point, and all the decimals of a step, then a quote; NULL if it is not so."""
    cdef const unsigned char* first = p
    cdef const unsigned char* end
    cdef unsigned long long x = digits_at(&p, 0)
    cdef unsigned char digit
    if p == first or p - first > QUICK_DIGITS or step.decimals >= QUICK_DIGITS:
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
    if p[0] != c'"':
        return NULL
    if step.mantissa != 1:
        if x % <unsigned long long> step.mantissa:
            return NULL
        x //= <unsigned long long> step.mantissa
    if x > <unsigned long long> step.most:
        return NULL
    out[0] = <long long> x
    return p + 1
