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


cdef inline void four_recursive_means(double** x, double** y, Py_ssize_t n_bars, double** state,
                                      const double* alpha) noexcept nogil:
    # Four at once, past their seeds: each waits for its own last value, so together they take the time of one.
    cdef Py_ssize_t i
    cdef double a = state[0][1], b = state[1][1], c = state[2][1], d = state[3][1]
    for i in range(n_bars):
        a += alpha[0] * (x[0][i] - a)
        b += alpha[1] * (x[1][i] - b)
        c += alpha[2] * (x[2][i] - c)
        d += alpha[3] * (x[3][i] - d)
        y[0][i], y[1][i], y[2][i], y[3][i] = a, b, c, d
    state[0][1], state[1][1], state[2][1], state[3][1] = a, b, c, d


cdef inline void eight_recursive_means(double** x, double** y, Py_ssize_t n_bars, double** state,
                                       const double* alpha) noexcept nogil:
    # Eight at once, as four.
    cdef Py_ssize_t i
    cdef double a = state[0][1], b = state[1][1], c = state[2][1], d = state[3][1]
    cdef double e = state[4][1], f = state[5][1], g = state[6][1], h = state[7][1]
    for i in range(n_bars):
        a += alpha[0] * (x[0][i] - a)
        b += alpha[1] * (x[1][i] - b)
        c += alpha[2] * (x[2][i] - c)
        d += alpha[3] * (x[3][i] - d)
        e += alpha[4] * (x[4][i] - e)
        f += alpha[5] * (x[5][i] - f)
        g += alpha[6] * (x[6][i] - g)
        h += alpha[7] * (x[7][i] - h)
        y[0][i], y[1][i], y[2][i], y[3][i] = a, b, c, d
        y[4][i], y[5][i], y[6][i], y[7][i] = e, f, g, h
    state[0][1], state[1][1], state[2][1], state[3][1] = a, b, c, d
    state[4][1], state[5][1], state[6][1], state[7][1] = e, f, g, h
