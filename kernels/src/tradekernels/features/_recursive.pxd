"""Recurrences that remember everything, ever more faintly. From: a slot and the node's state. To: a slot."""


cdef inline void recursive_mean(const double* x, double* y, Py_ssize_t n_bars, double* state, Py_ssize_t n,
                                Py_ssize_t start, double alpha) noexcept nogil:
    # EMA (alpha 2/(n+1)) and Wilder's mean (alpha 1/n), both begun with the mean of their first n inputs from bar
    # `start` on. level + alpha (x - level) keeps a constant exactly. state: bars seen while seeding, level.
    cdef Py_ssize_t i = 0, seen = <Py_ssize_t> state[0]
    cdef double level = state[1]
    while i < n_bars and seen < start + n:
        if seen >= start:
            level += (x[i] - level) / (seen - start + 1)
        y[i] = level
        seen += 1
        i += 1
    for i in range(i, n_bars):
        level += alpha * (x[i] - level)
        y[i] = level
    state[0] = seen
    state[1] = level
