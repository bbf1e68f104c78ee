"""The UTC calendar. From: times in ms since 1970 and a slot of one block of bars. To: a slot.

Days are counted from 1 March of the year 0 of the Gregorian calendar and months with them: a leap day then ends its
year, and no number here is negative, so that whole division means the same in C and in Python.
"""

from libc.math cimport floor


cdef enum:
    DAYS_TO_1970 = 719468
    FRIDAY = 2  # the rest of a Friday's day number, divided by 7


cdef inline long long first_day(long long month) noexcept nogil:
    """Return the day number of the first day of a month."""
    cdef long long year = month // 12  # below: five months from March on have 153 days, however the year falls
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month % 12) + 2) // 5


cdef inline long long last_friday(long long month) noexcept nogil:
    """Return the day number of the last Friday of a month."""
    cdef long long last = first_day(month + 1) - 1
    return last - (last - FRIDAY) % 7


cdef inline void calendar(const double* x, double* y, Py_ssize_t n_bars, Py_ssize_t which) noexcept nogil:
    # Of the UTC date of x, whole ms. which 0: month 1..12; 1: day of the month 1..31; 2: days in the month; 3: whole
    # days to the last Friday of the quarter, or of the next quarter once it is past. Neighbours mostly share the day.
    cdef Py_ssize_t i
    cdef long long day, month, quarter_end, known = -1
    cdef double value = 0.0
    for i in range(n_bars):
        day = <long long> floor(x[i] / 86400000.0) + DAYS_TO_1970
        if day != known:
            known = day
            month = <long long> (day / 30.436875)  # the mean month: at most one off
            while first_day(month) > day:
                month -= 1
            while first_day(month + 1) <= day:
                month += 1
            if which == 0:
                value = (month + 2) % 12 + 1
            elif which == 1:
                value = day - first_day(month) + 1
            elif which == 2:
                value = first_day(month + 1) - first_day(month)
            else:
                quarter_end = (month + 2) // 3 * 3  # counted from March, every third month ends a quarter
                if last_friday(quarter_end) < day:
                    quarter_end += 3
                value = last_friday(quarter_end) - day
        y[i] = value


cdef inline void previous_day(const double* x, const double* open_ms, double* y, Py_ssize_t n_bars, double* state,
                              double side) noexcept nogil:
    # Of the UTC day before this row's that had rows; the day of a row is that of its open. side 1: the maximum of x;
    # -1: the minimum, as the maximum of the mirror; 0: the last. state: day, its aggregate so far, the day before's.
    cdef Py_ssize_t i
    cdef double today = state[0], aggregate = state[1], before = state[2], day, value
    for i in range(n_bars):
        day = floor(open_ms[i] / 86400000.0)
        value = x[i] if side == 0.0 else side * x[i]
        if day != today:
            before, today, aggregate = aggregate, day, value
        elif side == 0.0 or value > aggregate or aggregate != aggregate:
            aggregate = value
        y[i] = before if side == 0.0 else side * before
    state[0] = today
    state[1] = aggregate
    state[2] = before
